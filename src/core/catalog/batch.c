/* SPDX-License-Identifier: Apache-2.0 */
/* Many reported products at once: the batch is kept, a job works it off row by row, each row in its
 * own transaction with the batch's progress, so that a crash goes on where it stood. */
#include "catalog_internal.h"
#include "job/job.h"

static const struct field batch_fields[] = {
    FIELD_REF(struct product_batch, id, "opn", 0),
    FIELD_REF(struct product_batch, store_id, "sto", 0),
    FIELD_REF(struct product_batch, client_id, "cli", 0),
    FIELD_REF(struct product_batch, org_id, "org", 0),
    FIELD(struct product_batch, status, 1, 4, 0),
    FIELD(struct product_batch, done, 0, 500, 0),
    FIELD(struct product_batch, total, 1, 500, 0),
    FIELD(struct product_batch, accepted, 0, 500, 0),
    FIELD_JSON(struct product_batch, rejected, 1 << 20, 0),
    FIELD_JSON(struct product_batch, products, 1 << 20, 0),
    FIELD(struct product_batch, created_at, 0, 0, 0),
    FIELD(struct product_batch, updated_at, 0, 0, 0),
};
static const struct shape batch_shape = SHAPE(struct product_batch, batch_fields);

err_t catalog_batch_open(struct ctx *ctx, ref_t store, str_t products, size_t count, ref_t *out_id)
{
    ref_t id = id_make(ctx->platform->ids, ctx->now);
    TRY(db_exec(ctx,
                "INSERT INTO catalog_batch (id, store_id, client_id, org_id, status, done, total,"
                " accepted, rejected, products, created_at, updated_at)"
                " VALUES ($1, $2, $3, $4, 1, 0, $5, 0, '', $6, $7, $7)",
                ARGS(A(id), A(store), A(ctx->actor.client_id), A(ctx->actor.org_id),
                     A((int64_t)count), A(products), A(ctx->now)),
                NULL));
    *out_id = id;
    return job_schedule(ctx, JOB_PRODUCT_BATCH, id, store, STR("{}"), ctx->now, NULL);
}

static err_t load_batch(struct ctx *ctx, ref_t id, struct product_batch *out)
{
    return db_one(ctx,
                  "SELECT id, store_id, client_id, org_id, status, done, total, accepted, rejected,"
                  " products, created_at, updated_at FROM catalog_batch WHERE id = $1",
                  ARGS(A(id)), &batch_shape, out);
}

err_t catalog_batch_load(struct ctx *ctx, ref_t store, ref_t id, struct product_batch *out)
{
    TRY(load_batch(ctx, id, out));
    if (!ref_is(out->store_id, store))
        return refuse(ctx, ERR_NOT_FOUND, "not_found", "no such operation");
    return OK;
}

struct row_work {
    ref_t batch;
    struct product_batch row;
    size_t index;
    str_t refusal; /* empty: the row is reported; else it is written down as rejected */
};

static err_t read_batch(struct ctx *ctx, void *arg)
{
    struct row_work *work = arg;
    return load_batch(ctx, work->batch, &work->row);
}

static err_t report_row(struct ctx *ctx, const struct row_work *work)
{
    const struct json *json;
    struct product_report in = {0};
    struct product_reported out = {0};
    TRY(json_parse(ctx, work->row.products, &json));
    TRY(shape_read(ctx, &product_row_shape, json_at(json, work->index), &in));
    return catalog_report(ctx, work->row.store_id, in.external_product_id, &in, &out);
}

/* The guard on `done` keeps a row from being counted twice. */
static err_t write_row(struct ctx *ctx, void *arg)
{
    const struct row_work *work = arg;
    bool accepted = work->refusal.len == 0;
    if (accepted)
        TRY(report_row(ctx, work));
    int32_t done = (int32_t)work->index + 1;
    return db_exec_one(
        ctx,
        "UPDATE catalog_batch SET done = $2, accepted = accepted + $3, status = $4,"
        " rejected = CASE WHEN rejected = '' OR CAST($5 AS TEXT) = '' THEN rejected ELSE"
        " rejected || ',' END || CAST($5 AS TEXT), updated_at = $6 WHERE id = $1 AND done = $2 - 1",
        ARGS(A(work->batch), A(done), A(accepted ? 1 : 0), A(done == work->row.total ? 3 : 2),
             A(work->refusal), A(ctx->now)));
}

static str_t refusal_text(struct ctx *ctx, size_t index)
{
    struct buf text;
    struct jw w;
    buf_init(&text, ctx->arena, 4096);
    jw_init(&w, &text);
    jw_object(&w);
    jw_put_int(&w, "index", (int64_t)index);
    jw_put_text(&w, "code", str_of(ctx->problem.reason ? ctx->problem.reason : "internal"));
    jw_put_text(&w, "detail", str_dup(ctx->arena, str_of(ctx->problem.detail)));
    if (ctx->problem.error_count)
        jw_put_text(&w, "pointer", ctx->problem.errors[0].pointer);
    jw_end_object(&w);
    return buf_str(&text);
}

static err_t work_row(struct ctx *ctx, struct row_work *work)
{
    work->refusal = STR("");
    err_t err = db_write(ctx, ctx->platform->db, write_row, work);
    if (err == OK || err == ERR_INTERNAL || err == ERR_UPSTREAM || err == ERR_AGAIN)
        return err;
    work->refusal = refusal_text(ctx, work->index);
    problem_clear(ctx);
    return db_write(ctx, ctx->platform->db, write_row, work);
}

static err_t finish_job(struct ctx *ctx, void *arg)
{
    const struct job *job = arg;
    return job_finish(ctx, job->id);
}

static err_t retry_job(struct ctx *ctx, void *arg)
{
    const struct job *job = arg;
    return job_retry(ctx, job, utc_add(ctx->now, 5 * MS_SECOND), STR("database"));
}

void catalog_batch_run(struct ctx *ctx, const struct job *job, void *state)
{
    (void)state;
    struct row_work work = {.batch = job->subject};
    struct job copy = *job;
    err_t err = db_read(ctx, ctx->platform->db, read_batch, &work);
    ctx->actor = (struct actor){.client_id = work.row.client_id, .org_id = work.row.org_id};
    for (work.index = (size_t)work.row.done; err == OK && work.index < (size_t)work.row.total;
         work.index++)
        err = work_row(ctx, &work);
    if (err != OK)
        problem_clear(ctx);
    err = db_write(ctx, ctx->platform->db, err == OK ? finish_job : retry_job, &copy);
    if (err != OK)
        log_at(LOG_WARN, "product_batch", "job=%" PRId64 " error=%s", job->id.value, err_name(err));
}
