/* SPDX-License-Identifier: Apache-2.0 */
/* Steps of core/account that several tests take: sessions, passwords and states, machine clients.
 */
#ifndef SUANHE_TEST_ACCOUNT_STEPS_H
#define SUANHE_TEST_ACCOUNT_STEPS_H

#include "fixture.h"

/* ---- sessions ---- */
struct session_step {
    ref_t user, session;
    struct session_new made;
    str_t token, x_org, csrf;
    bool check_csrf;
};
STEP(do_open, struct session_step)
{
    TRY(account_session_open(ctx, arg->user, STR("browser"), STR("192.0.2.1"), &arg->made));
    arg->token = arg->made.token;
    return OK;
}
STEP(do_cookie, struct session_step)
{
    return account_authenticate_cookie(ctx, arg->token, arg->check_csrf ? &arg->csrf : NULL,
                                       arg->x_org);
}
STEP(do_close, struct session_step)
{
    return account_session_close(ctx, arg->made.session_id);
}

static UNUSED struct session_step given_session(struct fixture *f, ref_t user)
{
    struct session_step step = {.user = user};
    f->ctx.actor = (struct actor){0};
    assert_ok(f, WRITE(f, do_open, &step));
    return step;
}

static UNUSED void assert_nobody(struct fixture *f, struct session_step *step)
{
    assert_ok(f, READ(f, do_cookie, step));
    assert_int_equal(f->ctx.actor.user_id.value, 0);
    assert_int_equal(f->ctx.actor.org_id.value, 0);
}

static UNUSED void assert_known(struct fixture *f, struct session_step *step)
{
    assert_ok(f, READ(f, do_cookie, step));
    assert_int_equal(f->ctx.actor.user_id.value, step->user.value);
    assert_int_equal(f->ctx.actor.session_id.value, step->made.session_id.value);
}

/* ---- password and state ---- */
struct change_step {
    ref_t user, keep;
    int state;
};
STEP(do_password, struct change_step)
{
    return account_set_password(ctx, arg->user, STR("new"), arg->keep);
}
STEP(do_state, struct change_step)
{
    return account_set_state(ctx, arg->user, arg->state);
}

/* ---- machine clients ---- */
struct client_step {
    ref_t org, store, found;
    struct client_new made;
    str_t id, secret, scope, token, granted, subject;
};
STEP(do_client, struct client_step)
{
    TRY(account_client_create(ctx, arg->org, arg->store, &arg->made));
    arg->id = ref_text(ctx->arena, "cli", arg->made.client_id);
    arg->secret = arg->made.secret;
    return OK;
}
STEP(do_token, struct client_step)
{
    return account_token_open(ctx, arg->id, arg->secret, arg->scope, &arg->token, &arg->granted);
}
STEP(do_bearer, struct client_step)
{
    return account_authenticate_bearer(ctx, arg->token);
}
STEP(do_client_store, struct client_step)
{
    return account_client_store(ctx, arg->made.client_id, &arg->found);
}
STEP(do_subject, struct client_step)
{
    return account_subject(ctx, arg->org, arg->store, &arg->subject);
}

static UNUSED struct client_step given_client(struct fixture *f)
{
    struct person owner = given_person(f, "p@b.example");
    struct client_step step = {.org = given_org(f, &owner, ORG_PROVIDER), .store = {4242}};
    assert_ok(f, WRITE(f, do_client, &step));
    return step;
}

#endif
