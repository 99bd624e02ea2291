/* SPDX-License-Identifier: Apache-2.0 */
/* What handlers ask a request. */
#include "http_internal.h"

#include <inttypes.h>
#include <string.h>

static int query_index(const struct request *request, const char *name)
{
    for (int i = 0; i < request->query_count; i++)
        if (str_is(request->query_names[i], name))
            return i;
    return -1;
}

str_t request_query(const struct request *request, const char *name)
{
    int at = query_index(request, name);
    return at < 0 ? STR("") : request->query_values[at];
}

static err_t refuse_query(struct ctx *ctx, const char *name, const char *code, const char *detail)
{
    return refuse_field(ctx, str_printf(ctx->arena, "/query/%s", name), code, "%s", detail);
}

err_t request_query_int(struct ctx *ctx, const struct request *request, const char *name,
                        int64_t min, int64_t max, int64_t otherwise, int64_t *out)
{
    int at = query_index(request, name);
    int64_t value = 0;
    if (at < 0) {
        *out = otherwise;
        return OK;
    }
    if (!str_to_int(request->query_values[at], INT64_MIN, INT64_MAX, &value))
        return refuse_query(ctx, name, "wrong_type", "an integer is wanted");
    if (value < min || value > max)
        return refuse_field(ctx, str_printf(ctx->arena, "/query/%s", name), "out_of_range",
                            "%" PRId64 " to %" PRId64, min, max);
    *out = value;
    return OK;
}

err_t request_ref(struct ctx *ctx, const struct request *request, int index, const char *prefix,
                  ref_t *out)
{
    ENSURE(index >= 0 && index < PARAMS_MAX);
    if (!ref_read(request->params[index], prefix, out))
        return refuse(ctx, ERR_NOT_FOUND, "not_found", "no such %s", prefix);
    return OK;
}

str_t request_cookie(const struct request *request, const char *name)
{
    str_t rest = request->cookie, part = {0};
    size_t len = strlen(name);
    while (str_next(&rest, ';', &part)) {
        part = str_trim(part);
        if (part.len > len && memcmp(part.data, name, len) == 0 && part.data[len] == '=') {
            str_t value = str_cut(part, len + 1);
            bool quoted =
                value.len >= 2 && value.data[0] == '"' && value.data[value.len - 1] == '"';
            return quoted ? str_from(value.data + 1, value.len - 2) : value;
        }
    }
    return STR("");
}

err_t request_known_query(struct ctx *ctx, const struct request *request, const char *known)
{
    err_t result = OK;
    for (int i = 0; i < request->query_count; i++) {
        str_t rest = str_of(known), word = {0};
        bool found = false;
        while (!found && str_next(&rest, ' ', &word))
            found = str_eq(word, request->query_names[i]);
        if (!found)
            result = refuse_field(
                ctx, str_printf(ctx->arena, "/query/" STR_FMT, STR_ARG(request->query_names[i])),
                "unknown_field", "not a parameter of this operation");
    }
    return result;
}

err_t request_if_match(struct ctx *ctx, const struct request *request, int64_t version)
{
    int64_t wanted = request->if_match_version;
    if (wanted == 0)
        return refuse_status(ctx, 428, "precondition_required",
                             "send If-Match with the version you saw");
    if (wanted == -1 || wanted == version)
        return OK;
    return refuse(ctx, ERR_STALE, "version_mismatch", "the version is now v%" PRId64, version);
}
