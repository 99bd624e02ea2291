/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing what a process works on: the locked data folder, the keys, the database, the
 * evidence logs. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "account/account.h"
#include "catalog/catalog.h"
#include "crypto/crypto.h"
#include "evidence/evidence.h"
#include "server.h"

str_t settings_path(const struct command_line *line, const char *name)
{
    return str_printf(line->arena, STR_FMT "/%s", STR_ARG(line->settings.data_dir), name);
}

str_t settings_db_url(const struct command_line *line)
{
    if (line->settings.db.len)
        return line->settings.db;
    return str_printf(line->arena, "sqlite:" STR_FMT "/suanhe.db",
                      STR_ARG(line->settings.data_dir));
}

str_t settings_base_url(const struct settings *settings, struct arena *arena)
{
    if (settings->base_url.len)
        return settings->base_url;
    return str_printf(arena, "http://localhost:%d", settings->port);
}

static str_t evidence_host(const struct command_line *line)
{
    if (line->settings.evidence_host.len)
        return line->settings.evidence_host;
    str_t url = settings_base_url(&line->settings, line->arena), host;
    str_t rest = str_starts(url, STR("https://")) ? str_cut(url, 8) : str_cut(url, 7);
    return str_next(&rest, '/', &host) ? host : STR("localhost");
}

int complain(const struct ctx *ctx, const char *what)
{
    fprintf(stderr, "suanhe: %s: %s%s%s\n", what,
            ctx->problem.reason ? ctx->problem.reason : "failed",
            ctx->problem.detail[0] ? ": " : "", ctx->problem.detail);
    for (int i = 0; i < ctx->problem.error_count; i++)
        fprintf(stderr, "  " STR_FMT " %s " STR_FMT "\n", STR_ARG(ctx->problem.errors[i].pointer),
                ctx->problem.errors[i].code, STR_ARG(ctx->problem.errors[i].detail));
    return 1;
}

static bool folder_make(const char *path)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return true;
    fprintf(stderr, "suanhe: cannot make %s: %s\n", path, strerror(errno));
    return false;
}

static int folder_lock(const struct command_line *line)
{
    const char *path = str_z(line->arena, settings_path(line, "lock"));
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        fprintf(stderr, "suanhe: cannot open %s: %s (run `suanhe init` first?)\n", path,
                strerror(errno));
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        fprintf(stderr, "suanhe: another suanhe works in this data folder; stop it first\n");
        close(fd);
        return -1;
    }
    return fd;
}

static bool keys_open(const struct command_line *line, bool create, struct platform *platform)
{
    const char *message = "";
    const char *kek =
        line->settings.kek_file.len ? str_z(line->arena, line->settings.kek_file) : NULL;
    platform->keys =
        keyring_open(str_z(line->arena, line->settings.data_dir), kek, create, &message);
    if (!platform->keys)
        fprintf(stderr, "suanhe: keys: %s\n", message);
    return platform->keys != NULL;
}

bool folder_open(const struct command_line *line, bool create, struct opened *out)
{
    struct opened opened = {.lock_fd = -1};
    if (create && !folder_make(str_z(line->arena, line->settings.data_dir)))
        return false;
    opened.lock_fd = folder_lock(line);
    if (opened.lock_fd < 0)
        return false;
    if (!keys_open(line, create, &opened.platform)) {
        close(opened.lock_fd);
        return false;
    }
    *out = opened;
    return true;
}

static err_t install_catalog(struct ctx *ctx, void *arg)
{
    (void)arg;
    TRY(catalog_install(ctx));
    return clean_plan(ctx);
}

/* The operator hears of it, where the copy knows one. */
static err_t find_operator(struct ctx *ctx, void *arg)
{
    bool found;
    ref_t *org = arg;
    return account_operator_find(ctx, org, &found);
}

static bool begin_epoch(const struct command_line *line, struct ctx *ctx,
                        const struct evidence_options *logs)
{
    struct evidence_reset reset = {.approved_by = line->settings.approved_by};
    int64_t epoch = 0;
    if (db_read(ctx, ctx->platform->db, find_operator, &reset.hears) != OK)
        return complain(ctx, "operator") == 0;
    if (evidence_open_epoch(ctx, logs, &reset, &epoch) != OK)
        return complain(ctx, "new epoch") == 0;
    printf("epoch %" PRId64
           " of the evidence logs begins; fetch the new key lines from /evidence/v1/keys\n",
           epoch);
    return true;
}

bool platform_open(const struct command_line *line, bool migrate, struct opened *opened)
{
    struct platform *platform = &opened->platform;
    struct ctx *ctx = &opened->ctx;
    const struct db_options options = {.url = settings_db_url(line),
                                       .readers = line->settings.workers};
    platform->settings = &line->settings;
    platform->ids = id_maker_new(line->settings.instance);
    ctx_init(ctx, platform, clock_now());
    if (db_open(ctx, &options, &platform->db) != OK)
        return complain(ctx, "database") == 0;
    int applied = 0;
    if (migrate && db_migrate(ctx, platform->db, &applied) != OK)
        return complain(ctx, "migrate") == 0;
    if (migrate && applied > 0)
        log_line("migrated", "steps=%d", applied);
    if (db_check_schema(ctx, platform->db) != OK)
        return complain(ctx, "database (run `suanhe migrate`)") == 0;
    const struct evidence_options logs = {
        .host = evidence_host(line),
        .signer_state = str_z(line->arena, settings_path(line, "signer")),
        .sign = true,
    };
    if (opened->new_epoch && !begin_epoch(line, ctx, &logs))
        return false;
    if (evidence_open(ctx, &logs, &platform->evidence) != OK)
        return complain(ctx, "evidence") == 0;
    if (db_write(ctx, platform->db, install_catalog, NULL) != OK)
        return complain(ctx, "norms") == 0;
    return true;
}

bool platform_open_reading(const struct command_line *line, struct opened *out)
{
    struct opened *opened = out;
    *opened = (struct opened){.lock_fd = -1};
    if (!keys_open(line, false, &opened->platform))
        return false;
    const struct db_options options = {.url = settings_db_url(line)};
    opened->platform.settings = &line->settings;
    opened->platform.ids = id_maker_new(63);
    ctx_init(&opened->ctx, &opened->platform, clock_now());
    if (db_open(&opened->ctx, &options, &opened->platform.db) != OK)
        return complain(&opened->ctx, "database") == 0;
    const struct evidence_options logs = {.host = evidence_host(line), .sign = false};
    if (evidence_open(&opened->ctx, &logs, &opened->platform.evidence) != OK)
        return complain(&opened->ctx, "evidence") == 0;
    return true;
}

void platform_close(struct opened *opened)
{
    struct platform *platform = &opened->platform;
    if (platform->evidence)
        evidence_close(platform->evidence);
    if (platform->db)
        db_close(platform->db);
    if (platform->keys)
        keyring_free(platform->keys);
    if (platform->ids)
        id_maker_free(platform->ids);
    ctx_done(&opened->ctx);
    if (opened->lock_fd >= 0)
        close(opened->lock_fd);
}

str_t make_password(struct arena *arena)
{
    /* 16 characters of 32: 80 bits, without look-alikes */
    static const char alphabet[] = "abcdefghjkmnpqrstuvwxyz23456789x";
    uint8_t bytes[16];
    char text[19];
    int at = 0;
    crypto_random(bytes, sizeof(bytes));
    for (int i = 0; i < 16; i++) {
        if (i > 0 && i % 6 == 0)
            text[at++] = '-';
        text[at++] = alphabet[bytes[i] & 31];
    }
    return str_dup(arena, str_from(text, (size_t)at));
}
