/* SPDX-License-Identifier: Apache-2.0 */
/* My services: instances of an organisation with their entries. */
#include "api/api.h"
#include "catalog/catalog.h"
#include "order/order.h"

struct service_view {
    struct instance *instances;
    struct order_item *items;
    struct store *stores;
    struct catalog_code *regions;
    size_t count, item_count, store_count, region_count;
};

static err_t services_load(struct ctx *ctx, struct service_view *v)
{
    int64_t *items = NEW_ARRAY(ctx, int64_t, v->count + 1),
            *stores = NEW_ARRAY(ctx, int64_t, v->count + 1);
    for (size_t i = 0; i < v->count; i++) {
        items[i] = v->instances[i].item_id.value;
        stores[i] = v->instances[i].store_id.value;
    }
    TRY(order_items_by_id(ctx, items, v->count, &v->items, &v->item_count));
    TRY(catalog_codes(ctx, CODE_REGION, &v->regions, &v->region_count));
    return store_find_many(ctx, stores, v->count, &v->stores, &v->store_count);
}

static str_t region_name(const struct service_view *v, str_t code)
{
    for (size_t i = 0; i < v->region_count; i++)
        if (str_eq(v->regions[i].code, code))
            return v->regions[i].name_zh;
    return code;
}

/* A list leaves out very many units; the service's own page has them all. */
enum { LIST_UNITS_BYTES = 16 * 1024 };

static void write_service(struct jw *w, const struct service_view *v, bool whole,
                          const struct instance *instance)
{
    const struct order_item *item = NULL;
    for (size_t i = 0; i < v->item_count; i++)
        if (ref_is(v->items[i].m.id, instance->item_id))
            item = &v->items[i];
    static const struct order_item unknown; /* shown with what the instance itself knows */
    if (!item)
        item = &unknown;
    jw_object(w);
    jw_put_ref(w, "instance_id", "ins", instance->m.id);
    jw_put_text(w, "state", str_of(names_of(&instance_state_names, instance->m.state)));
    jw_put_text(w, "product_name", item->product_name);
    jw_put_ref(w, "product_id", "prd", item->product_id);
    jw_put_text(w, "store_name", api_store_name(v->stores, v->store_count, instance->store_id));
    jw_put_ref(w, "store_id", "sto", instance->store_id);
    jw_put_ref(w, "order_id", "ord", instance->parent_id);
    jw_put_ref(w, "item_id", "itm", instance->item_id);
    jw_put_text(w, "region_code", item->region_code);
    jw_put_text_or_null(w, "region_name", region_name(v, item->region_code));
    jw_put_text(w, "charge_mode", str_of(names_of(&charge_mode_names, item->charge_mode)));
    jw_put_text_or_null(w, "term", item->term);
    jw_put_int(w, "quantity", item->quantity);
    jw_key(w, "specs");
    jw_raw(w, item->specs.len ? item->specs : STR("[]"));
    jw_key(w, "units");
    bool shown = instance->units.len > 0 && (whole || instance->units.len <= LIST_UNITS_BYTES);
    jw_raw(w, shown ? instance->units : STR("[]"));
    jw_put_utc(w, "started_at", instance->started_at);
    jw_put_utc(w, "expires_at", instance->expires_at);
    jw_put_text_or_null(w, "tool_url", instance->tool_url);
    jw_put_ref(w, "last_event_id", "evt", instance->m.last_event_id);
    jw_end_object(w);
}

static err_t get_services(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct service_view v = {0};
    int64_t limit, before = 0, tie;
    int32_t state = 0;
    str_t wanted = request_query(request, "state"), cursor = request_query(request, "cursor");
    TRY(request_known_query(ctx, request, "state limit cursor"));
    TRY(request_query_int(ctx, request, "limit", 1, 200, 50, &limit));
    if (wanted.len && !names_find(&instance_state_names, wanted, &state))
        return refuse_field(ctx, STR("/query/state"), "not_in_list", "no such state");
    uint64_t hash = (uint64_t)state + 77;
    if (cursor.len)
        TRY(cursor_read(ctx, cursor, hash, &before, &tie));
    TRY(order_services(ctx, ctx->actor.org_id, state, (ref_t){before}, (int)limit + 1, &v.instances,
                       &v.count));
    bool more = v.count > (size_t)limit;
    if (more)
        v.count = (size_t)limit;
    TRY(services_load(ctx, &v));
    struct jw *w = &reply->json;
    jw_object(w);
    jw_key(w, "data");
    jw_array(w);
    for (size_t i = 0; i < v.count; i++)
        write_service(w, &v, false, &v.instances[i]);
    jw_end_array(w);
    jw_key(w, "next_cursor");
    if (more)
        jw_text(w, cursor_make(ctx, v.instances[v.count - 1].m.id.value, 0, hash));
    else
        jw_null(w);
    jw_end_object(w);
    return OK;
}

static err_t get_service(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct service_view v = {.count = 1};
    ref_t id;
    TRY(request_ref(ctx, request, 0, "ins", &id));
    v.instances = NEW(ctx, struct instance);
    TRY(order_instance(ctx, id, v.instances));
    if (!ref_is(v.instances->buyer_org_id, ctx->actor.org_id))
        return refuse(ctx, ERR_NOT_FOUND, "not_found", "no such service");
    TRY(services_load(ctx, &v));
    write_service(&reply->json, &v, true, v.instances);
    reply_etag(ctx, reply, v.instances->m.version);
    return OK;
}

static const struct route routes[] = {
    {"GET", "/api/v1/services", PERM_SERVICE_READ, TX_READ, NULL, get_services, 0},
    {"GET", "/api/v1/services/{id}", PERM_SERVICE_READ, TX_READ, NULL, get_service, 0},
};
const struct route_table service_routes = ROUTES(routes);
