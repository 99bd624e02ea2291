/* SPDX-License-Identifier: Apache-2.0 */
/* The head maker: a thread that takes what is committed, has the signer sign its root and stores
 * the note. Nothing here delays a write. A note whose answer was lost comes again from the signer,
 * a head that was decided by another instance is signed as it was decided. */
#include <string.h>
#include <time.h>

#include "evidence_internal.h"

enum { REPLAY_MAX = 5000, FRESH_MS = MS_MINUTE };

struct making {
    struct evidence *evidence;
    int log;
    int64_t epoch;
    bool due, ready;
    struct log_edge edge;   /* of the committed tree */
    struct head_known last; /* the head before */
    struct head head;       /* to be signed */
    struct head_known made;
    hash_t path[CONSISTENCY_MAX + 1];
    int path_count;
    str_t note;
};

/* With evidence->lock held. A log without entries needs no head. */
static bool head_is_due(const struct evidence *evidence, int log, int64_t now_ms)
{
    const struct head_known *head = &evidence->heads[log];
    uint64_t size = evidence->committed[log].size;
    if (size == 0 || evidence->forked[log])
        return false;
    return head->height == 0 || size > head->size || now_ms - head->time_ms >= FRESH_MS;
}

static void log_problem(const struct making *making, const char *what, str_t why)
{
    log_at(LOG_ERROR, "evidence_head", "log=%s what=%s why=\"" STR_FMT "\"",
           evidence_log_word(making->log), what, STR_ARG(why));
}

static err_t head_row_of(struct ctx *ctx, struct making *making, struct head_row *out,
                         bool *out_found)
{
    static const struct field fields[] = {
        FIELD(struct head_row, height, 1, INT64_MAX, 0),
        FIELD(struct head_row, size, 0, INT64_MAX, 0),
        FIELD_AS(struct head_row, at, "time_ms", 0, INT64_MAX, 0),
        FIELD_AS(struct head_row, is_signed, "signed", 0, 1, 0),
    };
    static const struct shape shape = SHAPE(struct head_row, fields);
    return db_find(
        ctx,
        "SELECT height, size, time_ms, signed FROM evidence_head WHERE log = $1 AND epoch = $2 AND "
        "height = $3",
        ARGS(A((int32_t)making->log), A(making->epoch), A((int64_t)making->last.height + 1)),
        &shape, out, out_found);
}

/* PostgreSQL: the size and time of the next head are a row before they are signed, so that whoever
 * leads later asks its own signer for the same text: one height never gets two texts. */
static err_t decide_head(struct ctx *ctx, void *arg)
{
    struct making *making = arg;
    struct head_row row = {0};
    bool found;
    int64_t holder = 0;
    TRY(db_int(ctx, "SELECT holder FROM evidence_lease WHERE id = 1 {for_update}", NO_ARGS,
               &holder));
    making->due = holder == making->evidence->holder;
    if (!making->due)
        return OK;
    TRY(head_row_of(ctx, making, &row, &found));
    if (found && !row.is_signed) {
        making->head.size = (uint64_t)row.size;
        making->head.time_ms = (uint64_t)row.at.ms;
    }
    making->due = !found || !row.is_signed;
    if (!making->due) {
        /* Another instance led meanwhile and has signed this height: load the state again. */
        pthread_mutex_lock(&making->evidence->lock);
        making->evidence->leading = false;
        pthread_mutex_unlock(&making->evidence->lock);
    }
    if (found)
        return OK;
    return db_exec_one(
        ctx,
        "INSERT INTO evidence_head (log, epoch, height, size, time_ms, signed, note) "
        "VALUES ($1, $2, $3, $4, $5, 0, '')",
        ARGS(A((int32_t)making->log), A(making->epoch), A(making->head.height),
             A(making->head.size), A(making->head.time_ms)));
}

static struct tree_source source_of(struct ctx *ctx, const struct making *making)
{
    return (struct tree_source){
        .ctx = ctx, .log = making->log, .epoch = making->epoch, .edge = &making->edge};
}

/* Root of the decided size and the proof from what the signer signed last. */
static err_t prove_head(struct ctx *ctx, void *arg)
{
    struct making *making = arg;
    struct tree_source source = source_of(ctx, making);
    TRY(source_root(&source, making->head.size, &making->head.root));
    return source_consistency(&source, making->last.size, making->head.size, making->path,
                              &making->path_count);
}

/* The signer may lag behind the database (another instance signed meanwhile, or its file was lost).
 */
struct adopting {
    struct making *making;
    uint64_t from;
    hash_t path[CONSISTENCY_MAX + 1];
    int path_count;
    str_t note;
};

static err_t prove_adoption(struct ctx *ctx, void *arg)
{
    struct adopting *adopting = arg;
    struct making *making = adopting->making;
    struct tree_source source = source_of(ctx, making);
    struct head_row row;
    bool found;
    TRY(head_newest(ctx, making->log, making->epoch, &row, &found));
    adopting->note = found ? row.note : STR("");
    return source_consistency(&source, adopting->from, (uint64_t)row.size, adopting->path,
                              &adopting->path_count);
}

static bool bring_signer_up(struct ctx *ctx, struct making *making, str_t *out_why)
{
    struct evidence *evidence = making->evidence;
    struct head_known known = {0};
    str_t note = STR("");
    if (!signer_state(ctx, evidence->signer_fd, making->head.origin, &note))
        return false;
    if (note.len > 0 && !head_of_note(ctx->arena, note, &known))
        return false;
    if (known.height >= making->last.height)
        return true;
    struct adopting *adopting = NEW(ctx, struct adopting);
    adopting->making = making;
    adopting->from = known.size;
    if (known.size > making->last.size ||
        db_read(ctx, evidence->platform->db, prove_adoption, adopting) != OK)
        return false;
    return signer_adopt(ctx, evidence->signer_fd, adopting->note, adopting->path,
                        adopting->path_count, out_why);
}

/* A note for the height asked for, perhaps of an earlier request whose answer was lost: then its
 * own size counts. */
static bool check_note(struct ctx *ctx, struct making *making)
{
    struct head_known *made = &making->made;
    if (!head_of_note(ctx->arena, making->note, made) || made->height != making->head.height)
        return false;
    if (made->size == making->head.size)
        return memcmp(&made->root, &making->head.root, sizeof made->root) == 0;
    hash_t asked = making->head.root;
    making->head.size = made->size;
    if (made->size > making->edge.size ||
        db_read(ctx, making->evidence->platform->db, prove_head, making) != OK)
        return false;
    bool same = memcmp(&made->root, &making->head.root, sizeof made->root) == 0;
    making->head.root = asked;
    return same;
}

static bool ask_signer(struct ctx *ctx, struct making *making)
{
    struct evidence *evidence = making->evidence;
    str_t why = STR("");
    if (!bring_signer_up(ctx, making, &why)) {
        log_problem(making, "signer_behind", why);
        return false;
    }
    if (!signer_sign(ctx, evidence->signer_fd, &making->head, making->path, making->path_count,
                     &making->note, &why)) {
        log_problem(making, "refused", why);
        return false;
    }
    if (!check_note(ctx, making)) {
        log_problem(making, "fork",
                    STR("the signer has signed another tree than this database holds"));
        pthread_mutex_lock(&evidence->lock);
        evidence->forked[making->log] = true;
        pthread_mutex_unlock(&evidence->lock);
        return false;
    }
    return true;
}

static void make_head(struct ctx *ctx, struct making *making)
{
    struct evidence *evidence = making->evidence;
    int64_t now = clock_now().ms;
    making->head = (struct head){.origin = str_of(evidence->origin[making->log]),
                                 .size = making->edge.size,
                                 .height = making->last.height + 1,
                                 .prev = making->last.text_hash};
    making->head.time_ms = (uint64_t)(now > making->last.time_ms ? now : making->last.time_ms);
    making->head.set = head_text_hash(STR("")); /* no members yet: the digest of an empty list */
    err_t err = OK;
    if (evidence->kind == DB_POSTGRES)
        err = db_write(ctx, evidence->platform->db, decide_head, making);
    if (err == OK && making->due)
        err = db_read(ctx, evidence->platform->db, prove_head, making);
    if (err != OK)
        log_problem(making, "database", str_of(ctx->problem.detail));
    making->ready = err == OK && making->due && ask_signer(ctx, making);
}

struct storing {
    struct making *making; /* of all logs */
    bool edge[LOG_COUNT + 1];
    int count; /* of what is to be stored */
};

static err_t store_head(struct ctx *ctx, const struct making *making)
{
    return db_exec(
        ctx,
        "INSERT INTO evidence_head (log, epoch, height, size, time_ms, signed, note) "
        "VALUES ($1, $2, $3, $4, $5, 1, $6) "
        "ON CONFLICT (log, epoch, height) DO UPDATE SET signed = 1, note = excluded.note, size "
        "= excluded.size, "
        "time_ms = excluded.time_ms WHERE evidence_head.signed = 0",
        ARGS(A((int32_t)making->log), A(making->epoch), A(making->made.height),
             A(making->made.size), A(making->made.time_ms), A(making->note)),
        NULL);
}

static err_t store_heads(struct ctx *ctx, void *arg)
{
    struct storing *storing = arg;
    for (int log = 1; log <= LOG_COUNT; log++) {
        if (storing->making[log].ready)
            TRY(store_head(ctx, &storing->making[log]));
        if (storing->edge[log])
            TRY(edge_store(ctx, log, storing->making[log].epoch, &storing->making[log].edge));
    }
    return OK;
}

/* What is to be made, of the state as it is now. The edge of a quiet log moves on with the others',
 * so that no start reads more than REPLAY_MAX entries and a round's. */
static void begin_round(struct evidence *evidence, struct storing *storing, int64_t now_ms)
{
    pthread_mutex_lock(&evidence->lock);
    for (int log = 1; log <= LOG_COUNT; log++) {
        struct making *making = &storing->making[log];
        making->evidence = evidence;
        making->log = log;
        making->epoch = evidence->epoch;
        making->due = head_is_due(evidence, log, now_ms);
        making->last = evidence->heads[log];
        edge_copy(&making->edge, &evidence->committed[log]);
        making->edge.position = evidence->position;
        storing->edge[log] = evidence->position - evidence->edge_stored[log] > REPLAY_MAX;
    }
    pthread_mutex_unlock(&evidence->lock);
}

static void end_round(struct evidence *evidence, const struct storing *storing)
{
    pthread_mutex_lock(&evidence->lock);
    for (int log = 1; log <= LOG_COUNT; log++) {
        const struct head_known *made = &storing->making[log].made;
        if (storing->making[log].ready && made->height > evidence->heads[log].height)
            evidence->heads[log] = *made;
        if (storing->edge[log])
            evidence->edge_stored[log] = storing->making[log].edge.position;
    }
    pthread_mutex_unlock(&evidence->lock);
}

/* One round over all logs; the signed heads are stored together. */
static void make_heads(struct evidence *evidence)
{
    struct ctx ctx;
    struct storing storing = {0};
    int64_t now_ms = clock_now().ms;
    ctx_init(&ctx, evidence->platform, (utc_t){now_ms});
    storing.making = NEW_ARRAY(&ctx, struct making, LOG_COUNT + 1);
    begin_round(evidence, &storing, now_ms);
    for (int log = 1; log <= LOG_COUNT; log++) {
        if (storing.making[log].due)
            make_head(&ctx, &storing.making[log]);
        storing.edge[log] = storing.edge[log] || storing.making[log].ready;
        storing.count += storing.edge[log];
    }
    err_t err =
        storing.count == 0 ? OK : db_write(&ctx, evidence->platform->db, store_heads, &storing);
    if (err == OK)
        end_round(evidence, &storing);
    else
        log_at(LOG_ERROR, "evidence_head", "what=store reason=%s", ctx.problem.reason);
    ctx_done(&ctx);
}

/* With the lock held: is there a head to make? */
static bool any_due(const struct evidence *evidence)
{
    if (evidence->kind == DB_POSTGRES && !evidence->leading)
        return false;
    bool due = false;
    for (int log = 1; log <= LOG_COUNT; log++)
        due = due || head_is_due(evidence, log, clock_now().ms);
    return due;
}

static void sleep_until(struct evidence *evidence, int64_t until_us)
{
    struct timespec until = {.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};
    pthread_cond_timedwait(&evidence->wake, &evidence->lock, &until);
}

void *maker_main(void *arg)
{
    struct evidence *evidence = arg;
    int64_t round_us = 0;
    pthread_mutex_lock(&evidence->lock);
    while (!evidence->stopping) {
        int64_t now_us = clock_monotonic_us();
        bool is_wanted = now_us < evidence->wanted_until_us;
        int64_t next_us =
            round_us + (is_wanted ? evidence->interval_ms : evidence->idle_interval_ms) * 1000;
        if (now_us < next_us || !any_due(evidence)) {
            sleep_until(evidence,
                        now_us < next_us ? next_us : now_us + evidence->idle_interval_ms * 1000);
            continue;
        }
        round_us = now_us;
        pthread_mutex_unlock(&evidence->lock);
        make_heads(evidence);
        pthread_mutex_lock(&evidence->lock);
    }
    pthread_mutex_unlock(&evidence->lock);
    return NULL;
}
