/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite: WAL, synchronous=FULL, one connection per thread without its own locks. Reading
 * connections are query_only. In memory there is one connection for both, and its transactions
 * switch query_only. */
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db_internal.h"

enum { BUSY_MS = 5000 };

/* Statements of the transaction itself, prepared once. */
enum control {
    BEGIN_READ,
    BEGIN_WRITE,
    COMMIT,
    ROLLBACK,
    SAVEPOINT,
    RELEASE,
    ROLLBACK_TO,
    CONTROL_COUNT
};
static const char *const control_sql[CONTROL_COUNT] = {
    "BEGIN DEFERRED", "BEGIN IMMEDIATE",   "COMMIT", "ROLLBACK", "SAVEPOINT piece",
    "RELEASE piece",  "ROLLBACK TO piece",
};
struct controls {
    sqlite3_stmt *statement[CONTROL_COUNT];
};

err_t db_sqlite_refuse(struct ctx *ctx, struct db_conn *conn, int code, const char *what)
{
    sqlite3 *handle = conn->native;
    int extended = handle != NULL && (code & 0xff) == (sqlite3_errcode(handle) & 0xff)
                       ? sqlite3_extended_errcode(handle)
                       : code;
    const char *message = handle != NULL ? sqlite3_errmsg(handle) : sqlite3_errstr(code);
    if (extended == SQLITE_CONSTRAINT_UNIQUE || extended == SQLITE_CONSTRAINT_PRIMARYKEY ||
        extended == SQLITE_CONSTRAINT_ROWID)
        return refuse(ctx, ERR_CONFLICT, "db_duplicate", "%s", message);
    const char *reason = "db_statement";
    err_t err = ERR_INTERNAL;
    switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
        reason = "db_constraint";
        break;
    case SQLITE_FULL:
        reason = "disk_full";
        break;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        reason = "storage_failed";
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        reason = "db_damaged";
        break;
    case SQLITE_READONLY:
        reason = "db_read_only";
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        reason = "database_unavailable";
        err = ERR_UPSTREAM;
        break;
    default:
        break;
    }
    return refuse(ctx, err, reason, "%s (%d): %.180s", message, extended, what);
}

static err_t run_script(struct ctx *ctx, struct db_conn *conn, const char *sql)
{
    int code = sqlite3_exec(conn->native, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? OK : db_sqlite_refuse(ctx, conn, code, sql);
}

/* The file is made here, so that nobody else may read it; its WAL takes over the mode. One that is
 * there is not opened: closing it would drop the locks of all our connections, and another process
 * would take the log for its own to remove. */
static void make_file(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
}

static err_t prepare_controls(struct ctx *ctx, struct db_conn *conn)
{
    struct controls *controls = calloc(1, sizeof *controls);
    ENSURE(controls != NULL);
    conn->control = controls;
    for (int i = 0; i < CONTROL_COUNT; i++) {
        int code = sqlite3_prepare_v3(conn->native, control_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                      &controls->statement[i], NULL);
        if (code != SQLITE_OK)
            return db_sqlite_refuse(ctx, conn, code, control_sql[i]);
    }
    return OK;
}

static err_t sqlite_connect(struct ctx *ctx, struct db *db, enum db_role role, struct db_conn *conn)
{
    bool memory = db->path[0] == '\0';
    if (!memory && role == DB_ROLE_WRITE)
        make_file(db->path);
    sqlite3 *handle = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (memory ? SQLITE_OPEN_CREATE : 0);
    int code = sqlite3_open_v2(memory ? ":memory:" : db->path, &handle, flags, NULL);
    conn->native = handle;
    if (code != SQLITE_OK)
        return db_sqlite_refuse(ctx, conn, code, "open");
    sqlite3_extended_result_codes(handle, 1);
    sqlite3_busy_timeout(handle, BUSY_MS);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
    TRY(run_script(ctx, conn, "SELECT count(*) FROM sqlite_master"));
    if (!memory && role == DB_ROLE_WRITE)
        TRY(run_script(ctx, conn, "PRAGMA journal_mode = WAL"));
    TRY(run_script(
        ctx, conn,
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = OFF;"
        "PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF"));
    TRY(run_script(ctx, conn,
                   role == DB_ROLE_WRITE ? "PRAGMA cache_size = -65536"
                                         : "PRAGMA cache_size = -16384"));
    if (!memory && role == DB_ROLE_READ)
        TRY(run_script(ctx, conn, "PRAGMA query_only = ON"));
    return prepare_controls(ctx, conn);
}

static void sqlite_disconnect(struct db_conn *conn)
{
    struct controls *controls = conn->control;
    for (int i = 0; controls != NULL && i < CONTROL_COUNT; i++)
        sqlite3_finalize(controls->statement[i]);
    free(controls);
    if (conn->native != NULL)
        ENSURE(sqlite3_close(conn->native) == SQLITE_OK);
    conn->native = conn->control = NULL;
}

static bool sqlite_is_alive(struct db_conn *conn)
{
    return conn->native != NULL;
}

static bool sqlite_is_open(struct db_conn *conn)
{
    return sqlite3_get_autocommit(conn->native) == 0;
}

static err_t run_control(struct ctx *ctx, struct db_conn *conn, enum control which)
{
    struct controls *controls = conn->control;
    sqlite3_stmt *statement = controls->statement[which];
    int code = sqlite3_step(statement);
    err_t err = code == SQLITE_DONE ? OK : db_sqlite_refuse(ctx, conn, code, control_sql[which]);
    sqlite3_reset(statement);
    return err;
}

static void set_query_only(struct db_conn *conn, bool on)
{
    sqlite3_exec(conn->native, on ? "PRAGMA query_only = ON" : "PRAGMA query_only = OFF", NULL,
                 NULL, NULL);
}

static err_t sqlite_begin(struct ctx *ctx, struct db_conn *conn, enum db_role role)
{
    if (conn->db->single == conn)
        set_query_only(conn, role == DB_ROLE_READ);
    return run_control(ctx, conn, role == DB_ROLE_READ ? BEGIN_READ : BEGIN_WRITE);
}

static err_t sqlite_commit(struct ctx *ctx, struct db_conn *conn)
{
    return run_control(ctx, conn, COMMIT);
}

static void sqlite_rollback(struct db_conn *conn)
{
    if (!sqlite_is_open(conn))
        return;
    struct controls *controls = conn->control;
    sqlite3_step(controls->statement[ROLLBACK]);
    sqlite3_reset(controls->statement[ROLLBACK]);
}

static err_t sqlite_savepoint(struct ctx *ctx, struct db_conn *conn, enum db_step step)
{
    static const enum control controls[] = {
        [DB_SAVEPOINT] = SAVEPOINT, [DB_RELEASE] = RELEASE, [DB_ROLLBACK_TO] = ROLLBACK_TO};
    return run_control(ctx, conn, controls[step]);
}

static int64_t sqlite_changes(struct db_conn *conn)
{
    return sqlite3_total_changes64(conn->native);
}

static err_t sqlite_prepare(struct ctx *ctx, struct db_conn *conn, struct db_statement *statement,
                            struct db_args args)
{
    sqlite3_stmt *native = NULL;
    const char *tail = NULL;
    unsigned flags = statement->once ? 0 : SQLITE_PREPARE_PERSISTENT;
    int code = sqlite3_prepare_v3(conn->native, statement->expanded, -1, flags, &native, &tail);
    if (code != SQLITE_OK)
        return db_sqlite_refuse(ctx, conn, code, statement->text);
    statement->native = native;
    if (native == NULL || tail[strspn(tail, " \t\r\n;")] != '\0')
        return refuse(ctx, ERR_INTERNAL, "db_statement", "not one statement: %.200s",
                      statement->text);
    statement->parameter = calloc((size_t)args.count + 1, sizeof(int));
    ENSURE(statement->parameter != NULL);
    int used = 0;
    for (int i = 0; i < args.count; i++) {
        char name[16];
        snprintf(name, sizeof name, "$%d", i + 1);
        statement->parameter[i] = sqlite3_bind_parameter_index(native, name);
        used += statement->parameter[i] > 0;
    }
    if (used != args.count || used != sqlite3_bind_parameter_count(native))
        return refuse(ctx, ERR_INTERNAL, "db_statement", "%d arguments do not fit: %.200s",
                      args.count, statement->text);
    return OK;
}

static void sqlite_forget(struct db_conn *conn, struct db_statement *statement)
{
    (void)conn;
    sqlite3_finalize(statement->native);
}

static int bind_list(sqlite3_stmt *native, int index, const struct db_arg *arg)
{
    size_t capacity = arg->id_count * 21 + 3, len = 0;
    char *text = malloc(capacity);
    ENSURE(text != NULL);
    text[len++] = '[';
    for (size_t i = 0; i < arg->id_count; i++)
        len += (size_t)snprintf(text + len, capacity - len, "%s%" PRId64, i == 0 ? "" : ",",
                                arg->ids[i]);
    text[len++] = ']';
    return sqlite3_bind_text64(native, index, text, len, free, SQLITE_UTF8);
}

/* Bound without a copy: the arguments outlive the statement's run, and every run binds anew. */
static int bind(sqlite3_stmt *native, int index, const struct db_arg *arg)
{
    const char *data = arg->text.data != NULL ? arg->text.data : "";
    switch (arg->type) {
    case DB_NULL:
        return sqlite3_bind_null(native, index);
    case DB_INT:
        return sqlite3_bind_int64(native, index, arg->number);
    case DB_TEXT:
        return sqlite3_bind_text64(native, index, data, arg->text.len, SQLITE_STATIC, SQLITE_UTF8);
    case DB_BYTES:
        return sqlite3_bind_blob64(native, index, data, arg->text.len, SQLITE_STATIC);
    case DB_IDS:
        return arg->id_count == 1 ? sqlite3_bind_int64(native, index, arg->ids[0])
                                  : bind_list(native, index, arg);
    }
    return SQLITE_MISUSE;
}

static err_t sqlite_start(struct ctx *ctx, struct db_cursor *cursor, struct db_args args, bool each)
{
    (void)each;
    struct db_statement *statement = cursor->statement;
    for (int i = 0; i < args.count; i++) {
        int code = bind(statement->native, statement->parameter[i], &args.arg[i]);
        if (code != SQLITE_OK)
            return db_sqlite_refuse(ctx, cursor->conn, code, statement->text);
    }
    cursor->changed = -sqlite3_total_changes64(cursor->conn->native);
    return OK;
}

static err_t sqlite_step(struct ctx *ctx, struct db_cursor *cursor, bool *out_row)
{
    struct db_statement *statement = cursor->statement;
    sqlite3 *handle = cursor->conn->native;
    int code = sqlite3_step(statement->native);
    *out_row = code == SQLITE_ROW;
    if (code == SQLITE_ROW)
        return OK;
    if (code != SQLITE_DONE)
        return db_sqlite_refuse(ctx, cursor->conn, code, statement->text);
    /* The count of changes stands from an earlier statement when this one changed nothing. */
    bool changed = cursor->changed + sqlite3_total_changes64(handle) != 0;
    cursor->changed = changed ? sqlite3_changes64(handle) : 0;
    return OK;
}

static void sqlite_finish(struct db_cursor *cursor)
{
    sqlite3_reset(cursor->statement->native);
}

static int sqlite_columns(struct db_cursor *cursor)
{
    return sqlite3_column_count(cursor->statement->native);
}

static const char *sqlite_name(struct db_cursor *cursor, int column)
{
    return sqlite3_column_name(cursor->statement->native, column);
}

static bool sqlite_read(struct db_cursor *cursor, int column, enum db_arg_type want,
                        struct arena *arena, struct db_arg *out)
{
    sqlite3_stmt *native = cursor->statement->native;
    int type = sqlite3_column_type(native, column);
    *out = (struct db_arg){.type = type == SQLITE_NULL ? DB_NULL : want};
    if (type == SQLITE_NULL)
        return true;
    if (want == DB_INT) {
        out->number = sqlite3_column_int64(native, column);
        return type == SQLITE_INTEGER;
    }
    if (type != (want == DB_TEXT ? SQLITE_TEXT : SQLITE_BLOB))
        return false;
    const void *data =
        want == DB_TEXT ? sqlite3_column_text(native, column) : sqlite3_column_blob(native, column);
    size_t len = (size_t)sqlite3_column_bytes(native, column);
    out->text = str_from(arena_copy(arena, data != NULL ? data : "", len), len);
    return true;
}

const struct db_engine db_sqlite_engine = {
    .kind = DB_SQLITE,
    .connect = sqlite_connect,
    .disconnect = sqlite_disconnect,
    .is_alive = sqlite_is_alive,
    .is_open = sqlite_is_open,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .savepoint = sqlite_savepoint,
    .changes = sqlite_changes,
    .script = run_script,
    .prepare = sqlite_prepare,
    .forget = sqlite_forget,
    .start = sqlite_start,
    .step = sqlite_step,
    .finish = sqlite_finish,
    .column_count = sqlite_columns,
    .column_name = sqlite_name,
    .read = sqlite_read,
};
