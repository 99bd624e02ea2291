/* SPDX-License-Identifier: Apache-2.0 */
/* From start to stop: the trees are rebuilt from the database and held against the last signed
 * heads; then a thread makes heads from what is committed and has them signed. Nothing here delays
 * a write. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "evidence_internal.h"

enum { WANTED_US = 3 * 1000 * 1000, SIGNER_TIMEOUT_S = 10 };

/* ---- loading ---- */
struct replay_row {
    int64_t position, log_index;
    int32_t log;
    str_t entry, leaf;
};
static const struct field replay_fields[] = {
    FIELD(struct replay_row, position, 0, INT64_MAX, 0),
    FIELD(struct replay_row, log_index, 0, INT64_MAX, 0),
    FIELD(struct replay_row, log, 1, LOG_COUNT, 0),
    FIELD_BYTES(struct replay_row, entry, 0, ENTRY_MAX, 0),
    FIELD_BYTES(struct replay_row, leaf, 0, HASH_BYTES, 0),
};
static const struct shape replay_shape = SHAPE(struct replay_row, replay_fields);

struct loading {
    struct log_edge edge[LOG_COUNT + 1];
    struct head_known head[LOG_COUNT + 1];
    str_t origin[LOG_COUNT + 1]; /* of the newest stored head, of whatever epoch */
    int64_t epoch, position;
};

static err_t replay(struct ctx *ctx, const void *data, void *arg)
{
    const struct replay_row *row = data;
    struct loading *loading = arg;
    if (row->log < 1 || row->log > LOG_COUNT || row->leaf.len != HASH_BYTES)
        return refuse(ctx, ERR_INTERNAL, "evidence_damaged", "entry at position %" PRId64,
                      row->position);
    struct log_edge *edge = &loading->edge[row->log];
    if (row->position > loading->position)
        loading->position = row->position;
    if (row->position <= edge->position)
        return OK;
    hash_t leaf = tree_leaf(row->entry);
    if (row->log_index != (int64_t)edge->size ||
        memcmp(leaf.bytes, row->leaf.data, HASH_BYTES) != 0)
        return refuse(ctx, ERR_INTERNAL, "evidence_damaged", "entry at position %" PRId64,
                      row->position);
    edge_append(edge, &leaf, row->position);
    return OK;
}

static err_t check_head(struct ctx *ctx, struct loading *loading, int log,
                        const struct head_known *head)
{
    struct tree_source source = {
        .ctx = ctx, .log = log, .epoch = loading->epoch, .edge = &loading->edge[log]};
    hash_t root;
    if (head->size > loading->edge[log].size)
        return refuse(ctx, ERR_STATE, "evidence_behind_head",
                      "the %s log has %" PRIu64 " entries, its signed head %" PRIu64
                      ": restore a newer copy, or open a new epoch",
                      evidence_log_word(log), loading->edge[log].size, head->size);
    TRY(source_root(&source, head->size, &root));
    if (memcmp(&root, &head->root, sizeof root) != 0)
        return refuse(ctx, ERR_STATE, "evidence_behind_head",
                      "the %s log has another root than its signed head of %" PRIu64,
                      evidence_log_word(log), head->size);
    return OK;
}

static err_t load_log(struct ctx *ctx, struct loading *loading, int log)
{
    struct head_row row;
    bool found = false;
    int64_t epoch = loading->epoch + 1;
    while (!found && --epoch > 0)
        TRY(head_newest(ctx, log, epoch, &row, &found));
    if (!found)
        return OK;
    struct head_known head;
    str_t rest = row.note;
    if (!str_next(&rest, '\n', &loading->origin[log]) || !head_of_note(ctx->arena, row.note, &head))
        return refuse(ctx, ERR_INTERNAL, "evidence_damaged", "head %" PRId64 " of log %d",
                      row.height, log);
    if (epoch < loading->epoch)
        return OK;
    loading->head[log] = head;
    return check_head(ctx, loading, log, &head);
}

static err_t load(struct ctx *ctx, struct loading *loading)
{
    int64_t from = INT64_MAX;
    TRY(epoch_current(ctx, &loading->epoch));
    for (int log = 1; log <= LOG_COUNT; log++) {
        TRY(edge_load(ctx, log, loading->epoch, &loading->edge[log]));
        if (loading->edge[log].position < from)
            from = loading->edge[log].position;
        if (loading->edge[log].position > loading->position)
            loading->position = loading->edge[log].position;
    }
    TRY(db_each(ctx,
                "SELECT position, log, log_index, entry, leaf FROM evidence_entry WHERE position > "
                "$1 AND epoch = $2 ORDER BY position",
                ARGS(A(from), A(loading->epoch)), &replay_shape, replay, loading));
    int64_t newest = 0;
    TRY(db_int(ctx, "SELECT max(position) FROM evidence_entry", NO_ARGS, &newest));
    if (newest < loading->position)
        return refuse(ctx, ERR_STATE, "evidence_behind_head",
                      "entries after position %" PRId64 " are missing", newest);
    for (int log = 1; log <= LOG_COUNT; log++)
        TRY(load_log(ctx, loading, log));
    return OK;
}

void life_set_origins(struct evidence *evidence, str_t host)
{
    char copy[256];
    size_t len = host.len < sizeof copy ? host.len : sizeof copy - 1;
    memcpy(copy, host.data, len); /* it may stand in an origin */
    for (int log = 1; log <= LOG_COUNT; log++)
        origin_write(evidence->origin[log], str_from(copy, len), log, evidence->epoch);
}

static str_t origin_host(str_t origin)
{
    const char *slash = origin.len == 0 ? NULL : memchr(origin.data, '/', origin.len);
    return slash == NULL ? STR("") : str_from(origin.data, (size_t)(slash - origin.data));
}

str_t life_host(const struct evidence *evidence)
{
    return origin_host(str_of(evidence->origin[LOG_OPS]));
}

/* The host under which the first head was signed stays the name of the logs: with another one, the
 * signer would see logs that it knows nothing of, and their heads would not follow. */
static void keep_origins(struct evidence *evidence, const struct loading *loading)
{
    str_t host = STR("");
    for (int log = LOG_COUNT; log > 0; log--)
        if (loading->origin[log].len > 0)
            host = origin_host(loading->origin[log]);
    if (host.len > 0 && !str_eq(host, life_host(evidence)))
        log_at(LOG_INFO, "evidence_origin", "kept=" STR_FMT, STR_ARG(host));
    life_set_origins(evidence, host.len > 0 ? host : life_host(evidence));
}

err_t life_load(struct ctx *ctx, struct evidence *evidence)
{
    struct loading *loading = NEW(ctx, struct loading);
    TRY(load(ctx, loading));
    pthread_mutex_lock(&evidence->lock);
    evidence->epoch = loading->epoch;
    keep_origins(evidence, loading);
    for (int log = 1; log <= LOG_COUNT; log++) {
        edge_copy(&evidence->committed[log], &loading->edge[log]);
        evidence->heads[log] = loading->head[log];
        evidence->edge_stored[log] = 0;
    }
    evidence->position = evidence->working_position = loading->position;
    pthread_mutex_unlock(&evidence->lock);
    return OK;
}

static err_t check_signer_note(struct ctx *ctx, struct evidence *evidence, struct loading *loading,
                               int log, const struct signer_note *kept)
{
    struct head_known head;
    str_t base, own;
    int64_t epoch, own_epoch;
    origin_split(kept->origin, &base, &epoch);
    origin_split(str_of(evidence->origin[log]), &own, &own_epoch);
    if (!str_eq(base, own) || epoch < own_epoch)
        return OK;
    if (epoch > own_epoch)
        return refuse(ctx, ERR_STATE, "evidence_behind_head",
                      "epoch %" PRId64 " of the %s log has signed heads, this database is of epoch "
                      "%" PRId64 ": restore a newer copy, or open a new epoch",
                      epoch, evidence_log_word(log), own_epoch);
    if (!head_of_note(ctx->arena, kept->note, &head))
        return refuse(ctx, ERR_INTERNAL, "signer_state_unreadable", "note of " STR_FMT,
                      STR_ARG(kept->origin));
    return check_head(ctx, loading, log, &head);
}

/* What the signer remembers is newer than a database restored from a copy. */
static err_t check_signer_file(struct ctx *ctx, struct evidence *evidence, const char *path)
{
    struct signer_note *notes;
    size_t count;
    struct loading *loading = NEW(ctx, struct loading);
    TRY(signer_file_read(ctx, path, &notes, &count));
    loading->epoch = evidence->epoch;
    for (int log = 1; log <= LOG_COUNT; log++) {
        edge_copy(&loading->edge[log], &evidence->committed[log]);
        for (size_t i = 0; i < count; i++)
            TRY(check_signer_note(ctx, evidence, loading, log, &notes[i]));
    }
    return OK;
}

struct opening {
    struct evidence *evidence;
    const char *signer_state;
};

static err_t open_state(struct ctx *ctx, void *arg)
{
    struct opening *opening = arg;
    TRY(life_load(ctx, opening->evidence));
    if (opening->signer_state != NULL)
        TRY(check_signer_file(ctx, opening->evidence, opening->signer_state));
    return OK;
}

static void init_sync(struct evidence *evidence)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&evidence->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&evidence->lock, NULL);
}

struct evidence *life_new(struct ctx *ctx, const struct evidence_options *options)
{
    struct evidence *evidence = calloc(1, sizeof *evidence);
    ENSURE(evidence != NULL);
    evidence->platform = ctx->platform;
    evidence->kind = db_kind(ctx->platform->db);
    evidence->interval_ms = options->interval_ms > 0 ? options->interval_ms : 200;
    evidence->idle_interval_ms = options->idle_interval_ms > 0 ? options->idle_interval_ms : 1000;
    evidence->sign = options->sign;
    evidence->signer_fd = -1;
    keyring_secret(ctx->platform->keys, "pseudonym", evidence->pseudonym);
    evidence->head_key = keyring_sm2(ctx->platform->keys, "head");
    crypto_random(&evidence->holder, sizeof evidence->holder);
    evidence->epoch = 1;
    life_set_origins(evidence, options->host);
    init_sync(evidence);
    return evidence;
}

err_t evidence_open(struct ctx *ctx, const struct evidence_options *options, struct evidence **out)
{
    struct evidence *evidence = life_new(ctx, options);
    struct opening opening = {evidence, options->signer_state};
    err_t err = db_read(ctx, ctx->platform->db, open_state, &opening);
    if (err != OK) {
        evidence_close(evidence);
        return err;
    }
    number_take_part(evidence);
    *out = evidence;
    return OK;
}

void evidence_use_signer(struct evidence *evidence, int fd)
{
    struct timeval limit = {.tv_sec = SIGNER_TIMEOUT_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    evidence->signer_fd = fd;
}

err_t evidence_start(struct evidence *evidence)
{
    if (evidence->kind == DB_POSTGRES)
        evidence->sequencer_runs =
            pthread_create(&evidence->sequencer, NULL, sequencer_main, evidence) == 0;
    if (evidence->kind == DB_POSTGRES && !evidence->sequencer_runs)
        return ERR_INTERNAL;
    if (evidence->sign && evidence->signer_fd >= 0) {
        evidence->maker_runs = pthread_create(&evidence->maker, NULL, maker_main, evidence) == 0;
        return evidence->maker_runs ? OK : ERR_INTERNAL;
    }
    return OK;
}

void evidence_close(struct evidence *evidence)
{
    if (evidence == NULL)
        return;
    pthread_mutex_lock(&evidence->lock);
    evidence->stopping = true;
    pthread_cond_broadcast(&evidence->wake);
    pthread_mutex_unlock(&evidence->lock);
    if (evidence->maker_runs)
        pthread_join(evidence->maker, NULL);
    if (evidence->sequencer_runs)
        pthread_join(evidence->sequencer, NULL);
    pthread_cond_destroy(&evidence->wake);
    pthread_mutex_destroy(&evidence->lock);
    crypto_wipe(evidence->pseudonym, sizeof evidence->pseudonym);
    free(evidence);
}

void evidence_stats(struct evidence *evidence, struct evidence_stats *out)
{
    *out = (struct evidence_stats){0};
    int64_t now = clock_now().ms;
    pthread_mutex_lock(&evidence->lock);
    for (int log = 1; log <= LOG_COUNT; log++) {
        out->entries[log] = (int64_t)evidence->committed[log].size;
        out->head_size[log] = (int64_t)evidence->heads[log].size;
        if (evidence->heads[log].height > 0)
            out->head_age_ms[log] = now - evidence->heads[log].time_ms;
    }
    out->pending = evidence->pending;
    pthread_mutex_unlock(&evidence->lock);
}

void life_hurry(struct evidence *evidence)
{
    pthread_mutex_lock(&evidence->lock);
    evidence->wanted_until_us = clock_monotonic_us() + WANTED_US;
    pthread_cond_broadcast(&evidence->wake);
    pthread_mutex_unlock(&evidence->lock);
}
