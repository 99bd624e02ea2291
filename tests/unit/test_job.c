/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: due ones are taken once, one of a lane at a time and in order; a lease that ran out lets
 * another holder go on, and the first holder then changes nothing any more. */
#include "evidence_support.h"

enum { KIND = JOB_ORDER_DELIVERY, LEASE = 1000 };

struct doing {
    enum {
        SCHEDULE,
        CANCEL,
        TAKE,
        FINISH,
        RETRY,
        KILL,
        REVIVE,
        LOAD,
        NEXT,
        LIST,
        FIND,
        PROGRESS,
        FORGET
    } what;
    ref_t id, subject, lane;
    int64_t at, n;
    int kind;
    struct job *jobs, job;
    size_t count;
    bool found;
};
static err_t act(struct ctx *ctx, void *arg)
{
    struct doing *d = arg;
    utc_t next = {0};
    switch (d->what) {
    case SCHEDULE:
        return job_schedule(ctx, d->kind ? d->kind : KIND, d->subject, d->lane, STR("{\"a\":1}"),
                            (utc_t){d->at}, &d->id);
    case CANCEL:
        return job_cancel(ctx, KIND, d->subject);
    case TAKE:
        return job_take(ctx, KIND, LEASE, 10, &d->jobs, &d->count);
    case FINISH:
        return job_finish(ctx, d->id);
    case RETRY:
        return job_retry(ctx, &d->job, (utc_t){d->at}, STR("no answer"));
    case KILL:
        return job_kill(ctx, &d->job, STR("refused"));
    case REVIVE:
        return job_revive(ctx, d->id);
    case LOAD:
        return job_load(ctx, d->id, &d->job);
    case NEXT:
        TRY(job_next_due(ctx, KIND, &next));
        d->at = next.ms;
        return OK;
    case LIST:
        return job_list(ctx, KIND, (int)d->n, REF_NONE, 100, &d->jobs, &d->count);
    case FIND:
        return job_find_by_subject(ctx, KIND, d->subject, &d->job, &d->found);
    case PROGRESS:
        return job_progress(ctx, &d->job, STR("{\"done\":1}"), (utc_t){d->at});
    case FORGET:
        return job_forget_done(ctx, (utc_t){d->at}, &d->n);
    }
    return ERR_INTERNAL;
}

static struct doing run(struct world *world, struct doing doing)
{
    assert_ok(world, WRITE(world, act, &doing));
    return doing;
}
static ref_t given_job(struct world *world, int64_t subject, int64_t lane, int64_t at)
{
    return run(world,
               (struct doing){.what = SCHEDULE, .subject = {subject}, .lane = {lane}, .at = at})
        .id;
}
static struct doing take_at(struct world *world, int64_t now)
{
    world->ctx.now.ms = now;
    return run(world, (struct doing){.what = TAKE});
}
static struct job loaded(struct world *world, ref_t id)
{
    return run(world, (struct doing){.what = LOAD, .id = id}).job;
}

static void a_job_is_taken_when_due_and_only_once(struct world *world)
{
    int64_t now = world->ctx.now.ms;
    ref_t early = given_job(world, 1, 0, now + 10);
    given_job(world, 2, 0, now + 500);
    assert_int_equal(take_at(world, now).count, 0);
    assert_int_equal(run(world, (struct doing){.what = NEXT}).at, now + 10);
    struct doing taken = take_at(world, now + 10);
    assert_int_equal(taken.count, 1);
    assert_true(ref_is(taken.jobs[0].id, early));
    assert_int_equal(taken.jobs[0].attempts, 1);
    assert_true(str_is(taken.jobs[0].payload, "{\"a\":1}"));
    assert_int_equal(take_at(world, now + 11).count, 0);
    run(world, (struct doing){.what = FINISH, .id = early});
    assert_int_equal(loaded(world, early).state, JOB_DONE);
    assert_int_equal(run(world, (struct doing){.what = FORGET, .at = now + 100000}).n, 1);
}

static void one_of_a_lane_runs_at_a_time_in_order(struct world *world)
{
    int64_t now = world->ctx.now.ms;
    ref_t first = given_job(world, 1, 9, now + 100), second = given_job(world, 2, 9, now);
    ref_t other = given_job(world, 3, 10, now);
    struct doing taken = take_at(world, now);
    /* The second is due, the first of its lane is not: the lane waits. */
    assert_int_equal(taken.count, 1);
    assert_true(ref_is(taken.jobs[0].id, other));
    assert_int_equal(run(world, (struct doing){.what = NEXT}).at, now + 100);
    taken = take_at(world, now + 100);
    assert_int_equal(taken.count, 1);
    assert_true(ref_is(taken.jobs[0].id, first));
    assert_int_equal(take_at(world, now + 101).count, 0);
    run(world, (struct doing){.what = RETRY, .job = taken.jobs[0], .at = now + 300});
    assert_int_equal(take_at(world, now + 200).count, 0);
    taken = take_at(world, now + 300);
    assert_int_equal(taken.count, 1);
    assert_int_equal(taken.jobs[0].attempts, 2);
    run(world, (struct doing){.what = FINISH, .id = first});
    taken = take_at(world, now + 301);
    assert_true(taken.count == 1 && ref_is(taken.jobs[0].id, second));
}

static void a_dead_job_lets_its_lane_go_on_and_can_be_revived(struct world *world)
{
    int64_t now = world->ctx.now.ms;
    ref_t first = given_job(world, 1, 9, now), second = given_job(world, 2, 9, now);
    struct doing taken = take_at(world, now);
    run(world, (struct doing){.what = KILL, .job = taken.jobs[0]});
    struct job dead = loaded(world, first);
    assert_int_equal(dead.state, JOB_DEAD);
    assert_true(str_is(dead.last_error, "refused"));
    taken = take_at(world, now);
    assert_true(taken.count == 1 && ref_is(taken.jobs[0].id, second));
    run(world, (struct doing){.what = FINISH, .id = second});
    assert_int_equal(run(world, (struct doing){.what = LIST, .n = JOB_DEAD}).count, 1);
    run(world, (struct doing){.what = REVIVE, .id = first});
    taken = take_at(world, now);
    assert_true(taken.count == 1 && ref_is(taken.jobs[0].id, first));
    assert_int_equal(taken.jobs[0].attempts, 1);
    struct doing again = {.what = REVIVE, .id = second};
    assert_refused(world, WRITE(world, act, &again), "illegal_transition");
}

static void a_lease_that_ran_out_is_taken_over_and_its_first_holder_is_ignored(struct world *world)
{
    int64_t now = world->ctx.now.ms;
    ref_t id = given_job(world, 1, 9, now);
    struct job slow = take_at(world, now).jobs[0];
    assert_int_equal(run(world, (struct doing){.what = NEXT}).at, now + LEASE);
    assert_int_equal(take_at(world, now + LEASE - 1).count, 0);
    struct doing taken = take_at(world, now + LEASE);
    assert_int_equal(taken.count, 1);
    assert_int_equal(taken.jobs[0].attempts, 2);
    run(world, (struct doing){.what = RETRY, .job = slow, .at = now});
    run(world, (struct doing){.what = KILL, .job = slow});
    struct doing progress = {.what = PROGRESS, .job = slow, .at = now};
    assert_refused(world, WRITE(world, act, &progress), "lease_lost");
    assert_int_equal(loaded(world, id).state, JOB_LEASED);
    run(world, (struct doing){.what = PROGRESS, .job = taken.jobs[0], .at = now + 9000});
    assert_int_equal(loaded(world, id).lease_until.ms, now + 9000);
    assert_true(str_is(loaded(world, id).progress, "{\"done\":1}"));
}

static void a_cancelled_timer_never_comes(struct world *world)
{
    int64_t now = world->ctx.now.ms;
    given_job(world, 1, 0, now);
    given_job(world, 2, 0, now);
    run(world, (struct doing){.what = CANCEL, .subject = {1}});
    assert_false(run(world, (struct doing){.what = FIND, .subject = {1}}).found);
    assert_true(run(world, (struct doing){.what = FIND, .subject = {2}}).found);
    assert_int_equal(take_at(world, now).count, 1);
}

/* ---- the runner ---- */
static _Atomic int ran, running, crowded;
static err_t finish_it(struct ctx *ctx, void *arg)
{
    const struct job *job = arg;
    return job->attempts < 2 ? job_retry(ctx, job, ctx->now, STR("once more"))
                             : job_finish(ctx, job->id);
}
static void run_job(struct ctx *ctx, const struct job *job, void *state)
{
    struct job copy = *job;
    (void)state;
    if (job->lane.value != 0 && ++running > 1)
        crowded++;
    usleep(2000);
    if (job->lane.value != 0)
        running--;
    if (job->attempts == 2)
        ran++;
    if (db_write(ctx, ctx->platform->db, finish_it, &copy) != OK)
        crowded++;
}

static void the_runner_runs_what_falls_due(struct world *world)
{
    ran = running = crowded = 0;
    struct job_handler handler = {.kind = KIND, .run = run_job};
    for (int i = 0; i < 10; i++)
        given_job(world, i + 1, i < 5 ? 4 : 0, world->ctx.now.ms + i * 10);
    struct job_runner *runner = job_start(&world->platform, &handler, 1, 3);
    for (int i = 0; ran < 10; i++) {
        assert_true(i < 2000);
        usleep(5000);
    }
    job_poke(runner);
    job_stop(runner);
    assert_int_equal(crowded, 0);
    assert_int_equal(number_of(world, "SELECT count(*) FROM job_row WHERE status = 3"), 10);
}

#define EACH_TEST(X)                                                      \
    X(a_job_is_taken_when_due_and_only_once)                              \
    X(one_of_a_lane_runs_at_a_time_in_order)                              \
    X(a_dead_job_lets_its_lane_go_on_and_can_be_revived)                  \
    X(a_lease_that_ran_out_is_taken_over_and_its_first_holder_is_ignored) \
    X(a_cancelled_timer_never_comes)                                      \
    X(the_runner_runs_what_falls_due)

int main(void)
{
    const struct CMUnitTest sqlite[] = {EACH_TEST(ON_SQLITE)};
    const struct CMUnitTest pg[] = {EACH_TEST(ON_PG)};
    log_set_level(LOG_ERROR);
    int failed = cmocka_run_group_tests_name("sqlite", sqlite, NULL, NULL);
    if (getenv("SUANHE_TEST_PG") != NULL)
        failed += cmocka_run_group_tests_name("postgresql", pg, NULL, NULL);
    return failed;
}
