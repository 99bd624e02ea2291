/* SPDX-License-Identifier: Apache-2.0 */
/* All routes as JSON, for the comparison with the written contract. */
#include "http_internal.h"

enum { NESTING_MAX = 8 };

static const char *const type_names[] = {
    [FT_INT32] = "integer", [FT_INT64] = "integer", [FT_BOOL] = "boolean",  [FT_TEXT] = "string",
    [FT_MONEY] = "money",   [FT_RATE] = "rate",     [FT_PRICE] = "price",   [FT_UTC] = "date-time",
    [FT_REF] = "ref",       [FT_ENUM] = "enum",     [FT_BYTES] = "base64",  [FT_JSON] = "json",
    [FT_ARRAY] = "array",   [FT_TEXTS] = "strings", [FT_OBJECT] = "object",
};

static void write_fields(struct jw *w, const struct shape *shape, int depth);

static void write_field(struct jw *w, const struct field *field, int depth)
{
    jw_object(w);
    jw_put_text(w, "name", str_of(field->name));
    jw_put_text(w, "type", str_of(type_names[field->type]));
    jw_put_int(w, "min", field->min);
    jw_put_int(w, "max", field->max);
    jw_put_bool(w, "required", (field->flags & FIELD_REQUIRED) != 0);
    if (field->prefix)
        jw_put_text(w, "prefix", str_of(field->prefix));
    if (field->names) {
        jw_key(w, "values");
        jw_array(w);
        for (int i = 0; i < field->names->count; i++)
            if (field->names->name[i])
                jw_text(w, str_of(field->names->name[i]));
        jw_end_array(w);
    }
    if (field->shape && depth < NESTING_MAX) {
        jw_key(w, "fields");
        write_fields(w, field->shape, depth + 1);
    }
    jw_end_object(w);
}

static void write_fields(struct jw *w, const struct shape *shape, int depth)
{
    jw_array(w);
    for (int i = 0; i < shape->count; i++)
        if (!(shape->fields[i].flags & (FIELD_HIDDEN | FIELD_READ_ONLY)))
            write_field(w, &shape->fields[i], depth);
    jw_end_array(w);
}

static void write_flags(struct jw *w, int flags)
{
    static const struct {
        int flag;
        const char *name;
    } names[] = {{ROUTE_PUBLIC, "public"},
                 {ROUTE_KEY_REQUIRED, "key_required"},
                 {ROUTE_NO_KEY, "no_key"},
                 {ROUTE_IF_MATCH, "if_match"},
                 {ROUTE_FORM, "form"},
                 {ROUTE_STREAM, "stream"},
                 {ROUTE_ADMIN_SOCKET, "admin_socket"},
                 {ROUTE_RAW_BODY, "raw_body"}};
    jw_key(w, "flags");
    jw_array(w);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (flags & names[i].flag)
            jw_text(w, str_of(names[i].name));
    jw_end_array(w);
}

static void write_route(struct jw *w, const struct route *route,
                        const char *(*permission_name)(int permission))
{
    static const char *const modes[] = {
        [TX_NONE] = "none", [TX_READ] = "read", [TX_WRITE] = "write"};
    jw_object(w);
    jw_put_text(w, "method", str_of(route->method));
    jw_put_text(w, "path", str_of(route->path));
    bool is_public = route->flags & ROUTE_PUBLIC;
    const char *permission = "public";
    if (!is_public)
        permission = permission_name ? permission_name(route->permission) : "";
    jw_put_text(w, "permission", str_of(permission));
    jw_put_text(w, "tx", str_of(modes[route->tx]));
    write_flags(w, route->flags);
    jw_key(w, "body");
    if (route->body)
        write_fields(w, route->body, 0);
    else
        jw_null(w);
    jw_end_object(w);
}

void http_print_routes(struct buf *out, const struct route_table *tables, int count,
                       const char *(*permission_name)(int permission))
{
    struct jw w;
    jw_init(&w, out);
    jw_object(&w);
    jw_key(&w, "routes");
    jw_array(&w);
    for (int t = 0; t < count; t++)
        for (int i = 0; i < tables[t].count; i++)
            write_route(&w, &tables[t].routes[i], permission_name);
    jw_end_array(&w);
    jw_end_object(&w);
    buf_putc(out, '\n');
}
