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

/* A database is up to three files; what is absent is passed over. */
static const char *const database_parts[] = {"", "-wal", "-shm"};

static bool move_database(const struct command_line *line, const char *from, const char *to)
{
    for (int i = 0; i < 3; i++) {
        const char *old =
            str_z(line->arena, str_printf(line->arena, "%s%s", from, database_parts[i]));
        const char *fresh =
            str_z(line->arena, str_printf(line->arena, "%s%s", to, database_parts[i]));
        if (rename(old, fresh) != 0 && errno != ENOENT) {
            fprintf(stderr, "suanhe: cannot move %s: %s\n", old, strerror(errno));
            return false;
        }
    }
    return true;
}

static void remove_database(const struct command_line *line, const char *path)
{
    for (int i = 0; i < 3; i++)
        unlink(str_z(line->arena, str_printf(line->arena, "%s%s", path, database_parts[i])));
}

static void say_how_to_go_on(const struct command_line *line, const struct ctx *ctx)
{
    const char *copy = line->rest_count > 1 ? line->rest[1] : "";
    fprintf(stderr, "suanhe: the copy cannot go on as it is; the former database is untouched\n");
    if (ctx->problem.reason == NULL || strcmp(ctx->problem.reason, "evidence_behind_head") != 0)
        return;
    fprintf(stderr,
            "It is older than heads that were signed, and what came after it would be lost. Look "
            "for a newer copy first.\n"
            "If there is none, go on in a new epoch of the evidence: receipts given before stay "
            "valid, and the first entry\n"
            "of each log tells where the old one ended and who approved it:\n\n"
            "  suanhe restore %s --new-epoch true --approved-by \"NAME, OFFICE\"\n\n",
            copy);
}

/* The folder stays locked. */
static void close_database(struct opened *opened)
{
    if (opened->platform.evidence)
        evidence_close(opened->platform.evidence);
    if (opened->platform.db)
        db_close(opened->platform.db);
    opened->platform.evidence = NULL;
    opened->platform.db = NULL;
}

/* Opening tells whether the database is whole, and whether it lies behind a head that was signed
 * already. */
static int try_database(const struct command_line *line, struct opened *opened)
{
    opened->new_epoch = line->settings.new_epoch;
    return platform_open(line, true, opened) ? 0 : 1;
}

/* The copy is tried beside the database and takes its place only when it can go on; the database is
 * kept. */
static int restore_copy(const struct command_line *line, const char *copy, struct opened *opened)
{
    const char *path = str_z(line->arena, str_cut(settings_db_url(line), 7));
    const char *fresh = str_z(line->arena, str_printf(line->arena, "%s.restoring", path));
    const char *old = str_z(
        line->arena, str_printf(line->arena, "%s.before-restore-%" PRId64, path, clock_now().ms));
    struct command_line beside = *line;
    beside.settings.db = str_printf(line->arena, "sqlite:%s", fresh);
    remove_database(line, fresh);
    int status = 0;
    if (!copy_file(copy, fresh)) {
        fprintf(stderr, "suanhe: cannot copy %s: %s\n", copy, strerror(errno));
        status = 1;
    } else {
        status = try_database(&beside, opened);
        close_database(opened);
        if (status != 0)
            say_how_to_go_on(line, &opened->ctx);
    }
    if (status != 0) {
        remove_database(line, fresh);
        return status;
    }
    if (!move_database(line, path, old))
        return 1;
    if (!move_database(line, fresh, path)) {
        fprintf(stderr, "suanhe: the former database is %s, the copy %s; put one of them at %s\n",
                old, fresh, path);
        return 1;
    }
    printf("restored; the former database is kept as %s\n", old);
    return 0;
}

int command_restore(const struct command_line *line)
{
    struct opened opened = {.lock_fd = -1};
    bool is_file = str_starts(settings_db_url(line), STR("sqlite:")),
         new_epoch = line->settings.new_epoch;
    if (line->rest_count > 2 || (line->rest_count < 2 && !new_epoch)) {
        fprintf(stderr, "usage: suanhe restore FILE [--new-epoch true --approved-by NAME]\n");
        return 2;
    }
    if (line->rest_count == 2 && !is_file) {
        fprintf(stderr, "suanhe: put a PostgreSQL database back with pg_restore; for a new epoch "
                        "of its evidence, then\n"
                        "suanhe restore --new-epoch true --approved-by NAME\n");
        return 2;
    }
    if (new_epoch != (line->settings.approved_by.len > 0)) {
        fprintf(stderr, "suanhe: --new-epoch true and --approved-by NAME belong together\n");
        return 2;
    }
    if (!folder_open(line, false, &opened))
        return 1;
    int status = line->rest_count == 2 ? restore_copy(line, line->rest[1], &opened)
                                       : try_database(line, &opened);
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
