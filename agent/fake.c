/* SPDX-License-Identifier: Apache-2.0 */
/* The fake backend: resources that are rows, made after a delay by the clock. It behaves as a real
 * one must (a name made from the resource id, nothing made twice, what is there is adopted), and as
 * one may: an order's configuration can ask it to fail, to be slow, or to be short of capacity. */
#include <inttypes.h>
#include <stdio.h>

#include "agent.h"
#include "crypto/crypto.h"

enum { FAKE_MAKING = 1, FAKE_UP, FAKE_GONE };

struct fake {
    ref_t id;
    str_t name, spec_digest;
    int32_t state;
    utc_t created, ready_at;
};
static const struct field fake_fields[] = {
    FIELD_REF(struct fake, id, "ins", 0),
    FIELD(struct fake, name, 0, 100, 0),
    FIELD_BYTES(struct fake, spec_digest, 0, 32, 0),
    FIELD(struct fake, state, 0, 9, 0),
    FIELD(struct fake, created, 0, 0, 0),
    FIELD(struct fake, ready_at, 0, 0, 0),
};
static const struct shape fake_shape = SHAPE(struct fake, fake_fields);

struct work {
    ref_t id;
    str_t spec, digest;
    enum backend_result result;
    struct backend_status *status;
};

static err_t find(struct ctx *ctx, ref_t id, struct fake *out, bool *out_found)
{
    return db_find(
        ctx,
        "SELECT id, name, spec_digest, state, created, ready_at FROM fake_resource WHERE id = $1",
        ARGS(A(id)), &fake_shape, out, out_found);
}

/* {"config":{"fake":{"outcome":"fail|no_capacity|retry","delay_ms":n}}} of the order's item. */
static const struct json *wishes(struct ctx *ctx, str_t spec)
{
    const char *why;
    return json_get(json_get(json_parse_text(ctx->arena, spec, &why), "config"), "fake");
}

static err_t create(struct ctx *ctx, struct work *work)
{
    const struct json *fake = wishes(ctx, work->spec);
    str_t outcome = json_get_text(fake, "outcome");
    int64_t delay = json_get_int(fake, "delay_ms", agent_of(ctx)->config.delay_ms);
    if (str_is(outcome, "fail") || str_is(outcome, "no_capacity") || str_is(outcome, "retry")) {
        work->result = str_is(outcome, "fail")    ? BACKEND_INVALID
                       : str_is(outcome, "retry") ? BACKEND_RETRY
                                                  : BACKEND_NO_CAPACITY;
        snprintf(work->status->message, sizeof(work->status->message),
                 "the fake backend was asked for: " STR_FMT, STR_ARG(outcome));
        return OK;
    }
    str_t name = str_printf(ctx->arena, "fake-%" PRIx64, (uint64_t)work->id.value);
    work->result = BACKEND_PENDING;
    return db_exec_one(ctx,
                       "INSERT INTO fake_resource (id, name, spec_digest, state, created, "
                       "ready_at, ended_at) VALUES ($1, $2, $3, "
                       "1, $4, $5, 0)",
                       ARGS(A(work->id), A(name), A_BYTES(work->digest), A(ctx->now),
                            A(utc_add(ctx->now, delay))));
}

static err_t ensure_work(struct ctx *ctx, void *arg)
{
    struct work *work = arg;
    struct fake fake = {0};
    bool found = false;
    TRY(find(ctx, work->id, &fake, &found));
    if (!found)
        return create(ctx, work);
    if (!str_eq(fake.spec_digest, work->digest) || fake.state == FAKE_GONE) {
        work->result = BACKEND_CONFLICT;
        snprintf(work->status->message, sizeof(work->status->message),
                 "the name is taken by something else");
        return OK;
    }
    work->result = ctx->now.ms >= fake.ready_at.ms ? BACKEND_OK : BACKEND_PENDING;
    work->status->external_id = fake.name;
    work->status->started_at = fake.ready_at;
    if (work->result == BACKEND_PENDING || fake.state == FAKE_UP)
        return OK;
    return db_exec_one(ctx, "UPDATE fake_resource SET state = 2 WHERE id = $1 AND state = 1",
                       ARGS(A(work->id)));
}

static enum backend_result fake_ensure(struct ctx *ctx, ref_t resource, str_t spec,
                                       struct backend_status *out)
{
    uint8_t hash[SM3_BYTES];
    sm3(spec, hash);
    struct work work = {.id = resource,
                        .spec = spec,
                        .digest = str_dup(ctx->arena, str_from(hash, SM3_BYTES)),
                        .status = out};
    if (db_write(ctx, ctx->platform->db, ensure_work, &work) != OK) {
        problem_clear(ctx);
        return BACKEND_RETRY;
    }
    return work.result;
}

static err_t terminate_work(struct ctx *ctx, void *arg)
{
    struct work *work = arg;
    return db_exec(ctx,
                   "UPDATE fake_resource SET state = 3, ended_at = $1 WHERE id = $2 AND state <> 3",
                   ARGS(A(ctx->now), A(work->id)), NULL);
}

static enum backend_result fake_terminate(struct ctx *ctx, ref_t resource)
{
    struct work work = {.id = resource};
    if (db_write(ctx, ctx->platform->db, terminate_work, &work) != OK) {
        problem_clear(ctx);
        return BACKEND_RETRY;
    }
    return BACKEND_OK;
}

const struct backend fake_backend = {"fake", fake_ensure, fake_terminate};
