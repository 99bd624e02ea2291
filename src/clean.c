/* SPDX-License-Identifier: Apache-2.0 */
/* Housekeeping: once an hour what nobody needs any more is forgotten. A durable job like any other,
 * so it goes on after a restart and runs on one instance at a time. */
#include "catalog/catalog.h"
#include "job/job.h"
#include "server.h"

enum { CLEAN_EVERY_MS = MS_HOUR, JOBS_KEPT_MS = 7 * MS_DAY };

static err_t plan(struct ctx *ctx, utc_t due_at)
{
    return job_schedule(ctx, JOB_CLEAN, REF_NONE, REF_NONE, STR("{}"), due_at, NULL);
}

err_t clean_plan(struct ctx *ctx)
{
    int64_t waiting = 0, running = 0;
    TRY(job_count(ctx, JOB_CLEAN, JOB_PENDING, &waiting));
    TRY(job_count(ctx, JOB_CLEAN, JOB_LEASED, &running));
    return waiting + running > 0 ? OK : plan(ctx, utc_add(ctx->now, CLEAN_EVERY_MS));
}

static err_t clean(struct ctx *ctx, void *arg)
{
    const struct job *job = arg;
    int64_t forgotten;
    TRY(catalog_clean(ctx));
    TRY(job_forget_done(ctx, utc_add(ctx->now, -(int64_t)JOBS_KEPT_MS), &forgotten));
    TRY(job_finish(ctx, job->id));
    return plan(ctx, utc_add(ctx->now, CLEAN_EVERY_MS));
}

void clean_run(struct ctx *ctx, const struct job *job, void *state)
{
    struct job copy = *job;
    (void)state;
    if (db_write(ctx, ctx->platform->db, clean, &copy) != OK)
        log_at(LOG_WARN, "clean_failed", "reason=%s", ctx->problem.reason);
}
