/* SPDX-License-Identifier: Apache-2.0 */
/* Epochs. A database put back from a copy may lie behind what was signed; it must not sign under
 * the same origins again. So all logs begin anew under the next number: what is there stays
 * readable and under its old heads, and the first entry of each new log tells how the old one
 * ended. Nobody but this file writes evidence_epoch. */
#include <stdio.h>
#include <string.h>

#include "evidence_internal.h"

enum { APPROVER_MAX = 200, RESET_PAYLOAD_MAX = 64 * 1024 };

/* ---- origins ---- */
void origin_write(char out[ORIGIN_MAX], str_t host, int log, int64_t epoch)
{
    int len = (int)(host.len < 255 ? host.len : 255);
    const char *word = evidence_log_word(log);
    if (epoch == 1)
        snprintf(out, ORIGIN_MAX, "%.*s/evidence/%s", len, host.data, word);
    else
        snprintf(out, ORIGIN_MAX, "%.*s/evidence/%s/%" PRId64, len, host.data, word, epoch);
}

void origin_split(str_t origin, str_t *out_base, int64_t *out_epoch)
{
    size_t at = origin.len;
    *out_base = origin;
    *out_epoch = 1;
    while (at > 0 && origin.data[at - 1] >= '0' && origin.data[at - 1] <= '9')
        at--;
    /* The word of a log is letters, so digits behind a slash are its epoch. */
    if (at < 2 || at == origin.len || origin.data[at - 1] != '/' ||
        !str_to_int(str_cut(origin, at), 1, INT64_MAX, out_epoch))
        return;
    *out_base = str_from(origin.data, at - 1);
}

/* ---- rows ---- */
static const struct field epoch_row_fields[] = {
    FIELD(struct epoch_row, log, 1, LOG_COUNT, 0),
    FIELD(struct epoch_row, epoch, 1, INT64_MAX, 0),
    FIELD(struct epoch_row, first_position, 0, INT64_MAX, 0),
    FIELD(struct epoch_row, closed_epoch, 1, INT64_MAX, 0),
    FIELD(struct epoch_row, closed_size, 0, INT64_MAX, 0),
    FIELD(struct epoch_row, covered_size, 0, INT64_MAX, 0),
};
static const struct shape epoch_row_shape = SHAPE(struct epoch_row, epoch_row_fields);

err_t epoch_current(struct ctx *ctx, int64_t *out_epoch)
{
    *out_epoch = 1;
    return db_int(ctx, "SELECT max(epoch) FROM evidence_epoch", NO_ARGS, out_epoch);
}

err_t epoch_rows(struct ctx *ctx, struct epoch_row **out, size_t *out_count)
{
    return db_all(ctx,
                  "SELECT log, epoch, first_position, closed_epoch, closed_size, covered_size FROM "
                  "evidence_epoch ORDER BY epoch, log",
                  NO_ARGS, &epoch_row_shape, out, out_count);
}

err_t evidence_reach_load(struct ctx *ctx, struct evidence_reach *out)
{
    *out = (struct evidence_reach){.epoch = 1};
    TRY(epoch_rows(ctx, &out->ended, &out->ended_count));
    if (out->ended_count > 0)
        out->epoch = out->ended[out->ended_count - 1].epoch;
    for (int log = 1; log <= LOG_COUNT; log++)
        TRY(db_int(ctx,
                   "SELECT size FROM evidence_head WHERE log = $1 AND epoch = $2 AND signed = 1 "
                   "ORDER BY height DESC LIMIT 1",
                   ARGS(A((int32_t)log), A(out->epoch)), &out->sizes[log]));
    return OK;
}

enum receipt_state evidence_receipt_state(const struct evidence_reach *reach,
                                          const struct event *event)
{
    if (event->log_index < 0)
        return RECEIPT_PENDING;
    if (event->epoch == reach->epoch)
        return event->log_index < reach->sizes[event->log] ? RECEIPT_RECORDED : RECEIPT_PENDING;
    for (size_t i = 0; i < reach->ended_count; i++)
        if (reach->ended[i].log == event->log && reach->ended[i].closed_epoch == event->epoch &&
            event->log_index < reach->ended[i].covered_size)
            return RECEIPT_RECORDED;
    return RECEIPT_CLOSED;
}

/* ---- opening one ---- */
struct resetting {
    const struct evidence_reset *reset;
    struct evidence *evidence; /* the state as found, then as begun anew */
    struct signer_note *notes;
    size_t note_count;
    int64_t closed, epoch;
};

/* Whoever numbers or signs must be gone: it would go on in the old epoch. A lease left by one that
 * was killed runs out by itself; without a holder, the next one loads everything. */
static err_t lock_out(struct ctx *ctx, const struct evidence *evidence)
{
    int64_t until_ms = 0;
    if (evidence->kind != DB_POSTGRES)
        return OK;
    TRY(db_int(ctx, "SELECT until_ms FROM evidence_lease WHERE id = 1 {for_update}", NO_ARGS,
               &until_ms));
    if (until_ms >= clock_now().ms)
        return refuse(ctx, ERR_STATE, "epoch_busy",
                      "an instance works on this database; stop all, or wait ten seconds after a "
                      "kill");
    return db_exec_one(ctx, "UPDATE evidence_lease SET holder = 0, until_ms = 0 WHERE id = 1",
                       NO_ARGS);
}

/* The number after all that this database or the signer has seen: an older copy may be put back
 * more than once. */
static err_t choose_epoch(struct ctx *ctx, struct resetting *resetting)
{
    const struct evidence *evidence = resetting->evidence;
    char own[ORIGIN_MAX];
    resetting->closed = evidence->epoch;
    resetting->epoch = evidence->epoch + 1;
    for (size_t i = 0; i < resetting->note_count; i++) {
        str_t base;
        int64_t epoch;
        origin_split(resetting->notes[i].origin, &base, &epoch);
        for (int log = 1; log <= LOG_COUNT; log++) {
            origin_write(own, life_host(evidence), log, 1);
            if (str_is(base, own) && epoch >= resetting->epoch && epoch < INT64_MAX)
                resetting->epoch = epoch + 1;
        }
    }
    if (resetting->epoch > EPOCH_MAX)
        return refuse(ctx, ERR_LIMIT, "epoch_limit", "a log has at most %d epochs", EPOCH_MAX);
    return OK;
}

/* What was last signed under an origin: by the signer's file, or by the database where that knows
 * less. */
static err_t signed_last(struct ctx *ctx, const struct resetting *resetting, int log, int64_t epoch,
                         str_t *out_note)
{
    const struct evidence *evidence = resetting->evidence;
    struct head_row row;
    struct head_known stored = {0}, kept;
    char origin[ORIGIN_MAX];
    bool found;
    TRY(head_newest(ctx, log, epoch, &row, &found));
    *out_note = found ? row.note : STR("");
    if (found && !head_of_note(ctx->arena, row.note, &stored))
        return refuse(ctx, ERR_INTERNAL, "evidence_damaged", "head %" PRId64, row.height);
    origin_write(origin, life_host(evidence), log, epoch);
    for (size_t i = 0; i < resetting->note_count; i++) {
        if (!str_is(resetting->notes[i].origin, origin))
            continue;
        if (!head_of_note(ctx->arena, resetting->notes[i].note, &kept))
            return refuse(ctx, ERR_INTERNAL, "signer_state_unreadable", "note of %s", origin);
        if (kept.height > stored.height)
            *out_note = resetting->notes[i].note;
    }
    return OK;
}

static void put_hash(struct ctx *ctx, struct jw *w, const char *key, const hash_t *hash)
{
    jw_put_text(w, key, base64_encode(ctx->arena, str_from(hash->bytes, HASH_BYTES)));
}

/* origin, size, root and note of what was signed; size 0 and the root of nothing when nothing was.
 */
static err_t put_signed(struct ctx *ctx, const struct resetting *resetting, struct jw *w, int log,
                        int64_t epoch)
{
    struct head_known head = {.root = head_text_hash(STR(""))};
    char origin[ORIGIN_MAX];
    str_t note;
    TRY(signed_last(ctx, resetting, log, epoch, &note));
    if (note.len > 0 && !head_of_note(ctx->arena, note, &head))
        return refuse(ctx, ERR_INTERNAL, "evidence_damaged", "a head of log %d", log);
    origin_write(origin, life_host(resetting->evidence), log, epoch);
    jw_put_text(w, "origin", str_of(origin));
    jw_put_int(w, "size", (int64_t)head.size);
    put_hash(ctx, w, "root", &head.root);
    jw_put_text(w, "note", note);
    return OK;
}

/* Epochs between the ended one and the new are of databases that are gone: named with what they had
 * signed. */
static err_t put_lost_epochs(struct ctx *ctx, const struct resetting *resetting, struct jw *w,
                             int log)
{
    jw_key(w, "lost_epochs");
    jw_array(w);
    for (int64_t epoch = resetting->closed + 1; epoch < resetting->epoch; epoch++) {
        jw_object(w);
        TRY(put_signed(ctx, resetting, w, log, epoch));
        jw_end_object(w);
    }
    jw_end_array(w);
    return OK;
}

static err_t reset_payload(struct ctx *ctx, const struct resetting *resetting, int log,
                           str_t *out_json)
{
    const struct evidence *evidence = resetting->evidence;
    const struct log_edge *edge = &evidence->committed[log];
    struct tree_source source = {.ctx = ctx, .log = log, .epoch = resetting->closed, .edge = edge};
    hash_t root;
    struct buf buf;
    struct jw w;
    TRY(source_root(&source, edge->size, &root));
    buf_init(&buf, ctx->arena, RESET_PAYLOAD_MAX);
    jw_init(&w, &buf);
    jw_object(&w);
    TRY(put_signed(ctx, resetting, &w, log, resetting->closed));
    jw_put_int(&w, "epoch", resetting->epoch);
    jw_put_int(&w, "restored_size", (int64_t)edge->size);
    put_hash(ctx, &w, "restored_root", &root);
    jw_put_int(&w, "covered_size", (int64_t)evidence->heads[log].size);
    TRY(put_lost_epochs(ctx, resetting, &w, log));
    jw_put_text(&w, "approved_by", resetting->reset->approved_by);
    jw_put_utc(&w, "at", ctx->now);
    jw_end_object(&w);
    if (buf.overflow)
        return refuse(ctx, ERR_INTERNAL, "fact_too_large", "log.reset of log %d", log);
    *out_json = buf_str(&buf);
    return OK;
}

/* The edge is stored as it is, so that old heads are proven from it for good. */
static err_t close_log(struct ctx *ctx, const struct resetting *resetting, int log,
                       struct draft **out)
{
    const struct evidence *evidence = resetting->evidence;
    const struct log_edge *edge = &evidence->committed[log];
    struct fact fact = {.type = FACT_LOG_RESET, .object_prefix = "log"};
    TRY(reset_payload(ctx, resetting, log, &fact.payload));
    TRY(edge_store(ctx, log, resetting->closed, edge));
    TRY(db_exec_one(ctx,
                    "INSERT INTO evidence_epoch (log, epoch, first_position, closed_epoch, "
                    "closed_size, covered_size) VALUES ($1, $2, $3, $4, $5, $6)",
                    ARGS(A((int32_t)log), A(resetting->epoch), A(evidence->position + log),
                         A(resetting->closed), A(edge->size), A(evidence->heads[log].size))));
    fact.object = id_make(ctx->platform->ids, ctx->now);
    fact.audience[fact.audience_count++] = resetting->reset->hears;
    *out = draft_make(ctx, evidence, &fact, log);
    return OK;
}

static err_t reset_logs(struct ctx *ctx, void *arg)
{
    struct resetting *resetting = arg;
    struct evidence *evidence = resetting->evidence;
    struct draft *drafts[LOG_COUNT];
    TRY(lock_out(ctx, evidence));
    TRY(life_load(ctx, evidence));
    TRY(choose_epoch(ctx, resetting));
    for (int log = 1; log <= LOG_COUNT; log++)
        TRY(close_log(ctx, resetting, log, &drafts[log - 1]));
    memset(evidence->committed, 0, sizeof evidence->committed);
    evidence->epoch = resetting->epoch;
    TRY(number_drafts(ctx, evidence, drafts, LOG_COUNT));
    for (int log = 1; log <= LOG_COUNT; log++)
        TRY(edge_store(ctx, log, resetting->epoch, &evidence->working[log]));
    return OK;
}

err_t evidence_open_epoch(struct ctx *ctx, const struct evidence_options *options,
                          const struct evidence_reset *reset, int64_t *out_epoch)
{
    struct resetting resetting = {.reset = reset};
    if (reset->approved_by.len == 0 || reset->approved_by.len > APPROVER_MAX)
        return refuse_field(ctx, STR("/approved_by"), "required", "1 to %d bytes", APPROVER_MAX);
    if (options->signer_state != NULL)
        TRY(signer_file_read(ctx, options->signer_state, &resetting.notes, &resetting.note_count));
    resetting.evidence = life_new(ctx, options);
    err_t err = db_write(ctx, ctx->platform->db, reset_logs, &resetting);
    evidence_close(resetting.evidence);
    if (err == OK)
        *out_epoch = resetting.epoch;
    return err;
}
