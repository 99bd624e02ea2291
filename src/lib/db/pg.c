/* SPDX-License-Identifier: Apache-2.0 */
/* PostgreSQL through libpq: statements are prepared on the server once per connection and set of
 * argument types; values travel typed (int8, text, bytea, int8[]), results as text. Changes that
 * nobody waits for go into a pipeline, which ends with the next statement that is waited for.
 * Writing is READ COMMITTED; reading is one snapshot (REPEATABLE READ, READ ONLY), as it is on
 * SQLite. */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db_internal.h"

enum {
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_TEXT = 25,
    OID_INT8_LIST = 1016,
    FETCH_ROWS = 500,
    POSTED_MAX = 64
};

/* ---- refusals ---- */

struct sqlstate_meaning {
    const char *start; /* of the SQLSTATE */
    err_t err;
    const char *reason;
};
static const struct sqlstate_meaning meanings[] = {
    {"23505", ERR_CONFLICT, "db_duplicate"},      {"23", ERR_INTERNAL, "db_constraint"},
    {"P0001", ERR_INTERNAL, "db_constraint"}, /* raised by a trigger of ours */
    {"40001", ERR_AGAIN, "concurrent_change"},    {"40P01", ERR_AGAIN, "concurrent_change"},
    {"55P03", ERR_AGAIN, "concurrent_change"},    {"25006", ERR_INTERNAL, "db_read_only"},
    {"53100", ERR_INTERNAL, "disk_full"},         {"53300", ERR_UPSTREAM, "database_unavailable"},
    {"08", ERR_UPSTREAM, "database_unavailable"}, {"57P", ERR_UPSTREAM, "database_unavailable"},
    {"58", ERR_INTERNAL, "storage_failed"},       {"XX001", ERR_INTERNAL, "db_damaged"},
};

static err_t refuse_lost(struct ctx *ctx, PGconn *native)
{
    return refuse(ctx, ERR_UPSTREAM, "database_unavailable", "%s",
                  native != NULL ? PQerrorMessage(native) : "no connection");
}

static err_t refuse_result(struct ctx *ctx, struct db_conn *conn, const PGresult *result,
                           const char *sql)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (state == NULL)
        return refuse_lost(ctx, conn->native);
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
        if (strncmp(state, meanings[i].start, strlen(meanings[i].start)) == 0)
            return refuse(ctx, meanings[i].err, meanings[i].reason, "%s (%s): %.150s",
                          message != NULL ? message : "", state, sql);
    return refuse(ctx, ERR_INTERNAL, "db_statement", "%s (%s): %.150s",
                  message != NULL ? message : "", state, sql);
}

static bool is_good(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

static err_t take_result(struct ctx *ctx, struct db_conn *conn, PGresult *result, const char *sql,
                         PGresult **out_result)
{
    if (!is_good(result)) {
        err_t err = refuse_result(ctx, conn, result, sql);
        PQclear(result);
        return err;
    }
    if (out_result != NULL)
        *out_result = result;
    else
        PQclear(result);
    return OK;
}

/* ---- pipeline ---- */

struct posted {
    const char *sql; /* of a cached statement */
    bool must_be_one;
};
struct pipeline {
    struct posted item[POSTED_MAX + 1]; /* the last place is of the statement that is waited for */
    int count;
};

static err_t judge(struct ctx *ctx, struct db_conn *conn, const struct posted *posted,
                   PGresult *result)
{
    if (!is_good(result))
        return refuse_result(ctx, conn, result, posted->sql);
    const char *changed = PQcmdTuples(result);
    if (posted->must_be_one && strcmp(changed, "1") != 0)
        return refuse(ctx, ERR_AGAIN, "concurrent_change", "%s rows changed: %.200s", changed,
                      posted->sql);
    return OK;
}

/* Waits for all answers. The first refusal is told: what follows was not run, or belongs to it.
 * *out_last (unless NULL) is the answer of the last statement, when all went well. */
static err_t end_pipeline(struct ctx *ctx, struct db_conn *conn, PGresult **out_last)
{
    struct pipeline *pipeline = conn->control;
    int count = pipeline->count;
    pipeline->count = 0;
    err_t err = PQpipelineSync(conn->native) == 1 ? OK : refuse_lost(ctx, conn->native);
    for (int i = 0; i < count; i++) {
        PGresult *result = PQgetResult(conn->native);
        if (result != NULL)
            PQclear(PQgetResult(conn->native)); /* the mark between two answers */
        if (err == OK)
            err = judge(ctx, conn, &pipeline->item[i], result);
        if (err == OK && out_last != NULL && i == count - 1)
            *out_last = result;
        else
            PQclear(result);
    }
    PQclear(PQgetResult(conn->native)); /* the mark at the end */
    if (PQexitPipelineMode(conn->native) != 1) {
        if (err == OK && out_last != NULL)
            PQclear(*out_last);
        err = err == OK ? refuse_lost(ctx, conn->native) : err;
        PQfinish(conn->native);
        conn->native = NULL;
    }
    return err;
}

static err_t pg_flush(struct ctx *ctx, struct db_conn *conn)
{
    struct pipeline *pipeline = conn->control;
    return pipeline->count == 0 ? OK : end_pipeline(ctx, conn, NULL);
}

static err_t run_script(struct ctx *ctx, struct db_conn *conn, const char *sql)
{
    TRY(pg_flush(ctx, conn));
    return take_result(ctx, conn, PQexec(conn->native, sql), sql, NULL);
}

/* ---- connection and transaction ---- */

static void ignore_notice(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

static err_t pg_connect(struct ctx *ctx, struct db *db, enum db_role role, struct db_conn *conn)
{
    (void)role;
    conn->control = calloc(1, sizeof(struct pipeline));
    ENSURE(conn->control != NULL);
    /* What the address says wins over what stands before it. */
    const char *const keys[] = {"connect_timeout", "keepalives_idle",           "dbname",
                                "client_encoding", "fallback_application_name", NULL};
    const char *const values[] = {"5", "30", db->url, "UTF8", "suanhe", NULL};
    PGconn *native = PQconnectdbParams(keys, values, 1);
    conn->native = native;
    if (native == NULL || PQstatus(native) != CONNECTION_OK)
        return refuse_lost(ctx, native);
    PQsetNoticeProcessor(native, ignore_notice, NULL);
    return run_script(ctx, conn, "SET TIME ZONE 'UTC'; SET standard_conforming_strings = on");
}

static void pg_disconnect(struct db_conn *conn)
{
    PQfinish(conn->native);
    free(conn->control);
    conn->native = conn->control = NULL;
}

static bool pg_is_alive(struct db_conn *conn)
{
    return conn->native != NULL && PQstatus(conn->native) == CONNECTION_OK;
}

static bool pg_is_open(struct db_conn *conn)
{
    PGTransactionStatusType status = PQtransactionStatus(conn->native);
    return status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
}

static err_t pg_begin(struct ctx *ctx, struct db_conn *conn, enum db_role role)
{
    return run_script(ctx, conn,
                      role == DB_ROLE_WRITE ? "BEGIN ISOLATION LEVEL READ COMMITTED"
                                            : "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
}

/* COMMIT of an aborted transaction is answered by ROLLBACK and no error. */
static err_t pg_commit(struct ctx *ctx, struct db_conn *conn)
{
    PGresult *result = NULL;
    TRY(pg_flush(ctx, conn));
    TRY(take_result(ctx, conn, PQexec(conn->native, "COMMIT"), "COMMIT", &result));
    bool is_committed = strcmp(PQcmdStatus(result), "COMMIT") == 0;
    PQclear(result);
    if (!is_committed)
        return refuse(ctx, ERR_INTERNAL, "db_transaction_broken",
                      "the transaction was aborted before");
    return OK;
}

static void pg_rollback(struct db_conn *conn)
{
    struct ctx nobody = {0};
    (void)!pg_flush(&nobody, conn);
    if (pg_is_open(conn))
        PQclear(PQexec(conn->native, "ROLLBACK"));
}

static err_t pg_savepoint(struct ctx *ctx, struct db_conn *conn, enum db_step step)
{
    static const char *const sql[] = {[DB_SAVEPOINT] = "SAVEPOINT piece",
                                      [DB_RELEASE] = "RELEASE SAVEPOINT piece",
                                      [DB_ROLLBACK_TO] = "ROLLBACK TO SAVEPOINT piece"};
    return run_script(ctx, conn, sql[step]);
}

/* ---- parameters ---- */

struct params {
    Oid type[DB_ARGS_MAX];
    const char *value[DB_ARGS_MAX];
    int length[DB_ARGS_MAX];
    int format[DB_ARGS_MAX]; /* 1: binary */
    uint64_t number[DB_ARGS_MAX];
    char *list[DB_ARGS_MAX];
    int count;
};

static char *write_list(const struct db_arg *arg)
{
    size_t capacity = arg->id_count * 21 + 3, len = 0;
    char *text = malloc(capacity);
    ENSURE(text != NULL);
    text[len++] = '{';
    for (size_t i = 0; i < arg->id_count; i++)
        len += (size_t)snprintf(text + len, capacity - len, "%s%" PRId64, i == 0 ? "" : ",",
                                arg->ids[i]);
    text[len++] = '}';
    text[len] = '\0';
    return text;
}

static void set_bytes(struct params *params, int i, Oid type, str_t text)
{
    ENSURE(text.len <= INT32_MAX);
    params->type[i] = type;
    params->value[i] = text.data != NULL ? text.data : "";
    params->length[i] = (int)text.len;
    params->format[i] = 1;
}

/* A NULL has no type of its own: the server infers it. */
static void set_param(struct params *params, int i, const struct db_arg *arg)
{
    switch (arg->type) {
    case DB_NULL:
        break;
    case DB_INT:
        params->number[i] = htobe64((uint64_t)arg->number);
        set_bytes(params, i, OID_INT8, str_from(&params->number[i], sizeof(uint64_t)));
        break;
    case DB_TEXT:
        set_bytes(params, i, OID_TEXT, arg->text);
        break;
    case DB_BYTES:
        set_bytes(params, i, OID_BYTEA, arg->text);
        break;
    case DB_IDS:
        params->list[i] = write_list(arg);
        params->type[i] = OID_INT8_LIST;
        params->value[i] = params->list[i];
        break;
    }
}

static void params_init(struct params *params, struct db_args args)
{
    params->count = args.count;
    for (int i = 0; i < args.count; i++) {
        params->type[i] = 0;
        params->value[i] = NULL;
        params->length[i] = params->format[i] = 0;
        params->list[i] = NULL;
        set_param(params, i, &args.arg[i]);
    }
}

static void params_done(struct params *params)
{
    for (int i = 0; i < params->count; i++)
        free(params->list[i]);
}

/* ---- statements ---- */

static err_t pg_prepare(struct ctx *ctx, struct db_conn *conn, struct db_statement *statement,
                        struct db_args args)
{
    struct params params;
    TRY(pg_flush(ctx, conn));
    params_init(&params, args);
    snprintf(statement->name, sizeof statement->name, "s%lld", (long long)conn->statement_serial);
    PGresult *result =
        PQprepare(conn->native, statement->name, statement->expanded, args.count, params.type);
    params_done(&params);
    err_t err = take_result(ctx, conn, result, statement->text, NULL);
    if (err != OK)
        statement->name[0] = '\0';
    return err;
}

static void pg_forget(struct db_conn *conn, struct db_statement *statement)
{
    if (statement->name[0] == '\0' || !pg_is_alive(conn) ||
        PQtransactionStatus(conn->native) == PQTRANS_INERROR)
        return;
    char sql[48];
    snprintf(sql, sizeof sql, "DEALLOCATE %s", statement->name);
    PQclear(PQexec(conn->native, sql));
}

/* Rows that may be many are fetched in parts through a cursor of the server, which reading alone
 * can have. */
static bool wants_portal(const struct db_statement *statement)
{
    const char *text = statement->expanded + strspn(statement->expanded, " \t\r\n");
    return strncmp(text, "SELECT", 6) == 0;
}

static err_t open_portal(struct ctx *ctx, struct db_cursor *cursor, const struct params *params)
{
    struct db_conn *conn = cursor->conn;
    char name[sizeof cursor->portal];
    TRY(pg_flush(ctx, conn));
    snprintf(name, sizeof name, "c%lld", (long long)++conn->statement_serial);
    size_t size = strlen(cursor->statement->expanded) + 64;
    char *sql = malloc(size);
    ENSURE(sql != NULL);
    snprintf(sql, size, "DECLARE %s NO SCROLL CURSOR FOR %s", name, cursor->statement->expanded);
    PGresult *result = PQexecParams(conn->native, sql, params->count, params->type, params->value,
                                    params->length, params->format, 0);
    free(sql);
    TRY(take_result(ctx, conn, result, cursor->statement->text, NULL));
    memcpy(cursor->portal, name, sizeof name);
    return OK;
}

static err_t fetch_part(struct ctx *ctx, struct db_cursor *cursor)
{
    char sql[64];
    TRY(pg_flush(ctx, cursor->conn));
    snprintf(sql, sizeof sql, "FETCH %d FROM %s", FETCH_ROWS, cursor->portal);
    PGresult *result = NULL;
    TRY(take_result(ctx, cursor->conn, PQexec(cursor->conn->native, sql), cursor->statement->text,
                    &result));
    PQclear(cursor->result);
    cursor->result = result;
    cursor->row = -1;
    cursor->row_count = PQntuples(result);
    return OK;
}

/* Adds a statement to the pipeline, opening it if need be. */
static err_t send_prepared(struct ctx *ctx, struct db_cursor *cursor, const struct params *params,
                           bool must_be_one)
{
    struct pipeline *pipeline = cursor->conn->control;
    PGconn *native = cursor->conn->native;
    if (PQpipelineStatus(native) == PQ_PIPELINE_OFF && PQenterPipelineMode(native) != 1)
        return refuse_lost(ctx, native);
    if (PQsendQueryPrepared(native, cursor->statement->name, params->count, params->value,
                            params->length, params->format, 0) != 1)
        return refuse_lost(ctx, native);
    pipeline->item[pipeline->count++] = (struct posted){cursor->statement->text, must_be_one};
    return OK;
}

static err_t pg_post(struct ctx *ctx, struct db_cursor *cursor, struct db_args args,
                     bool must_be_one)
{
    struct pipeline *pipeline = cursor->conn->control;
    if (pipeline->count == POSTED_MAX)
        TRY(end_pipeline(ctx, cursor->conn, NULL));
    struct params params;
    params_init(&params, args);
    err_t err = send_prepared(ctx, cursor, &params, must_be_one);
    params_done(&params);
    return err;
}

static err_t run_prepared(struct ctx *ctx, struct db_cursor *cursor, const struct params *params,
                          PGresult **out_result)
{
    struct db_conn *conn = cursor->conn;
    struct pipeline *pipeline = conn->control;
    if (pipeline->count > 0) {
        TRY(send_prepared(ctx, cursor, params, false));
        return end_pipeline(ctx, conn, out_result);
    }
    PGresult *result = PQexecPrepared(conn->native, cursor->statement->name, params->count,
                                      params->value, params->length, params->format, 0);
    return take_result(ctx, conn, result, cursor->statement->text, out_result);
}

static err_t pg_start(struct ctx *ctx, struct db_cursor *cursor, struct db_args args, bool each)
{
    struct params params;
    params_init(&params, args);
    cursor->row = -1;
    bool has_portal = each && wants_portal(cursor->statement);
    PGresult *result = NULL;
    err_t err = has_portal ? open_portal(ctx, cursor, &params)
                           : run_prepared(ctx, cursor, &params, &result);
    params_done(&params);
    if (err != OK || result == NULL)
        return err;
    cursor->result = result;
    cursor->row_count = PQntuples(result);
    cursor->changed = strtoll(PQcmdTuples(result), NULL, 10);
    return OK;
}

static err_t pg_step(struct ctx *ctx, struct db_cursor *cursor, bool *out_row)
{
    cursor->row++;
    bool is_at_end = cursor->row >= cursor->row_count;
    if (is_at_end && cursor->portal[0] != '\0' &&
        (cursor->result == NULL || cursor->row_count > 0)) {
        TRY(fetch_part(ctx, cursor));
        cursor->row++;
    }
    *out_row = cursor->row < cursor->row_count;
    return OK;
}

static void pg_finish(struct db_cursor *cursor)
{
    PQclear(cursor->result);
    cursor->result = NULL;
    if (cursor->portal[0] == '\0' || PQtransactionStatus(cursor->conn->native) != PQTRANS_INTRANS)
        return;
    char sql[48];
    snprintf(sql, sizeof sql, "CLOSE %s", cursor->portal);
    PQclear(PQexec(cursor->conn->native, sql));
}

/* ---- rows ---- */

static int pg_columns(struct db_cursor *cursor)
{
    return PQnfields(cursor->result);
}

static const char *pg_name(struct db_cursor *cursor, int column)
{
    return PQfname(cursor->result, column);
}

/* Also a sum, which is numeric here, and a truth value. */
static bool read_int(const char *text, Oid type, int64_t *out)
{
    enum { OID_BOOL = 16 };
    if (type == OID_BOOL) {
        *out = text[0] == 't';
        return true;
    }
    char *end = NULL;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_bytes(const char *text, size_t len, struct arena *arena, str_t *out)
{
    if (len < 2 || len % 2 != 0 || text[0] != '\\' || text[1] != 'x')
        return false;
    size_t count = len / 2 - 1;
    char *bytes = arena_alloc(arena, count + 1);
    for (size_t i = 0; i < count; i++) {
        int high = hex_digit(text[2 + 2 * i]), low = hex_digit(text[3 + 2 * i]);
        if (high < 0 || low < 0)
            return false;
        bytes[i] = (char)(high << 4 | low);
    }
    *out = str_from(bytes, count);
    return true;
}

static bool is_text_type(Oid type)
{
    enum { OID_NAME = 19, OID_UNKNOWN = 705, OID_VARCHAR = 1043, OID_JSON = 114, OID_JSONB = 3802 };
    return type == OID_TEXT || type == OID_NAME || type == OID_UNKNOWN || type == OID_VARCHAR ||
           type == OID_JSON || type == OID_JSONB;
}

static bool pg_read(struct db_cursor *cursor, int column, enum db_arg_type want,
                    struct arena *arena, struct db_arg *out)
{
    const PGresult *result = cursor->result;
    *out = (struct db_arg){.type = DB_NULL};
    if (PQgetisnull(result, cursor->row, column))
        return true;
    out->type = want;
    const char *text = PQgetvalue(result, cursor->row, column);
    size_t len = (size_t)PQgetlength(result, cursor->row, column);
    Oid type = PQftype(result, column);
    if (want == DB_INT)
        return read_int(text, type, &out->number);
    if (want == DB_BYTES)
        return type == OID_BYTEA && read_bytes(text, len, arena, &out->text);
    out->text = str_from(arena_copy(arena, text, len), len);
    return is_text_type(type);
}

const struct db_engine db_pg_engine = {
    .kind = DB_POSTGRES,
    .connect = pg_connect,
    .disconnect = pg_disconnect,
    .is_alive = pg_is_alive,
    .is_open = pg_is_open,
    .begin = pg_begin,
    .commit = pg_commit,
    .rollback = pg_rollback,
    .savepoint = pg_savepoint,
    .script = run_script,
    .post = pg_post,
    .flush = pg_flush,
    .prepare = pg_prepare,
    .forget = pg_forget,
    .start = pg_start,
    .step = pg_step,
    .finish = pg_finish,
    .column_count = pg_columns,
    .column_name = pg_name,
    .read = pg_read,
};
