/* SPDX-License-Identifier: Apache-2.0 */
/* Who acts in a request and whether they may; and the pages of lists. */
#include "api/api.h"

static bool is_reading(const struct request *request)
{
    return str_is(request->method, "GET") || str_is(request->method, "HEAD");
}

static bool is_public(const struct request *request)
{
    return request->route != NULL && (request->route->flags & ROUTE_PUBLIC);
}

static err_t act_as_operator(struct ctx *ctx)
{
    ref_t operator_org;
    bool found = false;
    TRY(account_operator_find(ctx, &operator_org, &found));
    if (!found)
        return refuse(ctx, ERR_STATE, "not_initialised", "there is no operator yet");
    ctx->actor =
        (struct actor){.org_id = operator_org, .org_kind = ORG_OPERATOR, .roles = ROLE_OWNER};
    return OK;
}

static err_t authenticate_browser(struct ctx *ctx, const struct request *request)
{
    bool reading = is_reading(request);
    if (!reading && str_is(request->sec_fetch_site, "cross-site"))
        return refuse(ctx, ERR_DENIED, "cross_site", "changes come from the portal's own pages");
    /* Over TLS only the name that no other host can set. */
    str_t token = request_cookie(request, request->secure ? "__Host-suanhe" : "suanhe");
    if (token.len == 0)
        return OK;
    /* What is open to all needs no token; without it the cookie does not count (a new login over an
     * old one). */
    if (!reading && is_public(request) && request->csrf_token.len == 0)
        return OK;
    return account_authenticate_cookie(ctx, token, reading ? NULL : &request->csrf_token,
                                       request->x_org);
}

static err_t authenticate_machine(struct ctx *ctx, const struct request *request)
{
    if (request->authorization.len == 0)
        return OK;
    if (!str_starts(request->authorization, STR("Bearer ")))
        return refuse(ctx, ERR_AUTH, "invalid_token", "a bearer is expected");
    return account_authenticate_bearer(ctx, str_trim(str_cut(request->authorization, 7)));
}

err_t api_authenticate(struct ctx *ctx, const struct request *request)
{
    ctx->actor = (struct actor){0};
    if (request->over_admin_socket)
        return act_as_operator(ctx);
    if (str_starts(request->path, STR("/if2/")))
        return authenticate_machine(ctx, request);
    if (str_starts(request->path, STR("/api/")))
        return authenticate_browser(ctx, request);
    return OK;
}

err_t api_authorise(struct ctx *ctx, const struct request *request)
{
    const struct actor *actor = &ctx->actor;
    if (actor->org_id.value == 0)
        return refuse(ctx, ERR_AUTH, "auth_required", "log in, or send a token");
    if (request->route == NULL || !permission_allowed(request->route->permission, actor))
        return refuse(ctx, ERR_DENIED, "permission_denied", "%s is not held in this organisation",
                      request->route ? names_of(&permission_names, request->route->permission)
                                     : "");
    return OK;
}

const struct settings *api_settings(const struct ctx *ctx)
{
    static const struct settings none = {0};
    return ctx->platform->settings != NULL ? ctx->platform->settings : &none;
}

/* ---- pages ---- */
err_t api_page(struct ctx *ctx, const struct request *request, str_t list, struct page *out)
{
    int64_t limit = 50, position = 0, tie = 0;
    str_t cursor = request_query(request, "cursor");
    out->filter = str_hash(list);
    TRY(request_query_int(ctx, request, "limit", 1, 200, 50, &limit));
    if (cursor.len > 0)
        TRY(cursor_read(ctx, cursor, out->filter, &position, &tie));
    out->limit = (int)limit;
    out->before = (ref_t){position};
    return OK;
}

void api_page_end(struct ctx *ctx, struct reply *reply, const struct page *page, size_t found,
                  ref_t last)
{
    struct jw *w = &reply->json;
    jw_end_array(w);
    jw_key(w, "next_cursor");
    if (found > (size_t)page->limit)
        jw_text(w, cursor_make(ctx, last.value, 0, page->filter));
    else
        jw_null(w);
    jw_end_object(w);
}
