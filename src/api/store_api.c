/* SPDX-License-Identifier: Apache-2.0 */
/* Stores: the seller's pages, and the shop fronts open to all. */
#include "api/api.h"
#include "catalog/catalog.h"
#include "crypto/crypto.h"
#include "store/store.h"

static void write_public_members(struct jw *w, const struct store *store)
{
    jw_put_ref(w, "store_id", "sto", store->m.id);
    jw_put_text(w, "name", store->name);
    jw_put_text(w, "state", str_of(names_of(&store_state_names, store->m.state)));
    jw_put_text(w, "region_code", store->region_code);
    jw_put_text(w, "description", store->description);
}

void api_write_store(struct jw *w, const struct store *store)
{
    jw_object(w);
    write_public_members(w, store);
    jw_put_ref(w, "org_id", "org", store->org_id);
    jw_put_text(w, "uscc", store->uscc);
    jw_put_text(w, "legal_name", store->legal_name);
    jw_put_text(w, "contact_name", store->contact_name);
    jw_put_text(w, "contact_phone", store->contact_phone);
    jw_put_text(w, "if2_base_url", store->if2_base_url);
    jw_put_bool(w, "auto_listing", store->auto_listing);
    jw_put_int(w, "commission_bp", store->commission_bp);
    jw_put_text(w, "accepted_rules_version", store->rules_version);
    jw_put_int(w, "version", store->m.version);
    jw_key(w, "review_reasons");
    jw_raw(w, store->review_reasons.len ? store->review_reasons : STR("[]"));
    jw_put_utc(w, "created_at", store->created_at);
    jw_put_utc(w, "updated_at", store->updated_at);
    jw_end_object(w);
}

static err_t reply_store(struct ctx *ctx, struct reply *reply, const struct store *store)
{
    reply_etag(ctx, reply, store->m.version);
    api_write_store(&reply->json, store);
    return OK;
}

static bool is_lab(const struct ctx *ctx)
{
    return api_settings(ctx)->allow_plain_http.len > 0;
}

static err_t check_url(struct ctx *ctx, str_t url)
{
    if (str_starts(url, STR("https://")) || is_lab(ctx))
        return OK;
    return refuse_field(ctx, STR("/if2_base_url"), "bad_format", "https:// is required here");
}

str_t api_store_name(const struct store *stores, size_t count, ref_t id)
{
    for (size_t i = 0; i < count; i++)
        if (ref_is(stores[i].m.id, id))
            return stores[i].name;
    return STR("");
}

/* ---- application ---- */
static err_t post_store(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    const struct store_application *in = request->input;
    struct store store;
    TRY(check_url(ctx, in->if2_base_url));
    TRY(store_apply(ctx, in, &store));
    reply->status = 201;
    return reply_store(ctx, reply, &store);
}

static err_t get_mine(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct store *stores;
    size_t count;
    (void)request;
    TRY(store_of_org(ctx, ctx->actor.org_id, &stores, &count));
    struct jw *w = &reply->json;
    jw_object(w);
    jw_key(w, "data");
    jw_array(w);
    for (size_t i = 0; i < count; i++)
        api_write_store(w, &stores[i]);
    jw_end_array(w);
    jw_key(w, "next_cursor");
    jw_null(w);
    jw_end_object(w);
    return OK;
}

static err_t load_path(struct ctx *ctx, const struct request *request, struct store *out)
{
    ref_t id;
    TRY(request_ref(ctx, request, 0, "sto", &id));
    return store_load(ctx, id, out);
}

static err_t load_own(struct ctx *ctx, const struct request *request, struct store *out)
{
    TRY(load_path(ctx, request, out));
    if (!ref_is(out->org_id, ctx->actor.org_id))
        return refuse(ctx, ERR_NOT_FOUND, "not_found", "no such store");
    return OK;
}

static err_t get_store(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct store store;
    TRY(load_path(ctx, request, &store));
    if (ref_is(store.org_id, ctx->actor.org_id))
        return reply_store(ctx, reply, &store);
    if (store.m.state != STORE_OPEN)
        return refuse(ctx, ERR_NOT_FOUND, "not_found", "no such store");
    jw_object(&reply->json);
    write_public_members(&reply->json, &store);
    jw_end_object(&reply->json);
    return OK;
}

static const struct field patch_fields[] = {
    FIELD(struct store_application, name, 2, 60, 0),
    FIELD(struct store_application, uscc, 1, 40, 0),
    FIELD(struct store_application, legal_name, 2, 120, 0),
    FIELD(struct store_application, description, 0, 2000, 0),
    FIELD(struct store_application, contact_name, 1, 60, 0),
    FIELD(struct store_application, contact_phone, 0, 40, 0),
    FIELD(struct store_application, region_code, 2, 20, 0),
    FIELD(struct store_application, if2_base_url, 8, 500, 0),
    FIELD(struct store_application, accepted_rules_version, 1, 40, 0),
};
static const struct shape patch_shape = SHAPE(struct store_application, patch_fields);

/* An absent member stays as it is; an empty one that is there was allowed to be empty. */
static str_t overlay(const struct request *request, const char *name, str_t given, str_t stored)
{
    return json_get(request->json, name) != NULL ? given : stored;
}

static err_t patch_store(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    const struct store_application *in = request->input;
    struct store store, changed;
    TRY(load_own(ctx, request, &store));
    TRY(request_if_match(ctx, request, store.m.version));
    const struct store_application whole = {
        .name = overlay(request, "name", in->name, store.name),
        .uscc = overlay(request, "uscc", in->uscc, store.uscc),
        .legal_name = overlay(request, "legal_name", in->legal_name, store.legal_name),
        .description = overlay(request, "description", in->description, store.description),
        .contact_name = overlay(request, "contact_name", in->contact_name, store.contact_name),
        .contact_phone = overlay(request, "contact_phone", in->contact_phone, store.contact_phone),
        .region_code = overlay(request, "region_code", in->region_code, store.region_code),
        .if2_base_url = overlay(request, "if2_base_url", in->if2_base_url, store.if2_base_url),
        .accepted_rules_version = overlay(request, "accepted_rules_version",
                                          in->accepted_rules_version, store.rules_version),
    };
    TRY(check_url(ctx, whole.if2_base_url));
    TRY(store_update(ctx, store.m.id, store.m.version, &whole, &changed));
    return reply_store(ctx, reply, &changed);
}

/* ---- moves ---- */
static err_t fire(struct ctx *ctx, const struct request *request, struct reply *reply, int event)
{
    struct store store, moved;
    TRY(load_own(ctx, request, &store));
    TRY(store_fire(ctx, store.m.id, event, NULL, 0, &moved));
    return reply_store(ctx, reply, &moved);
}

static err_t post_submit(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    return fire(ctx, request, reply, STORE_SUBMIT);
}

static err_t post_open(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    return fire(ctx, request, reply, STORE_OPEN_UP);
}

static err_t post_pause(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    return fire(ctx, request, reply, STORE_PAUSE);
}

static err_t post_close(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    return fire(ctx, request, reply, STORE_CLOSE);
}

/* ---- credentials and connection ---- */
static err_t post_credentials(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct store store;
    struct store_credentials made;
    TRY(load_own(ctx, request, &store));
    TRY(store_make_credentials(ctx, store.m.id, &made));
    struct jw *w = &reply->json;
    reply->status = 201;
    reply_header(reply, "Cache-Control", STR("no-store"));
    jw_object(w);
    jw_put_ref(w, "client_id", "cli", made.client_id);
    jw_put_text(w, "client_secret", made.client_secret);
    jw_put_text(w, "if2_bearer", made.if2_bearer);
    jw_end_object(w);
    return OK;
}

struct connection {
    const struct request *request;
    struct store store;
    str_t base_url, bearer, nonce;
};

static err_t read_connection(struct ctx *ctx, void *arg)
{
    struct connection *c = arg;
    TRY(load_own(ctx, c->request, &c->store));
    switch (c->store.m.state) {
    case STORE_APPROVED:
    case STORE_CONNECTED:
    case STORE_OPEN:
    case STORE_PAUSED:
        return store_outbound(ctx, c->store.m.id, &c->base_url, &c->bearer);
    default:
        return refuse(ctx, ERR_STATE, "illegal_transition",
                      "a store is connected after its approval");
    }
}

static err_t write_connection(struct ctx *ctx, void *arg)
{
    struct connection *c = arg;
    return store_connected(ctx, c->store.m.id, &c->store);
}

static err_t judge_answer(struct ctx *ctx, const struct connection *c,
                          const struct http_answer *answer)
{
    const char *why = "";
    const struct json *body =
        answer->status == 200 ? json_parse_text(ctx->arena, answer->body, &why) : NULL;
    if (answer->status != 200)
        return refuse(ctx, ERR_CONFLICT, "connect_failed", "the platform answered %d",
                      answer->status);
    if (body == NULL || !str_is(json_get_text(body, "status"), "ok"))
        return refuse(ctx, ERR_CONFLICT, "connect_failed", "the answer is not {\"status\":\"ok\"}");
    if (!str_eq_secret(json_get_text(body, "nonce"), c->nonce))
        return refuse(ctx, ERR_CONFLICT, "connect_failed", "the answer repeats another nonce");
    return OK;
}

static err_t test_connection(struct ctx *ctx, struct connection *c)
{
    uint8_t random[16];
    crypto_random(random, sizeof random);
    c->nonce = base64url_encode(ctx->arena, str_from(random, sizeof random));
    const struct http_call call = {
        .method = "GET",
        .url = str_printf(ctx->arena, STR_FMT "/if2/v1/health", STR_ARG(c->base_url)),
        .bearer = c->bearer,
        .header_names = {STR("X-Nonce")},
        .header_values = {c->nonce},
        .header_count = 1,
        .timeout_ms = 5000,
        .reply_max = 65536,
        .plain_networks = api_settings(ctx)->allow_plain_http};
    struct http_answer answer = {0};
    struct http_client *client = http_client_new();
    err_t err = http_send(ctx, client, &call, &answer);
    http_client_free(client);
    if (err != OK)
        return refuse(ctx, ERR_CONFLICT, "connect_failed", "no answer: " STR_FMT,
                      STR_ARG(answer.error));
    return judge_answer(ctx, c, &answer);
}

static err_t post_connect(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct connection connection = {.request = request};
    TRY(db_read(ctx, ctx->platform->db, read_connection, &connection));
    TRY(test_connection(ctx, &connection));
    TRY(db_write(ctx, ctx->platform->db, write_connection, &connection));
    return reply_store(ctx, reply, &connection.store);
}

/* Credentials are never kept as a stored reply, so they take no key: a repeated call makes new
 * ones. */
static const struct route routes[] = {
    {"POST", "/api/v1/stores", PERM_STORE_MANAGE, TX_WRITE, &store_application_shape, post_store,
     ROUTE_KEY_REQUIRED},
    {"GET", "/api/v1/stores/mine", PERM_STORE_READ, TX_READ, NULL, get_mine, 0},
    {"GET", "/api/v1/stores/{id}", PERM_STORE_READ, TX_READ, NULL, get_store, 0},
    {"PATCH", "/api/v1/stores/{id}", PERM_STORE_MANAGE, TX_WRITE, &patch_shape, patch_store,
     ROUTE_IF_MATCH},
    {"POST", "/api/v1/stores/{id}/submit", PERM_STORE_MANAGE, TX_WRITE, NULL, post_submit, 0},
    {"POST", "/api/v1/stores/{id}/open", PERM_STORE_MANAGE, TX_WRITE, NULL, post_open, 0},
    {"POST", "/api/v1/stores/{id}/pause", PERM_STORE_MANAGE, TX_WRITE, NULL, post_pause, 0},
    {"POST", "/api/v1/stores/{id}/close", PERM_STORE_MANAGE, TX_WRITE, NULL, post_close, 0},
    {"POST", "/api/v1/stores/{id}/credentials", PERM_STORE_MANAGE, TX_WRITE, NULL, post_credentials,
     ROUTE_NO_KEY},
    {"POST", "/api/v1/stores/{id}/connect", PERM_STORE_MANAGE, TX_NONE, NULL, post_connect,
     ROUTE_NO_KEY},
};
const struct route_table store_routes = ROUTES(routes);
