/* SPDX-License-Identifier: Apache-2.0 */
/* Job rows: every change is guarded by the status, and for a holder by the attempt it took, so a
 * holder whose lease ran out cannot disturb the one that follows it. The status moves by this
 * file's own SQL only. */
#include <string.h>

#include "job/job.h"

enum { JOB_ATTEMPTS_MAX = 40, JOB_ERROR_MAX = 500 };

static const struct field job_fields[] = {
    FIELD_REF(struct job, id, "job", 0),
    FIELD(struct job, kind, 0, INT32_MAX, 0),
    FIELD_AS(struct job, state, "status", 0, JOB_DEAD, 0),
    {.name = "subject_id",
     .type = FT_REF,
     .offset = offsetof(struct job, subject),
     .prefix = "obj"},
    {.name = "lane_id", .type = FT_REF, .offset = offsetof(struct job, lane), .prefix = "obj"},
    FIELD(struct job, payload, 0, INT32_MAX, 0),
    FIELD(struct job, due_at, 0, INT64_MAX, 0),
    FIELD(struct job, lease_until, 0, INT64_MAX, 0),
    FIELD(struct job, attempts, 0, INT32_MAX, 0),
    FIELD(struct job, last_error, 0, INT32_MAX, 0),
    FIELD(struct job, progress, 0, INT32_MAX, 0),
    FIELD(struct job, created_at, 0, INT64_MAX, 0),
};
static const struct shape job_shape = SHAPE(struct job, job_fields);

#define JOB_SELECT                                                                           \
    "SELECT id, kind, status, subject_id, lane_id, payload, due_at, lease_until, attempts, " \
    "last_error, progress, created_at FROM job_row j "

err_t job_schedule(struct ctx *ctx, int kind, ref_t subject, ref_t lane, str_t payload,
                   utc_t due_at, ref_t *out_id)
{
    ref_t id = id_make(ctx->platform->ids, ctx->now);
    TRY(db_exec_one(
        ctx,
        "INSERT INTO job_row (id, kind, status, subject_id, lane_id, payload, due_at, lease_until, "
        "attempts, "
        "last_error, progress, created_at) VALUES ($1, $2, 1, $3, $4, $5, $6, 0, 0, '', '', $7)",
        ARGS(A(id), A((int32_t)kind), A(subject), A(lane), A(payload), A(due_at), A(ctx->now))));
    if (out_id != NULL)
        *out_id = id;
    return OK;
}

err_t job_cancel(struct ctx *ctx, int kind, ref_t subject)
{
    return db_exec(ctx, "DELETE FROM job_row WHERE subject_id = $1 AND kind = $2 AND status = 1",
                   ARGS(A(subject), A((int32_t)kind)), NULL);
}

/* What is due of a kind: pending, or left behind by a holder that died; not while an earlier one of
 * its lane is open. */
#define JOB_NOT_BEHIND                                                                     \
    "(lane_id = 0 OR NOT EXISTS (SELECT 1 FROM job_row e WHERE e.lane_id = j.lane_id AND " \
    "e.lane_id > 0 AND e.status IN (1, 2) AND e.id < j.id)) "

/* Two walks along an index each, which end at the limit: one over both would sort all that is due.
 */
static err_t find_due(struct ctx *ctx, int kind, int limit, struct job **out, size_t *out_count)
{
    struct job *left, *pending;
    size_t left_count, pending_count;
    TRY(db_all(ctx,
               JOB_SELECT "WHERE kind = $1 AND status = 2 AND lease_until <= $2 AND " JOB_NOT_BEHIND
                          "ORDER BY lease_until, id LIMIT $3",
               ARGS(A((int32_t)kind), A(ctx->now), A((int32_t)limit)), &job_shape, &left,
               &left_count));
    TRY(db_all(ctx,
               JOB_SELECT "WHERE kind = $1 AND status = 1 AND due_at <= $2 AND " JOB_NOT_BEHIND
                          "ORDER BY due_at, id LIMIT $3",
               ARGS(A((int32_t)kind), A(ctx->now), A((int32_t)(limit - (int)left_count))),
               &job_shape, &pending, &pending_count));
    *out_count = left_count + pending_count;
    *out = left;
    if (left_count == 0)
        *out = pending;
    if (left_count == 0 || pending_count == 0)
        return OK;
    *out = NEW_ARRAY(ctx, struct job, *out_count);
    memcpy(*out, left, left_count * sizeof **out);
    memcpy(*out + left_count, pending, pending_count * sizeof **out);
    return OK;
}

err_t job_take(struct ctx *ctx, int kind, int64_t lease_ms, int limit, struct job **out,
               size_t *out_count)
{
    struct job *due;
    size_t count, taken = 0;
    utc_t until = utc_add(ctx->now, lease_ms);
    TRY(find_due(ctx, kind, limit, &due, &count));
    for (size_t i = 0; i < count; i++) {
        int64_t changed;
        TRY(db_exec(ctx,
                    "UPDATE job_row SET status = 2, lease_until = $1, attempts = attempts + 1 "
                    "WHERE id = $2 AND status = $3 AND attempts = $4 AND lease_until = $5",
                    ARGS(A(until), A(due[i].id), A(due[i].state), A(due[i].attempts),
                         A(due[i].lease_until)),
                    &changed));
        if (changed == 0)
            continue; /* another instance was first */
        due[taken] = due[i];
        due[taken].state = JOB_LEASED;
        due[taken].lease_until = until;
        due[taken++].attempts++;
    }
    *out = due;
    *out_count = taken;
    return OK;
}

err_t job_finish(struct ctx *ctx, ref_t id)
{
    return db_exec(ctx,
                   "UPDATE job_row SET status = 3, lease_until = 0, last_error = '' WHERE id = $1 "
                   "AND status IN (1, 2)",
                   ARGS(A(id)), NULL);
}

static str_t short_error(str_t error)
{
    while (error.len > JOB_ERROR_MAX || (error.len > 0 && !str_is_utf8(error)))
        error.len = error.len > JOB_ERROR_MAX ? JOB_ERROR_MAX : error.len - 1;
    return error;
}

err_t job_retry(struct ctx *ctx, const struct job *job, utc_t due_at, str_t error)
{
    if (job->attempts >= JOB_ATTEMPTS_MAX)
        return job_kill(ctx, job, error);
    return db_exec(ctx,
                   "UPDATE job_row SET status = 1, due_at = $1, lease_until = 0, last_error = $2 "
                   "WHERE id = $3 AND status = 2 AND attempts = $4",
                   ARGS(A(due_at), A(short_error(error)), A(job->id), A(job->attempts)), NULL);
}

err_t job_kill(struct ctx *ctx, const struct job *job, str_t error)
{
    return db_exec(ctx,
                   "UPDATE job_row SET status = 4, lease_until = 0, last_error = $1 "
                   "WHERE id = $2 AND status IN (1, 2) AND attempts = $3",
                   ARGS(A(short_error(error)), A(job->id), A(job->attempts)), NULL);
}

err_t job_revive(struct ctx *ctx, ref_t id)
{
    int64_t changed;
    TRY(db_exec(ctx,
                "UPDATE job_row SET status = 1, due_at = $1, lease_until = 0, attempts = 0 "
                "WHERE id = $2 AND status IN (1, 4)",
                ARGS(A(ctx->now), A(id)), &changed));
    if (changed == 0)
        return refuse(ctx, ERR_STATE, "illegal_transition", "the job is neither waiting nor dead");
    return OK;
}

err_t job_load(struct ctx *ctx, ref_t id, struct job *out)
{
    return db_one(ctx, JOB_SELECT "WHERE id = $1", ARGS(A(id)), &job_shape, out);
}

err_t job_find_by_subject(struct ctx *ctx, int kind, ref_t subject, struct job *out,
                          bool *out_found)
{
    return db_find(ctx, JOB_SELECT "WHERE subject_id = $1 AND kind = $2 ORDER BY id DESC LIMIT 1",
                   ARGS(A(subject), A((int32_t)kind)), &job_shape, out, out_found);
}

err_t job_find_many(struct ctx *ctx, int kind, const int64_t *subjects, size_t count,
                    struct job *out, bool *out_found)
{
    struct job *rows;
    size_t found;
    TRY(db_all(ctx, JOB_SELECT "WHERE subject_id IN ({ids}) AND kind = $2 ORDER BY id LIMIT 2000",
               ARGS(A_IDS(subjects, count), A((int32_t)kind)), &job_shape, &rows, &found));
    for (size_t i = 0; i < count; i++)
        out_found[i] = false;
    for (size_t k = 0; k < found; k++) /* rising ids: the newest stays */
        for (size_t i = 0; i < count; i++)
            if (rows[k].subject.value == subjects[i]) {
                out[i] = rows[k];
                out_found[i] = true;
            }
    return OK;
}

err_t job_list(struct ctx *ctx, int kind, int state, ref_t before, int limit, struct job **out,
               size_t *out_count)
{
    int64_t below = before.value == 0 ? INT64_MAX : before.value;
    if (state == 0)
        return db_all(ctx, JOB_SELECT "WHERE kind = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
                      ARGS(A((int32_t)kind), A(below), A((int32_t)limit)), &job_shape, out,
                      out_count);
    return db_all(
        ctx, JOB_SELECT "WHERE kind = $1 AND status = $2 AND id < $3 ORDER BY id DESC LIMIT $4",
        ARGS(A((int32_t)kind), A((int32_t)state), A(below), A((int32_t)limit)), &job_shape, out,
        out_count);
}

err_t job_count(struct ctx *ctx, int kind, int state, int64_t *out)
{
    *out = 0;
    return db_int(ctx, "SELECT count(*) FROM job_row WHERE kind = $1 AND status = $2",
                  ARGS(A((int32_t)kind), A((int32_t)state)), out);
}

err_t job_next_due(struct ctx *ctx, int kind, utc_t *out)
{
    int64_t pending = 0, leased = 0;
    TRY(db_int(ctx,
               "SELECT due_at FROM job_row j WHERE kind = $1 AND status = 1 AND " JOB_NOT_BEHIND
               "ORDER BY due_at LIMIT 1",
               ARGS(A((int32_t)kind)), &pending));
    TRY(db_int(ctx, "SELECT min(lease_until) FROM job_row WHERE kind = $1 AND status = 2",
               ARGS(A((int32_t)kind)), &leased));
    *out = (utc_t){leased == 0 || (pending != 0 && pending < leased) ? pending : leased};
    return OK;
}

err_t job_progress(struct ctx *ctx, const struct job *job, str_t progress, utc_t lease_until)
{
    int64_t changed;
    TRY(db_exec(ctx,
                "UPDATE job_row SET progress = $1, lease_until = $2 WHERE id = $3 AND status = 2 "
                "AND attempts = $4",
                ARGS(A(progress), A(lease_until), A(job->id), A(job->attempts)), &changed));
    if (changed == 0)
        return refuse(ctx, ERR_STATE, "lease_lost", "another holder has taken the job over");
    return OK;
}

err_t job_forget_done(struct ctx *ctx, utc_t before, int64_t *out_count)
{
    return db_exec(ctx, "DELETE FROM job_row WHERE status = 3 AND id < $1",
                   ARGS(A(id_floor(before))), out_count);
}
