/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the route of a method and path. Patterns are cut into segments once at start; among routes
 * that fit, a literal segment wins over a parameter, the earlier segment first. */
#include "http_internal.h"

#include <stdlib.h>

static bool cut_pattern(struct router_entry *entry, const struct route *route)
{
    str_t rest = str_cut(str_of(route->path), 1);
    str_t part = {0};
    entry->route = route;
    int params = 0;
    while (str_next(&rest, '/', &part)) {
        if (entry->segment_count == SEGMENTS_MAX || part.len == 0)
            return false;
        bool param = part.data[0] == '{';
        if (param && ++params > PARAMS_MAX)
            return false;
        entry->segments[entry->segment_count++] = param ? (str_t){NULL, part.len} : part;
    }
    return true;
}

static int compare_entries(const void *left, const void *right)
{
    const struct router_entry *a = left, *b = right;
    if (a->segment_count != b->segment_count)
        return a->segment_count - b->segment_count;
    for (int i = 0; i < a->segment_count; i++) {
        bool a_param = !a->segments[i].data, b_param = !b->segments[i].data;
        if (a_param != b_param)
            return a_param ? 1 : -1;
        int order = a_param ? 0 : str_cmp(a->segments[i], b->segments[i]);
        if (order)
            return order;
    }
    return str_cmp(str_of(a->route->method), str_of(b->route->method));
}

static bool route_is_sound(const struct route *route)
{
    return route->method && route->handler && route->path && route->path[0] == '/';
}

bool router_init(struct router *router, const struct route_table *tables, int count,
                 const char **out_message)
{
    *router = (struct router){0};
    int total = 0;
    for (int t = 0; t < count; t++)
        total += tables[t].count;
    router->entries = calloc((size_t)total + 1, sizeof *router->entries);
    ENSURE(router->entries);
    for (int t = 0; t < count; t++)
        for (int i = 0; i < tables[t].count; i++) {
            const struct route *route = &tables[t].routes[i];
            *out_message = route->path ? route->path : "?";
            if (!route_is_sound(route) || !cut_pattern(&router->entries[router->count], route))
                return false;
            router->count++;
        }
    qsort(router->entries, (size_t)router->count, sizeof *router->entries, compare_entries);
    for (int i = 1; i < router->count; i++)
        if (compare_entries(&router->entries[i - 1], &router->entries[i]) == 0) {
            *out_message = router->entries[i].route->path;
            return false;
        }
    int at = 0;
    for (int n = 0; n <= SEGMENTS_MAX + 1; n++) {
        while (at < router->count && router->entries[at].segment_count < n)
            at++;
        router->first[n] = at;
    }
    return true;
}

void router_free(struct router *router)
{
    free(router->entries);
    *router = (struct router){0};
}

static bool entry_fits(const struct router_entry *entry, const str_t *segments)
{
    for (int i = 0; i < entry->segment_count; i++) {
        bool param = !entry->segments[i].data;
        if (param ? segments[i].len == 0 : !str_eq(entry->segments[i], segments[i]))
            return false;
    }
    return true;
}

static void add_method(struct arena *arena, str_t *allow, const char *method)
{
    *allow =
        allow->len ? str_printf(arena, STR_FMT ", %s", STR_ARG(*allow), method) : str_of(method);
    if (str_is(str_of(method), "GET"))
        *allow = str_printf(arena, STR_FMT ", HEAD", STR_ARG(*allow));
}

const struct route *router_find(const struct router *router, struct arena *arena,
                                const str_t *segments, int count, struct request *request,
                                str_t *out_allow)
{
    if (count > SEGMENTS_MAX)
        return NULL;
    for (int i = router->first[count]; i < router->first[count + 1]; i++) {
        const struct router_entry *entry = &router->entries[i];
        if (!entry_fits(entry, segments))
            continue;
        if ((entry->route->flags & ROUTE_ADMIN_SOCKET) && !request->over_admin_socket)
            continue;
        if (!str_is(request->method, entry->route->method)) {
            add_method(arena, out_allow, entry->route->method);
            continue;
        }
        int params = 0;
        for (int s = 0; s < count; s++)
            if (!entry->segments[s].data)
                request->params[params++] = segments[s];
        return entry->route;
    }
    return NULL;
}
