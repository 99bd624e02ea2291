/* SPDX-License-Identifier: Apache-2.0 */
/* Statements of an open transaction: found or prepared per connection, run with bound values, their
 * rows read by field tables. Any refusal of a statement breaks the transaction (struct db_tx). */
#include <stdlib.h>
#include <string.h>

#include "db_internal.h"

/* ---- cache ---- */

void db_statement_free(struct db_conn *conn, struct db_statement *statement)
{
    conn->db->engine->forget(conn, statement);
    free(statement->text);
    free(statement->expanded);
    free(statement->parameter);
    free(statement->field);
    free(statement);
}

void db_statements_forget(struct db_conn *conn)
{
    for (int i = 0; i < DB_BUCKETS; i++) {
        while (conn->bucket[i] != NULL) {
            struct db_statement *statement = conn->bucket[i];
            conn->bucket[i] = statement->next;
            db_statement_free(conn, statement);
        }
    }
    conn->statement_count = 0;
}

/* A letter per argument. PostgreSQL fixes the types of parameters when it prepares, so they tell
 * statements apart there; on SQLite only the lists matter, which stand in the expanded text. */
static void sign(enum db_kind kind, struct db_args args, char out[DB_ARGS_MAX + 1])
{
    static const char letters[] = {
        [DB_NULL] = 'n', [DB_INT] = 'i', [DB_TEXT] = 't', [DB_BYTES] = 'b', [DB_IDS] = 'a'};
    ENSURE(args.count >= 0 && args.count <= DB_ARGS_MAX);
    for (int i = 0; i < args.count; i++) {
        enum db_arg_type type = args.arg[i].type;
        out[i] = kind == DB_POSTGRES || type == DB_IDS ? letters[type] : '.';
        if (kind == DB_SQLITE && type == DB_IDS && args.arg[i].id_count == 1)
            out[i] = 'o';
    }
    out[args.count] = '\0';
}

static err_t make_statement(struct ctx *ctx, struct db_conn *conn, const char *sql,
                            const char *signature, struct db_args args, struct db_statement **out)
{
    struct db_statement *statement = calloc(1, sizeof *statement);
    ENSURE(statement != NULL);
    statement->address = sql;
    statement->text = strdup(sql);
    statement->expanded = db_sql_expand(sql, conn->db->engine->kind, signature);
    ENSURE(statement->text != NULL);
    memcpy(statement->signature, signature, strlen(signature) + 1);
    conn->statement_serial++;
    err_t err = conn->db->engine->prepare(ctx, conn, statement, args);
    if (err != OK) {
        db_statement_free(conn, statement);
        return err;
    }
    *out = statement;
    return OK;
}

static err_t find_statement(struct ctx *ctx, struct db_conn *conn, const char *sql,
                            struct db_args args, struct db_statement **out)
{
    char signature[DB_ARGS_MAX + 1];
    sign(conn->db->engine->kind, args, signature);
    size_t bucket = ((uintptr_t)sql >> 3) % DB_BUCKETS;
    bool is_busy = false;
    for (struct db_statement *s = conn->bucket[bucket]; s != NULL; s = s->next) {
        if (s->address != sql || strcmp(s->signature, signature) != 0 || strcmp(s->text, sql) != 0)
            continue;
        if (!s->busy) {
            *out = s;
            return OK;
        }
        is_busy = true;
    }
    struct db_statement *made = NULL;
    TRY(make_statement(ctx, conn, sql, signature, args, &made));
    made->once = is_busy;
    if (!made->once) {
        made->next = conn->bucket[bucket];
        conn->bucket[bucket] = made;
        conn->statement_count++;
    }
    *out = made;
    return OK;
}

/* ---- running ---- */

static err_t broken(struct ctx *ctx, err_t err)
{
    if (err != OK)
        ctx->tx->broken = true;
    return err;
}

static err_t finish(struct db_cursor *cursor, err_t err)
{
    cursor->conn->db->engine->finish(cursor);
    cursor->statement->busy = false;
    if (cursor->statement->once)
        db_statement_free(cursor->conn, cursor->statement);
    return err;
}

enum run { RUN, RUN_EACH, RUN_LATER, RUN_LATER_ONE };

static err_t run_statement(struct ctx *ctx, struct db_cursor *cursor, struct db_args args,
                           enum run run)
{
    const struct db_engine *engine = cursor->conn->db->engine;
    struct db_statement *statement = cursor->statement;
    bool is_later = run == RUN_LATER || run == RUN_LATER_ONE;
    if (is_later && engine->post != NULL && !statement->once) {
        cursor->is_posted = true;
        return engine->post(ctx, cursor, args, run == RUN_LATER_ONE);
    }
    statement->busy = true;
    err_t err = engine->start(ctx, cursor, args, run == RUN_EACH);
    return err == OK ? OK : finish(cursor, err);
}

static err_t start(struct ctx *ctx, const char *sql, struct db_args args, enum run run,
                   struct db_cursor *cursor)
{
    ENSURE(ctx->tx != NULL);
    struct db_conn *conn = ctx->tx->conn;
    *cursor = (struct db_cursor){.conn = conn};
    if (ctx->tx->broken)
        return refuse(ctx, ERR_INTERNAL, "db_transaction_broken",
                      "after a refused statement: %.200s", sql);
    if (db_fault(ctx, conn->db))
        return broken(ctx, ERR_INTERNAL);
    err_t err = find_statement(ctx, conn, sql, args, &cursor->statement);
    return broken(ctx, err == OK ? run_statement(ctx, cursor, args, run) : err);
}

static err_t step(struct ctx *ctx, struct db_cursor *cursor, bool *out_row)
{
    return broken(ctx, cursor->conn->db->engine->step(ctx, cursor, out_row));
}

/* ---- rows ---- */

static int find_field(const struct shape *shape, const char *name)
{
    for (int i = 0; i < shape->count; i++)
        if (strcmp(shape->fields[i].name, name) == 0)
            return i;
    return -1;
}

/* Matches columns to fields, once per statement and shape. */
static err_t map_columns(struct ctx *ctx, struct db_cursor *cursor, const struct shape *shape)
{
    struct db_statement *statement = cursor->statement;
    if (statement->shape == shape)
        return OK;
    const struct db_engine *engine = cursor->conn->db->engine;
    int count = engine->column_count(cursor);
    free(statement->field);
    statement->shape = NULL;
    statement->field = calloc((size_t)count + 1, sizeof(int));
    ENSURE(statement->field != NULL);
    for (int i = 0; i < count; i++) {
        const char *name = engine->column_name(cursor, i);
        statement->field[i] = find_field(shape, name);
        if (statement->field[i] < 0)
            return refuse(ctx, ERR_INTERNAL, "db_column", "column %s is no field: %.180s", name,
                          statement->text);
    }
    statement->shape = shape;
    return OK;
}

static enum db_arg_type wanted(enum field_type type)
{
    switch (type) {
    case FT_TEXT:
    case FT_JSON:
    case FT_TEXTS:
        return DB_TEXT;
    case FT_BYTES:
        return DB_BYTES;
    case FT_INT32:
    case FT_INT64:
    case FT_BOOL:
    case FT_MONEY:
    case FT_RATE:
    case FT_PRICE:
    case FT_UTC:
    case FT_REF:
    case FT_ENUM:
        return DB_INT;
    case FT_ARRAY:
    case FT_OBJECT:
        break;
    }
    return DB_NULL;
}

/* A list of texts stands in a column as a JSON array. */
static bool set_texts(struct arena *arena, const struct field *field, str_t text, char *row)
{
    const char *message = NULL;
    const struct json *list = json_parse_text(arena, text, &message);
    if (list == NULL || json_kind(list) != JSON_ARRAY)
        return false;
    size_t count = json_count(list);
    str_t *texts = arena_alloc(arena, count * sizeof(str_t));
    for (size_t i = 0; i < count; i++)
        texts[i] = json_text(json_at(list, i));
    memcpy(row + field->offset, &texts, sizeof(texts));
    memcpy(row + field->count_offset, &count, sizeof(count));
    return true;
}

static bool set_field(struct arena *arena, const struct field *field, const struct db_arg *value,
                      char *row)
{
    char *member = row + field->offset;
    int32_t narrow = (int32_t)value->number;
    bool truth = value->number != 0;
    switch (field->type) {
    case FT_INT32:
    case FT_ENUM:
        memcpy(member, &narrow, sizeof narrow);
        return narrow == value->number;
    case FT_BOOL:
        memcpy(member, &truth, sizeof truth);
        return true;
    case FT_INT64:
    case FT_MONEY:
    case FT_RATE:
    case FT_PRICE:
    case FT_UTC:
    case FT_REF:
        memcpy(member, &value->number, sizeof value->number);
        return true;
    case FT_TEXT:
    case FT_JSON:
    case FT_BYTES:
        memcpy(member, &value->text, sizeof value->text);
        return true;
    case FT_TEXTS:
        return set_texts(arena, field, value->text, row);
    case FT_ARRAY:
    case FT_OBJECT:
        break;
    }
    return false;
}

static err_t read_row(struct ctx *ctx, struct db_cursor *cursor, const struct shape *shape,
                      struct arena *arena, char *row)
{
    TRY(map_columns(ctx, cursor, shape));
    const struct db_engine *engine = cursor->conn->db->engine;
    int count = engine->column_count(cursor);
    for (int i = 0; i < count; i++) {
        const struct field *field = &shape->fields[cursor->statement->field[i]];
        enum db_arg_type want = wanted(field->type);
        struct db_arg value = {0};
        if (want == DB_NULL || !engine->read(cursor, i, want, arena, &value) ||
            (value.type != DB_NULL && !set_field(arena, field, &value, row)))
            return refuse(ctx, ERR_INTERNAL, "db_column",
                          "column %s does not fit its field: %.180s", field->name,
                          cursor->statement->text);
    }
    return OK;
}

static err_t read_only_row(struct ctx *ctx, struct db_cursor *cursor, const struct shape *shape,
                           void *out, bool *out_found)
{
    bool has_row = false;
    TRY(step(ctx, cursor, &has_row));
    *out_found = has_row;
    if (!has_row)
        return OK;
    char *row = arena_alloc(ctx->arena, shape->size);
    TRY(read_row(ctx, cursor, shape, ctx->arena, row));
    TRY(step(ctx, cursor, &has_row));
    if (has_row)
        return refuse(ctx, ERR_INTERNAL, "db_many_rows", "one row at most: %.200s",
                      cursor->statement->text);
    memcpy(out, row, shape->size);
    return OK;
}

err_t db_find(struct ctx *ctx, const char *sql, struct db_args args, const struct shape *shape,
              void *out, bool *out_found)
{
    struct db_cursor cursor;
    TRY(start(ctx, sql, args, RUN, &cursor));
    return finish(&cursor, read_only_row(ctx, &cursor, shape, out, out_found));
}

err_t db_one(struct ctx *ctx, const char *sql, struct db_args args, const struct shape *shape,
             void *out)
{
    bool found = false;
    TRY(db_find(ctx, sql, args, shape, out, &found));
    return found ? OK : refuse(ctx, ERR_NOT_FOUND, "not_found", "no row: %.200s", sql);
}

static err_t read_all(struct ctx *ctx, struct db_cursor *cursor, const struct shape *shape,
                      char **out_rows, size_t *out_count)
{
    char *rows = NULL;
    size_t count = 0, capacity = 0;
    for (;;) {
        bool has_row = false;
        TRY(step(ctx, cursor, &has_row));
        if (!has_row)
            break;
        if (count == capacity) {
            size_t larger = capacity == 0 ? 8 : capacity * 2;
            char *moved = arena_alloc(ctx->arena, larger * shape->size);
            if (count > 0)
                memcpy(moved, rows, count * shape->size);
            rows = moved;
            capacity = larger;
        }
        TRY(read_row(ctx, cursor, shape, ctx->arena, rows + count * shape->size));
        count++;
    }
    *out_rows = rows;
    *out_count = count;
    return OK;
}

err_t db_all(struct ctx *ctx, const char *sql, struct db_args args, const struct shape *shape,
             void *out_rows, size_t *out_count)
{
    struct db_cursor cursor;
    char *rows = NULL;
    size_t count = 0;
    TRY(start(ctx, sql, args, RUN, &cursor));
    TRY(finish(&cursor, read_all(ctx, &cursor, shape, &rows, &count)));
    memcpy(out_rows, &rows, sizeof rows);
    *out_count = count;
    return OK;
}

struct each {
    const struct shape *shape;
    err_t (*fn)(struct ctx *ctx, const void *row, void *arg);
    void *arg;
};

static err_t run_each(struct ctx *ctx, struct db_cursor *cursor, const struct each *each,
                      struct arena *arena)
{
    for (;;) {
        bool has_row = false;
        TRY(step(ctx, cursor, &has_row));
        if (!has_row)
            return OK;
        arena_reset(arena);
        char *row = arena_alloc(arena, each->shape->size);
        TRY(read_row(ctx, cursor, each->shape, arena, row));
        TRY(each->fn(ctx, row, each->arg));
    }
}

err_t db_each(struct ctx *ctx, const char *sql, struct db_args args, const struct shape *shape,
              err_t (*fn)(struct ctx *ctx, const void *row, void *arg), void *arg)
{
    struct db_cursor cursor;
    TRY(start(ctx, sql, args, RUN_EACH, &cursor));
    struct each each = {shape, fn, arg};
    struct arena *arena = arena_new(0);
    err_t err = finish(&cursor, run_each(ctx, &cursor, &each, arena));
    arena_free(arena);
    return err;
}

static err_t read_int(struct ctx *ctx, struct db_cursor *cursor, int64_t *out)
{
    const struct db_engine *engine = cursor->conn->db->engine;
    bool has_row = false;
    TRY(step(ctx, cursor, &has_row));
    if (!has_row)
        return OK;
    struct db_arg value = {0};
    if (engine->column_count(cursor) != 1 || !engine->read(cursor, 0, DB_INT, ctx->arena, &value))
        return refuse(ctx, ERR_INTERNAL, "db_column", "no single integer: %.200s",
                      cursor->statement->text);
    TRY(step(ctx, cursor, &has_row));
    if (has_row)
        return refuse(ctx, ERR_INTERNAL, "db_many_rows", "one row at most: %.200s",
                      cursor->statement->text);
    if (value.type != DB_NULL)
        *out = value.number;
    return OK;
}

err_t db_int(struct ctx *ctx, const char *sql, struct db_args args, int64_t *out)
{
    struct db_cursor cursor;
    TRY(start(ctx, sql, args, RUN, &cursor));
    return finish(&cursor, read_int(ctx, &cursor, out));
}

static err_t run_to_end(struct ctx *ctx, struct db_cursor *cursor)
{
    bool has_row = true;
    while (has_row)
        TRY(step(ctx, cursor, &has_row));
    return OK;
}

static err_t exec(struct ctx *ctx, const char *sql, struct db_args args, enum run run,
                  struct db_cursor *cursor)
{
    TRY(start(ctx, sql, args, run, cursor));
    return cursor->is_posted ? OK : finish(cursor, run_to_end(ctx, cursor));
}

err_t db_exec(struct ctx *ctx, const char *sql, struct db_args args, int64_t *out_changed)
{
    struct db_cursor cursor;
    TRY(exec(ctx, sql, args, out_changed == NULL ? RUN_LATER : RUN, &cursor));
    if (out_changed != NULL)
        *out_changed = cursor.changed;
    return OK;
}

err_t db_exec_one(struct ctx *ctx, const char *sql, struct db_args args)
{
    struct db_cursor cursor;
    TRY(exec(ctx, sql, args, RUN_LATER_ONE, &cursor));
    if (cursor.is_posted || cursor.changed == 1)
        return OK;
    return refuse(ctx, ERR_AGAIN, "concurrent_change", "%lld rows changed: %.200s",
                  (long long)cursor.changed, sql);
}
