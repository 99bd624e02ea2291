/* SPDX-License-Identifier: Apache-2.0 */
/* Numbering: drafts get their position, index and leaf in commit order. On SQLite the writer does
 * it inside its commit; on PostgreSQL the holder of the lease moves committed drafts out of
 * evidence_pending. Either way one thread works on `working`, which becomes `committed` only when
 * the transaction is durable. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "evidence_internal.h"

/* ---- the newest leaf of each object touched in this batch ---- */
static struct object_leaf *object_slot(struct evidence *evidence, int64_t object, int log)
{
    size_t mask = evidence->object_capacity - 1;
    size_t at = (size_t)((uint64_t)object * UINT64_C(0x9E3779B97F4A7C15) >> 32) & mask;
    while (evidence->objects[at].log != 0 &&
           (evidence->objects[at].object != object || evidence->objects[at].log != log))
        at = (at + 1) & mask;
    return &evidence->objects[at];
}

struct leaf_row {
    int64_t object_id;
    int32_t log;
    str_t leaf;
};
static const struct field leaf_row_fields[] = {
    FIELD(struct leaf_row, object_id, 0, INT64_MAX, 0),
    FIELD(struct leaf_row, log, 1, LOG_COUNT, 0),
    FIELD_BYTES(struct leaf_row, leaf, 32, 32, 0),
};
static const struct shape leaf_row_shape = SHAPE(struct leaf_row, leaf_row_fields);

/* A slot for every object of the drafts, holding its newest leaf (zero: the object is new). One
 * query for all: the sequencer would otherwise wait for the server once an entry. */
static err_t objects_load(struct ctx *ctx, struct evidence *evidence, struct draft *const *drafts,
                          size_t count)
{
    int64_t *ids = NEW_ARRAY(ctx, int64_t, count + 1);
    size_t id_count = 0, row_count = 0;
    struct leaf_row *rows = NULL;
    for (size_t i = 0; i < count; i++) {
        struct object_leaf *slot = object_slot(evidence, drafts[i]->object.value, drafts[i]->log);
        if (slot->log == 0)
            ids[id_count++] = drafts[i]->object.value;
        *slot = (struct object_leaf){.object = drafts[i]->object.value, .log = drafts[i]->log};
    }
    if (id_count > 0)
        TRY(db_all(ctx,
                   "SELECT object_id, log, leaf FROM evidence_object WHERE object_id IN ({ids})",
                   ARGS(A_IDS(ids, id_count)), &leaf_row_shape, &rows, &row_count));
    for (size_t i = 0; i < row_count; i++) {
        if (rows[i].leaf.len != HASH_BYTES)
            return refuse(ctx, ERR_INTERNAL, "evidence_damaged", "leaf of %" PRId64,
                          rows[i].object_id);
        struct object_leaf *slot = object_slot(evidence, rows[i].object_id, rows[i].log);
        if (slot->log != 0)
            memcpy(slot->leaf.bytes, rows[i].leaf.data, HASH_BYTES);
    }
    return OK;
}

static err_t objects_store(struct ctx *ctx, struct evidence *evidence)
{
    for (size_t i = 0; i < evidence->object_capacity; i++) {
        const struct object_leaf *slot = &evidence->objects[i];
        if (slot->log == 0)
            continue;
        TRY(db_exec(ctx,
                    "INSERT INTO evidence_object (object_id, log, leaf) VALUES ($1, $2, $3) "
                    "ON CONFLICT (object_id, log) DO UPDATE SET leaf = excluded.leaf",
                    ARGS(A(slot->object), A((int32_t)slot->log),
                         A_BYTES(str_from(slot->leaf.bytes, HASH_BYTES))),
                    NULL));
    }
    return OK;
}

/* ---- entries ---- */
static void entry_of_draft(const struct draft *draft, const hash_t *prev, struct entry *out)
{
    *out = (struct entry){.log = draft->log,
                          .type = (uint16_t)draft->type,
                          .event_id = (uint64_t)draft->event_id.value,
                          .time_ms = (uint64_t)draft->at.ms,
                          .prev = *prev,
                          .object_id = draft->object_text};
    memcpy(out->actor.bytes, draft->actor_hash.data, HASH_BYTES);
    memcpy(out->payload_commit.bytes, draft->commitment.data, HASH_BYTES);
    for (size_t at = 0; at + REF_PACKED_BYTES <= draft->refs.len; at += REF_PACKED_BYTES) {
        const uint8_t *packed = (const uint8_t *)draft->refs.data + at;
        uint64_t id = 0;
        for (int i = 1; i < REF_PACKED_BYTES; i++)
            id = id << 8 | packed[i];
        out->refs[out->ref_count].log = packed[0];
        out->refs[out->ref_count++].event_id = id;
    }
}

static err_t tile_store(struct ctx *ctx, const struct evidence *evidence, int log, int level)
{
    const struct log_edge *edge = &evidence->working[log];
    int64_t n = (int64_t)(edge->size >> (8 * (level + 1))) - 1;
    return db_exec_one(ctx,
                       "INSERT INTO evidence_tile (log, epoch, level, n, first_position, hashes) "
                       "VALUES ($1, $2, $3, $4, $5, $6)",
                       ARGS(A((int32_t)log), A(evidence->epoch), A((int32_t)level), A(n),
                            A(level == 0 ? edge->tile_first : (int64_t)0),
                            A_BYTES(str_from(edge->hash[level], sizeof edge->hash[level]))));
}

struct place {
    int64_t position, epoch, log_index;
};

static err_t entry_store(struct ctx *ctx, const struct draft *draft, struct place place,
                         str_t entry, const hash_t *leaf)
{
    return db_exec_one(
        ctx,
        "INSERT INTO evidence_entry (position, log, epoch, log_index, event_id, root_id, type, "
        "object_id, object_text, owner_org_id, actor_kind, actor_id, audience, time_ms, entry, "
        "leaf, payload) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
        ARGS(A(place.position), A(draft->log), A(place.epoch), A(place.log_index),
             A(draft->event_id), A(draft->root), A(draft->type), A(draft->object),
             A(draft->object_text), A(draft->owner_org), A(draft->actor_kind), A(draft->actor),
             A_BYTES(draft->audience), A(draft->at), A_BYTES(entry),
             A_BYTES(str_from(leaf->bytes, HASH_BYTES)), A_BYTES(draft->payload)));
}

static err_t number_one(struct ctx *ctx, struct evidence *evidence, const struct draft *draft)
{
    struct object_leaf *object = object_slot(evidence, draft->object.value, draft->log);
    struct entry entry;
    entry_of_draft(draft, &object->leaf, &entry);
    struct buf bytes;
    buf_init(&bytes, ctx->arena, ENTRY_MAX);
    entry_write(&bytes, &entry);
    ENSURE(!bytes.overflow);
    hash_t leaf = tree_leaf(buf_str(&bytes));

    struct log_edge *edge = &evidence->working[draft->log];
    if (!evidence->touched[draft->log]) {
        edge_copy(edge, &evidence->committed[draft->log]);
        evidence->touched[draft->log] = true;
    }
    struct place place = {evidence->working_position + 1, evidence->epoch, (int64_t)edge->size};
    TRY(entry_store(ctx, draft, place, buf_str(&bytes), &leaf));
    int full = edge_append(edge, &leaf, place.position);
    for (int level = 0; level < full; level++)
        TRY(tile_store(ctx, evidence, draft->log, level));
    object->leaf = leaf;
    evidence->working_position = place.position;
    return OK;
}

err_t number_drafts(struct ctx *ctx, struct evidence *evidence, struct draft *const *drafts,
                    size_t count)
{
    /* `committed` and `epoch` are written by this thread only, so reading them here needs no lock.
     */
    memset(evidence->touched, 0, sizeof evidence->touched);
    evidence->working_position = evidence->position;
    evidence->object_capacity = 16;
    while (evidence->object_capacity < 2 * count)
        evidence->object_capacity *= 2;
    evidence->objects = NEW_ARRAY(ctx, struct object_leaf, evidence->object_capacity);
    TRY(objects_load(ctx, evidence, drafts, count));
    for (size_t i = 0; i < count; i++)
        TRY(number_one(ctx, evidence, drafts[i]));
    return objects_store(ctx, evidence);
}

void number_decided(struct evidence *evidence, bool committed)
{
    pthread_mutex_lock(&evidence->lock);
    if (committed && evidence->working_position != evidence->position) {
        for (int log = 1; log <= LOG_COUNT; log++)
            if (evidence->touched[log])
                edge_copy(&evidence->committed[log], &evidence->working[log]);
        evidence->position = evidence->working_position;
        if (evidence->on_commit != NULL)
            evidence->on_commit(evidence->on_commit_state);
        if (evidence->wanted_until_us != 0)
            pthread_cond_broadcast(&evidence->wake);
    }
    evidence->working_position = evidence->position;
    memset(evidence->touched, 0, sizeof evidence->touched);
    pthread_mutex_unlock(&evidence->lock);
}

/* ---- taking part in every write of this process ---- */
static err_t sqlite_before_commit(void *state, struct ctx **members, int count)
{
    struct evidence *evidence = state;
    size_t total = 0, filled = 0;
    for (int i = 0; i < count; i++)
        total +=
            members[i]->facts == NULL ? 0 : (size_t)((struct draft_list *)members[i]->facts)->count;
    evidence->working_position = evidence->position;
    if (total == 0)
        return OK;
    struct ctx *ctx = members[0];
    struct draft **drafts = NEW_ARRAY(ctx, struct draft *, total);
    for (int i = 0; i < count; i++) {
        struct draft_list *list = members[i]->facts;
        for (struct draft *draft = list == NULL ? NULL : list->first; draft != NULL;
             draft = draft->next)
            drafts[filled++] = draft;
        members[i]->facts = NULL;
    }
    ENSURE(filled == total);
    return number_drafts(ctx, evidence, drafts, total);
}

static void sqlite_after(void *state, bool committed)
{
    number_decided(state, committed);
}

static err_t pg_before_commit(void *state, struct ctx **members, int count)
{
    struct evidence *evidence = state;
    bool told = false;
    for (int i = 0; i < count; i++) {
        told = told || members[i]->facts != NULL;
        members[i]->facts = NULL;
    }
    if (told) {
        pthread_mutex_lock(&evidence->lock);
        evidence->fact_told = true;
        pthread_mutex_unlock(&evidence->lock);
    }
    return OK;
}

static void pg_after(void *state, bool committed)
{
    struct evidence *evidence = state;
    (void)committed;
    pthread_mutex_lock(&evidence->lock);
    if (evidence->fact_told)
        pthread_cond_broadcast(&evidence->wake);
    pthread_mutex_unlock(&evidence->lock);
}

void number_take_part(struct evidence *evidence)
{
    struct db_participant participant = {evidence, sqlite_before_commit, sqlite_after};
    if (evidence->kind == DB_POSTGRES)
        participant = (struct db_participant){evidence, pg_before_commit, pg_after};
    db_set_participant(evidence->platform->db, &participant);
}

/* ---- the sequencer ---- */
enum {
    SEQUENCER_BATCH = 1000,
    LEASE_MS = 5 * 1000,
    SEQUENCER_IDLE_MS = 200,
    SEQUENCER_RETRY_MS = 20
};

static const struct field draft_fields[] = {
    FIELD(struct draft, seq, 0, INT64_MAX, 0),
    FIELD(struct draft, log, 1, LOG_COUNT, 0),
    FIELD_REF(struct draft, event_id, "evt", 0),
    {.name = "root_id", .type = FT_REF, .offset = offsetof(struct draft, root), .prefix = "obj"},
    FIELD(struct draft, type, 1, INT32_MAX, 0),
    {.name = "object_id",
     .type = FT_REF,
     .offset = offsetof(struct draft, object),
     .prefix = "obj"},
    FIELD(struct draft, object_text, 0, 255, 0),
    {.name = "owner_org_id",
     .type = FT_REF,
     .offset = offsetof(struct draft, owner_org),
     .prefix = "org"},
    FIELD(struct draft, actor_kind, 0, 2, 0),
    {.name = "actor_id", .type = FT_REF, .offset = offsetof(struct draft, actor), .prefix = "usr"},
    FIELD_BYTES(struct draft, actor_hash, 32, 32, 0),
    FIELD_BYTES(struct draft, audience, 0, 8 * FACT_AUDIENCE_MAX, 0),
    FIELD_AS(struct draft, at, "time_ms", 0, INT64_MAX, 0),
    FIELD_BYTES(struct draft, refs, 0, REF_PACKED_BYTES *ENTRY_REFS_MAX, 0),
    FIELD_BYTES(struct draft, commitment, 32, 32, 0),
    FIELD_BYTES(struct draft, payload, 0, 2 << 20, 0),
};
static const struct shape draft_shape = SHAPE(struct draft, draft_fields);

/* Only what no running transaction can still precede is moved. Among that, seq is the order: an
 * object's row is locked before a fact of it is told, so its facts have rising seq in the order of
 * their commits (transaction ids do not). A fact whose object has an earlier one that must still
 * wait, waits too. */
static const char pending_sql[] =
    "SELECT seq, log, event_id, root_id, type, object_id, object_text, owner_org_id, actor_kind, "
    "actor_id, actor_hash, "
    "audience, time_ms, refs, commitment, payload FROM evidence_pending p "
    "WHERE xid < pg_snapshot_xmin(pg_current_snapshot()) AND NOT EXISTS (SELECT 1 FROM "
    "evidence_pending q "
    "WHERE q.object_id = p.object_id AND q.seq < p.seq AND q.xid >= "
    "pg_snapshot_xmin(pg_current_snapshot())) "
    "ORDER BY seq LIMIT $1";

struct lease_row {
    int64_t holder, until_ms;
};
static const struct field lease_row_fields[] = {
    FIELD(struct lease_row, holder, INT64_MIN, INT64_MAX, 0),
    FIELD(struct lease_row, until_ms, 0, INT64_MAX, 0),
};
static const struct shape lease_row_shape = SHAPE(struct lease_row, lease_row_fields);

struct sequencer_step {
    struct evidence *evidence;
    bool leads;
    size_t moved;
    int64_t left;
};

/* Locks the lease for this transaction. Whoever takes it over knows nothing yet and loads the
 * state. */
static err_t lease_take(struct ctx *ctx, struct sequencer_step *step)
{
    struct lease_row lease = {0};
    struct evidence *evidence = step->evidence;
    TRY(db_one(ctx, "SELECT holder, until_ms FROM evidence_lease WHERE id = 1 {for_update}",
               NO_ARGS, &lease_row_shape, &lease));
    step->leads = lease.holder == evidence->holder || lease.until_ms < ctx->now.ms;
    if (!step->leads)
        return OK;
    if (lease.holder != evidence->holder || !evidence->leading)
        TRY(life_load(ctx, evidence));
    return db_exec_one(ctx, "UPDATE evidence_lease SET holder = $1, until_ms = $2 WHERE id = 1",
                       ARGS(A(evidence->holder), A(ctx->now.ms + LEASE_MS)));
}

static err_t sequencer_move(struct ctx *ctx, void *arg)
{
    struct sequencer_step *step = arg;
    struct draft *rows;
    step->moved = 0;
    TRY(lease_take(ctx, step));
    step->evidence->working_position = step->evidence->position;
    if (!step->leads)
        return OK;
    TRY(db_all(ctx, pending_sql, ARGS(A(SEQUENCER_BATCH)), &draft_shape, &rows, &step->moved));
    struct draft **drafts = NEW_ARRAY(ctx, struct draft *, step->moved + 1);
    int64_t *seqs = NEW_ARRAY(ctx, int64_t, step->moved + 1);
    for (size_t i = 0; i < step->moved; i++) {
        drafts[i] = &rows[i];
        seqs[i] = rows[i].seq;
    }
    if (step->moved > 0) {
        TRY(number_drafts(ctx, step->evidence, drafts, step->moved));
        int64_t deleted = 0;
        TRY(db_exec(ctx, "DELETE FROM evidence_pending WHERE seq IN ({ids})",
                    ARGS(A_IDS(seqs, step->moved)), &deleted));
        if (deleted != (int64_t)step->moved)
            return ERR_AGAIN;
    }
    return db_int(ctx, "SELECT count(*) FROM evidence_pending", NO_ARGS, &step->left);
}

static void wait_ms(struct evidence *evidence, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&evidence->wake, &evidence->lock, &until);
}

/* One move; how long to wait before the next. */
static int64_t sequencer_turn(struct evidence *evidence)
{
    struct ctx ctx;
    struct sequencer_step step = {.evidence = evidence};
    ctx_init(&ctx, evidence->platform, clock_now());
    err_t err = db_write(&ctx, evidence->platform->db, sequencer_move, &step);
    if (err != OK)
        log_at(LOG_ERROR, "evidence_sequencer", "err=%s reason=%s detail=%s", err_name(err),
               ctx.problem.reason == NULL ? "" : ctx.problem.reason, ctx.problem.detail);
    number_decided(evidence, err == OK && step.leads);
    pthread_mutex_lock(&evidence->lock);
    /* After a failure the state in memory may be of a transaction that is gone: load it again. */
    evidence->leading = err == OK && step.leads;
    if (err == OK)
        evidence->pending = step.left;
    pthread_mutex_unlock(&evidence->lock);
    ctx_done(&ctx);
    if (err != OK || !step.leads)
        return SEQUENCER_IDLE_MS;
    return step.moved == SEQUENCER_BATCH ? 0
           : step.left > 0               ? SEQUENCER_RETRY_MS
                                         : SEQUENCER_IDLE_MS;
}

static err_t lease_give(struct ctx *ctx, void *arg)
{
    struct evidence *evidence = arg;
    return db_exec(ctx, "UPDATE evidence_lease SET until_ms = 0 WHERE id = 1 AND holder = $1",
                   ARGS(A(evidence->holder)), NULL);
}

/* So that another instance, or the next start, need not wait for the lease to run out. */
static void sequencer_retire(struct evidence *evidence)
{
    struct ctx ctx;
    ctx_init(&ctx, evidence->platform, clock_now());
    err_t err = db_write(&ctx, evidence->platform->db, lease_give, evidence);
    if (err != OK)
        log_at(LOG_WARN, "evidence_sequencer", "what=retire err=%s", err_name(err));
    ctx_done(&ctx);
}

void *sequencer_main(void *arg)
{
    struct evidence *evidence = arg;
    pthread_mutex_lock(&evidence->lock);
    while (!evidence->stopping) {
        evidence->fact_told = false;
        pthread_mutex_unlock(&evidence->lock);
        int64_t ms = sequencer_turn(evidence);
        pthread_mutex_lock(&evidence->lock);
        if (ms > 0 && !evidence->stopping && (!evidence->fact_told || ms == SEQUENCER_RETRY_MS))
            wait_ms(evidence, ms);
    }
    evidence->leading = false;
    pthread_mutex_unlock(&evidence->lock);
    sequencer_retire(evidence);
    return NULL;
}
