/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts, and the record of why a call was refused: the newest refusal replaces an older one,
 * only refused fields add up. */
#include "ctx.h"

#include <stdio.h>
#include <string.h>

static const char fields_reason[] = "validation_failed";

void ctx_init(struct ctx *ctx, struct platform *platform, utc_t now)
{
    *ctx = (struct ctx){.arena = arena_new(0), .now = now, .platform = platform};
}

void ctx_done(struct ctx *ctx)
{
    arena_free(ctx->arena);
    *ctx = (struct ctx){0};
}

/* A cut detail must not end inside a code point. */
static void drop_partial_code_point(char *text)
{
    size_t len = strlen(text), back = 1;
    while (back < 4 && back < len && ((unsigned char)text[len - back] & 0xC0) == 0x80)
        back++;
    if (len >= back && ((unsigned char)text[len - back] & 0x80) != 0 &&
        !str_is_utf8((str_t){text + len - back, back}))
        text[len - back] = '\0';
}

static void __attribute__((format(printf, 3, 0)))
record(struct ctx *ctx, struct problem header, const char *format, va_list args)
{
    char detail[sizeof ctx->problem.detail]; /* the arguments may point into the old problem */
    vsnprintf(detail, sizeof detail, format, args);
    drop_partial_code_point(detail);
    struct problem *problem = &ctx->problem;
    problem->code = header.code;
    problem->status = header.status;
    problem->reason = header.reason;
    memcpy(problem->detail, detail, sizeof detail);
    problem->error_count = 0;
    problem->retry_after_s = 0;
    problem->extension = (str_t){0};
}

#undef refuse /* what the analyser is told of them is for callers */
#undef refuse_field
#undef refuse_status

err_t refuse(struct ctx *ctx, err_t code, const char *reason, const char *detail, ...)
{
    va_list args;
    va_start(args, detail);
    record(ctx, (struct problem){.code = code, .reason = reason}, detail, args);
    va_end(args);
    return code;
}

static err_t code_of_status(int status)
{
    for (int code = ERR_INPUT; code <= ERR_INTERNAL; code++) {
        if (err_status((err_t)code) == status)
            return (err_t)code;
    }
    return status >= 500 ? ERR_INTERNAL : ERR_INPUT;
}

err_t refuse_status(struct ctx *ctx, int status, const char *reason, const char *detail, ...)
{
    err_t code = code_of_status(status);
    va_list args;
    va_start(args, detail);
    record(ctx, (struct problem){.code = code, .status = status, .reason = reason}, detail, args);
    va_end(args);
    return code;
}

static void __attribute__((format(printf, 2, 3)))
begin_fields(struct ctx *ctx, const char *detail, ...)
{
    va_list args;
    va_start(args, detail);
    record(ctx, (struct problem){.code = ERR_INPUT, .reason = fields_reason}, detail, args);
    va_end(args);
}

err_t refuse_field(struct ctx *ctx, str_t pointer, const char *code, const char *detail, ...)
{
    char text[512];
    va_list args;
    va_start(args, detail);
    vsnprintf(text, sizeof text, detail, args);
    va_end(args);
    drop_partial_code_point(text);
    struct problem *problem = &ctx->problem;
    if (problem->code != ERR_INPUT || problem->reason != fields_reason)
        begin_fields(ctx, STR_FMT ": %s", STR_ARG(pointer), text);
    if (problem->error_count < PROBLEM_ERRORS_MAX) {
        problem->errors[problem->error_count++] = (struct problem_error){
            str_dup(ctx->arena, pointer), code, str_dup(ctx->arena, str_of(text))};
    }
    return ERR_INPUT;
}

void problem_clear(struct ctx *ctx)
{
    ctx->problem = (struct problem){0};
}
