/* SPDX-License-Identifier: Apache-2.0 */
/* The demo market: stores and products from the offers that come with the program, a consumer with
 * a balance, and the settings of the agent that stands in for the stores' scheduling platforms.
 * Loading it twice changes nothing. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "account/account.h"
#include "api/api.h"
#include "catalog/catalog.h"
#include "crypto/crypto.h"
#include "ledger/ledger.h"
#include "main.h"

#define DEMO_EMAIL "demo@suanhe.example"
enum { DEMO_BALANCE_FEN = 100000000 };

struct demo_user {
    str_t email, password, verifier;
    bool made;
};

static err_t make_consumer(struct ctx *ctx, void *arg)
{
    struct demo_user *demo = arg;
    struct user user = {0};
    struct registration registration = {.email = demo->email,
                                        .password = demo->password,
                                        .name = STR("演示用户"),
                                        .consent_version = STR("1")};
    ref_t org;
    bool found = false;
    TRY(account_user_by_email(ctx, demo->email, &user, &found));
    if (found)
        return OK;
    TRY(account_register(ctx, &registration, demo->verifier, &user, &org));
    demo->made = true;
    return api_credit(ctx, org, (money_t){DEMO_BALANCE_FEN}, STR("DEMO-1"), STR("演示余额"));
}

static bool load_consumer(struct opened *opened)
{
    struct ctx *ctx = &opened->ctx;
    struct demo_user demo = {.email = STR(DEMO_EMAIL), .password = make_password(ctx->arena)};
    demo.verifier = password_hash(ctx->arena, demo.password);
    if (db_write(ctx, ctx->platform->db, make_consumer, &demo) != OK)
        return complain(ctx, "demo consumer") == 0;
    if (demo.made)
        printf("demo consumer (shown once): " STR_FMT "  " STR_FMT
               "  with a balance of 1,000,000.00 yuan\n",
               STR_ARG(demo.email), STR_ARG(demo.password));
    return true;
}

/* ---- the agent's settings ---- */
struct agent_file {
    struct buf text;
    struct jw w;
    int count;
};

static err_t write_providers(struct ctx *ctx, void *arg)
{
    struct agent_file *file = arg;
    struct store *stores;
    size_t count;
    buf_init(&file->text, ctx->arena, 1 << 20);
    jw_init(&file->w, &file->text);
    file->count = 0;
    TRY(store_list(ctx, STORE_OPEN, REF_NONE, 100, &stores, &count));
    jw_array(&file->w);
    for (size_t i = 0; i < count; i++) {
        struct store_credentials credentials = {0};
        if (!stores[i].demo)
            continue;
        TRY(store_make_credentials(ctx, stores[i].m.id, &credentials));
        jw_object(&file->w);
        jw_put_text(&file->w, "name", stores[i].name);
        jw_put_ref(&file->w, "store_id", "sto", stores[i].m.id);
        jw_put_text(&file->w, "base_url", stores[i].if2_base_url);
        jw_put_ref(&file->w, "client_id", "cli", credentials.client_id);
        jw_put_text(&file->w, "client_secret", credentials.client_secret);
        jw_put_text(&file->w, "bearer", credentials.if2_bearer);
        jw_put_text(&file->w, "backend", STR("fake"));
        jw_put_bool(&file->w, "any_sku", true);
        jw_end_object(&file->w);
        file->count++;
    }
    jw_end_array(&file->w);
    return OK;
}

static bool save(const struct command_line *line, const char *name, str_t text)
{
    const char *path = str_z(line->arena, settings_path(line, name));
    const char *fresh = str_z(line->arena, str_printf(line->arena, "%s.new", path));
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool good = fd >= 0 && write(fd, text.data, text.len) == (ssize_t)text.len && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return good && rename(fresh, path) == 0;
}

static bool load_agent_file(const struct command_line *line, struct opened *opened)
{
    struct ctx *ctx = &opened->ctx;
    struct agent_file providers;
    if (access(str_z(line->arena, settings_path(line, "agent.json")), F_OK) == 0)
        return true;
    if (db_write(ctx, ctx->platform->db, write_providers, &providers) != OK)
        return complain(ctx, "demo credentials") == 0;
    struct buf text;
    struct jw w;
    str_t url = line->settings.agent_url,
          rest = str_starts(url, STR("http://")) ? str_cut(url, 7) : url;
    buf_init(&text, ctx->arena, 2 << 20);
    jw_init(&w, &text);
    jw_object(&w);
    jw_put_text(&w, "listen", rest);
    jw_put_text(&w, "platform", settings_base_url(&line->settings, ctx->arena));
    jw_put_text(&w, "state_dir", settings_path(line, "agent"));
    jw_key(&w, "providers");
    jw_raw(&w, buf_str(&providers.text));
    jw_end_object(&w);
    if (!save(line, "agent.json", buf_str(&text))) {
        fprintf(stderr, "suanhe: cannot write agent.json\n");
        return false;
    }
    printf("agent settings for %d demo stores: " STR_FMT "\n", providers.count,
           STR_ARG(settings_path(line, "agent.json")));
    return true;
}

static void progress(void *state, const char *what, int64_t done)
{
    (void)state;
    printf("%s: %" PRId64 "\n", what, done);
    fflush(stdout);
}

bool demo_load(const struct command_line *line, struct opened *opened)
{
    struct ctx *ctx = &opened->ctx;
    const struct import_options options = {
        .data_dir = str_z(line->arena, line->settings.market_dir),
        .agent_url = line->settings.agent_url,
        .progress = progress,
    };
    struct import_result result = {0};
    if (catalog_import_demo(ctx, &options, &result) != OK)
        return complain(ctx, "demo market") == 0;
    if (result.stores > 0)
        printf("demo market: %" PRId64 " stores, %" PRId64 " products, %" PRId64 " SKUs\n",
               result.stores, result.products, result.skus);
    return load_consumer(opened) && load_agent_file(line, opened);
}
