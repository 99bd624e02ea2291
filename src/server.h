/* SPDX-License-Identifier: Apache-2.0 */
/* The running server: all long-lived state. The platform stands first, so that a handler's
 * ctx->platform leads here. */
#ifndef SUANHE_SERVER_H
#define SUANHE_SERVER_H

#include <sys/types.h>

#include "if2/if2.h"
#include "main.h"

struct server {
    struct opened opened; /* its platform is first */
    struct http_server *http;
    struct job_runner *jobs;
    struct if2_sync *sync;
    pid_t signer_pid;
    int signer_fd;
};

extern const struct route_table system_routes;

/* Housekeeping: plans the next run when there is none (in a write transaction), and the job's
 * handler. */
err_t clean_plan(struct ctx *ctx);
void clean_run(struct ctx *ctx, const struct job *job, void *state);

#endif
