/* SPDX-License-Identifier: Apache-2.0 */
/* POST /oauth2/token: client_credentials with client_secret_basic (RFC 6749 section 4.4). Errors
 * have the form of that RFC, since its clients read `error`; their code is the same word. */
#include <string.h>

#include "if2/if2.h"

struct token_body {
    str_t grant_type, scope;
};
static const struct field token_fields[] = {
    FIELD(struct token_body, grant_type, 1, 60, FIELD_REQUIRED),
    FIELD(struct token_body, scope, 0, 500, 0),
};
static const struct shape token_shape = SHAPE(struct token_body, token_fields);

/* `Basic base64(id:secret)`, both form-encoded per RFC 6749; our ids and secrets need no escape. */
static bool basic_credentials(struct ctx *ctx, str_t authorization, str_t *out_id,
                              str_t *out_secret)
{
    str_t plain;
    if (!str_starts(authorization, STR("Basic ")) || authorization.len > 1024 ||
        !base64_decode(ctx->arena, str_cut(authorization, 6), &plain))
        return false;
    const char *colon = memchr(plain.data, ':', plain.len);
    if (!colon)
        return false;
    *out_id = str_from(plain.data, (size_t)(colon - plain.data));
    *out_secret = str_cut(plain, out_id->len + 1);
    return true;
}

static err_t oauth_error(struct reply *reply, int status, const char *error)
{
    struct jw *w = &reply->json;
    reply->status = status;
    reply_header(reply, "Cache-Control", STR("no-store"));
    if (status == 401)
        reply_header(reply, "WWW-Authenticate", STR("Basic realm=\"if2\""));
    jw_object(w);
    jw_put_text(w, "error", str_of(error));
    jw_put_text(w, "code", str_of(error));
    jw_end_object(w);
    return OK;
}

struct token_work {
    str_t id, secret, scope, token, granted;
};

static err_t open_token(struct ctx *ctx, void *arg)
{
    struct token_work *work = arg;
    return account_token_open(ctx, work->id, work->secret, work->scope, &work->token,
                              &work->granted);
}

static err_t post_token(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    const struct token_body *body = request->input;
    struct token_work work = {.scope = body->scope};
    if (!basic_credentials(ctx, request->authorization, &work.id, &work.secret))
        return oauth_error(reply, 401, "invalid_client");
    if (!str_is(body->grant_type, "client_credentials"))
        return oauth_error(reply, 400, "unsupported_grant_type");
    err_t err = db_write(ctx, ctx->platform->db, open_token, &work);
    if (err == ERR_AUTH || err == ERR_INPUT || err == ERR_DENIED) {
        bool scope = ctx->problem.reason && strcmp(ctx->problem.reason, "invalid_scope") == 0;
        problem_clear(ctx);
        return scope ? oauth_error(reply, 400, "invalid_scope")
                     : oauth_error(reply, 401, "invalid_client");
    }
    TRY(err);
    struct jw *w = &reply->json;
    reply_header(reply, "Cache-Control", STR("no-store"));
    jw_object(w);
    jw_put_text(w, "access_token", work.token);
    jw_put_text(w, "token_type", STR("Bearer"));
    jw_put_int(w, "expires_in", 600);
    jw_put_text(w, "scope", work.granted);
    jw_end_object(w);
    return OK;
}

static const struct route routes[] = {
    {"POST", "/oauth2/token", PERM_NONE, TX_NONE, &token_shape, post_token,
     ROUTE_PUBLIC | ROUTE_NO_KEY | ROUTE_FORM},
};
const struct route_table if2_token_routes = ROUTES(routes);
