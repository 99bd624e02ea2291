/* SPDX-License-Identifier: Apache-2.0 */
/* What one request, job step or test carries through every call: its memory, its moment, its actor,
 * its transaction, and why it was refused. */
#ifndef SUANHE_BASE_CTX_H
#define SUANHE_BASE_CTX_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "clock.h"
#include "err.h"
#include "id.h"
#include "str.h"

/* Who acts, and for which organisation. All zero: nobody (or the system itself, in jobs). */
struct actor {
    ref_t user_id;   /* a person, or none */
    ref_t client_id; /* a machine (scheduling platform), or none */
    ref_t org_id;    /* the organisation acted for */
    ref_t session_id;
    int32_t org_kind;   /* enum org_kind of core/account */
    uint32_t roles;     /* bit set of enum role of core/account, held in org_id */
    bool second_factor; /* reserved for money roles */
};

enum { PROBLEM_ERRORS_MAX = 32 };

struct problem_error {
    str_t pointer; /* RFC 6901, "/items/0/quantity" */
    const char *code;
    str_t detail;
};

/* Why the call was refused. reason is the stable snake_case code of the API. */
struct problem {
    err_t code;
    int status; /* 0: the status that belongs to code */
    const char *reason;
    char detail[320];
    struct problem_error errors[PROBLEM_ERRORS_MAX];
    int error_count;
    int retry_after_s; /* 0: none */
    str_t extension;   /* raw JSON members to add, such as "\"expected\":4", or empty */
};

/* Long-lived state, tied together by main and handed to core by pointer; each module knows its own
 * part. */
struct platform {
    struct db *db;
    struct id_maker *ids;
    struct keyring *keys;            /* lib/crypto */
    struct evidence *evidence;       /* core/evidence */
    struct catalog_index *catalog;   /* core/catalog */
    struct event_hub *events;        /* core/event */
    const struct settings *settings; /* main's settings */
};

struct ctx {
    struct arena *arena;
    utc_t now;
    struct actor actor;
    struct db_tx *tx; /* the open transaction, or NULL */
    struct platform *platform;
    struct problem problem;
    str_t request_id;
    void *facts; /* core/evidence: what this transaction told */
};

/* A context with its own arena for a job step, a command or a test. */
void ctx_init(struct ctx *ctx, struct platform *platform, utc_t now);
void ctx_done(struct ctx *ctx);

#define NEW(ctx, type) ((type *)arena_alloc((ctx)->arena, sizeof(type)))
#define NEW_ARRAY(ctx, type, count) ((type *)arena_alloc((ctx)->arena, sizeof(type) * (count)))

/* Refuses: records code, reason and detail (for developers) and returns the code. */
err_t refuse(struct ctx *ctx, err_t code, const char *reason, const char *detail, ...)
    __attribute__((format(printf, 4, 5)));
/* Refuses a field: ERR_INPUT `validation_failed` with an entry {pointer, code, detail}. Several may
 * be gathered before the code is returned. */
err_t refuse_field(struct ctx *ctx, str_t pointer, const char *code, const char *detail, ...)
    __attribute__((format(printf, 4, 5)));
/* Refuses with a status of the edge (400, 405, 413, 415, 428, 503). */
err_t refuse_status(struct ctx *ctx, int status, const char *reason, const char *detail, ...)
    __attribute__((format(printf, 4, 5)));
/* Forgets a recorded problem (an expected refusal was handled). */
void problem_clear(struct ctx *ctx);

/* The static analyser cannot see that a refusal is never OK. */
#ifdef __clang_analyzer__
#define refuse(ctx, code, ...) ((void)(refuse)((ctx), (code), __VA_ARGS__), (code))
#define refuse_field(...) ((void)(refuse_field)(__VA_ARGS__), ERR_INPUT)
#define refuse_status(...) ((void)(refuse_status)(__VA_ARGS__), ERR_INPUT)
#endif

#endif
