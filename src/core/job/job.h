/* SPDX-License-Identifier: Apache-2.0 */
/* Durable timers and deliveries: a row says what is due when; whoever holds the row's lease runs
 * it. A crash at any point leaves a row that runs again. */
#ifndef SUANHE_JOB_H
#define SUANHE_JOB_H

#include "base/base.h"
#include "db/db.h"

enum job_state { JOB_PENDING = 1, JOB_LEASED = 2, JOB_DONE = 3, JOB_DEAD = 4 };
enum job_kind {
    JOB_ORDER_PAY_TIMEOUT = 1,
    JOB_ORDER_SILENCE = 2,
    JOB_ORDER_DELIVERY = 3,
    JOB_PRODUCT_BATCH = 4,
    JOB_CLEAN = 5,
    JOB_ITEM_SETTLE = 6
};

struct job {
    ref_t id;
    int32_t kind, state;
    ref_t subject; /* order, endpoint, operation */
    ref_t lane;    /* jobs of one lane run one at a time, in id order; none: on its own */
    str_t payload; /* JSON */
    utc_t due_at, lease_until;
    int32_t attempts;
    str_t last_error;
    str_t progress; /* JSON */
    utc_t created_at;
};

/* Inside a write transaction. */
err_t job_schedule(struct ctx *ctx, int kind, ref_t subject, ref_t lane, str_t payload,
                   utc_t due_at, ref_t *out_id);
/* Puts off every pending job of the kind and subject (the matter is settled). */
err_t job_cancel(struct ctx *ctx, int kind, ref_t subject);
/* Up to limit due jobs, leased to this process until now + lease_ms; within a lane only the first.
 */
err_t job_take(struct ctx *ctx, int kind, int64_t lease_ms, int limit, struct job **out,
               size_t *out_count);
err_t job_finish(struct ctx *ctx, ref_t id);
/* Due again later; after the last attempt it is dead. */
err_t job_retry(struct ctx *ctx, const struct job *job, utc_t due_at, str_t error);
/* Notes how far a long job is and holds it longer; refuses `lease_lost` when another holder took it
 * over. */
err_t job_progress(struct ctx *ctx, const struct job *job, str_t progress, utc_t lease_until);
err_t job_kill(struct ctx *ctx, const struct job *job, str_t error);
err_t job_revive(struct ctx *ctx, ref_t id); /* dead or waiting: due now, attempts 0 */
err_t job_load(struct ctx *ctx, ref_t id, struct job *out);
err_t job_find_by_subject(struct ctx *ctx, int kind, ref_t subject, struct job *out,
                          bool *out_found);
/* The newest job of each subject, by index; for pages that show many. One query. */
err_t job_find_many(struct ctx *ctx, int kind, const int64_t *subjects, size_t count,
                    struct job *out, bool *out_found);
err_t job_list(struct ctx *ctx, int kind, int state, ref_t before, int limit, struct job **out,
               size_t *out_count);
err_t job_count(struct ctx *ctx, int kind, int state, int64_t *out);
/* Deletes what was done of jobs made before. */
err_t job_forget_done(struct ctx *ctx, utc_t before, int64_t *out_count);
/* When the next pending job of this kind is due; {0} when none. */
err_t job_next_due(struct ctx *ctx, int kind, utc_t *out);

/* Runs handlers on a thread: polls due jobs of each kind and hands them over. */
struct job_handler {
    int kind;
    /* Runs outside a transaction; finishes or retries the job itself. */
    void (*run)(struct ctx *ctx, const struct job *job, void *state);
    void *state;
};
struct job_runner;
struct job_runner *job_start(struct platform *platform, const struct job_handler *handlers,
                             int count, int threads);
void job_poke(struct job_runner *runner);
void job_stop(struct job_runner *runner);

#endif
