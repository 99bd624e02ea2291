/* SPDX-License-Identifier: Apache-2.0 */
/* Facts: their registry, how a transaction tells one, and how they are read again. Telling seals
 * the payload and commits to it; a fact gets its number only when its transaction commits
 * (number.c). */
#include <string.h>

#include "evidence_internal.h"

/* Users, organisations, stores and keys live in the ops log; what is offered, ordered and delivered
 * in trade. */
static const struct fact_kind kinds[] = {
    {FACT_USER_REGISTER, "user.register", LOG_OPS, "business"},
    {FACT_USER_LOGIN, "user.login", LOG_OPS, "business"},
    {FACT_USER_PASSWORD, "user.password", LOG_OPS, "business"},
    {FACT_USER_DISABLED, "user.disabled", LOG_OPS, "business"},
    {FACT_ORG_CREATE, "org.create", LOG_OPS, "business"},
    {FACT_MEMBER_CHANGE, "member.change", LOG_OPS, "business"},
    {FACT_STORE_APPLY, "store.apply", LOG_OPS, "business"},
    {FACT_STORE_STATE, "store.state", LOG_OPS, "business"},
    {FACT_STORE_CREDENTIALS, "store.credentials", LOG_OPS, "business"},
    {FACT_PRODUCT_LIST, "product.list", LOG_TRADE, "business"},
    {FACT_PRODUCT_STATE, "product.state", LOG_TRADE, "business"},
    {FACT_PRODUCT_IMPORT, "product.import", LOG_TRADE, "business"},
    {FACT_ORDER_CREATE, "order.create", LOG_TRADE, "business"},
    {FACT_ORDER_PAID, "order.paid", LOG_TRADE, "payment"},
    {FACT_ORDER_STATUS, "order.status", LOG_TRADE, "business"},
    {FACT_ITEM_STATUS, "item.status", LOG_TRADE, "sync"},
    {FACT_ORDER_REFUND, "order.refund", LOG_TRADE, "payment"},
    {FACT_TRADE_SETTLED, "trade.settled", LOG_TRADE, "evidence"},
    {FACT_ORDER_SENT, "order.sent", LOG_TRADE, "sync"},
    {FACT_PAY_VOUCHER, "pay.voucher", LOG_FINANCE, "payment"},
    {FACT_TOP_UP, "pay.top_up", LOG_FINANCE, "payment"},
    {FACT_REFUND_DONE, "pay.refund", LOG_FINANCE, "payment"},
    {FACT_SETTLE_RESULT, "settle.result", LOG_FINANCE, "payment"},
    {FACT_LOG_RESET, "log.reset", LOG_OPS, "evidence"},
    {FACT_KEY_ROTATE, "key.rotate", LOG_OPS, "evidence"},
};

const struct fact_kind *fact_kinds(int *out_count)
{
    *out_count = (int)(sizeof kinds / sizeof kinds[0]);
    return kinds;
}

const struct fact_kind *fact_kind_of(int type)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i].type == type)
            return &kinds[i];
    return NULL;
}

/* ---- telling ---- */
static str_t pack_audience(struct ctx *ctx, const struct fact *fact)
{
    ENSURE(fact->audience_count >= 0 && fact->audience_count <= FACT_AUDIENCE_MAX);
    struct buf buf;
    buf_init(&buf, ctx->arena, FACT_AUDIENCE_MAX * sizeof(int64_t));
    for (int i = 0; i < fact->audience_count; i++) {
        bool again = fact->audience[i].value == 0;
        for (int k = 0; k < i && !again; k++)
            again = ref_is(fact->audience[k], fact->audience[i]);
        if (!again)
            buf_put_u64(&buf, (uint64_t)fact->audience[i].value);
    }
    return buf_str(&buf);
}

static str_t pack_refs(struct ctx *ctx, const struct fact *fact)
{
    ENSURE(fact->ref_count >= 0 && fact->ref_count <= FACT_REFS_MAX);
    struct buf buf;
    buf_init(&buf, ctx->arena, FACT_REFS_MAX * REF_PACKED_BYTES);
    for (int i = 0; i < fact->ref_count; i++) {
        ENSURE(evidence_log_word(fact->refs[i].log) != NULL);
        buf_putc(&buf, (char)fact->refs[i].log);
        buf_put_u64(&buf, (uint64_t)fact->refs[i].event_id.value);
    }
    return buf_str(&buf);
}

/* The actor stands in the leaf under a pseudonym; the system is 32 zero bytes. */
static void set_actor(struct ctx *ctx, const struct evidence *evidence, struct draft *draft)
{
    const struct draft_list *told = ctx->facts;
    const char *prefix = NULL;
    if (ctx->actor.user_id.value != 0) {
        draft->actor_kind = 1;
        draft->actor = ctx->actor.user_id;
        prefix = "usr";
    } else if (ctx->actor.client_id.value != 0) {
        draft->actor_kind = 2;
        draft->actor = ctx->actor.client_id;
        prefix = "cli";
    }
    /* Facts of one transaction mostly have one actor. */
    if (told != NULL && told->last->actor_kind == draft->actor_kind &&
        ref_is(told->last->actor, draft->actor)) {
        draft->actor_hash = told->last->actor_hash;
        return;
    }
    uint8_t *hash = arena_alloc(ctx->arena, HASH_BYTES);
    if (prefix != NULL)
        hmac_sm3(str_from(evidence->pseudonym, sizeof evidence->pseudonym),
                 ref_text(ctx->arena, prefix, draft->actor), hash);
    draft->actor_hash = str_from(hash, HASH_BYTES);
}

static void seal_payload(struct ctx *ctx, const struct fact *fact, struct draft *draft)
{
    str_t payload = fact->payload.len == 0 ? STR("{}") : fact->payload;
    char *plain = arena_alloc(ctx->arena, SALT_BYTES + payload.len);
    crypto_random(plain, SALT_BYTES);
    memcpy(plain + SALT_BYTES, payload.data, payload.len);
    hash_t *commitment = NEW(ctx, hash_t);
    *commitment = payload_commit((const uint8_t *)plain, payload);
    draft->commitment = str_from(commitment, HASH_BYTES);

    uint8_t key[32];
    struct buf box;
    buf_init(&box, ctx->arena, payload.len + 256);
    keyring_data_key(ctx->platform->keys, fact->owner_org, key);
    box_seal(key, (uint32_t)fact->owner_org.value, str_from(plain, SALT_BYTES + payload.len), &box);
    crypto_wipe(key, sizeof key);
    ENSURE(!box.overflow);
    draft->payload = buf_str(&box);
}

static err_t tell_pending(struct ctx *ctx, const struct draft *draft)
{
    return db_exec_one(
        ctx,
        "INSERT INTO evidence_pending (log, event_id, root_id, type, object_id, object_text, "
        "owner_org_id, "
        "actor_kind, actor_id, actor_hash, audience, time_ms, refs, commitment, payload) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        ARGS(A(draft->log), A(draft->event_id), A(draft->root), A(draft->type), A(draft->object),
             A(draft->object_text), A(draft->owner_org), A(draft->actor_kind), A(draft->actor),
             A_BYTES(draft->actor_hash), A_BYTES(draft->audience), A(draft->at),
             A_BYTES(draft->refs), A_BYTES(draft->commitment), A_BYTES(draft->payload)));
}

static void collect(struct ctx *ctx, struct draft *draft)
{
    if (ctx->facts == NULL)
        ctx->facts = NEW(ctx, struct draft_list);
    struct draft_list *list = ctx->facts;
    if (list->first == NULL)
        list->first = draft;
    else
        list->last->next = draft;
    list->last = draft;
    list->count++;
}

struct draft *draft_make(struct ctx *ctx, const struct evidence *evidence, const struct fact *fact,
                         int log)
{
    struct draft *draft = NEW(ctx, struct draft);
    draft->log = log;
    draft->type = fact->type;
    draft->event_id =
        fact->event_id.value != 0 ? fact->event_id : id_make(ctx->platform->ids, ctx->now);
    draft->object = fact->object;
    draft->object_text = ref_text(ctx->arena, fact->object_prefix, fact->object);
    draft->root = fact->root.value != 0 ? fact->root : fact->object;
    draft->owner_org = fact->owner_org;
    draft->at = ctx->now;
    draft->audience = pack_audience(ctx, fact);
    draft->refs = pack_refs(ctx, fact);
    set_actor(ctx, evidence, draft);
    seal_payload(ctx, fact, draft);
    return draft;
}

err_t evidence_append(struct ctx *ctx, const struct fact *fact, ref_t *out_event_id)
{
    const struct fact_kind *kind = fact_kind_of(fact->type);
    ENSURE(kind != NULL && ctx->tx != NULL && fact->object.value > 0);
    struct evidence *evidence = ctx->platform->evidence;
    ENSURE(evidence != NULL);
    if (fact->payload.len > 1 << 20)
        return refuse(ctx, ERR_INPUT, "fact_too_large", "payload of %s: %zu bytes", kind->name,
                      fact->payload.len);

    struct draft *draft = draft_make(ctx, evidence, fact, kind->log);
    if (evidence->kind == DB_POSTGRES)
        TRY(tell_pending(ctx, draft));
    collect(ctx, draft);
    if (out_event_id != NULL)
        *out_event_id = draft->event_id;
    return OK;
}

/* ---- reading ---- */
struct event_row {
    struct event event;
    ref_t owner_org;
    str_t box;
};
static const struct field event_row_fields[] = {
    FIELD_AS(struct event_row, event.position, "position", 0, INT64_MAX, 0),
    {.name = "event_id",
     .type = FT_REF,
     .offset = offsetof(struct event_row, event.event_id),
     .prefix = "evt"},
    {.name = "object_id",
     .type = FT_REF,
     .offset = offsetof(struct event_row, event.object),
     .prefix = "obj"},
    {.name = "root_id",
     .type = FT_REF,
     .offset = offsetof(struct event_row, event.root),
     .prefix = "obj"},
    FIELD_AS(struct event_row, event.type, "type", 0, INT32_MAX, 0),
    FIELD_AS(struct event_row, event.log, "log", 0, LOG_COUNT, 0),
    FIELD_AS(struct event_row, event.epoch, "epoch", 0, INT64_MAX, 0),
    FIELD_AS(struct event_row, event.log_index, "log_index", -1, INT64_MAX, 0),
    FIELD_AS(struct event_row, event.at, "time_ms", 0, INT64_MAX, 0),
    FIELD_AS(struct event_row, event.object_text, "object_text", 0, 64, 0),
    FIELD_AS(struct event_row, event.actor_kind, "actor_kind", 0, 2, 0),
    {.name = "actor_id",
     .type = FT_REF,
     .offset = offsetof(struct event_row, event.actor),
     .prefix = "usr"},
    {.name = "audience", .type = FT_BYTES, .offset = offsetof(struct event_row, event.audience)},
    {.name = "owner_org_id",
     .type = FT_REF,
     .offset = offsetof(struct event_row, owner_org),
     .prefix = "org"},
    {.name = "payload", .type = FT_BYTES, .offset = offsetof(struct event_row, box)},
};
static const struct shape event_row_shape = SHAPE(struct event_row, event_row_fields);

#define EVENT_FACT_COLUMNS                                                                       \
    "event_id, root_id, type, log, object_id, object_text, owner_org_id, actor_kind, actor_id, " \
    "audience, time_ms"
#define EVENT_COLUMNS "position, epoch, log_index, " EVENT_FACT_COLUMNS

static void open_payload(struct ctx *ctx, struct event_row *row)
{
    if (row->box.len == 0)
        return;
    uint8_t key[32];
    struct buf plain;
    buf_init(&plain, ctx->arena, row->box.len);
    keyring_data_key(ctx->platform->keys, row->owner_org, key);
    bool opened = box_open(key, row->box, &plain);
    crypto_wipe(key, sizeof key);
    /* What cannot be opened reads as erased; fsck names it. */
    if (opened && plain.len > SALT_BYTES)
        row->event.payload = str_cut(buf_str(&plain), SALT_BYTES);
}

static void hand_over(struct ctx *ctx, struct event_row *rows, size_t count, struct event **out)
{
    *out = NEW_ARRAY(ctx, struct event, count + 1);
    for (size_t i = 0; i < count; i++) {
        open_payload(ctx, &rows[i]);
        (*out)[i] = rows[i].event;
    }
}

err_t evidence_find_event(struct ctx *ctx, ref_t event_id, bool with_payload, struct event *out)
{
    struct event_row row = {0};
    bool found;
    if (with_payload)
        TRY(db_find(ctx,
                    "SELECT payload, " EVENT_COLUMNS " FROM evidence_entry WHERE event_id = $1",
                    ARGS(A(event_id)), &event_row_shape, &row, &found));
    else
        TRY(db_find(ctx, "SELECT " EVENT_COLUMNS " FROM evidence_entry WHERE event_id = $1",
                    ARGS(A(event_id)), &event_row_shape, &row, &found));
    /* Position 0 and index -1 until the sequencer has numbered it. */
    if (!found && ctx->platform->evidence->kind == DB_POSTGRES) {
        row.event.log_index = -1;
        TRY(db_find(
            ctx, "SELECT payload, " EVENT_FACT_COLUMNS " FROM evidence_pending WHERE event_id = $1",
            ARGS(A(event_id)), &event_row_shape, &row, &found));
        row.event.log_index = -1;
    }
    if (!found)
        return refuse(ctx, ERR_NOT_FOUND, "not_found", "no such event");
    if (with_payload)
        open_payload(ctx, &row);
    *out = row.event;
    return OK;
}

err_t evidence_find_many(struct ctx *ctx, const int64_t *positions, size_t count, bool with_payload,
                         struct event **out, size_t *out_count)
{
    struct event_row *rows = NULL;
    size_t found = 0;
    if (count > 0 && with_payload)
        TRY(db_all(ctx,
                   "SELECT payload, " EVENT_COLUMNS
                   " FROM evidence_entry WHERE position IN ({ids}) "
                   "ORDER BY position",
                   ARGS(A_IDS(positions, count)), &event_row_shape, &rows, &found));
    else if (count > 0)
        TRY(db_all(ctx,
                   "SELECT " EVENT_COLUMNS
                   " FROM evidence_entry WHERE position IN ({ids}) ORDER BY position",
                   ARGS(A_IDS(positions, count)), &event_row_shape, &rows, &found));
    hand_over(ctx, rows, found, out);
    *out_count = found;
    return OK;
}

err_t evidence_after(struct ctx *ctx, int64_t position, int limit, struct event **out,
                     size_t *out_count)
{
    struct event_row *rows = NULL;
    size_t found = 0;
    TRY(db_all(ctx,
               "SELECT " EVENT_COLUMNS
               " FROM evidence_entry WHERE position > $1 ORDER BY position LIMIT $2",
               ARGS(A(position), A(limit)), &event_row_shape, &rows, &found));
    hand_over(ctx, rows, found, out);
    *out_count = found;
    return OK;
}

bool evidence_heard_by(const struct event *event, ref_t org_id)
{
    for (size_t i = 0; i + 8 <= event->audience.len; i += 8) {
        uint64_t key = 0;
        for (size_t k = 0; k < 8; k++)
            key = key << 8 | (uint8_t)event->audience.data[i + k];
        if (key == (uint64_t)org_id.value)
            return true;
    }
    return false;
}

void evidence_on_commit(struct evidence *evidence, void (*fn)(void *state), void *state)
{
    pthread_mutex_lock(&evidence->lock);
    evidence->on_commit = fn;
    evidence->on_commit_state = state;
    pthread_mutex_unlock(&evidence->lock);
}
