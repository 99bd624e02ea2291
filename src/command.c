/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that work on the data folder themselves: init, migrate, routes, fsck, backup, restore,
 * export. Those that change anything hold the folder's lock, so none runs beside a server. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "account/account.h"
#include "catalog/catalog.h"
#include "crypto/crypto.h"
#include "event/event.h"
#include "evidence/evidence.h"
#include "ledger/ledger.h"
#include "main.h"
#include "order/order.h"

/* ---- init ---- */
struct first_user {
    str_t email, password, verifier;
    bool made;
};

static err_t make_operator(struct ctx *ctx, void *arg)
{
    struct first_user *first = arg;
    struct user user = {0};
    bool found = false;
    TRY(account_user_by_email(ctx, first->email, &user, &found));
    if (found)
        return OK;
    first->made = true;
    return account_bootstrap(ctx, first->email, first->verifier, &user);
}

static bool init_operator(struct opened *opened)
{
    struct ctx *ctx = &opened->ctx;
    struct first_user first = {.email = STR("operator@suanhe.example"),
                               .password = make_password(ctx->arena)};
    first.verifier = password_hash(ctx->arena, first.password);
    if (db_write(ctx, ctx->platform->db, make_operator, &first) != OK)
        return complain(ctx, "operator account") == 0;
    if (first.made)
        printf("operator account (shown once): " STR_FMT "  " STR_FMT "\n", STR_ARG(first.email),
               STR_ARG(first.password));
    return true;
}

int command_init(const struct command_line *line)
{
    struct opened opened = {.lock_fd = -1};
    if (!folder_open(line, true, &opened))
        return 1;
    bool good = platform_open(line, true, &opened) && init_operator(&opened) &&
                (!line->settings.demo || demo_load(line, &opened));
    if (good && event_catch_up(&opened.ctx) != OK)
        good = complain(&opened.ctx, "events") == 0;
    platform_close(&opened);
    return good ? 0 : 1;
}

int command_migrate(const struct command_line *line)
{
    struct opened opened = {.lock_fd = -1};
    if (!folder_open(line, false, &opened))
        return 1;
    bool good = platform_open(line, true, &opened);
    platform_close(&opened);
    if (good)
        printf("the database is at this version\n");
    return good ? 0 : 1;
}

static const char *permission_name(int permission)
{
    return names_of(&permission_names, permission);
}

int command_routes(const struct command_line *line)
{
    struct buf out;
    struct route_table tables[32];
    ENSURE(all_route_count <= 32);
    for (int i = 0; i < all_route_count; i++)
        tables[i] = *all_routes[i];
    buf_init(&out, line->arena, 4 << 20);
    http_print_routes(&out, tables, all_route_count, permission_name);
    printf(STR_FMT "\n", STR_ARG(buf_str(&out)));
    return 0;
}

/* ---- fsck ---- */
struct check {
    const char *name;
    err_t (*run)(struct ctx *ctx, struct buf *report);
};
static const struct check checks[] = {
    {"books", ledger_fsck},
    {"evidence", evidence_fsck},
    {"orders", order_fsck},
};

static err_t run_check(struct ctx *ctx, void *arg)
{
    const struct check *const *check = arg;
    struct buf report;
    buf_init(&report, ctx->arena, 16 << 20);
    err_t err = (*check)->run(ctx, &report);
    fputs(buf_str(&report).data, stdout);
    return err;
}

int command_fsck(const struct command_line *line)
{
    struct opened opened;
    int status = 0;
    if (!platform_open_reading(line, &opened))
        return 1;
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        const struct check *check = &checks[i];
        bool good = db_read(&opened.ctx, opened.platform.db, run_check, &check) == OK;
        printf("%s: %s\n", check->name, good ? "sound" : "DAMAGED");
        if (!good)
            status = complain(&opened.ctx, check->name);
        problem_clear(&opened.ctx);
    }
    platform_close(&opened);
    return status;
}

/* ---- backup, restore, export ---- */
int command_backup(const struct command_line *line)
{
    struct opened opened;
    if (line->rest_count < 2) {
        fprintf(stderr, "usage: suanhe backup FILE\n");
        return 2;
    }
    if (!platform_open_reading(line, &opened))
        return 1;
    int status = 0;
    if (access(line->rest[1], F_OK) == 0) {
        fprintf(stderr, "suanhe: %s exists already\n", line->rest[1]);
        status = 1;
    } else if (db_backup(&opened.ctx, opened.platform.db, line->rest[1]) != OK) {
        status = complain(&opened.ctx, "backup");
    } else {
        printf("backup written to %s; keep the folder's keys too (DATA_DIR/keys and the "
               "key-encryption key)\n",
               line->rest[1]);
    }
    platform_close(&opened);
    return status;
}

static bool copy_file(const char *from, const char *to)
{
    FILE *in = fopen(from, "rb"), *out = in ? fopen(to, "wbx") : NULL;
    char part[65536];
    size_t n;
    bool good = in && out;
    while (good && (n = fread(part, 1, sizeof(part), in)) > 0)
        good = fwrite(part, 1, n, out) == n;
    good = good && !ferror(in) && fflush(out) == 0 && fsync(fileno(out)) == 0;
    if (in)
        fclose(in);
    if (out && fclose(out) != 0)
        good = false;
    return good;
}

/* The copy takes the place of the database, which is kept beside it. */
static int restore_into(const struct command_line *line, const char *copy)
{
    str_t url = settings_db_url(line);
    if (!str_starts(url, STR("sqlite:"))) {
        fprintf(stderr, "suanhe: restore a PostgreSQL database with pg_restore\n");
        return 2;
    }
    const char *path = str_z(line->arena, str_cut(url, 7));
    const char *fresh = str_z(line->arena, str_printf(line->arena, "%s.restoring", path));
    const char *old = str_z(
        line->arena, str_printf(line->arena, "%s.before-restore-%" PRId64, path, clock_now().ms));
    unlink(fresh);
    if (!copy_file(copy, fresh)) {
        fprintf(stderr, "suanhe: cannot copy %s: %s\n", copy, strerror(errno));
        return 1;
    }
    static const char *const parts[] = {"", "-wal", "-shm"};
    for (int i = 0; i < 3; i++) {
        str_t from = str_printf(line->arena, "%s%s", path, parts[i]),
              to = str_printf(line->arena, "%s%s", old, parts[i]);
        if (rename(from.data, to.data) != 0 && errno != ENOENT) {
            fprintf(stderr, "suanhe: cannot move %s: %s\n", from.data, strerror(errno));
            return 1;
        }
    }
    if (rename(fresh, path) != 0) {
        fprintf(stderr, "suanhe: cannot put the copy in place: %s\n", strerror(errno));
        return 1;
    }
    printf("restored; the former database is kept as %s\n", old);
    return 0;
}

int command_restore(const struct command_line *line)
{
    struct opened opened = {.lock_fd = -1};
    if (line->rest_count < 2) {
        fprintf(stderr, "usage: suanhe restore FILE\n");
        return 2;
    }
    if (!folder_open(line, false, &opened))
        return 1;
    int status = restore_into(line, line->rest[1]);
    /* Opening tells whether the copy is whole, and whether it lies behind a head that was signed
     * already. */
    if (status == 0 && !platform_open(line, true, &opened)) {
        fprintf(stderr, "suanhe: the copy cannot go on as it is; the former database was kept\n");
        status = 1;
    }
    platform_close(&opened);
    return status;
}

static err_t export_journal(struct ctx *ctx, void *arg)
{
    struct buf *out = arg;
    return ledger_export(ctx, out);
}

int command_export(const struct command_line *line)
{
    struct opened opened;
    struct buf out;
    if (line->rest_count < 2 || strcmp(line->rest[1], "journal") != 0) {
        fprintf(stderr, "usage: suanhe export journal\n");
        return 2;
    }
    if (!platform_open_reading(line, &opened))
        return 1;
    buf_init(&out, opened.ctx.arena, 1 << 30);
    int status = 0;
    if (db_read(&opened.ctx, opened.platform.db, export_journal, &out) != OK)
        status = complain(&opened.ctx, "export");
    else
        fwrite(out.data, 1, out.len, stdout);
    platform_close(&opened);
    return status;
}
