/* SPDX-License-Identifier: Apache-2.0 */
/* Error codes: what class of thing went wrong. The reason, the field and the detail of a refusal
 * are in ctx->problem (ctx.h). */
#ifndef SUANHE_BASE_ERR_H
#define SUANHE_BASE_ERR_H

#if defined(__clang__)
#define MUST_USE __attribute__((warn_unused_result))
#else
#define MUST_USE
#endif

/* AGAIN never leaves the transaction runner: the transaction lost a race (deadlock, guard) and runs
 * again. */
typedef enum MUST_USE err {
    OK = 0,
    ERR_INPUT,     /* 422 */
    ERR_AUTH,      /* 401 */
    ERR_DENIED,    /* 403 */
    ERR_NOT_FOUND, /* 404 */
    ERR_CONFLICT,  /* 409 */
    ERR_STATE,     /* 409 */
    ERR_GONE,      /* 410 */
    ERR_STALE,     /* 412 */
    ERR_LIMIT,     /* 429 */
    ERR_UPSTREAM,  /* 503 */
    ERR_INTERNAL,  /* 500 */
    ERR_AGAIN,
} err_t;

/* The only macro that may return: hands an error on to the caller. */
#define TRY(call)                \
    do {                         \
        err_t try_err_ = (call); \
        if (try_err_ != OK)      \
            return try_err_;     \
    } while (0)

/* The HTTP status that belongs to a code; OK is 200. */
int err_status(err_t code);
/* The name of a code, for log lines. */
const char *err_name(err_t code);

#endif
