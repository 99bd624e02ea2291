/* SPDX-License-Identifier: Apache-2.0 */
/* Signing up and in, one's own account and sessions, and the members of organisations. */
#include "account/account.h"
#include "api/api.h"
#include "crypto/crypto.h"

static void write_user_members(struct jw *w, const struct user *user)
{
    jw_put_ref(w, "user_id", "usr", user->id);
    jw_put_text(w, "email", user->email);
    jw_put_text(w, "name", user->name);
}

static void write_user(struct jw *w, const struct user *user)
{
    jw_object(w);
    write_user_members(w, user);
    jw_put_text(w, "locale", user->locale);
    jw_put_utc(w, "created_at", user->created_at);
    jw_end_object(w);
}

static void write_org_members(struct jw *w, const struct membership *org)
{
    jw_put_ref(w, "org_id", "org", org->org_id);
    jw_put_text(w, "name", org->name);
    jw_put_text(w, "kind", str_of(names_of(&org_kind_names, org->kind)));
    jw_put_bool(w, "personal", org->personal);
    jw_key(w, "roles");
    roles_write(w, org->roles);
}

static void write_orgs(struct jw *w, const struct membership *orgs, size_t count)
{
    jw_array(w);
    for (size_t i = 0; i < count; i++) {
        jw_object(w);
        write_org_members(w, &orgs[i]);
        jw_end_object(w);
    }
    jw_end_array(w);
}

/* ---- cookies ---- */
enum { COOKIE_SECONDS = 12 * 3600 };

static void set_cookie(struct ctx *ctx, const struct request *request, struct reply *reply,
                       str_t token, int seconds)
{
    const char *form = request->secure ? "__Host-suanhe=" STR_FMT
                                         "; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=%d"
                                       : "suanhe=" STR_FMT
                                         "; Path=/; HttpOnly; SameSite=Lax; Max-Age=%d";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    reply_header(reply, "Set-Cookie", str_printf(ctx->arena, form, STR_ARG(token), seconds));
#pragma GCC diagnostic pop
    reply_header(reply, "Cache-Control", STR("no-store"));
}

/* ---- register ---- */
struct visit {
    const struct request *request;
    const struct registration *registration;
    str_t email, password, verifier;
    ref_t user_id, personal_org;
    bool known;
    struct user user;
    struct session_new session;
    struct membership *orgs;
    size_t org_count;
};

static err_t admit(struct ctx *ctx, void *arg)
{
    struct visit *visit = arg;
    TRY(account_login_admit(ctx, visit->email, visit->request->client_ip));
    return account_verifier(ctx, visit->email, &visit->verifier, &visit->user_id, &visit->known);
}

static err_t count_failed(struct ctx *ctx, void *arg)
{
    const struct visit *visit = arg;
    return account_login_failed(ctx, visit->email, visit->request->client_ip);
}

static err_t open_session(struct ctx *ctx, struct visit *visit)
{
    TRY(account_session_open(ctx, visit->user_id, visit->request->user_agent,
                             visit->request->client_ip, &visit->session));
    TRY(account_user_load(ctx, visit->user_id, &visit->user));
    return account_memberships(ctx, visit->user_id, &visit->orgs, &visit->org_count);
}

static err_t write_registration(struct ctx *ctx, void *arg)
{
    struct visit *visit = arg;
    TRY(account_register(ctx, visit->registration, visit->verifier, &visit->user,
                         &visit->personal_org));
    visit->user_id = visit->user.id;
    return open_session(ctx, visit);
}

static err_t post_register(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    const struct registration *in = request->input;
    struct visit visit = {.request = request, .registration = in, .email = in->email};
    str_t normal;
    /* Before the costly hash. */
    if (!account_normalise_email(ctx->arena, in->email, &normal))
        return refuse_field(ctx, STR("/email"), "bad_format", "no e-mail address");
    TRY(account_check_password(ctx, in->password, in->email, "/password"));
    TRY(db_read(ctx, ctx->platform->db, admit, &visit));
    if (visit.known) {
        /* Asking for addresses one by one is slowed down like guessing passwords. */
        TRY(db_write(ctx, ctx->platform->db, count_failed, &visit));
        return refuse(ctx, ERR_CONFLICT, "email_taken", "an account has this address already");
    }
    visit.verifier = password_hash(ctx->arena, in->password);
    TRY(db_write(ctx, ctx->platform->db, write_registration, &visit));
    struct jw *w = &reply->json;
    reply->status = 201;
    set_cookie(ctx, request, reply, visit.session.token, COOKIE_SECONDS);
    jw_object(w);
    jw_key(w, "user");
    write_user(w, &visit.user);
    jw_put_ref(w, "personal_org_id", "org", visit.personal_org);
    jw_put_text(w, "csrf_token", visit.session.csrf_token);
    jw_key(w, "orgs");
    write_orgs(w, visit.orgs, visit.org_count);
    jw_end_object(w);
    return OK;
}

/* ---- login ---- */
struct login_body {
    str_t email, password;
};
static const struct field login_fields[] = {
    FIELD(struct login_body, email, 1, 254, FIELD_REQUIRED),
    FIELD(struct login_body, password, 1, 200, FIELD_REQUIRED),
};
static const struct shape login_shape = SHAPE(struct login_body, login_fields);

static err_t write_login(struct ctx *ctx, void *arg)
{
    return open_session(ctx, arg);
}

static err_t post_login(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    const struct login_body *in = request->input;
    struct visit visit = {.request = request, .email = in->email};
    TRY(db_read(ctx, ctx->platform->db, admit, &visit));
    bool right = password_verify(visit.verifier, in->password);
    if (!right || !visit.known) {
        TRY(db_write(ctx, ctx->platform->db, count_failed, &visit));
        return refuse(ctx, ERR_AUTH, "bad_credentials", "e-mail or password is wrong");
    }
    TRY(db_write(ctx, ctx->platform->db, write_login, &visit));
    struct jw *w = &reply->json;
    set_cookie(ctx, request, reply, visit.session.token, COOKIE_SECONDS);
    jw_object(w);
    jw_put_text(w, "csrf_token", visit.session.csrf_token);
    jw_key(w, "user");
    write_user(w, &visit.user);
    jw_key(w, "orgs");
    write_orgs(w, visit.orgs, visit.org_count);
    jw_end_object(w);
    return OK;
}

static err_t post_logout(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    TRY(account_session_close(ctx, ctx->actor.session_id));
    set_cookie(ctx, request, reply, STR(""), 0);
    reply->status = 204;
    return OK;
}

/* ---- me ---- */
static err_t get_me(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct user user;
    struct membership *orgs;
    size_t count;
    (void)request;
    TRY(account_user_load(ctx, ctx->actor.user_id, &user));
    TRY(account_memberships(ctx, user.id, &orgs, &count));
    struct jw *w = &reply->json;
    reply_header(reply, "Cache-Control", STR("no-store"));
    jw_object(w);
    jw_key(w, "user");
    write_user(w, &user);
    jw_put_text(w, "csrf_token", account_csrf(ctx, ctx->actor.session_id));
    for (size_t i = 0; i < count; i++) {
        if (!ref_is(orgs[i].org_id, ctx->actor.org_id))
            continue;
        jw_key(w, "org");
        jw_object(w);
        write_org_members(w, &orgs[i]);
        jw_end_object(w);
    }
    jw_key(w, "orgs");
    write_orgs(w, orgs, count);
    jw_key(w, "permissions");
    permission_write(w, &ctx->actor);
    jw_end_object(w);
    return OK;
}

struct profile_body {
    str_t name, locale;
};
static const struct field profile_fields[] = {
    FIELD(struct profile_body, name, 1, 60, 0),
    FIELD(struct profile_body, locale, 2, 8, 0),
};
static const struct shape profile_shape = SHAPE(struct profile_body, profile_fields);

static err_t patch_me(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    const struct profile_body *in = request->input;
    struct user user;
    TRY(account_profile_set(ctx, ctx->actor.user_id, in->name, in->locale));
    TRY(account_user_load(ctx, ctx->actor.user_id, &user));
    write_user(&reply->json, &user);
    return OK;
}

struct password_body {
    str_t current_password, new_password;
};
static const struct field password_fields[] = {
    FIELD(struct password_body, current_password, 1, 200, FIELD_REQUIRED),
    FIELD(struct password_body, new_password, 1, 200, FIELD_REQUIRED),
};
static const struct shape password_shape = SHAPE(struct password_body, password_fields);

static err_t read_own_verifier(struct ctx *ctx, void *arg)
{
    struct visit *visit = arg;
    TRY(account_user_load(ctx, ctx->actor.user_id, &visit->user));
    visit->email = visit->user.email;
    return admit(ctx, arg);
}

static err_t write_password(struct ctx *ctx, void *arg)
{
    const struct visit *visit = arg;
    return account_set_password(ctx, ctx->actor.user_id, visit->verifier, ctx->actor.session_id);
}

static err_t post_password(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    const struct password_body *in = request->input;
    struct visit visit = {.request = request};
    TRY(db_read(ctx, ctx->platform->db, read_own_verifier, &visit));
    if (!password_verify(visit.verifier, in->current_password)) {
        TRY(db_write(ctx, ctx->platform->db, count_failed, &visit));
        return refuse(ctx, ERR_INPUT, "current_password_wrong", "the current password is another");
    }
    TRY(account_check_password(ctx, in->new_password, visit.email, "/new_password"));
    visit.verifier = password_hash(ctx->arena, in->new_password);
    TRY(db_write(ctx, ctx->platform->db, write_password, &visit));
    reply->status = 204;
    return OK;
}

/* ---- sessions ---- */
static err_t get_sessions(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct session *sessions;
    size_t count;
    (void)request;
    TRY(account_sessions(ctx, ctx->actor.user_id, &sessions, &count));
    struct jw *w = &reply->json;
    jw_object(w);
    jw_key(w, "data");
    jw_array(w);
    for (size_t i = 0; i < count; i++) {
        jw_object(w);
        jw_put_ref(w, "session_id", "ses", sessions[i].id);
        jw_put_utc(w, "created_at", sessions[i].created_at);
        jw_put_utc(w, "last_seen_at", sessions[i].last_seen_at);
        jw_put_text(w, "user_agent", sessions[i].user_agent);
        jw_put_text(w, "ip", sessions[i].ip);
        jw_put_bool(w, "current", ref_is(sessions[i].id, ctx->actor.session_id));
        jw_end_object(w);
    }
    jw_end_array(w);
    jw_end_object(w);
    return OK;
}

static err_t delete_session(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct session *sessions;
    size_t count;
    ref_t id;
    TRY(request_ref(ctx, request, 0, "ses", &id));
    TRY(account_sessions(ctx, ctx->actor.user_id, &sessions, &count));
    for (size_t i = 0; i < count; i++)
        if (ref_is(sessions[i].id, id)) {
            TRY(account_session_close(ctx, id));
            reply->status = 204;
            return OK;
        }
    return refuse(ctx, ERR_NOT_FOUND, "not_found", "no such session");
}

/* ---- organisations ---- */
/* Nobody founds an operator. */
static const char *const founded_kinds[] = {
    [ORG_CONSUMER] = "consumer", [ORG_PROVIDER] = "provider"};
static const struct names founded_kind_names = NAMES(founded_kinds);

struct org_body {
    str_t name;
    int32_t kind;
};
static const struct field org_fields[] = {
    FIELD(struct org_body, name, 2, 80, FIELD_REQUIRED),
    FIELD_ENUM(struct org_body, kind, &founded_kind_names, FIELD_REQUIRED),
};
static const struct shape org_shape = SHAPE(struct org_body, org_fields);

static err_t post_org(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    const struct org_body *in = request->input;
    struct org org;
    TRY(account_org_create(ctx, in->name, in->kind, &org));
    struct jw *w = &reply->json;
    reply->status = 201;
    jw_object(w);
    jw_put_ref(w, "org_id", "org", org.id);
    jw_put_text(w, "name", org.name);
    jw_put_text(w, "kind", str_of(names_of(&org_kind_names, org.kind)));
    jw_end_object(w);
    return OK;
}

/* The organisation of the path; the caller acts for it from here on, by the roles held there. One
 * without the caller is as good as none. */
static err_t act_for_path(struct ctx *ctx, const struct request *request, ref_t *out)
{
    TRY(request_ref(ctx, request, 0, "org", out));
    if (ref_is(*out, ctx->actor.org_id))
        return OK;
    err_t err = account_act_for(ctx, *out);
    if (err == ERR_DENIED) {
        problem_clear(ctx);
        return refuse(ctx, ERR_NOT_FOUND, "not_found", "no such organisation");
    }
    TRY(err);
    if (!permission_allowed(request->route->permission, &ctx->actor))
        return refuse(ctx, ERR_DENIED, "permission_denied",
                      "not by the roles held in that organisation");
    return OK;
}

static void write_member(struct jw *w, const struct member *member)
{
    jw_object(w);
    jw_put_ref(w, "user_id", "usr", member->user_id);
    jw_put_text(w, "name", member->name);
    jw_put_text(w, "email", member->email);
    jw_key(w, "roles");
    roles_write(w, member->roles);
    jw_put_utc(w, "joined_at", member->joined_at);
    jw_end_object(w);
}

static err_t get_members(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    ref_t org;
    struct member *members;
    size_t count;
    TRY(act_for_path(ctx, request, &org));
    TRY(account_members(ctx, org, &members, &count));
    struct jw *w = &reply->json;
    jw_object(w);
    jw_key(w, "data");
    jw_array(w);
    for (size_t i = 0; i < count; i++)
        write_member(w, &members[i]);
    jw_end_array(w);
    jw_end_object(w);
    return OK;
}

struct member_body {
    str_t email;
    str_t *roles;
    size_t role_count;
};
static const struct field member_fields[] = {
    FIELD(struct member_body, email, 3, 120, FIELD_REQUIRED),
    FIELD_TEXTS(struct member_body, roles, role_count, 1, 7, FIELD_REQUIRED),
};
static const struct shape member_shape = SHAPE(struct member_body, member_fields);

static err_t put_member(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    const struct member_body *in = request->input;
    ref_t org;
    struct user user = {0};
    struct member *members;
    size_t count;
    int32_t roles;
    bool found = false;
    TRY(act_for_path(ctx, request, &org));
    TRY(roles_read(ctx, in->roles, in->role_count, "/roles", &roles));
    TRY(account_user_by_email(ctx, in->email, &user, &found));
    if (!found)
        return refuse_field(ctx, STR("/email"), "user_unknown",
                            "nobody has registered with this address");
    TRY(account_member_set(ctx, org, user.id, roles));
    TRY(account_members(ctx, org, &members, &count));
    for (size_t i = 0; i < count; i++)
        if (ref_is(members[i].user_id, user.id))
            write_member(&reply->json, &members[i]);
    return OK;
}

static err_t delete_member(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    ref_t org, user;
    TRY(act_for_path(ctx, request, &org));
    TRY(request_ref(ctx, request, 1, "usr", &user));
    TRY(account_member_set(ctx, org, user, 0));
    reply->status = 204;
    return OK;
}

static const struct route routes[] = {
    {"POST", "/api/v1/register", 0, TX_NONE, &registration_shape, post_register,
     ROUTE_PUBLIC | ROUTE_NO_KEY},
    {"POST", "/api/v1/login", 0, TX_NONE, &login_shape, post_login, ROUTE_PUBLIC | ROUTE_NO_KEY},
    {"POST", "/api/v1/logout", PERM_ACCOUNT_SELF, TX_WRITE, NULL, post_logout, ROUTE_NO_KEY},
    {"GET", "/api/v1/me", PERM_ACCOUNT_SELF, TX_READ, NULL, get_me, 0},
    {"PATCH", "/api/v1/me", PERM_ACCOUNT_SELF, TX_WRITE, &profile_shape, patch_me, 0},
    {"POST", "/api/v1/me/password", PERM_ACCOUNT_SELF, TX_NONE, &password_shape, post_password,
     ROUTE_NO_KEY},
    {"GET", "/api/v1/me/sessions", PERM_ACCOUNT_SELF, TX_READ, NULL, get_sessions, 0},
    {"DELETE", "/api/v1/me/sessions/{id}", PERM_ACCOUNT_SELF, TX_WRITE, NULL, delete_session, 0},
    {"POST", "/api/v1/orgs", PERM_ACCOUNT_SELF, TX_WRITE, &org_shape, post_org, 0},
    {"GET", "/api/v1/orgs/{id}/members", PERM_ORG_READ, TX_READ, NULL, get_members, 0},
    {"PUT", "/api/v1/orgs/{id}/members", PERM_ORG_MANAGE, TX_WRITE, &member_shape, put_member, 0},
    {"DELETE", "/api/v1/orgs/{id}/members/{user_id}", PERM_ORG_MANAGE, TX_WRITE, NULL,
     delete_member, 0},
};
const struct route_table account_routes = ROUTES(routes);
