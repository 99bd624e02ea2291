/* SPDX-License-Identifier: Apache-2.0 */
/* `suanhe serve`: ties the layers together, runs until a signal, and takes them down in reverse. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/api.h"
#include "catalog/catalog.h"
#include "crypto/crypto.h"
#include "event/event.h"
#include "evidence/evidence.h"
#include "if2/if2.h"
#include "job/job.h"
#include "main.h"
#include "server.h"

const struct route_table *const all_routes[] = {
    &system_routes,      &account_routes,     &store_routes,        &catalog_routes,
    &order_routes,       &cart_routes,        &service_routes,      &delivery_routes,
    &evidence_routes,    &admin_users_routes, &admin_orders_routes, &if2_token_routes,
    &if2_product_routes, &if2_order_routes,
};
const int all_route_count = (int)(sizeof(all_routes) / sizeof(all_routes[0]));

/* The signer is a process of its own: it must be made before this one has threads. */
static bool start_signer(const struct command_line *line, struct server *server)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    fflush(NULL);
    server->signer_pid = fork();
    if (server->signer_pid < 0)
        return false;
    if (server->signer_pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGINT, SIG_IGN); /* ends with its socket, after the last head */
        signal(SIGTERM, SIG_IGN);
        close(pair[0]);
        close(server->opened.lock_fd);
        const char *kek =
            line->settings.kek_file.len ? str_z(line->arena, line->settings.kek_file) : NULL;
        _exit(evidence_signer_main(pair[1], str_z(line->arena, line->settings.data_dir), kek,
                                   str_z(line->arena, settings_path(line, "signer"))));
    }
    close(pair[1]);
    server->signer_fd = pair[0];
    return true;
}

static void wake_streams(void *state)
{
    struct server *server = state;
    if (server->http)
        http_wake_streams(server->http);
}

/* New facts: who follows them is woken at once. */
static void facts_committed(void *state)
{
    event_poke(state);
}

static bool start_parts(const struct command_line *line, struct server *server)
{
    struct ctx *ctx = &server->opened.ctx;
    struct platform *platform = &server->opened.platform;
    evidence_use_signer(platform->evidence, server->signer_fd);
    if (evidence_start(platform->evidence) != OK)
        return complain(ctx, "evidence") == 0;
    if (event_open(ctx, wake_streams, server, &platform->events) != OK)
        return complain(ctx, "events") == 0;
    if (catalog_index_open(ctx, &platform->catalog) != OK)
        return complain(ctx, "catalogue") == 0;
    evidence_on_commit(platform->evidence, facts_committed, platform->events);
    event_start(platform->events);
    const struct if2_outbound outbound = {.plain_networks = line->settings.allow_plain_http};
    struct job_handler handlers[16];
    server->sync = if2_sync_new(&outbound);
    int count = if2_sync_handlers(server->sync, handlers, 14);
    handlers[count++] = (struct job_handler){JOB_PRODUCT_BATCH, catalog_batch_run, NULL};
    handlers[count++] = (struct job_handler){JOB_CLEAN, clean_run, NULL};
    server->jobs = job_start(platform, handlers, count, 4);
    return true;
}

static bool start_http(const struct command_line *line, struct server *server)
{
    uint8_t key[32];
    keyring_secret(server->opened.platform.keys, "cursor", key);
    cursor_set_key(key);
    struct route_table tables[sizeof(all_routes) / sizeof(all_routes[0])];
    for (int i = 0; i < all_route_count; i++)
        tables[i] = *all_routes[i];
    const struct http_options options = {
        .bind = line->settings.bind,
        .port = line->settings.port,
        .unix_socket = str_z(line->arena, settings_path(line, "admin.sock")),
        .workers = line->settings.workers,
        .tables = tables,
        .table_count = all_route_count,
        .hooks = {.authenticate = api_authenticate, .authorise = api_authorise},
        .assets = portal_assets,
        .asset_count = portal_asset_count,
        .portal_dir =
            line->settings.portal_dir.len ? str_z(line->arena, line->settings.portal_dir) : NULL,
        .trusted_proxy = line->settings.trusted_proxy.len
                             ? str_z(line->arena, line->settings.trusted_proxy)
                             : NULL,
        .docs_index_fallback = true,
    };
    if (http_start(&server->opened.ctx, &server->opened.platform, &options, &server->http) != OK)
        return complain(&server->opened.ctx, "http") == 0;
    return true;
}

static void stop_parts(struct server *server)
{
    if (server->http)
        http_stop(server->http);
    server->http = NULL;
    if (server->jobs)
        job_stop(server->jobs);
    if (server->sync)
        if2_sync_free(server->sync);
    if (server->opened.platform.evidence)
        evidence_on_commit(server->opened.platform.evidence, NULL, NULL);
    if (server->opened.platform.events)
        event_close(server->opened.platform.events);
    if (server->opened.platform.catalog)
        catalog_index_close(server->opened.platform.catalog);
    platform_close(&server->opened);
    close(server->signer_fd);
    waitpid(server->signer_pid, NULL, 0);
}

static void wait_for_signal(const sigset_t *set)
{
    int which;
    sigwait(set, &which);
    log_line("stopping", "signal=%d", which);
}

int command_serve(const struct command_line *line)
{
    struct server server = {.signer_fd = -1};
    int64_t started = clock_monotonic_us();
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    if (!folder_open(line, false, &server.opened))
        return 1;
    if (!start_signer(line, &server)) {
        fprintf(stderr, "suanhe: cannot start the signer\n");
        return 1;
    }
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (!platform_open(line, false, &server.opened) || !start_parts(line, &server) ||
        !start_http(line, &server)) {
        stop_parts(&server);
        return 1;
    }
    log_line("serving", "url=" STR_FMT " port=%d ms=%" PRId64,
             STR_ARG(settings_base_url(&line->settings, line->arena)), http_port(server.http),
             (clock_monotonic_us() - started) / 1000);
    wait_for_signal(&set);
    stop_parts(&server);
    return 0;
}
