/* SPDX-License-Identifier: Apache-2.0 */
/* The trees as they lie in the database: full tiles are rows, open tiles the edge of a log. From
 * both come every complete node, hence roots, proofs and receipts. The stored edge is as new as the
 * newest stored head or newer, and written with it, so any snapshot that shows a head can prove
 * against it. */
#include <string.h>

#include "evidence_internal.h"

enum { TILE_BYTES = TILE_HASHES * HASH_BYTES };

/* ---- the edge ---- */
/* The root of 2^k hashes. */
static hash_t fold(const hash_t *hashes, int count)
{
    hash_t level[TILE_HASHES];
    memcpy(level, hashes, (size_t)count * sizeof(hash_t));
    for (; count > 1; count /= 2)
        for (int i = 0; i < count / 2; i++)
            level[i] = tree_node(&level[2 * i], &level[2 * i + 1]);
    return level[0];
}

int edge_append(struct log_edge *edge, const hash_t *leaf, int64_t position)
{
    if (edge_count(edge, 0) == 0)
        edge->tile_first = position;
    edge->hash[0][edge_count(edge, 0)] = *leaf;
    edge->size++;
    edge->position = position;
    int full = 0;
    while (full + 1 < TILE_LEVELS && (edge->size & ((UINT64_C(1) << (8 * (full + 1))) - 1)) == 0) {
        hash_t root = fold(edge->hash[full], TILE_HASHES);
        full++;
        edge->hash[full][((edge->size >> (8 * full)) - 1) & (TILE_HASHES - 1)] = root;
    }
    return full;
}

void edge_copy(struct log_edge *to, const struct log_edge *from)
{
    to->size = from->size;
    to->position = from->position;
    to->tile_first = from->tile_first;
    for (int level = 0; level < TILE_LEVELS; level++)
        memcpy(to->hash[level], from->hash[level],
               (size_t)edge_count(from, level) * sizeof(hash_t));
}

str_t edge_pack(struct arena *arena, const struct log_edge *edge)
{
    struct buf buf;
    buf_init(&buf, arena, TILE_LEVELS * TILE_BYTES);
    for (int level = 0; level < TILE_LEVELS; level++)
        buf_put(&buf,
                str_from(edge->hash[level], (size_t)edge_count(edge, level) * sizeof(hash_t)));
    ENSURE(!buf.overflow);
    return buf_str(&buf);
}

bool edge_unpack(str_t bytes, struct log_edge *edge)
{
    for (int level = 0; level < TILE_LEVELS; level++) {
        size_t len = (size_t)edge_count(edge, level) * sizeof(hash_t);
        if (bytes.len < len)
            return false;
        if (len > 0)
            memcpy(edge->hash[level], bytes.data, len);
        bytes = str_cut(bytes, len);
    }
    return bytes.len == 0;
}

struct edge_row {
    int64_t size, position, tile_first;
    str_t hashes;
};
static const struct field edge_row_fields[] = {
    FIELD(struct edge_row, size, 0, INT64_MAX, 0),
    FIELD(struct edge_row, position, 0, INT64_MAX, 0),
    FIELD(struct edge_row, tile_first, 0, INT64_MAX, 0),
    FIELD_BYTES(struct edge_row, hashes, 0, TILE_LEVELS *TILE_BYTES, 0),
};
static const struct shape edge_row_shape = SHAPE(struct edge_row, edge_row_fields);

err_t edge_load(struct ctx *ctx, int log, int64_t epoch, struct log_edge *out)
{
    struct edge_row row = {0};
    bool found;
    TRY(db_find(ctx,
                "SELECT size, position, tile_first, hashes FROM evidence_edge WHERE log = $1 AND "
                "epoch = $2",
                ARGS(A(log), A(epoch)), &edge_row_shape, &row, &found));
    out->size = (uint64_t)row.size;
    out->position = row.position;
    out->tile_first = row.tile_first;
    if (row.size < 0 || !edge_unpack(row.hashes, out))
        return refuse(ctx, ERR_INTERNAL, "evidence_damaged", "edge of log %d has a wrong length",
                      log);
    return OK;
}

/* An instance that has lost its lease may still come with an older one: the newer stays. */
err_t edge_store(struct ctx *ctx, int log, int64_t epoch, const struct log_edge *edge)
{
    return db_exec(ctx,
                   "INSERT INTO evidence_edge (log, epoch, size, position, tile_first, hashes) "
                   "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (log, epoch) DO UPDATE SET size = "
                   "excluded.size, "
                   "position = excluded.position, tile_first = excluded.tile_first, "
                   "hashes = excluded.hashes WHERE excluded.position >= evidence_edge.position",
                   ARGS(A(log), A(epoch), A(edge->size), A(edge->position), A(edge->tile_first),
                        A_BYTES(edge_pack(ctx->arena, edge))),
                   NULL);
}

/* ---- nodes ---- */
struct tile_row {
    str_t hashes;
};
static const struct field tile_row_fields[] = {
    FIELD_BYTES(struct tile_row, hashes, 0, TILE_BYTES, 0)};
static const struct shape tile_row_shape = SHAPE(struct tile_row, tile_row_fields);

err_t tile_load(const struct tree_source *source, int level, uint64_t n, str_t *out_hashes)
{
    struct ctx *ctx = source->ctx;
    struct tile_row row = {0};
    bool found;
    TRY(db_find(ctx,
                "SELECT hashes FROM evidence_tile WHERE log = $1 AND epoch = $2 AND level = $3 AND "
                "n = $4",
                ARGS(A(source->log), A(source->epoch), A(level), A(n)), &tile_row_shape, &row,
                &found));
    if (!found)
        return refuse(ctx, ERR_NOT_FOUND, "not_found", "log %d has no tile %d/%" PRIu64,
                      source->log, level, n);
    if (row.hashes.len != TILE_BYTES)
        return refuse(ctx, ERR_INTERNAL, "evidence_damaged",
                      "tile %d/%" PRIu64 " has a wrong length", level, n);
    *out_hashes = row.hashes;
    return OK;
}

struct tile_cached {
    struct tile_cached *next;
    int level;
    uint64_t n;
    hash_t hash[TILE_HASHES];
};

/* The hashes of a tile and how many there are; NULL when the source failed. */
static const hash_t *source_tile(struct tree_source *source, int level, uint64_t n, int *out_count)
{
    uint64_t full = level == TILE_LEVELS - 1 ? 0 : source->edge->size >> (8 * (level + 1));
    *out_count = n == full ? edge_count(source->edge, level) : TILE_HASHES;
    if (n == full)
        return source->edge->hash[level];
    if (n > full)
        return NULL;
    for (struct tile_cached *tile = source->tiles; tile != NULL; tile = tile->next)
        if (tile->level == level && tile->n == n)
            return tile->hash;
    str_t hashes;
    source->error = tile_load(source, level, n, &hashes);
    if (source->error != OK)
        return NULL;
    struct tile_cached *tile = NEW(source->ctx, struct tile_cached);
    *tile = (struct tile_cached){.next = source->tiles, .level = level, .n = n};
    memcpy(tile->hash, hashes.data, TILE_BYTES);
    source->tiles = tile;
    return tile->hash;
}

bool source_node(void *state, int level, uint64_t index, hash_t *out)
{
    struct tree_source *source = state;
    int within = level % 8, count;
    if (source->error != OK || level / 8 >= TILE_LEVELS)
        return false;
    const hash_t *hashes = source_tile(source, level / 8, index >> (8 - within), &count);
    int first = (int)(index & ((UINT64_C(1) << (8 - within)) - 1)) << within;
    if (hashes == NULL || first + (1 << within) > count)
        return false;
    *out = fold(hashes + first, 1 << within);
    return true;
}

static err_t source_failed(struct tree_source *source)
{
    if (source->error != OK)
        return source->error;
    return refuse(source->ctx, ERR_INTERNAL, "evidence_damaged", "log %d lacks a node",
                  source->log);
}

err_t source_root(struct tree_source *source, uint64_t size, hash_t *out_root)
{
    struct frontier *frontier = NEW(source->ctx, struct frontier);
    if (size > source->edge->size)
        return refuse(source->ctx, ERR_STATE, "evidence_behind_head",
                      "log %d has %" PRIu64 " entries, not %" PRIu64, source->log,
                      source->edge->size, size);
    frontier->size = size;
    for (int bit = 0; bit < 64; bit++)
        if ((size >> bit & 1) != 0 &&
            !source_node(source, bit, (size >> bit) - 1, &frontier->sub[bit]))
            return source_failed(source);
    *out_root = frontier_root(frontier);
    return OK;
}

err_t source_consistency(struct tree_source *source, uint64_t from, uint64_t to, hash_t *out_path,
                         int *out_count)
{
    *out_count = 0;
    if (from == 0 || from == to)
        return OK;
    if (from > to || to > source->edge->size ||
        !tree_consistency(source_node, source, from, to, out_path, out_count))
        return source_failed(source);
    return OK;
}

/* ---- heads ---- */
static const struct field head_row_fields[] = {
    FIELD(struct head_row, log, 1, LOG_COUNT, 0),
    FIELD(struct head_row, height, 1, INT64_MAX, 0),
    FIELD(struct head_row, size, 0, INT64_MAX, 0),
    FIELD_AS(struct head_row, at, "time_ms", 0, INT64_MAX, 0),
    FIELD_AS(struct head_row, is_signed, "signed", 0, 1, 0),
    FIELD(struct head_row, note, 0, 65536, 0),
};
static const struct shape head_row_shape = SHAPE(struct head_row, head_row_fields);
#define HEAD_COLUMNS "SELECT log, height, size, time_ms, signed, note FROM evidence_head "

err_t head_newest(struct ctx *ctx, int log, int64_t epoch, struct head_row *out, bool *out_found)
{
    *out = (struct head_row){0};
    return db_find(ctx,
                   HEAD_COLUMNS "WHERE log = $1 AND epoch = $2 AND signed = 1 ORDER BY height DESC "
                                "LIMIT 1",
                   ARGS(A(log), A(epoch)), &head_row_shape, out, out_found);
}

hash_t head_text_hash(str_t text)
{
    hash_t hash;
    sm3(text, hash.bytes);
    return hash;
}

bool head_of_note(struct arena *arena, str_t text, struct head_known *out)
{
    struct note *note = arena_alloc(arena, sizeof(struct note));
    const char *why;
    if (!note_read(arena, text, note, &why))
        return false;
    *out = (struct head_known){note->head.height, note->head.size, (int64_t)note->head.time_ms,
                               note->head.root, head_text_hash(note->text)};
    return true;
}

/* ---- what is handed out ---- */
static err_t source_open(struct ctx *ctx, int log, int64_t epoch, struct tree_source *out,
                         struct head_row *out_head, bool *out_found)
{
    struct log_edge *edge = NEW(ctx, struct log_edge);
    TRY(edge_load(ctx, log, epoch, edge));
    TRY(head_newest(ctx, log, epoch, out_head, out_found));
    *out = (struct tree_source){.ctx = ctx, .log = log, .epoch = epoch, .edge = edge};
    return OK;
}

/* Of the newest epoch. */
static err_t source_open_newest(struct ctx *ctx, int log, struct tree_source *out,
                                struct head_row *out_head, bool *out_found)
{
    int64_t epoch;
    TRY(epoch_current(ctx, &epoch));
    return source_open(ctx, log, epoch, out, out_head, out_found);
}

struct leaf_row {
    int32_t log;
    int64_t epoch, log_index;
    ref_t owner_org;
    str_t entry, box;
};
static const struct field leaf_row_fields[] = {
    FIELD(struct leaf_row, log, 1, LOG_COUNT, 0),
    FIELD(struct leaf_row, epoch, 0, INT64_MAX, 0),
    FIELD(struct leaf_row, log_index, 0, INT64_MAX, 0),
    {.name = "owner_org_id",
     .type = FT_REF,
     .offset = offsetof(struct leaf_row, owner_org),
     .prefix = "org"},
    FIELD_BYTES(struct leaf_row, entry, 0, ENTRY_MAX, 0),
    {.name = "payload", .type = FT_BYTES, .offset = offsetof(struct leaf_row, box)},
};
static const struct shape leaf_row_shape = SHAPE(struct leaf_row, leaf_row_fields);

static err_t refuse_pending(struct ctx *ctx)
{
    life_hurry(ctx->platform->evidence);
    err_t code =
        refuse(ctx, ERR_UPSTREAM, "receipt_pending", "no signed head covers this event yet");
    ctx->problem.retry_after_s = 1;
    return code;
}

static err_t refuse_uncovered(struct ctx *ctx, const struct leaf_row *row)
{
    int64_t epoch = row->epoch;
    TRY(epoch_current(ctx, &epoch));
    if (row->epoch < epoch)
        return refuse(ctx, ERR_GONE, "epoch_closed",
                      "epoch %" PRId64 " of the %s log ended before a head of it covered this "
                      "event; the log.reset that follows tells so",
                      row->epoch, evidence_log_word(row->log));
    return refuse_pending(ctx);
}

static err_t no_entry(struct ctx *ctx, ref_t event_id)
{
    struct event event;
    TRY(evidence_find_event(ctx, event_id, false, &event));
    return refuse_pending(ctx);
}

static err_t add_payload(struct ctx *ctx, const struct leaf_row *row, struct receipt *receipt)
{
    uint8_t key[32];
    struct buf plain;
    if (row->box.len == 0)
        return OK; /* erased */
    buf_init(&plain, ctx->arena, row->box.len);
    keyring_data_key(ctx->platform->keys, row->owner_org, key);
    bool opened = box_open(key, row->box, &plain);
    crypto_wipe(key, sizeof key);
    if (!opened || plain.len <= SALT_BYTES)
        return refuse(ctx, ERR_INTERNAL, "evidence_damaged", "a payload cannot be opened");
    receipt->salt = str_from(plain.data, SALT_BYTES);
    receipt->payload = str_cut(buf_str(&plain), SALT_BYTES);
    return OK;
}

err_t evidence_receipt(struct ctx *ctx, ref_t event_id, bool with_payload, str_t *out_text)
{
    struct leaf_row row = {0};
    struct head_row head;
    struct tree_source source;
    bool found;
    TRY(db_find(
        ctx,
        "SELECT log, epoch, log_index, owner_org_id, entry, payload FROM evidence_entry WHERE "
        "event_id = $1",
        ARGS(A(event_id)), &leaf_row_shape, &row, &found));
    if (!found)
        return no_entry(ctx, event_id);
    TRY(source_open(ctx, row.log, row.epoch, &source, &head, &found));
    if (!found || head.size <= row.log_index)
        return refuse_uncovered(ctx, &row);
    struct receipt *receipt = NEW(ctx, struct receipt);
    receipt->extra = row.entry;
    receipt->index = (uint64_t)row.log_index;
    receipt->note_text = head.note;
    if (with_payload)
        TRY(add_payload(ctx, &row, receipt));
    if (!tree_inclusion(source_node, &source, receipt->index, (uint64_t)head.size, receipt->path,
                        &receipt->path_count))
        return source_failed(&source);
    struct buf buf;
    buf_init(&buf, ctx->arena, 4 << 20);
    receipt_write(&buf, receipt);
    ENSURE(!buf.overflow);
    *out_text = buf_str(&buf);
    return OK;
}

err_t evidence_checkpoint(struct ctx *ctx, int log, int64_t height, str_t *out_note)
{
    struct head_row head = {0};
    bool found;
    int64_t epoch;
    TRY(epoch_current(ctx, &epoch));
    if (height == 0)
        TRY(head_newest(ctx, log, epoch, &head, &found));
    else
        TRY(db_find(ctx,
                    HEAD_COLUMNS "WHERE log = $1 AND epoch = $2 AND height = $3 AND signed = 1",
                    ARGS(A(log), A(epoch), A(height)), &head_row_shape, &head, &found));
    if (!found)
        return refuse(ctx, ERR_NOT_FOUND, "not_found", "no such head");
    *out_note = head.note;
    return OK;
}

err_t evidence_consistency(struct ctx *ctx, int log, int64_t from, int64_t to, str_t *out_text)
{
    struct head_row head;
    struct tree_source source;
    bool found;
    TRY(source_open_newest(ctx, log, &source, &head, &found));
    if (from < 0 || from > to || !found || to > head.size)
        return refuse_status(ctx, 400, "range_invalid", "from <= to <= %" PRId64 " is needed",
                             found ? head.size : 0);
    hash_t path[CONSISTENCY_MAX + 1];
    int count;
    TRY(source_consistency(&source, (uint64_t)from, (uint64_t)to, path, &count));
    struct buf buf;
    buf_init(&buf, ctx->arena, CONSISTENCY_MAX * 48);
    for (int i = 0; i < count; i++) {
        buf_put(&buf, base64_encode(ctx->arena, str_from(path[i].bytes, HASH_BYTES)));
        buf_putc(&buf, '\n');
    }
    *out_text = buf_str(&buf);
    return OK;
}

err_t evidence_tile(struct ctx *ctx, int log, int level, int64_t index, int width, str_t *out_bytes)
{
    struct head_row head;
    struct tree_source source;
    bool found;
    TRY(source_open_newest(ctx, log, &source, &head, &found));
    bool outside = !found || level < 0 || level >= TILE_LEVELS || index < 0 || width < 1 ||
                   width > TILE_HASHES;
    if (outside ||
        ((uint64_t)index * TILE_HASHES + (uint64_t)width) > (uint64_t)head.size >> (8 * level))
        return refuse(ctx, ERR_NOT_FOUND, "not_found", "no such tile");
    int count;
    const hash_t *hashes = source_tile(&source, level, (uint64_t)index, &count);
    if (hashes == NULL || count < width)
        return source_failed(&source);
    *out_bytes = str_dup(ctx->arena, str_from(hashes, (size_t)width * sizeof(hash_t)));
    return OK;
}

void evidence_keys(struct evidence *evidence, struct buf *out)
{
    uint8_t point[SM2_POINT_BYTES];
    char origin[ORIGIN_MAX];
    sm2_point(evidence->head_key, point);
    pthread_mutex_lock(&evidence->lock);
    for (int64_t epoch = evidence->epoch; epoch > 0; epoch--)
        for (int log = 1; log <= LOG_COUNT; log++) {
            origin_write(origin, life_host(evidence), log, epoch);
            vkey_write(out, str_of(origin), false, point);
            buf_putc(out, '\n');
        }
    pthread_mutex_unlock(&evidence->lock);
}
