/* SPDX-License-Identifier: Apache-2.0 */
/* The program suanhe-agent: serve, or report products once. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent.h"
#include "crypto/crypto.h"

struct agent *agent_of(struct ctx *ctx)
{
    return (struct agent *)(void *)ctx->platform;
}

static int usage(int status)
{
    fprintf(status ? stderr : stdout,
            "usage: suanhe-agent serve --config FILE\n"
            "       suanhe-agent report --config FILE --provider CODE --products FILE\n");
    return status;
}

static const char *option(int argc, char **argv, const char *name)
{
    for (int i = 2; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return NULL;
}

static bool open_journal(struct agent *agent, struct ctx *ctx)
{
    const char *folder = str_z(agent->config.arena, agent->config.state_dir);
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        fprintf(stderr, "suanhe-agent: cannot make %s: %s\n", folder, strerror(errno));
        return false;
    }
    const struct db_options options = {.url = str_printf(agent->config.arena,
                                                         "sqlite:" STR_FMT "/journal.db",
                                                         STR_ARG(agent->config.state_dir)),
                                       .readers = 2};
    int applied;
    if (db_open(ctx, &options, &agent->platform.db) == OK &&
        db_migrate(ctx, agent->platform.db, &applied) == OK)
        return true;
    fprintf(stderr, "suanhe-agent: journal: %s %s\n", ctx->problem.reason, ctx->problem.detail);
    return false;
}

static bool start_http(struct agent *agent, struct ctx *ctx)
{
    const struct http_options options = {
        .bind = agent->config.listen_host,
        .port = agent->config.listen_port,
        .threads = 1,
        .workers = 2,
        .tables = &agent_routes,
        .table_count = 1,
        .hooks = {.authenticate = agent_authenticate, .authorise = agent_authorise},
    };
    if (http_start(ctx, &agent->platform, &options, &agent->http) == OK)
        return true;
    fprintf(stderr, "suanhe-agent: http: %s %s\n", ctx->problem.reason, ctx->problem.detail);
    return false;
}

static int serve(struct agent *agent)
{
    struct ctx ctx;
    sigset_t set;
    int which;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    ctx_init(&ctx, &agent->platform, clock_now());
    if (!open_journal(agent, &ctx) || !start_http(agent, &ctx))
        return 1;
    ENSURE(pthread_create(&agent->worker, NULL, agent_worker, agent) == 0);
    ENSURE(pthread_create(&agent->reporter, NULL, agent_reporter, agent) == 0);
    log_line("agent_serving", "port=%d providers=%d", http_port(agent->http),
             agent->config.provider_count);
    sigwait(&set, &which);
    http_stop(agent->http);
    atomic_store(&agent->stopping, true);
    agent_poke(agent);
    pthread_join(agent->worker, NULL);
    pthread_join(agent->reporter, NULL);
    db_close(agent->platform.db);
    ctx_done(&ctx);
    return 0;
}

int main(int argc, char **argv)
{
    static struct agent agent; /* one per process; zeroed */
    const char *file = option(argc, argv, "--config"), *message = "",
               *crash = getenv("AGENT_CRASH");
    int64_t at = 0;
    if (argc < 2 || strcmp(argv[1], "--help") == 0)
        return usage(argc < 2 ? 2 : 0);
    if (!file || !agent_config_read(file, &agent.config, &message)) {
        fprintf(stderr, "suanhe-agent: %s\n", file ? message : "--config FILE is needed");
        return usage(2);
    }
    if (crash && str_to_int(str_of(crash), 1, 1000000, &at))
        agent.crash_at = (int)at;
    agent.backend = &fake_backend;
    agent.platform.ids = id_maker_new(40);
    pthread_mutex_init(&agent.lock, NULL);
    pthread_cond_init(&agent.wake, NULL);
    int status;
    if (strcmp(argv[1], "serve") == 0)
        status = serve(&agent);
    else if (strcmp(argv[1], "report") == 0 && option(argc, argv, "--provider") &&
             option(argc, argv, "--products"))
        status = agent_report_products(&agent, option(argc, argv, "--provider"),
                                       option(argc, argv, "--products"));
    else
        status = usage(2);
    id_maker_free(agent.platform.ids);
    arena_free(agent.config.arena);
    return status;
}
