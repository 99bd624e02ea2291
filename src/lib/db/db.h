/* SPDX-License-Identifier: Apache-2.0 */
/* One interface to SQLite and PostgreSQL. SQL is a constant with $1.. parameters; the same text
 * runs on both.
 *
 * Dialect helpers expanded by lib/db, once per statement: `{for_update}` (nothing on SQLite) and
 * `IN ({ids})` (also NOT IN; filled from A_IDS, any number of ids, the same statement). Casts only
 * as CAST($1 AS BIGINT). A statement is cached per connection by the address of its text and
 * confirmed by the text itself, so a text on the stack is right but slow.
 *
 * Transactions. SQLite has one writer: db_write queues work to a writer thread that runs each piece
 * in its own savepoint inside one transaction, commits once (synchronous=FULL) and only then
 * answers all of them. On PostgreSQL a pool of workers each run their own transaction (READ
 * COMMITTED), repeating it on ERR_AGAIN, deadlock or serialisation failure. A work function is
 * therefore plain and synchronous, may be run more than once, and does only SQL and reply building.
 *
 * After a refused statement the piece can only fail, on both engines: PostgreSQL has aborted the
 * transaction by then. Further statements refuse with `db_transaction_broken`, and returning OK
 * does too. Where a duplicate is no failure, write INSERT ... ON CONFLICT DO NOTHING and look at
 * the changed rows; where it has a better name, refuse with that. (A missing row, `not_found`, is
 * no refused statement.) */
#ifndef SUANHE_DB_H
#define SUANHE_DB_H

#include "base/base.h"

struct db;
struct db_tx;

enum db_kind { DB_SQLITE, DB_POSTGRES };

struct db_options {
    str_t url;     /* "sqlite:PATH", "sqlite::memory:" (tests), or "postgresql://..." */
    int readers;   /* read connections; 0: 4 */
    int writers;   /* PostgreSQL write workers; 0: 8. SQLite has one */
    int queue_max; /* pieces waiting to be written; 0: 4096. Beyond it db_write_async refuses */
    const char *sql_dir; /* migrations from this folder instead of those embedded; NULL: embedded */
};

/* Opens without migrating. Failure: refuses in ctx->problem with a message for the operator
 * (`db_open_failed`, `db_damaged`, `db_newer`: names the version that wrote it). */
err_t db_open(struct ctx *ctx, const struct db_options *options, struct db **out_db);
/* Waits for queued work, then closes. */
void db_close(struct db *db);
enum db_kind db_kind(const struct db *db);

/* Applies what is missing of the migrations, in order; an applied file that was edited or is
 * missing refuses
 * (`migration_changed`). Before changing a database that holds data, SQLite keeps a copy beside it
 * (PATH.before-NNNN). */
err_t db_migrate(struct ctx *ctx, struct db *db, int *out_applied);
/* Refuses unless the schema is exactly what this program knows. */
err_t db_check_schema(struct ctx *ctx, struct db *db);
/* Consistent copy of a running SQLite database into a new file; PostgreSQL: refuses
 * (`use_pg_dump`). */
err_t db_backup(struct ctx *ctx, struct db *db, const char *path);

/* ---- work ---- */
typedef err_t (*db_work_fn)(struct ctx *ctx, void *arg);

/* Runs fn in a read transaction on the calling thread (ctx->tx is set meanwhile): one moment of the
 * database, both engines; a write refuses with `db_read_only`. Inside a transaction it joins that
 * one. It may wait for a free connection, so a thread must not write, or read with another context,
 * from within fn. */
err_t db_read(struct ctx *ctx, struct db *db, db_work_fn fn, void *arg);
/* Runs fn in a write transaction and returns when it is durable, or rolled back with fn's refusal.
 * Not to be called from inside a transaction, nor on a thread of lib/db (from `done` use
 * db_write_async): the process stops. Each run starts with ctx->problem and ctx->facts cleared;
 * what fn allocated stays. A full queue refuses with 503 `queue_full`. Storage that fails:
 * ERR_INTERNAL `storage_failed` or `disk_full`; a database out of reach: ERR_UPSTREAM
 * `database_unavailable` (on PostgreSQL a commit may have succeeded all the same: repeat under the
 * same idempotency key). */
err_t db_write(struct ctx *ctx, struct db *db, db_work_fn fn, void *arg);
/* The same without waiting: done(ctx, arg, result) is called on a thread of lib/db after the commit
 * (or rollback). false: the queue is full, nothing was taken. ctx and arg stay the caller's until
 * done. */
bool db_write_async(struct ctx *ctx, struct db *db, db_work_fn fn, void *arg,
                    void (*done)(struct ctx *ctx, void *arg, err_t result));
/* Pieces waiting, and the last commits' figures, for /metrics. */
struct db_stats {
    int64_t queue_depth, commits, pieces, commit_us_total, commit_us_max, repeated, failed;
};
void db_stats(struct db *db, struct db_stats *out);

/* A module may take part in every write transaction of this process (core/evidence numbers its
 * entries there). SQLite: `before_commit(state, members, count)` runs once per batch on the writer
 * thread, after all pieces, with the contexts whose pieces succeeded, in order, and an open
 * transaction in members[0]->tx; `after(state, committed)` once after each before_commit, as soon
 * as the commit is decided, and never without one. PostgreSQL: the same, with count 1, on the
 * worker, several at a time. A failing before_commit rolls all back; on SQLite the pieces then run
 * again one by one, and one that fails so is answered with the problem of its before_commit. When
 * every piece was refused there is nothing to commit and nobody is asked. One participant per
 * database, set before the first write. */
struct db_participant {
    void *state;
    err_t (*before_commit)(void *state, struct ctx **members, int count);
    void (*after)(void *state, bool committed);
};
void db_set_participant(struct db *db, const struct db_participant *participant);

/* Fault injection for tests: the nth call of db_one.. db_exec and commit from now on fails once
 * with an I/O error (0: off; a batch whose commit fails runs again singly, so that one may not be
 * seen). Returns calls counted since the last set. */
int64_t db_fail_nth(struct db *db, int64_t n);

/* ---- statements; each needs an open ctx->tx ---- */
enum db_arg_type { DB_NULL, DB_INT, DB_TEXT, DB_BYTES, DB_IDS };
struct db_arg {
    enum db_arg_type type;
    int64_t number;
    str_t text;
    const int64_t *ids;
    size_t id_count;
};
struct db_args {
    const struct db_arg *arg;
    int count;
};
static inline struct db_arg db_arg_int(int64_t v)
{
    return (struct db_arg){.type = DB_INT, .number = v};
}
static inline struct db_arg db_arg_i32(int32_t v)
{
    return db_arg_int(v);
}
static inline struct db_arg db_arg_bool(bool v)
{
    return db_arg_int(v ? 1 : 0);
}
static inline struct db_arg db_arg_ref(ref_t v)
{
    return db_arg_int(v.value);
}
static inline struct db_arg db_arg_utc(utc_t v)
{
    return db_arg_int(v.ms);
}
static inline struct db_arg db_arg_money(money_t v)
{
    return db_arg_int(v.fen);
}
static inline struct db_arg db_arg_rate(rate_t v)
{
    return db_arg_int(v.e8);
}
static inline struct db_arg db_arg_price(price_t v)
{
    return db_arg_int(v.e10);
}
static inline struct db_arg db_arg_str(str_t v)
{
    return (struct db_arg){.type = DB_TEXT, .text = v};
}
static inline struct db_arg db_arg_z(const char *v)
{
    return db_arg_str(str_of(v));
}
static inline struct db_arg db_arg_bytes(str_t v)
{
    return (struct db_arg){.type = DB_BYTES, .text = v};
}
static inline struct db_arg db_arg_ids(const int64_t *ids, size_t count)
{
    return (struct db_arg){.type = DB_IDS, .ids = ids, .id_count = count};
}
#define A(value) \
    _Generic((value), \
        int32_t: db_arg_i32, \
        uint32_t: db_arg_int, \
        int64_t: db_arg_int, \
        uint64_t: db_arg_int, \
        bool: db_arg_bool, \
        ref_t: db_arg_ref, \
        utc_t: db_arg_utc, \
        money_t: db_arg_money, \
        rate_t: db_arg_rate, \
        price_t: db_arg_price, \
        str_t: db_arg_str, \
        char *: db_arg_z, \
        const char *: db_arg_z)(value)
#define A_BYTES(value) db_arg_bytes(value)
#define A_IDS(ids, count) db_arg_ids((ids), (count))
#define A_NULL ((struct db_arg){.type = DB_NULL})
#define ARGS(...)                             \
    ((struct db_args){                        \
        (const struct db_arg[]){__VA_ARGS__}, \
        (int)(sizeof((const struct db_arg[]){__VA_ARGS__}) / sizeof(struct db_arg))})
#define NO_ARGS ((struct db_args){NULL, 0})

/* Rows are read by the field table: columns are matched to fields by name; every column must be a
 * field; a field without a column stays zero; NULL leaves zero. Texts are copied into ctx->arena.
 * FT_TEXTS is a column of a JSON array; FT_ARRAY and FT_OBJECT have no column. db_one and db_find
 * refuse a second row. */
/* Exactly one row; none: ERR_NOT_FOUND `not_found`. */
err_t db_one(struct ctx *ctx, const char *sql, struct db_args args, const struct shape *shape,
             void *out);
/* At most one row; *out_found says whether. */
err_t db_find(struct ctx *ctx, const char *sql, struct db_args args, const struct shape *shape,
              void *out, bool *out_found);
/* All rows (bound them with LIMIT): an array of structs in the arena. out_rows is a `struct x **`.
 */
err_t db_all(struct ctx *ctx, const char *sql, struct db_args args, const struct shape *shape,
             void *out_rows, size_t *out_count);
/* Row by row without keeping them (exports, loading): row and its texts live until fn returns; fn
 * may refuse, and may run other statements. */
err_t db_each(struct ctx *ctx, const char *sql, struct db_args args, const struct shape *shape,
              err_t (*fn)(struct ctx *ctx, const void *row, void *arg), void *arg);
/* One integer of one row; NULL or no row: *out stays as it was. */
err_t db_int(struct ctx *ctx, const char *sql, struct db_args args, int64_t *out);
/* Changes; *out_changed is the row count. A broken UNIQUE refuses ERR_CONFLICT `db_duplicate`. With
 * out_changed NULL it may be deferred as db_exec_one is, and its refusal with it: who wants to
 * judge a refusal asks for the count. */
err_t db_exec(struct ctx *ctx, const char *sql, struct db_args args, int64_t *out_changed);
/* A guarded write that must change exactly one row; else ERR_AGAIN (the piece runs again, at last
 * ERR_CONFLICT `concurrent_change`). May be deferred on PostgreSQL (pipeline) until the next read
 * or the commit. */
err_t db_exec_one(struct ctx *ctx, const char *sql, struct db_args args);

#endif
