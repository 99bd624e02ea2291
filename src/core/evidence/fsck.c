/* SPDX-License-Identifier: Apache-2.0 */
/* Everything again from the entries alone: positions, leaves, object chains, payloads, links,
 * tiles, edges, heads and epochs are recomputed and compared with what is stored. Needs an open
 * transaction; memory grows with the number of objects. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evidence_internal.h"

enum { REPORT_LINES_MAX = 200, NOTE_MAX = 64 * 1024 };

struct chain {
    int64_t object;
    int log; /* 0: free */
    hash_t leaf;
};
struct checking {
    struct evidence *evidence;
    struct buf *report;
    struct arena *scratch;
    int lines;
    int64_t position, tiles[LOG_COUNT + 1], heads[LOG_COUNT + 1]; /* of all epochs */
    struct epoch_row *epochs;
    size_t epoch_count, epochs_begun;
    int64_t epoch[LOG_COUNT + 1]; /* what follows is of this one */
    struct log_edge edge[LOG_COUNT + 1], stored[LOG_COUNT + 1];
    struct head_row
        next[LOG_COUNT + 1]; /* the stored head to be compared when the tree has its size */
    bool has_next[LOG_COUNT + 1];
    char note[LOG_COUNT + 1][NOTE_MAX]; /* of next[] */
    struct head_known last[LOG_COUNT + 1];
    struct vkeys *keys;
    struct chain *chains;
    size_t chain_count, chain_capacity;
};

static void wrong(struct checking *checking, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void wrong(struct checking *checking, const char *format, ...)
{
    char line[400];
    if (checking->lines++ >= REPORT_LINES_MAX)
        return;
    va_list list;
    va_start(list, format);
    int len = vsnprintf(line, sizeof line, format, list);
    va_end(list);
    buf_put(checking->report, str_from(line, len < 0                     ? 0
                                             : (size_t)len < sizeof line ? (size_t)len
                                                                         : sizeof line - 1));
    buf_putc(checking->report, '\n');
}

/* ---- object chains ---- */
static struct chain *chain_slot(struct chain *chains, size_t capacity, int64_t object, int log)
{
    size_t at = (size_t)((uint64_t)object * UINT64_C(0x9E3779B97F4A7C15) >> 20) & (capacity - 1);
    while (chains[at].log != 0 && (chains[at].object != object || chains[at].log != log))
        at = (at + 1) & (capacity - 1);
    return &chains[at];
}

static struct chain *chain_of(struct checking *checking, int64_t object, int log)
{
    if (checking->chain_count * 2 >= checking->chain_capacity) {
        size_t capacity = checking->chain_capacity == 0 ? 1024 : checking->chain_capacity * 2;
        struct chain *fresh = calloc(capacity, sizeof *fresh);
        ENSURE(fresh != NULL);
        for (size_t i = 0; i < checking->chain_capacity; i++)
            if (checking->chains[i].log != 0)
                *chain_slot(fresh, capacity, checking->chains[i].object, checking->chains[i].log) =
                    checking->chains[i];
        free(checking->chains);
        checking->chains = fresh;
        checking->chain_capacity = capacity;
    }
    struct chain *slot = chain_slot(checking->chains, checking->chain_capacity, object, log);
    checking->chain_count += slot->log == 0;
    return slot;
}

/* ---- heads ---- */
static err_t next_head(struct ctx *ctx, struct checking *checking, int log)
{
    static const struct field fields[] = {
        FIELD(struct head_row, height, 1, INT64_MAX, 0),
        FIELD(struct head_row, size, 0, INT64_MAX, 0),
        FIELD(struct head_row, note, 0, 65536, 0),
    };
    static const struct shape shape = SHAPE(struct head_row, fields);
    struct head_row *row = &checking->next[log];
    TRY(db_find(ctx,
                "SELECT height, size, note FROM evidence_head WHERE log = $1 AND epoch = $2 AND "
                "height > $3 AND signed = 1 ORDER BY height LIMIT 1",
                ARGS(A((int32_t)log), A(checking->epoch[log]), A(checking->last[log].height)),
                &shape, row, &checking->has_next[log]));
    if (checking->has_next[log]) {
        /* The row's arena is reset after each entry. */
        size_t len = row->note.len < NOTE_MAX ? row->note.len : NOTE_MAX;
        memcpy(checking->note[log], row->note.data, len);
        row->note = str_from(checking->note[log], len);
    }
    return OK;
}

static void check_head(struct ctx *ctx, struct checking *checking, int log, const hash_t *root)
{
    const struct head_row *row = &checking->next[log];
    const struct head_known *last = &checking->last[log];
    struct note *note = NEW(ctx, struct note);
    const char *why = "", *word = evidence_log_word(log);
    if (!note_read(ctx->arena, row->note, note, &why)) {
        wrong(checking, "%s head %" PRId64 ": %s", word, row->height, why);
        return;
    }
    const struct head *head = &note->head;
    char origin[ORIGIN_MAX];
    origin_write(origin, life_host(checking->evidence), log, checking->epoch[log]);
    if (!str_is(head->origin, origin))
        wrong(checking, "%s head %" PRId64 ": of another epoch or log", word, row->height);
    if (!note_verify(note, checking->keys, &why))
        wrong(checking, "%s head %" PRId64 ": %s", word, row->height, why);
    if ((int64_t)head->height != row->height || (int64_t)head->size != row->size)
        wrong(checking, "%s head %" PRId64 ": its row names another height or size", word,
              row->height);
    if (memcmp(&head->root, root, sizeof *root) != 0)
        wrong(checking, "%s head %" PRId64 ": another root than %" PRIu64 " entries give", word,
              row->height, head->size);
    if (head->height != last->height + 1 ||
        memcmp(&head->prev, &last->text_hash, sizeof head->prev) != 0)
        wrong(checking, "%s head %" PRId64 ": does not follow head %" PRIu64, word, row->height,
              last->height);
    if (head->size < last->size || (int64_t)head->time_ms < last->time_ms)
        wrong(checking, "%s head %" PRId64 ": size or time falls", word, row->height);
}

static struct tree_source source_of(struct ctx *ctx, const struct checking *checking, int log)
{
    return (struct tree_source){
        .ctx = ctx, .log = log, .epoch = checking->epoch[log], .edge = &checking->edge[log]};
}

/* All heads of the size that the tree has reached. */
static err_t check_heads(struct ctx *ctx, struct checking *checking, int log)
{
    while (checking->has_next[log] &&
           checking->next[log].size == (int64_t)checking->edge[log].size) {
        struct tree_source source = source_of(ctx, checking, log);
        hash_t root;
        struct head_known known;
        err_t err = source_root(&source, checking->edge[log].size, &root);
        if (err != OK)
            return err;
        check_head(ctx, checking, log, &root);
        if (!head_of_note(ctx->arena, checking->next[log].note, &known))
            known = (struct head_known){0};
        known.height = (uint64_t)checking->next[log].height;
        checking->heads[log]++;
        checking->last[log] = known;
        TRY(next_head(ctx, checking, log));
    }
    return OK;
}

/* ---- entries ---- */
struct fsck_row {
    int64_t position, epoch, log_index, time_ms;
    int32_t log, type, actor_kind;
    ref_t event_id, object, owner_org, actor;
    str_t object_text, entry, leaf, payload;
};
static const struct field fsck_fields[] = {
    FIELD(struct fsck_row, position, 0, INT64_MAX, 0),
    FIELD(struct fsck_row, epoch, 0, INT64_MAX, 0),
    FIELD(struct fsck_row, log_index, 0, INT64_MAX, 0),
    FIELD(struct fsck_row, time_ms, 0, INT64_MAX, 0),
    FIELD(struct fsck_row, log, 1, LOG_COUNT, 0),
    FIELD(struct fsck_row, type, 0, INT32_MAX, 0),
    FIELD(struct fsck_row, actor_kind, 0, 2, 0),
    FIELD_REF(struct fsck_row, event_id, "evt", 0),
    {.name = "object_id",
     .type = FT_REF,
     .offset = offsetof(struct fsck_row, object),
     .prefix = "obj"},
    {.name = "owner_org_id",
     .type = FT_REF,
     .offset = offsetof(struct fsck_row, owner_org),
     .prefix = "org"},
    {.name = "actor_id",
     .type = FT_REF,
     .offset = offsetof(struct fsck_row, actor),
     .prefix = "usr"},
    FIELD(struct fsck_row, object_text, 0, 255, 0),
    FIELD_BYTES(struct fsck_row, entry, 0, ENTRY_MAX, 0),
    FIELD_BYTES(struct fsck_row, leaf, 0, HASH_BYTES, 0),
    FIELD_BYTES(struct fsck_row, payload, 0, 4 << 20, 0),
};
static const struct shape fsck_shape = SHAPE(struct fsck_row, fsck_fields);

static void check_payload(struct ctx *ctx, struct checking *checking, const struct fsck_row *row,
                          const struct entry *entry)
{
    uint8_t key[32];
    struct buf plain;
    if (row->payload.len == 0)
        return; /* erased */
    buf_init(&plain, ctx->arena, row->payload.len);
    keyring_data_key(ctx->platform->keys, row->owner_org, key);
    bool opened = box_open(key, row->payload, &plain);
    crypto_wipe(key, sizeof key);
    if (!opened || plain.len <= SALT_BYTES) {
        wrong(checking, "position %" PRId64 ": the payload cannot be opened", row->position);
        return;
    }
    hash_t commitment =
        payload_commit((const uint8_t *)plain.data, str_cut(buf_str(&plain), SALT_BYTES));
    if (memcmp(&commitment, &entry->payload_commit, sizeof commitment) != 0)
        wrong(checking, "position %" PRId64 ": the payload is not the one committed to",
              row->position);
}

static void check_actor(struct ctx *ctx, struct checking *checking, const struct fsck_row *row,
                        const struct entry *entry)
{
    hash_t actor = {{0}};
    str_t secret = str_from(checking->evidence->pseudonym, sizeof checking->evidence->pseudonym);
    if (row->actor_kind != 0)
        hmac_sm3(secret, ref_text(ctx->arena, row->actor_kind == 1 ? "usr" : "cli", row->actor),
                 actor.bytes);
    if (memcmp(&actor, &entry->actor, sizeof actor) != 0)
        wrong(checking, "position %" PRId64 ": another actor than the entry's", row->position);
}

static err_t check_refs(struct ctx *ctx, struct checking *checking, const struct fsck_row *row,
                        const struct entry *entry)
{
    for (int i = 0; i < entry->ref_count; i++) {
        int64_t log = 0;
        TRY(db_int(ctx, "SELECT log FROM evidence_entry WHERE event_id = $1",
                   ARGS(A(entry->refs[i].event_id)), &log));
        if (log != entry->refs[i].log)
            wrong(checking, "position %" PRId64 ": refers to an event that log %d does not hold",
                  row->position, entry->refs[i].log);
    }
    return OK;
}

static void check_columns(struct checking *checking, const struct fsck_row *row,
                          const struct entry *entry)
{
    if (entry->log != row->log || entry->type != row->type ||
        (int64_t)entry->event_id != row->event_id.value ||
        (int64_t)entry->time_ms != row->time_ms || !str_eq(entry->object_id, row->object_text))
        wrong(checking, "position %" PRId64 ": the columns differ from the entry", row->position);
    ref_t object;
    char prefix[4] = {0};
    if (row->object_text.len == REF_TEXT_BYTES)
        memcpy(prefix, row->object_text.data, 3);
    if (!ref_read(row->object_text, prefix, &object) || !ref_is(object, row->object))
        wrong(checking, "position %" PRId64 ": the object differs from its text", row->position);
}

static err_t check_full_tile(struct ctx *ctx, struct checking *checking, int log, int level,
                             int64_t position)
{
    const struct log_edge *edge = &checking->edge[log];
    uint64_t n = (edge->size >> (8 * (level + 1))) - 1;
    str_t hashes;
    struct tree_source source = source_of(ctx, checking, log);
    err_t err = tile_load(&source, level, n, &hashes);
    problem_clear(ctx);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    checking->tiles[log] += err == OK;
    if (err != OK || memcmp(hashes.data, edge->hash[level], sizeof edge->hash[level]) != 0)
        wrong(checking,
              "position %" PRId64 ": tile %d/%" PRIu64 " of the %s log is missing or differs",
              position, level, n, evidence_log_word(log));
    return OK;
}

static void check_stored_edge(struct checking *checking, int log)
{
    const struct log_edge *edge = &checking->edge[log], *stored = &checking->stored[log];
    if (stored->size != edge->size)
        return;
    for (int level = 0; level < TILE_LEVELS; level++)
        if (memcmp(stored->hash[level], edge->hash[level],
                   (size_t)edge_count(edge, level) * sizeof(hash_t)) != 0)
            wrong(checking, "the stored edge of the %s log differs at level %d",
                  evidence_log_word(log), level);
}

/* ---- epochs ---- */
/* The stored edge and the first head of the log's epoch. */
static err_t begin_epoch(struct ctx *ctx, struct checking *checking, int log, int64_t epoch)
{
    checking->epoch[log] = epoch;
    memset(&checking->edge[log], 0, sizeof checking->edge[log]);
    memset(&checking->stored[log], 0, sizeof checking->stored[log]);
    checking->last[log] = (struct head_known){0};
    err_t err = edge_load(ctx, log, epoch, &checking->stored[log]);
    if (err != OK && strcmp(ctx->problem.reason, "evidence_damaged") != 0)
        return err;
    if (err != OK)
        wrong(checking, "%s", ctx->problem.detail);
    problem_clear(ctx);
    TRY(next_head(ctx, checking, log));
    return check_heads(ctx, checking, log);
}

/* Nothing may claim more than the entries that were there. */
static void check_end(struct checking *checking, int log)
{
    const char *word = evidence_log_word(log);
    if (checking->has_next[log])
        wrong(checking, "%s head %" PRId64 ": signs %" PRId64 " entries, %" PRIu64 " are there",
              word, checking->next[log].height, checking->next[log].size, checking->edge[log].size);
    if (checking->stored[log].size > checking->edge[log].size)
        wrong(checking, "the stored edge of the %s log has more entries than the log", word);
    /* Sizes of stored heads never fall, so one that was passed over shows as a gap in the
     * heights. */
}

/* An entry of another epoch than the one before it in its log: that one has ended here. */
static err_t check_epoch(struct ctx *ctx, struct checking *checking, const struct fsck_row *row)
{
    int log = row->log;
    const struct epoch_row *begun = NULL;
    if (row->epoch == checking->epoch[log])
        return OK;
    for (size_t i = 0; i < checking->epoch_count; i++)
        if (checking->epochs[i].log == log && checking->epochs[i].epoch == row->epoch)
            begun = &checking->epochs[i];
    if (begun == NULL || begun->first_position != row->position || row->log_index != 0 ||
        row->type != FACT_LOG_RESET || begun->closed_epoch != checking->epoch[log]) {
        wrong(checking, "position %" PRId64 ": epoch %" PRId64 " does not begin here",
              row->position, row->epoch);
        return OK;
    }
    checking->epochs_begun++;
    if (begun->closed_size != (int64_t)checking->edge[log].size ||
        begun->covered_size != (int64_t)checking->last[log].size ||
        checking->stored[log].size != checking->edge[log].size)
        wrong(checking, "epoch %" PRId64 " of the %s log did not end as its row says",
              checking->epoch[log], evidence_log_word(log));
    check_end(checking, log);
    return begin_epoch(ctx, checking, log, row->epoch);
}

static err_t check_tree(struct ctx *ctx, struct checking *checking, const struct fsck_row *row,
                        const hash_t *leaf)
{
    TRY(check_epoch(ctx, checking, row));
    struct log_edge *edge = &checking->edge[row->log];
    if (row->log_index != (int64_t)edge->size)
        wrong(checking, "position %" PRId64 ": index %" PRId64 " where %" PRIu64 " is next",
              row->position, row->log_index, edge->size);
    int full = edge_append(edge, leaf, row->position);
    for (int level = 0; level < full; level++)
        TRY(check_full_tile(ctx, checking, row->log, level, row->position));
    check_stored_edge(checking, row->log);
    return check_heads(ctx, checking, row->log);
}

static err_t check_entry(struct ctx *ctx, struct checking *checking, const struct fsck_row *row)
{
    struct entry entry;
    const char *why = "";
    if (row->position != checking->position + 1)
        wrong(checking, "position %" PRId64 " follows %" PRId64, row->position, checking->position);
    checking->position = row->position;
    if (row->log < 1 || row->log > LOG_COUNT) {
        wrong(checking, "position %" PRId64 ": log %d", row->position, row->log);
        return OK;
    }
    hash_t leaf = tree_leaf(row->entry);
    if (row->leaf.len != HASH_BYTES || memcmp(leaf.bytes, row->leaf.data, HASH_BYTES) != 0)
        wrong(checking, "position %" PRId64 ": the leaf is not the hash of the entry",
              row->position);
    if (entry_read(row->entry, &entry, &why)) {
        check_columns(checking, row, &entry);
        check_payload(ctx, checking, row, &entry);
        check_actor(ctx, checking, row, &entry);
        TRY(check_refs(ctx, checking, row, &entry));
        struct chain *chain = chain_of(checking, row->object.value, row->log);
        if (memcmp(&chain->leaf, &entry.prev, sizeof entry.prev) != 0)
            wrong(checking, "position %" PRId64 ": does not name the object's previous entry",
                  row->position);
        *chain = (struct chain){row->object.value, row->log, leaf};
    } else {
        wrong(checking, "position %" PRId64 ": %s", row->position, why);
    }
    return check_tree(ctx, checking, row, &leaf);
}

/* Each entry in an arena of its own, so that memory does not grow with their number. */
static err_t check_row(struct ctx *ctx, const void *row, void *arg)
{
    struct checking *checking = arg;
    struct ctx inner = *ctx;
    inner.arena = checking->scratch;
    err_t err = check_entry(&inner, checking, row);
    if (err != OK)
        ctx->problem = inner.problem;
    arena_reset(checking->scratch);
    return err;
}

/* ---- the rest ---- */
struct object_row {
    int64_t object_id;
    int32_t log;
    str_t leaf;
};
static const struct field object_row_fields[] = {
    FIELD(struct object_row, object_id, 0, INT64_MAX, 0),
    FIELD(struct object_row, log, 0, LOG_COUNT, 0),
    FIELD_BYTES(struct object_row, leaf, 0, HASH_BYTES, 0),
};
static const struct shape object_row_shape = SHAPE(struct object_row, object_row_fields);

static err_t check_object(struct ctx *ctx, const void *data, void *arg)
{
    struct checking *checking = arg;
    const struct object_row *row = data;
    (void)ctx;
    size_t before = checking->chain_count;
    const struct chain *chain = chain_of(checking, row->object_id, row->log);
    checking->chain_count = before;
    if (chain->log == 0 || row->leaf.len != HASH_BYTES ||
        memcmp(chain->leaf.bytes, row->leaf.data, HASH_BYTES) != 0)
        wrong(checking, "object %" PRId64 " in log %d: its newest leaf differs", row->object_id,
              row->log);
    return OK;
}

static err_t check_rest(struct ctx *ctx, struct checking *checking)
{
    int64_t objects = 0;
    TRY(db_each(ctx, "SELECT object_id, log, leaf FROM evidence_object", NO_ARGS, &object_row_shape,
                check_object, checking));
    TRY(db_int(ctx, "SELECT count(*) FROM evidence_object", NO_ARGS, &objects));
    if (objects != (int64_t)checking->chain_count)
        wrong(checking, "%" PRId64 " objects are noted, entries tell of %zu", objects,
              checking->chain_count);
    for (int log = 1; log <= LOG_COUNT; log++) {
        int64_t tiles = 0, heads = 0;
        const char *word = evidence_log_word(log);
        TRY(db_int(ctx, "SELECT count(*) FROM evidence_tile WHERE log = $1", ARGS(A((int32_t)log)),
                   &tiles));
        if (tiles != checking->tiles[log])
            wrong(checking, "the %s log has %" PRId64 " tiles that belong to it of %" PRId64, word,
                  checking->tiles[log], tiles);
        TRY(db_int(ctx, "SELECT count(*) FROM evidence_head WHERE log = $1 AND signed = 1",
                   ARGS(A((int32_t)log)), &heads));
        if (heads > checking->heads[log] + checking->has_next[log])
            wrong(checking, "the %s log has %" PRId64 " heads that belong to it of %" PRId64, word,
                  checking->heads[log], heads);
        check_end(checking, log);
    }
    if (checking->epochs_begun != checking->epoch_count)
        wrong(checking, "%zu epochs of logs are noted, entries tell of %zu", checking->epoch_count,
              checking->epochs_begun);
    return OK;
}

static err_t check_all(struct ctx *ctx, struct checking *checking)
{
    const char *why = "";
    struct buf keys;
    buf_init(&keys, ctx->arena, 16 * 1024);
    evidence_keys(checking->evidence, &keys);
    checking->keys = NEW(ctx, struct vkeys);
    if (!vkeys_read(ctx->arena, buf_str(&keys), checking->keys, &why))
        return refuse(ctx, ERR_INTERNAL, "evidence_keys", "%s", why);
    TRY(epoch_rows(ctx, &checking->epochs, &checking->epoch_count));
    for (int log = 1; log <= LOG_COUNT; log++)
        TRY(begin_epoch(ctx, checking, log, 1));
    TRY(db_each(
        ctx,
        "SELECT position, epoch, log_index, time_ms, log, type, actor_kind, event_id, object_id, "
        "owner_org_id, actor_id, "
        "object_text, entry, leaf, payload FROM evidence_entry ORDER BY position",
        NO_ARGS, &fsck_shape, check_row, checking));
    return check_rest(ctx, checking);
}

err_t evidence_fsck(struct ctx *ctx, struct buf *report)
{
    struct checking *checking = calloc(1, sizeof *checking);
    ENSURE(checking != NULL);
    checking->evidence = ctx->platform->evidence;
    checking->report = report;
    checking->scratch = arena_new(0);
    err_t err = check_all(ctx, checking);
    if (checking->lines > REPORT_LINES_MAX)
        buf_printf(report, "and %d more\n", checking->lines - REPORT_LINES_MAX);
    if (err == OK && checking->lines > 0)
        err = refuse(ctx, ERR_STATE, "evidence_damaged", "%d findings", checking->lines);
    if (checking->keys != NULL)
        vkeys_free(checking->keys);
    arena_free(checking->scratch);
    free(checking->chains);
    free(checking);
    return err;
}
