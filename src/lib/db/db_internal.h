/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/db: what the two engines offer (struct db_engine), one connection with its
 * statements, and the queue of pieces. A connection is used by one thread at a time; its
 * transaction is conn->tx. */
#ifndef SUANHE_DB_INTERNAL_H
#define SUANHE_DB_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "db.h"

enum {
    DB_ARGS_MAX = 120,
    DB_BUCKETS = 256,
    DB_STATEMENTS_MAX = 600, /* beyond it a connection forgets all at its next transaction */
    DB_BATCH_MAX = 256,
    DB_BATCH_US = 10 * 1000,
    DB_CAREFUL_BATCHES = 32,
    DB_REPEAT_MAX = 5, /* on PostgreSQL, after the first run */
};

/* A migration as it stands in the program; both texts are the same unless there are dialect twins.
 */
struct db_migration {
    const char *name; /* "0001_account" */
    const char *sqlite;
    const char *pg;
};
/* Made by tools/embed-sql.sh, in order. */
extern const struct db_migration db_migrations[];
extern const int db_migration_count;

/* One prepared statement of one connection. The address finds it, the text confirms it. */
struct db_statement {
    struct db_statement *next;
    const char *address;
    char *text;                      /* as the caller wrote it */
    char *expanded;                  /* as the engine reads it */
    char signature[DB_ARGS_MAX + 1]; /* a letter per argument: db_signature */
    void *native;                    /* SQLite: sqlite3_stmt */
    char name[24];                   /* PostgreSQL: its name on the server */
    int *parameter;                  /* SQLite: argument -> index of the parameter */
    const struct shape *shape;       /* for which `field` was made */
    int *field;                      /* column -> index in the shape */
    bool busy;                       /* being stepped: a nested use needs another one */
    bool once;                       /* not cached, freed after use */
};

struct db_conn;

/* What one open transaction knows. After a statement was refused, the piece can only fail:
 * PostgreSQL has aborted the transaction by then, and SQLite must not behave otherwise. */
struct db_tx {
    struct db *db;
    struct db_conn *conn;
    bool broken;
};

struct db_conn {
    struct db *db;
    struct db_tx tx;
    struct db_statement *bucket[DB_BUCKETS];
    int statement_count;
    int64_t statement_serial; /* of those ever prepared, for names */
    void *native;             /* sqlite3 or PGconn */
    void *control;            /* SQLite: its BEGIN, COMMIT, ...; PostgreSQL: what was posted */
};

/* A running statement. */
struct db_cursor {
    struct db_conn *conn;
    struct db_statement *statement;
    void *result; /* PostgreSQL: PGresult */
    int row, row_count;
    bool is_posted;  /* sent without waiting: there is nothing to step or finish */
    char portal[24]; /* PostgreSQL: the server-side cursor of db_each, or empty */
    int64_t changed;
};

enum db_role { DB_ROLE_READ, DB_ROLE_WRITE };
enum db_step { DB_SAVEPOINT, DB_RELEASE, DB_ROLLBACK_TO };

struct db_engine {
    enum db_kind kind;
    err_t (*connect)(struct ctx *ctx, struct db *db, enum db_role role, struct db_conn *conn);
    void (*disconnect)(struct db_conn *conn);
    bool (*is_alive)(struct db_conn *conn);
    bool (*is_open)(struct db_conn *conn); /* a transaction is open (it may be aborted) */
    err_t (*begin)(struct ctx *ctx, struct db_conn *conn, enum db_role role);
    err_t (*commit)(struct ctx *ctx, struct db_conn *conn);
    void (*rollback)(struct db_conn *conn);
    err_t (*savepoint)(struct ctx *ctx, struct db_conn *conn, enum db_step step);
    int64_t (*changes)(struct db_conn *conn); /* rows ever changed; SQLite only */
    err_t (*script)(struct ctx *ctx, struct db_conn *conn, const char *sql);
    err_t (*prepare)(struct ctx *ctx, struct db_conn *conn, struct db_statement *statement,
                     struct db_args args);
    void (*forget)(struct db_conn *conn, struct db_statement *statement);
    /* each: rows may be many, and other statements run between them. */
    err_t (*start)(struct ctx *ctx, struct db_cursor *cursor, struct db_args args, bool each);
    /* Sends a change whose answer is judged by the next start or flush; must_be_one: one row
     * changed, or ERR_AGAIN. Both are NULL where nothing is gained by it. */
    err_t (*post)(struct ctx *ctx, struct db_cursor *cursor, struct db_args args, bool must_be_one);
    err_t (*flush)(struct ctx *ctx, struct db_conn *conn);
    err_t (*step)(struct ctx *ctx, struct db_cursor *cursor, bool *out_row);
    void (*finish)(struct db_cursor *cursor);
    int (*column_count)(struct db_cursor *cursor);
    const char *(*column_name)(struct db_cursor *cursor, int column);
    /* Reads as DB_INT, DB_TEXT or DB_BYTES; NULL gives DB_NULL; false: the value is of another
     * type. */
    bool (*read)(struct db_cursor *cursor, int column, enum db_arg_type want, struct arena *arena,
                 struct db_arg *out);
};
extern const struct db_engine db_sqlite_engine;
extern const struct db_engine db_pg_engine;

struct db_piece {
    struct ctx *ctx;
    db_work_fn fn;
    void *arg;
    void (*done)(struct ctx *ctx, void *arg, err_t result);
    err_t result;
};

struct db_queue {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct db_piece *ring;
    int capacity, head, count;
    bool stopping;
    pthread_t *threads;
    int thread_count;
};

struct db_pool {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    struct db_conn **idle;
    int idle_count, open_count, max;
};

struct db_figures {
    _Atomic int64_t commits, pieces, commit_us_total, commit_us_max, repeated, failed;
};

struct db {
    const struct db_engine *engine;
    char *url;
    char *path;    /* SQLite: the file; empty: in memory */
    char *sql_dir; /* NULL: embedded migrations */
    struct db_pool readers;
    struct db_queue queue;
    struct db_conn *single; /* SQLite in memory: the one connection, used under single_lock */
    pthread_mutex_t single_lock;
    struct db_conn *writer; /* SQLite: of the writer thread */
    int careful_batches;    /* of the writer thread: so many will use savepoints */
    struct db_participant participant;
    struct db_figures figures;
    _Atomic int64_t calls, fail_at;
};

/* db.c */
struct db_conn *db_conn_new(struct db *db);
void db_conn_free(struct db_conn *conn);
err_t db_conn_open(struct ctx *ctx, struct db *db, enum db_role role, struct db_conn **out_conn);
/* A connection for schema work and back-ups; in memory the single one, locked until given back. */
err_t db_admin_take(struct ctx *ctx, struct db *db, struct db_conn **out_conn);
void db_admin_give(struct db *db, struct db_conn *conn);
/* Commits; the fault injection counts it. Not committed: rolled back. */
err_t db_conn_commit(struct ctx *ctx, struct db_conn *conn);
/* Learns how the posted changes went. */
err_t db_conn_flush(struct ctx *ctx, struct db_conn *conn);
/* Counts a call; true: this one is to fail, and has been refused. */
bool db_fault(struct ctx *ctx, struct db *db);
/* Runs fn in a transaction of its own on this connection. */
err_t db_conn_run(struct ctx *ctx, struct db_conn *conn, enum db_role role, db_work_fn fn,
                  void *arg);

/* statement.c */
void db_statements_forget(struct db_conn *conn);
void db_statement_free(struct db_conn *conn, struct db_statement *statement);

/* writer.c */
err_t db_queue_start(struct ctx *ctx, struct db *db, int queue_max, int threads);
void db_queue_stop(struct db *db);

/* migrate.c */
err_t db_refuse_newer(struct ctx *ctx, struct db *db);

/* sqlite_copy.c */
/* Keeps a copy of the database at PATH.before-NNNN, replacing one of an earlier attempt. */
err_t db_sqlite_keep_copy(struct ctx *ctx, struct db_conn *conn, const char *number);

/* sqlite.c, pg.c */
err_t db_sqlite_refuse(struct ctx *ctx, struct db_conn *conn, int code, const char *what);

/* sql_expand.c; both give memory to be freed */
char *db_sql_expand(const char *sql, enum db_kind kind, const char *signature);
char *db_sql_expand_types(const char *sql, enum db_kind kind);

#endif
