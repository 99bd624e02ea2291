/* SPDX-License-Identifier: Apache-2.0 */
/* Stores: what they say of themselves, how they are found. State moves are machine.c's. */
#include <inttypes.h>
#include <string.h>

#include "crypto/crypto.h"
#include "store_internal.h"

static const struct field store_fields[] = {
    MOVING_FIELDS(struct store, "sto", &store_state_names),
    FIELD_REF(struct store, org_id, "org", 0),
    FIELD(struct store, name, 2, 60, 0),
    FIELD(struct store, uscc, 18, 18, 0),
    FIELD(struct store, legal_name, 2, 120, 0),
    FIELD(struct store, description, 0, 2000, 0),
    FIELD(struct store, contact_name, 0, 60, 0),
    FIELD(struct store, contact_phone, 0, 40, 0),
    FIELD(struct store, region_code, 0, 20, 0),
    FIELD(struct store, if2_base_url, 0, 500, 0),
    FIELD(struct store, auto_listing, 0, 1, 0),
    FIELD(struct store, demo, 0, 1, 0),
    FIELD(struct store, commission_bp, 0, 10000, 0),
    FIELD_JSON(struct store, review_reasons, 65536, 0),
    FIELD(struct store, rules_version, 0, 40, 0),
    FIELD(struct store, created_at, 0, INT64_MAX, 0),
    FIELD(struct store, updated_at, 0, INT64_MAX, 0),
};
const struct shape store_shape = SHAPE(struct store, store_fields);

static const struct field application_fields[] = {
    FIELD(struct store_application, name, 2, 60, FIELD_REQUIRED),
    FIELD(struct store_application, uscc, 1, 40, FIELD_REQUIRED),
    FIELD(struct store_application, legal_name, 2, 120, FIELD_REQUIRED),
    FIELD(struct store_application, description, 0, 2000, FIELD_REQUIRED),
    FIELD(struct store_application, contact_name, 1, 60, FIELD_REQUIRED),
    FIELD(struct store_application, contact_phone, 0, 40, 0),
    FIELD(struct store_application, region_code, 2, 20, FIELD_REQUIRED),
    FIELD(struct store_application, if2_base_url, 8, 500, FIELD_REQUIRED),
    FIELD(struct store_application, accepted_rules_version, 1, 40, FIELD_REQUIRED),
};
const struct shape store_application_shape = SHAPE(struct store_application, application_fields);

/* ---- checks ---- */
static err_t check_uscc(struct ctx *ctx, str_t code)
{
    char expected = '\0';
    int position = uscc_check(code, &expected);
    if (position == 0)
        return OK;
    err_t err = OK;
    if (position < 0)
        err = refuse_field(ctx, STR("/uscc"), "uscc_invalid", "18 characters");
    else if (expected)
        err = refuse_field(ctx, STR("/uscc"), "uscc_invalid", "position %d: expected %c", position,
                           expected);
    else
        err = refuse_field(ctx, STR("/uscc"), "uscc_invalid",
                           "position %d: character is not allowed", position);
    ctx->problem.reason = "uscc_invalid";
    return err;
}

/* scheme://host[:port][/path], without user, query or fragment; whether plain http is allowed is
 * the edge's matter. */
static bool is_base_url(str_t url)
{
    str_t rest = str_starts(url, STR("https://")) ? str_cut(url, 8) : str_cut(url, 7);
    if (!str_starts(url, STR("https://")) && !str_starts(url, STR("http://")))
        return false;
    if (rest.len == 0 || rest.data[0] == '/' || rest.data[0] == ':' || str_ends(url, STR("/")))
        return false;
    for (size_t i = 0; i < rest.len; i++)
        if ((unsigned char)rest.data[i] <= ' ' || strchr("@?#\"<>\\^`{|}\x7f", rest.data[i]))
            return false;
    return true;
}

static bool is_region(str_t code)
{
    for (size_t i = 0; i < code.len; i++) {
        char c = code.data[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
            c != '-')
            return false;
    }
    return code.len >= 2;
}

err_t store_check_application(struct ctx *ctx, const struct store_application *in)
{
    TRY(check_uscc(ctx, in->uscc));
    if (!is_base_url(in->if2_base_url))
        return refuse_field(ctx, STR("/if2_base_url"), "bad_format", "https://host[:port][/path]");
    if (!is_region(in->region_code))
        return refuse_field(ctx, STR("/region_code"), "bad_format", "letters, digits and -");
    return OK;
}

err_t store_own(struct ctx *ctx, const struct store *store)
{
    const struct actor *actor = &ctx->actor;
    bool is_system =
        actor->user_id.value == 0 && actor->client_id.value == 0 && actor->org_id.value == 0;
    if (is_system || ref_is(actor->org_id, store->org_id))
        return OK;
    return refuse(ctx, ERR_NOT_FOUND, "not_found", "no such store");
}

err_t store_tell(struct ctx *ctx, const struct store *store, int type, str_t payload,
                 ref_t *out_event_id)
{
    ref_t operator_org = REF_NONE;
    bool found = false;
    TRY(account_operator_find(ctx, &operator_org, &found));
    struct fact fact = {.type = type,
                        .object_prefix = "sto",
                        .object = store->m.id,
                        .root = store->m.id,
                        .owner_org = store->org_id,
                        .payload = payload,
                        .audience = {store->org_id, operator_org},
                        .audience_count = found ? 2 : 1};
    return evidence_append(ctx, &fact, out_event_id);
}

/* ---- making and changing ---- */
static err_t insert(struct ctx *ctx, const struct store *store)
{
    return db_exec_one(ctx,
                       "INSERT INTO store_head (id, org_id, state, version, last_event_id, name, "
                       "uscc, legal_name, description, "
                       "contact_name, contact_phone, region_code, if2_base_url, auto_listing, "
                       "demo, commission_bp, review_reasons, "
                       "rules_version, created_at, updated_at) "
                       "VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, "
                       "$15, '[]', $16, $17, $17)",
                       ARGS(A(store->m.id), A(store->org_id), A(store->m.state),
                            A(store->m.last_event_id), A(store->name), A(store->uscc),
                            A(store->legal_name), A(store->description), A(store->contact_name),
                            A(store->contact_phone), A(store->region_code), A(store->if2_base_url),
                            A(store->auto_listing), A(store->demo), A(store->commission_bp),
                            A(store->rules_version), A(store->created_at)));
}

static err_t create(struct ctx *ctx, ref_t org, bool demo, const struct store_application *in,
                    struct store *out)
{
    TRY(store_check_application(ctx, in));
    struct store store = {.m = {.id = id_make(ctx->platform->ids, ctx->now), .state = STORE_DRAFT},
                          .org_id = org,
                          .name = in->name,
                          .uscc = in->uscc,
                          .legal_name = in->legal_name,
                          .description = in->description,
                          .contact_name = in->contact_name,
                          .contact_phone = in->contact_phone,
                          .region_code = in->region_code,
                          .if2_base_url = in->if2_base_url,
                          .auto_listing = true,
                          .demo = demo,
                          .commission_bp = COMMISSION_BP,
                          .rules_version = in->accepted_rules_version,
                          .created_at = ctx->now};
    struct buf text;
    struct jw w;
    buf_init(&text, ctx->arena, 8192);
    jw_init(&w, &text);
    jw_object(&w);
    jw_put_ref(&w, "store_id", "sto", store.m.id);
    jw_put_ref(&w, "org_id", "org", org);
    jw_put_text(&w, "uscc", store.uscc);
    jw_put_text(&w, "legal_name", store.legal_name);
    jw_put_text(&w, "accepted_rules_version", store.rules_version);
    jw_end_object(&w);
    TRY(store_tell(ctx, &store, FACT_STORE_APPLY, buf_str(&text), &store.m.last_event_id));
    TRY(insert(ctx, &store));
    return store_load(ctx, store.m.id, out);
}

err_t store_apply(struct ctx *ctx, const struct store_application *in, struct store *out)
{
    if (!permission_allowed(PERM_STORE_MANAGE, &ctx->actor))
        return refuse(ctx, ERR_DENIED, "permission_denied",
                      "stores belong to provider organisations");
    return create(ctx, ctx->actor.org_id, false, in, out);
}

err_t store_import_demo(struct ctx *ctx, ref_t org, const struct store_application *in,
                        struct store *out)
{
    static const int way[] = {STORE_SUBMIT, STORE_TAKE, STORE_APPROVE, STORE_CONNECT,
                              STORE_OPEN_UP};
    ENSURE(ctx->actor.user_id.value == 0 && ctx->actor.client_id.value == 0 &&
           ctx->actor.org_id.value == 0);
    TRY(create(ctx, org, true, in, out));
    for (size_t i = 0; i < sizeof way / sizeof way[0]; i++)
        TRY(store_fire(ctx, out->m.id, way[i], NULL, 0, out));
    return OK;
}

err_t store_update(struct ctx *ctx, ref_t id, int64_t version, const struct store_application *in,
                   struct store *out)
{
    struct store store = {0};
    int64_t changed = 0;
    TRY(store_load(ctx, id, &store));
    TRY(store_own(ctx, &store));
    if (store.m.state != STORE_DRAFT && store.m.state != STORE_CHANGES_REQUESTED)
        return refuse(ctx, ERR_STATE, "illegal_transition",
                      "a store in review or beyond is not edited");
    TRY(store_check_application(ctx, in));
    TRY(db_exec(ctx,
                "UPDATE store_head SET name = $1, uscc = $2, legal_name = $3, description = $4, "
                "contact_name = $5, "
                "contact_phone = $6, region_code = $7, if2_base_url = $8, rules_version = $9, "
                "updated_at = $10, "
                "version = version + 1 WHERE id = $11 AND version = $12",
                ARGS(A(in->name), A(in->uscc), A(in->legal_name), A(in->description),
                     A(in->contact_name), A(in->contact_phone), A(in->region_code),
                     A(in->if2_base_url), A(in->accepted_rules_version), A(ctx->now), A(id),
                     A(version)),
                &changed));
    if (changed == 0)
        return refuse(ctx, ERR_STALE, "version_mismatch", "the store is at version %" PRId64,
                      store.m.version);
    return store_load(ctx, id, out);
}

/* ---- reading ---- */
err_t store_load(struct ctx *ctx, ref_t id, struct store *out)
{
    *out = (struct store){0};
    return db_one(ctx, "SELECT " STORE_COLUMNS " FROM store_head WHERE id = $1", ARGS(A(id)),
                  &store_shape, out);
}

err_t store_of_org(struct ctx *ctx, ref_t org, struct store **out, size_t *out_count)
{
    return db_all(ctx,
                  "SELECT " STORE_COLUMNS
                  " FROM store_head WHERE org_id = $1 ORDER BY id DESC LIMIT 200",
                  ARGS(A(org)), &store_shape, out, out_count);
}

err_t store_list(struct ctx *ctx, int state, ref_t before, int limit, struct store **out,
                 size_t *out_count)
{
    int64_t below = before.value ? before.value : INT64_MAX;
    if (state == 0)
        return db_all(
            ctx, "SELECT " STORE_COLUMNS " FROM store_head WHERE id < $1 ORDER BY id DESC LIMIT $2",
            ARGS(A(below), A(limit)), &store_shape, out, out_count);
    return db_all(ctx,
                  "SELECT " STORE_COLUMNS
                  " FROM store_head WHERE state = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
                  ARGS(A(state), A(below), A(limit)), &store_shape, out, out_count);
}

err_t store_find_many(struct ctx *ctx, const int64_t *ids, size_t count, struct store **out,
                      size_t *out_count)
{
    return db_all(ctx, "SELECT " STORE_COLUMNS " FROM store_head WHERE id IN ({ids}) ORDER BY id",
                  ARGS(A_IDS(ids, count)), &store_shape, out, out_count);
}
