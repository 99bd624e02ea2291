/* SPDX-License-Identifier: Apache-2.0 */
/* Migrations: known to the program (embedded, or a folder), applied to the database (table
 * db_migration: name, SM3 of the text, moment, program). They are applied in order and all in one
 * transaction, so that a database never stands between two versions. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "db_internal.h"

enum { MIGRATION_BYTES_MAX = 4 << 20, PG_LOCK_NUMBER = 7215501 };

struct known {
    const struct db_migration *item;
    int count;
};

struct applied {
    str_t name, digest, version;
};
static const struct field applied_fields[] = {
    FIELD(struct applied, name, 0, 0, 0),
    FIELD_BYTES(struct applied, digest, 0, 0, 0),
    FIELD(struct applied, version, 0, 0, 0),
};
static const struct shape applied_shape = SHAPE(struct applied, applied_fields);

struct state {
    struct known known;
    struct applied *applied;
    size_t applied_count;
    bool holds_data;
};

/* ---- what the program knows ---- */

/* The text of a file, its last line always ended, as embed-sql.sh makes it. */
static err_t read_text(struct ctx *ctx, const char *path, const char **out_text)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return refuse(ctx, ERR_INTERNAL, "migration_unreadable", "%s: %s", path, strerror(errno));
    struct buf buf;
    buf_init(&buf, ctx->arena, MIGRATION_BYTES_MAX);
    char part[4096];
    for (size_t len = 0; (len = fread(part, 1, sizeof part, file)) > 0;)
        buf_put(&buf, str_from(part, len));
    bool failed = ferror(file) != 0;
    fclose(file);
    if (buf.len > 0 && !str_ends(buf_str(&buf), STR("\n")))
        buf_putc(&buf, '\n');
    if (failed || buf.overflow || (buf.len > 0 && memchr(buf.data, '\0', buf.len) != NULL))
        return refuse(ctx, ERR_INTERNAL, "migration_unreadable", "%s", path);
    *out_text = str_z(ctx->arena, buf_str(&buf));
    return OK;
}

static struct db_migration *find_or_add(struct db_migration *list, int *count, const char *name)
{
    for (int i = 0; i < *count; i++)
        if (strcmp(list[i].name, name) == 0)
            return &list[i];
    list[*count].name = name;
    return &list[(*count)++];
}

static err_t read_file(struct ctx *ctx, const char *folder, const char *file,
                       struct db_migration *list, int *count)
{
    str_t name = str_of(file), sqlite = STR(".sqlite.sql"), pg = STR(".pg.sql"), both = STR(".sql");
    bool is_sqlite = str_ends(name, sqlite), is_pg = str_ends(name, pg);
    name.len -= is_sqlite ? sqlite.len : is_pg ? pg.len : both.len;
    const char *text = NULL;
    TRY(read_text(ctx, str_printf(ctx->arena, "%s/%s", folder, file).data, &text));
    struct db_migration *item = find_or_add(list, count, str_z(ctx->arena, name));
    if (!is_pg)
        item->sqlite = text;
    if (!is_sqlite)
        item->pg = text;
    return OK;
}

static int by_name(const void *a, const void *b)
{
    const struct db_migration *left = a, *right = b;
    return strcmp(left->name, right->name);
}

static err_t read_folder(struct ctx *ctx, const char *folder, struct known *out)
{
    struct dirent **entry = NULL;
    int found = scandir(folder, &entry, NULL, alphasort);
    if (found < 0)
        return refuse(ctx, ERR_INTERNAL, "migration_unreadable", "%s: %s", folder, strerror(errno));
    struct db_migration *list = NEW_ARRAY(ctx, struct db_migration, (size_t)found + 1);
    int count = 0;
    err_t err = OK;
    for (int i = 0; i < found; i++) {
        if (err == OK && entry[i]->d_name[0] != '.' &&
            str_ends(str_of(entry[i]->d_name), STR(".sql")))
            err = read_file(ctx, folder, entry[i]->d_name, list, &count);
        free(entry[i]);
    }
    free(entry);
    TRY(err);
    for (int i = 0; i < count; i++)
        if (list[i].sqlite == NULL || list[i].pg == NULL)
            return refuse(ctx, ERR_INTERNAL, "migration_unreadable", "%s lacks its twin",
                          list[i].name);
    qsort(list, (size_t)count, sizeof *list, by_name);
    *out = (struct known){list, count};
    return OK;
}

static err_t read_known(struct ctx *ctx, struct db *db, struct known *out)
{
    if (db->sql_dir != NULL)
        return read_folder(ctx, db->sql_dir, out);
    *out = (struct known){db_migrations, db_migration_count};
    return OK;
}

static const char *text_of(const struct db_migration *migration, enum db_kind kind)
{
    return kind == DB_SQLITE ? migration->sqlite : migration->pg;
}

static str_t digest_of(struct ctx *ctx, const struct db_migration *migration, enum db_kind kind)
{
    uint8_t digest[SM3_BYTES];
    sm3(str_of(text_of(migration, kind)), digest);
    return str_dup(ctx->arena, str_from(digest, sizeof digest));
}

/* ---- what the database says ---- */

static err_t has_table(struct ctx *ctx, enum db_kind kind, bool *out)
{
    int64_t found = 0;
    TRY(db_int(
        ctx,
        kind == DB_SQLITE
            ? "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'db_migration'"
            : "SELECT count(to_regclass('db_migration'))",
        NO_ARGS, &found));
    *out = found > 0;
    return OK;
}

static err_t load_applied(struct ctx *ctx, void *arg)
{
    struct state *state = arg;
    bool exists = false;
    state->applied_count = 0;
    TRY(has_table(ctx, ctx->tx->db->engine->kind, &exists));
    if (!exists)
        return OK;
    return db_all(ctx, "SELECT name, digest, version FROM db_migration ORDER BY name LIMIT 10000",
                  NO_ARGS, &applied_shape, &state->applied, &state->applied_count);
}

static const struct db_migration *find_known(const struct known *known, str_t name)
{
    for (int i = 0; i < known->count; i++)
        if (str_is(name, known->item[i].name))
            return &known->item[i];
    return NULL;
}

static bool is_after_all(const struct known *known, str_t name)
{
    return known->count == 0 || str_cmp(name, str_of(known->item[known->count - 1].name)) > 0;
}

/* An unknown migration behind all known ones was made by a newer program. */
static err_t check_newer(struct ctx *ctx, const struct state *state)
{
    for (size_t i = 0; i < state->applied_count; i++) {
        const struct applied *applied = &state->applied[i];
        if (find_known(&state->known, applied->name) == NULL &&
            is_after_all(&state->known, applied->name))
            return refuse(ctx, ERR_STATE, "db_newer",
                          "the database was written by version " STR_FMT " (" STR_FMT
                          "), this is %s",
                          STR_ARG(applied->version), STR_ARG(applied->name), SUANHE_VERSION);
    }
    return OK;
}

/* Applied is exactly the beginning of known. */
static err_t check_applied(struct ctx *ctx, const struct state *state, enum db_kind kind)
{
    TRY(check_newer(ctx, state));
    for (size_t i = 0; i < state->applied_count; i++) {
        const struct applied *applied = &state->applied[i];
        const struct db_migration *known = find_known(&state->known, applied->name);
        if (known == NULL)
            return refuse(ctx, ERR_STATE, "migration_changed",
                          STR_FMT " was applied and is missing now", STR_ARG(applied->name));
        if (!str_eq(applied->digest, digest_of(ctx, known, kind)))
            return refuse(ctx, ERR_STATE, "migration_changed", "%s was edited after it was applied",
                          known->name);
        if (known != &state->known.item[i])
            return refuse(ctx, ERR_STATE, "migration_changed",
                          "%s was added before %s, which is applied", state->known.item[i].name,
                          known->name);
    }
    return OK;
}

static err_t load_state(struct ctx *ctx, struct db *db, struct db_conn *conn, struct state *state)
{
    TRY(read_known(ctx, db, &state->known));
    return db_conn_run(ctx, conn, DB_ROLE_READ, load_applied, state);
}

err_t db_refuse_newer(struct ctx *ctx, struct db *db)
{
    struct db_conn *conn = NULL;
    struct state state = {0};
    TRY(db_admin_take(ctx, db, &conn));
    err_t err = load_state(ctx, db, conn, &state);
    db_admin_give(db, conn);
    TRY(err);
    return check_newer(ctx, &state);
}

err_t db_check_schema(struct ctx *ctx, struct db *db)
{
    struct db_conn *conn = NULL;
    struct state state = {0};
    TRY(db_admin_take(ctx, db, &conn));
    err_t err = load_state(ctx, db, conn, &state);
    db_admin_give(db, conn);
    TRY(err);
    TRY(check_applied(ctx, &state, db->engine->kind));
    if (state.applied_count < (size_t)state.known.count)
        return refuse(ctx, ERR_STATE, "migration_missing", "%s is not applied",
                      state.known.item[state.applied_count].name);
    return OK;
}

/* ---- applying ---- */

static err_t record(struct ctx *ctx, const struct db_migration *migration, enum db_kind kind)
{
    return db_exec(
        ctx, "INSERT INTO db_migration (name, digest, applied_at, version) VALUES ($1, $2, $3, $4)",
        ARGS(A(migration->name), A_BYTES(digest_of(ctx, migration, kind)), A(ctx->now),
             A(SUANHE_VERSION)),
        NULL);
}

static err_t run_script(struct ctx *ctx, struct db_conn *conn, const char *sql)
{
    const struct db_engine *engine = conn->db->engine;
    char *expanded = db_sql_expand_types(sql, engine->kind);
    err_t err = engine->script(ctx, conn, expanded);
    free(expanded);
    return err;
}

static err_t apply(struct ctx *ctx, struct db_conn *conn, const struct db_migration *migration)
{
    enum db_kind kind = conn->db->engine->kind;
    err_t err = run_script(ctx, conn, text_of(migration, kind));
    if (err != OK) {
        char detail[sizeof ctx->problem.detail];
        memcpy(detail, ctx->problem.detail, sizeof detail);
        problem_clear(ctx);
        return refuse(ctx, ERR_INTERNAL, "migration_failed", "%s: %s", migration->name, detail);
    }
    return record(ctx, migration, kind);
}

/* Foreign keys are off while tables are rebuilt (SQLite cannot switch them inside), so they are
 * judged here. */
static err_t check_references(struct ctx *ctx, enum db_kind kind)
{
    if (kind != DB_SQLITE)
        return OK;
    int64_t broken = 0;
    TRY(db_int(ctx, "SELECT count(*) FROM pragma_foreign_key_check", NO_ARGS, &broken));
    if (broken > 0)
        return refuse(ctx, ERR_INTERNAL, "migration_failed", "%lld references broken",
                      (long long)broken);
    return OK;
}

static err_t apply_missing(struct ctx *ctx, void *arg)
{
    struct state *state = arg;
    struct db_conn *conn = ctx->tx->conn;
    enum db_kind kind = conn->db->engine->kind;
    if (kind == DB_POSTGRES) {
        int64_t locked = 0;
        TRY(db_int(ctx, "SELECT count(pg_advisory_xact_lock(CAST($1 AS BIGINT)))",
                   ARGS(A(PG_LOCK_NUMBER)), &locked));
    }
    TRY(run_script(ctx, conn,
                   "CREATE TABLE IF NOT EXISTS db_migration (name TEXT NOT NULL PRIMARY KEY,"
                   " digest BYTES NOT NULL, applied_at INT NOT NULL, version TEXT NOT NULL)"));
    TRY(load_applied(ctx, state)); /* another instance may have been first */
    TRY(check_applied(ctx, state, kind));
    for (int i = (int)state->applied_count; i < state->known.count; i++)
        TRY(apply(ctx, conn, &state->known.item[i]));
    return check_references(ctx, kind);
}

struct table_name {
    str_t name;
};
static const struct field table_name_fields[] = {FIELD(struct table_name, name, 0, 0, 0)};
static const struct shape table_name_shape = SHAPE(struct table_name, table_name_fields);

/* Whether any table but db_migration has a row. */
static err_t look_for_data(struct ctx *ctx, void *arg)
{
    struct state *state = arg;
    struct table_name *table = NULL;
    size_t count = 0;
    TRY(db_all(ctx,
               "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'db_migration'"
               " AND name NOT LIKE 'sqlite_%' AND sql NOT LIKE 'CREATE VIRTUAL%' LIMIT 10000",
               NO_ARGS, &table_name_shape, &table, &count));
    for (size_t i = 0; i < count && !state->holds_data; i++) {
        int64_t rows = 0;
        str_t sql =
            str_printf(ctx->arena, "SELECT count(*) FROM (SELECT 1 FROM \"" STR_FMT "\" LIMIT 1)",
                       STR_ARG(table[i].name));
        TRY(db_int(ctx, sql.data, NO_ARGS, &rows));
        state->holds_data = rows > 0;
    }
    return OK;
}

static err_t keep_copy(struct ctx *ctx, struct db_conn *conn, struct state *state)
{
    if (conn->db->engine->kind != DB_SQLITE || conn->db->path[0] == '\0' ||
        state->applied_count == 0)
        return OK;
    TRY(db_conn_run(ctx, conn, DB_ROLE_READ, look_for_data, state));
    if (!state->holds_data)
        return OK;
    const char *next = state->known.item[state->applied_count].name;
    return db_sqlite_keep_copy(ctx, conn, str_printf(ctx->arena, "%.4s", next).data);
}

static err_t migrate_on(struct ctx *ctx, struct db_conn *conn, int *out_applied)
{
    struct db *db = conn->db;
    struct state state = {0};
    TRY(load_state(ctx, db, conn, &state));
    TRY(check_applied(ctx, &state, db->engine->kind));
    *out_applied = 0;
    if (state.applied_count == (size_t)state.known.count)
        return OK;
    TRY(keep_copy(ctx, conn, &state));
    bool is_sqlite = db->engine->kind == DB_SQLITE;
    if (is_sqlite)
        TRY(db->engine->script(ctx, conn, "PRAGMA foreign_keys = OFF"));
    err_t err = db_conn_run(ctx, conn, DB_ROLE_WRITE, apply_missing, &state);
    if (is_sqlite && err == OK)
        err = db->engine->script(ctx, conn, "PRAGMA foreign_keys = ON");
    else if (is_sqlite)
        (void)!db->engine->script(ctx, conn, "PRAGMA foreign_keys = ON");
    TRY(err);
    *out_applied = state.known.count - (int)state.applied_count;
    return OK;
}

err_t db_migrate(struct ctx *ctx, struct db *db, int *out_applied)
{
    struct db_conn *conn = NULL;
    int applied = 0;
    TRY(db_admin_take(ctx, db, &conn));
    err_t err = migrate_on(ctx, conn, &applied);
    db_admin_give(db, conn);
    TRY(err);
    if (out_applied != NULL)
        *out_applied = applied;
    return OK;
}
