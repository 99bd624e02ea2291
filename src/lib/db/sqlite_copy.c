/* SPDX-License-Identifier: Apache-2.0 */
/* Whole copies of a SQLite database: a back-up of a running one, and the copy kept before a
 * migration. A copy is made under another name and takes its own only when it is complete and on
 * disk. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "db_internal.h"

static err_t failed(struct ctx *ctx, const char *path)
{
    return refuse(ctx, ERR_INTERNAL, errno == ENOSPC ? "disk_full" : "storage_failed", "%s: %s",
                  path, strerror(errno));
}

static const char *partial_name(struct ctx *ctx, const char *path)
{
    return str_printf(ctx->arena, "%s.partial", path).data;
}

/* An empty file that only its owner reads; an older attempt is thrown away. */
static err_t make_empty(struct ctx *ctx, const char *path)
{
    if (unlink(path) != 0 && errno != ENOENT)
        return failed(ctx, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return failed(ctx, path);
    close(fd);
    return OK;
}

static err_t sync_path(struct ctx *ctx, const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0)
        return failed(ctx, path);
    bool is_synced = fsync(fd) == 0;
    close(fd);
    return is_synced ? OK : failed(ctx, path);
}

static err_t take_name(struct ctx *ctx, const char *partial, const char *path)
{
    TRY(sync_path(ctx, partial, O_RDONLY));
    if (rename(partial, path) != 0)
        return failed(ctx, path);
    char *folder = arena_copy(ctx->arena, path, strlen(path));
    return sync_path(ctx, dirname(folder), O_RDONLY | O_DIRECTORY);
}

static err_t vacuum_into(struct ctx *ctx, struct db_conn *conn, const char *path)
{
    static const char sql[] = "VACUUM INTO $1";
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(conn->native, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_bind_text(statement, 1, path, -1, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    err_t err = code == SQLITE_DONE ? OK : db_sqlite_refuse(ctx, conn, code, sql);
    sqlite3_finalize(statement);
    return err;
}

err_t db_sqlite_keep_copy(struct ctx *ctx, struct db_conn *conn, const char *number)
{
    const char *path = str_printf(ctx->arena, "%s.before-%s", conn->db->path, number).data;
    const char *partial = partial_name(ctx, path);
    TRY(make_empty(ctx, partial));
    TRY(vacuum_into(ctx, conn, partial));
    return take_name(ctx, partial, path);
}

/* One step copies one snapshot: writers go on meanwhile and are not seen. */
static int copy_pages(sqlite3 *to, sqlite3 *from)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    if (backup == NULL)
        return sqlite3_errcode(to);
    int code = sqlite3_backup_step(backup, -1);
    int finished = sqlite3_backup_finish(backup);
    return code == SQLITE_DONE ? finished : code;
}

static err_t copy_to(struct ctx *ctx, struct db_conn *conn, const char *path)
{
    sqlite3 *to = NULL;
    int code = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK)
        code = copy_pages(to, conn->native);
    /* A copy is one file: no WAL beside it. */
    if (code == SQLITE_OK)
        code = sqlite3_exec(to, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    err_t err = OK;
    if (code != SQLITE_OK)
        err =
            refuse(ctx, ERR_INTERNAL, (code & 0xff) == SQLITE_FULL ? "disk_full" : "storage_failed",
                   "%s: %s", path, to != NULL ? sqlite3_errmsg(to) : sqlite3_errstr(code));
    sqlite3_close(to);
    return err;
}

static err_t back_up(struct ctx *ctx, struct db_conn *conn, const char *path)
{
    const char *partial = partial_name(ctx, path);
    if (access(path, F_OK) == 0)
        return refuse(ctx, ERR_STATE, "backup_exists", "%s exists", path);
    TRY(make_empty(ctx, partial));
    err_t err = copy_to(ctx, conn, partial);
    if (err == OK)
        err = take_name(ctx, partial, path);
    if (err != OK)
        unlink(partial);
    return err;
}

err_t db_backup(struct ctx *ctx, struct db *db, const char *path)
{
    if (db->engine->kind != DB_SQLITE)
        return refuse(ctx, ERR_STATE, "use_pg_dump", "pg_dump makes back-ups of PostgreSQL");
    struct db_conn *conn = NULL;
    TRY(db_admin_take(ctx, db, &conn));
    err_t err = back_up(ctx, conn, path);
    db_admin_give(db, conn);
    return err;
}
