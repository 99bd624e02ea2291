/* SPDX-License-Identifier: Apache-2.0 */
/* Passwords, the throttle, sessions, and who acts in a request. */
#include "account_steps.h"
#include "api/api.h"

static void weak_passwords_are_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const weak[] = {
        "short",      "aaaaaaaaaaaa", "0123456789",          "1234567890",  "password1234",
        "Passw0rd12", "abcdefghijkl", "zhang.san@b.example", "zhang.san12", "qwerty12345"};
    static const char *const good[] = {"correct horse battery", "t7#kV92m!x",
                                       "云计算平台密码一二三四", "my-aaaa-long-one"};
    str_t email = STR("zhang.san@b.example");
    for (size_t i = 0; i < sizeof weak / sizeof weak[0]; i++) {
        err_t err = account_check_password(&f->ctx, str_of(weak[i]), email, "/password");
        if (err != ERR_INPUT)
            fail_msg("accepted: %s", weak[i]);
        assert_true(str_is(f->ctx.problem.errors[0].pointer, "/password"));
        assert_refused(f, err, "password_weak");
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_ok(f, account_check_password(&f->ctx, str_of(good[i]), email, "/password"));
    assert_ok(f,
              account_check_password(&f->ctx, STR("t7#kV92m!x"), STR("s@b.example"), "/password"));
}

struct verifier_step {
    const char *email;
    str_t verifier;
    ref_t user;
    bool known;
};
STEP(read_verifier, struct verifier_step)
{
    return account_verifier(ctx, str_of(arg->email), &arg->verifier, &arg->user, &arg->known);
}

static void an_unknown_address_has_a_verifier_of_the_same_cost(void **state)
{
    struct fixture *f = *state;
    struct verifier_step step = {.email = "nobody@b.example"};
    assert_ok(f, READ(f, read_verifier, &step));
    assert_false(step.known);
    str_t real = password_hash(f->ctx.arena, STR("correct horse")), name, cost, other_name,
          other_cost;
    assert_true(str_next(&real, '$', &name) && str_next(&real, '$', &cost));
    str_t dummy = step.verifier;
    assert_true(str_next(&dummy, '$', &other_name) && str_next(&dummy, '$', &other_cost));
    assert_true(str_eq(name, other_name) && str_eq(cost, other_cost));
    assert_int_equal(real.len, dummy.len);
    assert_false(password_verify(step.verifier, STR("")));
    assert_false(password_needs_rehash(step.verifier));
}

/* ---- throttle ---- */
struct login_step {
    const char *email, *ip;
};
STEP(do_admit, struct login_step)
{
    return account_login_admit(ctx, str_of(arg->email), str_of(arg->ip));
}
STEP(do_fail, struct login_step)
{
    return account_login_failed(ctx, str_of(arg->email), str_of(arg->ip));
}

static void after_five_failures_each_costs_twice_the_time(void **state)
{
    struct fixture *f = *state;
    struct login_step step = {"nobody@b.example", "192.0.2.1"},
                      other = {"else@b.example", "192.0.2.1"};
    for (int i = 0; i < 4; i++)
        assert_ok(f, WRITE(f, do_fail, &step));
    assert_ok(f, READ(f, do_admit, &step));
    int expected = 2;
    for (int i = 0; i < 12; i++) {
        assert_ok(f, WRITE(f, do_fail, &step));
        assert_int_equal(READ(f, do_admit, &step), ERR_LIMIT);
        assert_int_equal(f->ctx.problem.retry_after_s, expected);
        assert_refused(f, ERR_LIMIT, "throttled");
        assert_ok(f, READ(f, do_admit, &other));
        time_passes(f, expected * MS_SECOND);
        assert_ok(f, READ(f, do_admit, &step));
        expected = expected * 2 > 900 ? 900 : expected * 2;
    }
    time_passes(f, MS_HOUR);
    assert_ok(f, WRITE(f, do_fail, &step));
    assert_ok(f, READ(f, do_admit, &step));
}

static void one_address_cannot_try_many_accounts(void **state)
{
    struct fixture *f = *state;
    char email[40];
    for (int i = 0; i < 30; i++) {
        struct login_step step = {email, "192.0.2.9"};
        snprintf(email, sizeof email, "u%d@b.example", i);
        assert_ok(f, WRITE(f, do_fail, &step));
    }
    struct login_step fresh = {"fresh@b.example", "192.0.2.9"},
                      elsewhere = {"fresh@b.example", "192.0.2.8"};
    assert_refused(f, READ(f, do_admit, &fresh), "throttled");
    assert_ok(f, READ(f, do_admit, &elsewhere));
}

static void a_session_speaks_for_its_user(void **state)
{
    struct fixture *f = *state;
    struct person person = given_person(f, "a@b.example");
    struct session_step step = given_session(f, person.user.id);
    assert_known(f, &step);
    assert_int_equal(f->ctx.actor.org_id.value, person.personal_org.value);
    assert_int_equal(f->ctx.actor.roles, ROLE_OWNER);
    assert_int_equal(f->ctx.actor.org_kind, ORG_CONSUMER);
    assert_int_equal(facts_of(f, FACT_USER_LOGIN), 1);
    assert_ok(f, WRITE(f, do_close, &step));
    assert_nobody(f, &step);
}

static void a_changed_token_is_nobody(void **state)
{
    struct fixture *f = *state;
    struct person person = given_person(f, "a@b.example");
    struct session_step step = given_session(f, person.user.id), bad = step;
    static const char *const broken[] = {"", "x", "AAAAAAAAAAA", "!!!"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        bad.token = str_of(broken[i]);
        assert_nobody(f, &bad);
    }
    char *text = arena_copy(f->ctx.arena, step.token.data, step.token.len);
    text[30] = text[30] == 'A' ? 'B' : 'A';
    bad.token = str_from(text, step.token.len);
    assert_nobody(f, &bad);
    assert_known(f, &step);
}

struct digest_step {
    str_t digest;
    int64_t rows;
};
STEP(count_digests, struct digest_step)
{
    return db_int(ctx, "SELECT COUNT(*) FROM account_session WHERE digest = $1",
                  ARGS(A_BYTES(arg->digest)), &arg->rows);
}

static void the_database_does_not_know_the_secret(void **state)
{
    struct fixture *f = *state;
    struct person person = given_person(f, "a@b.example");
    struct session_step step = given_session(f, person.user.id);
    str_t bytes;
    uint8_t digest[SM3_BYTES];
    assert_true(base64url_decode(f->ctx.arena, step.token, &bytes));
    assert_int_equal(bytes.len, 40);
    sm3(str_cut(bytes, 8), digest);
    struct digest_step hashed = {.digest = str_from(digest, sizeof digest)},
                       plain = {.digest = str_cut(bytes, 8)};
    assert_ok(f, READ(f, count_digests, &hashed));
    assert_ok(f, READ(f, count_digests, &plain));
    assert_int_equal(hashed.rows, 1);
    assert_int_equal(plain.rows, 0);
    assert_int_equal(step.made.csrf_token.len, 22);
}

static void a_session_ends_after_half_an_hour_of_silence(void **state)
{
    struct fixture *f = *state;
    struct person person = given_person(f, "a@b.example");
    struct session_step step = given_session(f, person.user.id);
    time_passes(f, 30 * MS_MINUTE - 1);
    assert_known(f, &step);
    for (int i = 0;
         i < 2000 && number_of(f, "SELECT MAX(last_seen_at) FROM account_session") != f->ctx.now.ms;
         i++)
        usleep(1000);
    time_passes(f, 30 * MS_MINUTE - 1);
    assert_known(f, &step);
    for (int i = 0;
         i < 2000 && number_of(f, "SELECT MAX(last_seen_at) FROM account_session") != f->ctx.now.ms;
         i++)
        usleep(1000);
    time_passes(f, 30 * MS_MINUTE);
    assert_nobody(f, &step);
}

static void a_session_is_noted_at_most_once_a_minute(void **state)
{
    struct fixture *f = *state;
    struct person person = given_person(f, "a@b.example");
    struct session_step step = given_session(f, person.user.id);
    int64_t opened = f->ctx.now.ms;
    time_passes(f, MS_MINUTE - 1);
    assert_known(f, &step);
    usleep(20000);
    assert_int_equal(number_of(f, "SELECT last_seen_at FROM account_session"), opened);
}

static void a_session_ends_after_twelve_hours_whatever_happens(void **state)
{
    struct fixture *f = *state;
    struct person person = given_person(f, "a@b.example");
    struct session_step step = given_session(f, person.user.id);
    for (int i = 0; i < 12 * 3; i++) {
        assert_known(f, &step);
        for (int k = 0;
             k < 2000 && i > 0 &&
             number_of(f, "SELECT MAX(last_seen_at) FROM account_session") != f->ctx.now.ms;
             k++)
            usleep(1000);
        time_passes(f, 20 * MS_MINUTE);
    }
    assert_nobody(f, &step);
}

static void a_change_needs_the_csrf_token_of_this_session(void **state)
{
    struct fixture *f = *state;
    struct person person = given_person(f, "a@b.example");
    struct session_step step = given_session(f, person.user.id),
                        second = given_session(f, person.user.id);
    step.check_csrf = true;
    assert_refused(f, READ(f, do_cookie, &step), "csrf_failed");
    step.csrf = second.made.csrf_token;
    assert_refused(f, READ(f, do_cookie, &step), "csrf_failed");
    step.csrf = step.made.csrf_token;
    assert_known(f, &step);
}

static void only_a_member_acts_for_an_organisation(void **state)
{
    struct fixture *f = *state;
    struct person owner = given_person(f, "a@b.example"), stranger = given_person(f, "c@b.example");
    ref_t org = given_org(f, &owner, ORG_PROVIDER);
    struct session_step own = given_session(f, owner.user.id),
                        foreign = given_session(f, stranger.user.id);
    own.x_org = foreign.x_org = ref_text(f->ctx.arena, "org", org);
    assert_known(f, &own);
    assert_int_equal(f->ctx.actor.org_kind, ORG_PROVIDER);
    assert_refused(f, READ(f, do_cookie, &foreign), "not_a_member");
    own.x_org = STR("org_nonsense");
    assert_refused(f, READ(f, do_cookie, &own), "not_a_member");
}

static void a_new_password_ends_all_other_sessions(void **state)
{
    struct fixture *f = *state;
    struct person person = given_person(f, "a@b.example");
    struct session_step kept = given_session(f, person.user.id),
                        lost = given_session(f, person.user.id);
    struct change_step change = {.user = person.user.id, .keep = kept.made.session_id};
    assert_ok(f, WRITE(f, do_password, &change));
    assert_known(f, &kept);
    assert_nobody(f, &lost);
    assert_int_equal(facts_of(f, FACT_USER_PASSWORD), 1);
    change.user = (ref_t){999};
    assert_refused(f, WRITE(f, do_password, &change), "not_found");
}

static void a_disabled_user_is_out_at_once_and_cannot_come_back(void **state)
{
    struct fixture *f = *state;
    struct person person = given_person(f, "a@b.example");
    struct session_step step = given_session(f, person.user.id), again = {.user = person.user.id};
    struct change_step change = {.user = person.user.id, .state = 2};
    f->ctx.actor = (struct actor){0};
    assert_ok(f, WRITE(f, do_state, &change));
    assert_nobody(f, &step);
    assert_refused(f, WRITE(f, do_open, &again), "account_disabled");
    change.state = 1;
    assert_ok(f, WRITE(f, do_state, &change));
    assert_ok(f, WRITE(f, do_open, &again));
    assert_int_equal(facts_of(f, FACT_USER_DISABLED), 2);
    act_as(f, person.user.id, person.personal_org, ORG_CONSUMER, ROLE_OWNER);
    change.state = 2;
    assert_refused(f, WRITE(f, do_state, &change), "own_account");
}

/* ---- who acts in a request ---- */
static const struct route read_route = {"GET", "/api/v1/me", PERM_ACCOUNT_SELF, TX_READ, NULL, NULL,
                                        0};
static const struct route write_route = {
    "POST", "/api/v1/orgs", PERM_ACCOUNT_SELF, TX_WRITE, NULL, NULL, 0};
static const struct route open_route = {"POST", "/api/v1/login", 0, TX_NONE, NULL,
                                        NULL,   ROUTE_PUBLIC};
static const struct route if2_route = {
    "GET", "/if2/v1/orders/{id}", PERM_IF2_ORDER_READ, TX_READ, NULL, NULL, 0};

STEP(do_request, struct request)
{
    TRY(api_authenticate(ctx, arg));
    return (arg->route->flags & ROUTE_PUBLIC) ? OK : api_authorise(ctx, arg);
}

static struct request request_of(struct fixture *f, const struct route *route,
                                 const struct session_step *session)
{
    struct request request = {
        .route = route, .method = str_of(route->method), .path = str_of(route->path)};
    if (session)
        request.cookie =
            str_printf(f->ctx.arena, "other=1; suanhe=" STR_FMT, STR_ARG(session->token));
    return request;
}

static void a_request_without_anybody_is_refused(void **state)
{
    struct fixture *f = *state;
    struct request request = request_of(f, &read_route, NULL);
    assert_int_equal(READ(f, do_request, &request), ERR_AUTH);
    assert_refused(f, ERR_AUTH, "auth_required");
}

static void a_cookie_counts_only_under_api_and_a_bearer_only_under_if2(void **state)
{
    struct fixture *f = *state;
    struct person person = given_person(f, "a@b.example");
    struct session_step session = given_session(f, person.user.id);
    struct client_step client = given_client(f);
    assert_ok(f, WRITE(f, do_token, &client));
    str_t bearer = str_printf(f->ctx.arena, "Bearer " STR_FMT, STR_ARG(client.token));
    struct request good = request_of(f, &read_route, &session),
                   machine = request_of(f, &if2_route, NULL);
    assert_ok(f, READ(f, do_request, &good));
    machine.authorization = bearer;
    assert_ok(f, READ(f, do_request, &machine));
    struct request cookie_at_if2 = request_of(f, &if2_route, &session),
                   bearer_at_api = request_of(f, &read_route, NULL);
    assert_refused(f, READ(f, do_request, &cookie_at_if2), "auth_required");
    bearer_at_api.authorization = bearer;
    assert_refused(f, READ(f, do_request, &bearer_at_api), "auth_required");
    machine.authorization = STR("Basic eDp5");
    assert_refused(f, READ(f, do_request, &machine), "invalid_token");
    struct request foreign = request_of(f, &read_route, NULL);
    foreign.route = &if2_route;
    foreign.path = STR("/api/v1/me");
    foreign.cookie = good.cookie;
    assert_refused(f, READ(f, do_request, &foreign), "permission_denied");
}

static void over_tls_only_the_host_cookie_counts(void **state)
{
    struct fixture *f = *state;
    struct person person = given_person(f, "a@b.example");
    struct session_step session = given_session(f, person.user.id);
    struct request request = request_of(f, &read_route, &session);
    request.secure = true;
    assert_refused(f, READ(f, do_request, &request), "auth_required");
    request.cookie = str_printf(f->ctx.arena, "__Host-suanhe=" STR_FMT, STR_ARG(session.token));
    assert_ok(f, READ(f, do_request, &request));
}

static void a_change_from_another_site_is_refused(void **state)
{
    struct fixture *f = *state;
    struct person person = given_person(f, "a@b.example");
    struct session_step session = given_session(f, person.user.id);
    struct request request = request_of(f, &write_route, &session),
                   login = request_of(f, &open_route, NULL);
    assert_refused(f, READ(f, do_request, &request), "csrf_failed");
    request.csrf_token = session.made.csrf_token;
    request.sec_fetch_site = STR("same-origin");
    assert_ok(f, READ(f, do_request, &request));
    request.sec_fetch_site = login.sec_fetch_site = STR("cross-site");
    assert_refused(f, READ(f, do_request, &request), "cross_site");
    assert_refused(f, READ(f, do_request, &login), "cross_site");
}

static void a_login_over_an_old_cookie_needs_no_token(void **state)
{
    struct fixture *f = *state;
    struct person person = given_person(f, "a@b.example");
    struct session_step session = given_session(f, person.user.id);
    struct request login = request_of(f, &open_route, &session);
    assert_ok(f, READ(f, do_request, &login));
    assert_int_equal(f->ctx.actor.user_id.value, 0);
}

static void the_administration_socket_acts_as_the_operator(void **state)
{
    struct fixture *f = *state;
    static const struct route admin = {
        "GET", "/api/v1/admin/users", PERM_ADMIN_READ, TX_READ, NULL, NULL, 0};
    struct request request = request_of(f, &admin, NULL);
    request.over_admin_socket = true;
    assert_refused(f, READ(f, do_request, &request), "not_initialised");
    struct person staff = given_operator(f);
    assert_ok(f, READ(f, do_request, &request));
    assert_int_equal(f->ctx.actor.org_id.value, staff.personal_org.value);
    assert_int_equal(f->ctx.actor.user_id.value, 0);
    request.route = &read_route;
    assert_refused(f, READ(f, do_request, &request), "permission_denied");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weak_passwords_are_refused),
        cmocka_unit_test(an_unknown_address_has_a_verifier_of_the_same_cost),
        cmocka_unit_test(after_five_failures_each_costs_twice_the_time),
        cmocka_unit_test(one_address_cannot_try_many_accounts),
        cmocka_unit_test(a_session_speaks_for_its_user),
        cmocka_unit_test(a_changed_token_is_nobody),
        cmocka_unit_test(the_database_does_not_know_the_secret),
        cmocka_unit_test(a_session_ends_after_half_an_hour_of_silence),
        cmocka_unit_test(a_session_is_noted_at_most_once_a_minute),
        cmocka_unit_test(a_session_ends_after_twelve_hours_whatever_happens),
        cmocka_unit_test(a_change_needs_the_csrf_token_of_this_session),
        cmocka_unit_test(only_a_member_acts_for_an_organisation),
        cmocka_unit_test(a_new_password_ends_all_other_sessions),
        cmocka_unit_test(a_disabled_user_is_out_at_once_and_cannot_come_back),
        cmocka_unit_test(a_request_without_anybody_is_refused),
        cmocka_unit_test(a_cookie_counts_only_under_api_and_a_bearer_only_under_if2),
        cmocka_unit_test(over_tls_only_the_host_cookie_counts),
        cmocka_unit_test(a_change_from_another_site_is_refused),
        cmocka_unit_test(a_login_over_an_old_cookie_needs_no_token),
        cmocka_unit_test(the_administration_socket_acts_as_the_operator),
    };
    return RUN_ON_BOTH(tests);
}
