/* SPDX-License-Identifier: Apache-2.0 */
/* The status and the name of each error code. */
#include "err.h"

int err_status(err_t code)
{
    static const int statuses[] = {
        [OK] = 200,         [ERR_INPUT] = 422,     [ERR_AUTH] = 401,
        [ERR_DENIED] = 403, [ERR_NOT_FOUND] = 404, [ERR_CONFLICT] = 409,
        [ERR_STATE] = 409,  [ERR_GONE] = 410,      [ERR_STALE] = 412,
        [ERR_LIMIT] = 429,  [ERR_UPSTREAM] = 503,  [ERR_INTERNAL] = 500,
        [ERR_AGAIN] = 500,
    };
    unsigned index = (unsigned)code;
    return index < sizeof statuses / sizeof statuses[0] ? statuses[index] : 500;
}

const char *err_name(err_t code)
{
    static const char *const names[] = {
        [OK] = "ok",
        [ERR_INPUT] = "input",
        [ERR_AUTH] = "auth",
        [ERR_DENIED] = "denied",
        [ERR_NOT_FOUND] = "not_found",
        [ERR_CONFLICT] = "conflict",
        [ERR_STATE] = "state",
        [ERR_GONE] = "gone",
        [ERR_STALE] = "stale",
        [ERR_LIMIT] = "limit",
        [ERR_UPSTREAM] = "upstream",
        [ERR_INTERNAL] = "internal",
        [ERR_AGAIN] = "again",
    };
    unsigned index = (unsigned)code;
    return index < sizeof names / sizeof names[0] ? names[index] : "unknown";
}
