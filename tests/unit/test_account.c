/* SPDX-License-Identifier: Apache-2.0 */
/* Users, members, sessions, machine clients: who may do what, and every refusal by its reason. */
#include "api/api.h"
#include "fixture.h"

/* ---- the permission matrix, written a second time by hand ---- */
enum { C = 1, P = 2, O = 4, ALL = 7 };
static const struct {
    int permission, kinds;
    const char
        *roles; /* o owner, a admin, f finance, p operations, m member, v viewer, u auditor */
} wanted[] = {
    {PERM_ACCOUNT_SELF, ALL, "oafpmvu"},  {PERM_ORG_READ, ALL, "oafpmvu"},
    {PERM_ORG_MANAGE, ALL, "oa"},         {PERM_EVENTS_READ, ALL, "oafpmvu"},
    {PERM_EVIDENCE_READ, ALL, "oafpmvu"}, {PERM_ORDER_CREATE, C, "oam"},
    {PERM_ORDER_READ, C, "oafpmvu"},      {PERM_ORDER_PAY, C, "oaf"},
    {PERM_ORDER_CANCEL, C, "oam"},        {PERM_SERVICE_READ, C, "oafpmvu"},
    {PERM_BALANCE_READ, C, "oafpmvu"},    {PERM_STORE_READ, P, "oafpmvu"},
    {PERM_STORE_MANAGE, P, "oa"},         {PERM_STORE_REVIEW, O, "oap"},
    {PERM_CREDIT_BOOK, O, "of"},          {PERM_ADMIN_READ, O, "oafpvu"},
    {PERM_ADMIN_SYNC, O, "oap"},          {PERM_ADMIN_USER, O, "oa"},
    {PERM_IF2_PRODUCT_WRITE, 0, ""},      {PERM_IF2_ORDER_WRITE, 0, ""},
    {PERM_IF2_ORDER_READ, 0, ""},
};

static void each_permission_is_held_by_its_roles_in_its_organisations_and_by_no_other(void **state)
{
    static const char letters[] = "oafpmvu";
    (void)state;
    assert_int_equal(sizeof wanted / sizeof wanted[0], PERM_COUNT - 1);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        for (int kind = 0; kind <= 4; kind++)
            for (int role = 0; role < 7; role++) {
                struct actor actor = {
                    .user_id = {1}, .org_id = {2}, .org_kind = kind, .roles = 1u << role};
                bool want = kind >= 1 && kind <= 3 && (wanted[i].kinds & 1 << (kind - 1)) &&
                            strchr(wanted[i].roles, letters[role]);
                if (permission_allowed(wanted[i].permission, &actor) != want)
                    fail_msg("%s kind %d role %c",
                             names_of(&permission_names, wanted[i].permission), kind,
                             letters[role]);
            }
}

static void a_viewer_only_reads(void **state)
{
    (void)state;
    for (int permission = 1; permission < PERM_COUNT; permission++)
        for (int kind = 1; kind <= 3; kind++) {
            struct actor actor = {
                .user_id = {1}, .org_id = {2}, .org_kind = kind, .roles = ROLE_VIEWER};
            str_t name = str_of(names_of(&permission_names, permission));
            if (permission_allowed(permission, &actor))
                assert_true(str_ends(name, STR(".read")) || str_is(name, "account.self"));
        }
}

static void nobody_holds_nothing(void **state)
{
    (void)state;
    struct actor nobody = {0}, roleless = {.user_id = {1}, .org_id = {2}, .org_kind = ORG_CONSUMER};
    struct actor homeless = {.user_id = {1}, .org_kind = ORG_CONSUMER, .roles = ROLE_OWNER};
    struct actor owner = {
        .user_id = {1}, .org_id = {2}, .org_kind = ORG_CONSUMER, .roles = ROLE_OWNER};
    for (int permission = -1; permission <= PERM_COUNT; permission++) {
        assert_false(permission_allowed(permission, &nobody));
        assert_false(permission_allowed(permission, &roleless));
        assert_false(permission_allowed(permission, &homeless));
    }
    assert_false(permission_allowed(PERM_NONE, &owner));
    assert_false(permission_allowed(PERM_COUNT, &owner));
}

static void a_machine_holds_its_scopes_and_no_role(void **state)
{
    (void)state;
    for (uint32_t scopes = 0; scopes <= SCOPES_ALL; scopes++)
        for (int permission = 1; permission < PERM_COUNT; permission++) {
            struct actor actor = {.client_id = {9},
                                  .org_id = {2},
                                  .org_kind = ORG_PROVIDER,
                                  .roles = scopes << SCOPE_SHIFT | ROLE_OWNER};
            bool want = permission >= PERM_IF2_PRODUCT_WRITE &&
                        (scopes & 1u << (permission - PERM_IF2_PRODUCT_WRITE)) != 0;
            assert_int_equal(permission_allowed(permission, &actor), want);
            actor.user_id = (ref_t){1};
            assert_false(permission_allowed(permission, &actor));
        }
}

static void names_go_there_and_back(void **state)
{
    int value;
    (void)state;
    for (int permission = 1; permission < PERM_COUNT; permission++) {
        assert_true(
            names_find(&permission_names, str_of(names_of(&permission_names, permission)), &value));
        assert_int_equal(value, permission);
    }
    for (int bit = 0; bit < 7; bit++) {
        assert_true(names_find(&role_names, str_of(names_of(&role_names, bit)), &value));
        assert_int_equal(value, bit);
    }
}

/* ---- registration ---- */
struct register_step {
    struct registration in;
    struct user user;
    ref_t org;
};
STEP(do_register, struct register_step)
{
    return account_register(ctx, &arg->in, STR("v"), &arg->user, &arg->org);
}
static struct register_step registration_of(const char *email)
{
    return (struct register_step){
        .in = {.email = str_of(email), .name = STR("张三"), .consent_version = STR("2026-01")}};
}

struct members_step {
    ref_t user, org;
    struct membership *orgs;
    size_t count;
};
STEP(read_memberships, struct members_step)
{
    return account_memberships(ctx, arg->user, &arg->orgs, &arg->count);
}

static void a_person_gets_an_organisation_of_their_own(void **state)
{
    struct fixture *f = *state;
    struct register_step step = registration_of("  Zhang.San@Example.COM ");
    assert_ok(f, WRITE(f, do_register, &step));
    assert_true(str_is(step.user.email, "zhang.san@example.com"));
    struct members_step members = {.user = step.user.id};
    assert_ok(f, READ(f, read_memberships, &members));
    assert_int_equal(members.count, 1);
    assert_true(members.orgs[0].personal && ref_is(members.orgs[0].org_id, step.org));
    assert_int_equal(members.orgs[0].roles, ROLE_OWNER);
    assert_int_equal(members.orgs[0].kind, ORG_CONSUMER);
    assert_int_equal(facts_of(f, FACT_USER_REGISTER), 1);
    assert_int_equal(f->ctx.actor.user_id.value, 0);
}

static void an_address_is_taken_in_any_case_of_letters(void **state)
{
    struct fixture *f = *state;
    struct register_step first = registration_of("a@b.example"),
                         again = registration_of("A@B.EXAMPLE");
    assert_ok(f, WRITE(f, do_register, &first));
    assert_refused(f, WRITE(f, do_register, &again), "email_taken");
    assert_int_equal(number_of(f, "SELECT COUNT(*) FROM account_user"), 1);
    assert_int_equal(number_of(f, "SELECT COUNT(*) FROM account_org"), 1);
}

static void what_is_no_address_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {"",        "a",    "a@",   "@b",      "a@@b.c",
                                      "a b@c.d", "a@.b", "a@b.", "a@b\n.c", "<a@b.c>"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct register_step step = registration_of(bad[i]);
        assert_refused(f, WRITE(f, do_register, &step), "validation_failed");
    }
}

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

static struct session_step given_session(struct fixture *f, ref_t user)
{
    struct session_step step = {.user = user};
    f->ctx.actor = (struct actor){0};
    assert_ok(f, WRITE(f, do_open, &step));
    return step;
}

static void assert_nobody(struct fixture *f, struct session_step *step)
{
    assert_ok(f, READ(f, do_cookie, step));
    assert_int_equal(f->ctx.actor.user_id.value, 0);
    assert_int_equal(f->ctx.actor.org_id.value, 0);
}

static void assert_known(struct fixture *f, struct session_step *step)
{
    assert_ok(f, READ(f, do_cookie, step));
    assert_int_equal(f->ctx.actor.user_id.value, step->user.value);
    assert_int_equal(f->ctx.actor.session_id.value, step->made.session_id.value);
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

/* ---- members ---- */
struct member_step {
    ref_t org, user;
    int32_t roles;
};
STEP(do_member, struct member_step)
{
    return account_member_set(ctx, arg->org, arg->user, arg->roles);
}

static void an_owner_gives_and_takes_roles(void **state)
{
    struct fixture *f = *state;
    struct person owner = given_person(f, "a@b.example"),
                  colleague = given_person(f, "c@b.example");
    ref_t org = given_org(f, &owner, ORG_CONSUMER);
    struct member_step step = {org, colleague.user.id, ROLE_FINANCE | ROLE_VIEWER};
    assert_ok(f, WRITE(f, do_member, &step));
    struct members_step members = {.user = colleague.user.id};
    assert_ok(f, READ(f, read_memberships, &members));
    assert_int_equal(members.count, 2);
    step.roles = 0;
    assert_ok(f, WRITE(f, do_member, &step));
    assert_refused(f, WRITE(f, do_member, &step), "not_found");
    assert_int_equal(facts_of(f, FACT_MEMBER_CHANGE), 2);
}

static void nobody_grants_more_than_they_hold(void **state)
{
    struct fixture *f = *state;
    struct person owner = given_person(f, "a@b.example"), admin = given_person(f, "c@b.example"),
                  third = given_person(f, "d@b.example");
    ref_t org = given_org(f, &owner, ORG_CONSUMER);
    struct member_step step = {org, admin.user.id, ROLE_ADMIN};
    assert_ok(f, WRITE(f, do_member, &step));
    act_as(f, admin.user.id, org, ORG_CONSUMER, ROLE_ADMIN);
    for (int role = 0; role < 7; role++) {
        struct member_step grant = {org, third.user.id, 1 << role};
        bool may = (1 << role) & (ROLE_ADMIN | ROLE_MEMBER | ROLE_OPERATIONS | ROLE_VIEWER);
        err_t err = WRITE(f, do_member, &grant);
        if (may)
            assert_ok(f, err);
        else
            assert_refused(f, err, "role_too_high");
    }
    struct member_step demote = {org, owner.user.id, ROLE_VIEWER};
    assert_refused(f, WRITE(f, do_member, &demote), "role_too_high");
    act_as(f, third.user.id, org, ORG_CONSUMER, ROLE_MEMBER);
    struct member_step climb = {org, third.user.id, ROLE_ADMIN};
    assert_refused(f, WRITE(f, do_member, &climb), "role_too_high");
}

static void the_last_owner_stays(void **state)
{
    struct fixture *f = *state;
    struct person owner = given_person(f, "a@b.example"), second = given_person(f, "c@b.example");
    ref_t org = given_org(f, &owner, ORG_CONSUMER);
    struct member_step leave = {org, owner.user.id, 0}, demote = {org, owner.user.id, ROLE_ADMIN},
                       promote = {org, second.user.id, ROLE_OWNER};
    assert_refused(f, WRITE(f, do_member, &leave), "last_owner");
    assert_refused(f, WRITE(f, do_member, &demote), "last_owner");
    assert_ok(f, WRITE(f, do_member, &promote));
    assert_ok(f, WRITE(f, do_member, &leave));
}

static void a_disabled_owner_does_not_count(void **state)
{
    struct fixture *f = *state;
    struct person owner = given_person(f, "a@b.example"), second = given_person(f, "c@b.example");
    ref_t org = given_org(f, &owner, ORG_CONSUMER);
    struct member_step leave = {org, owner.user.id, 0}, promote = {org, second.user.id, ROLE_OWNER};
    struct change_step disable = {.user = second.user.id, .state = 2};
    assert_ok(f, WRITE(f, do_member, &promote));
    assert_ok(f, WRITE(f, do_state, &disable));
    assert_refused(f, WRITE(f, do_member, &leave), "last_owner");
}

static void a_personal_organisation_has_one_member(void **state)
{
    struct fixture *f = *state;
    struct person owner = given_person(f, "a@b.example"), second = given_person(f, "c@b.example");
    struct member_step step = {owner.personal_org, second.user.id, ROLE_MEMBER};
    act_as(f, owner.user.id, owner.personal_org, ORG_CONSUMER, ROLE_OWNER);
    assert_refused(f, WRITE(f, do_member, &step), "personal_org");
}

static void the_operator_exists_once(void **state)
{
    struct fixture *f = *state;
    struct person first = given_operator(f), again = given_operator(f);
    assert_int_equal(first.personal_org.value, again.personal_org.value);
    assert_int_equal(first.user.id.value, again.user.id.value);
    struct session_step step = given_session(f, first.user.id);
    step.x_org = ref_text(f->ctx.arena, "org", first.personal_org);
    assert_known(f, &step);
    assert_int_equal(f->ctx.actor.org_kind, ORG_OPERATOR);
    assert_true(permission_allowed(PERM_ADMIN_USER, &f->ctx.actor));
}

STEP(make_operator_kind, struct org)
{
    return account_org_create(ctx, STR("假运营方"), ORG_OPERATOR, arg);
}
static void nobody_makes_an_operator_through_the_front_door(void **state)
{
    struct fixture *f = *state;
    struct person person = given_person(f, "a@b.example");
    struct org org;
    act_as(f, person.user.id, person.personal_org, ORG_CONSUMER, ROLE_OWNER);
    assert_refused(f, WRITE(f, make_operator_kind, &org), "validation_failed");
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

static struct client_step given_client(struct fixture *f)
{
    struct person owner = given_person(f, "p@b.example");
    struct client_step step = {.org = given_org(f, &owner, ORG_PROVIDER), .store = {4242}};
    assert_ok(f, WRITE(f, do_client, &step));
    return step;
}

static void a_client_gets_a_token_for_ten_minutes(void **state)
{
    struct fixture *f = *state;
    struct client_step step = given_client(f);
    assert_ok(f, WRITE(f, do_token, &step));
    assert_true(str_is(step.granted, "if2.product.write if2.order.write if2.order.read"));
    assert_ok(f, READ(f, do_bearer, &step));
    assert_int_equal(f->ctx.actor.client_id.value, step.made.client_id.value);
    assert_int_equal(f->ctx.actor.org_id.value, step.org.value);
    assert_int_equal(f->ctx.actor.user_id.value, 0);
    assert_true(permission_allowed(PERM_IF2_ORDER_WRITE, &f->ctx.actor));
    assert_false(permission_allowed(PERM_STORE_MANAGE, &f->ctx.actor));
    assert_ok(f, READ(f, do_client_store, &step));
    assert_int_equal(step.found.value, 4242);
    time_passes(f, 10 * MS_MINUTE - 1);
    assert_ok(f, READ(f, do_bearer, &step));
    time_passes(f, 1);
    assert_refused(f, READ(f, do_bearer, &step), "invalid_token");
}

static void a_token_holds_only_the_scopes_asked_for(void **state)
{
    struct fixture *f = *state;
    struct client_step step = given_client(f);
    step.scope = STR("if2.order.read");
    assert_ok(f, WRITE(f, do_token, &step));
    assert_true(str_is(step.granted, "if2.order.read"));
    assert_ok(f, READ(f, do_bearer, &step));
    assert_true(permission_allowed(PERM_IF2_ORDER_READ, &f->ctx.actor));
    assert_false(permission_allowed(PERM_IF2_ORDER_WRITE, &f->ctx.actor));
    step.scope = STR("if2.order.read if2.everything");
    assert_refused(f, WRITE(f, do_token, &step), "invalid_scope");
}

static void a_wrong_secret_or_client_gets_no_token(void **state)
{
    struct fixture *f = *state;
    struct client_step step = given_client(f), bad = step;
    bad.secret = STR("AAAA");
    assert_refused(f, WRITE(f, do_token, &bad), "invalid_client");
    bad = step;
    bad.id = STR("cli_0000000000001");
    assert_refused(f, WRITE(f, do_token, &bad), "invalid_client");
    bad.id = STR("nonsense");
    assert_refused(f, WRITE(f, do_token, &bad), "invalid_client");
    bad.token = STR("nonsense");
    assert_refused(f, READ(f, do_bearer, &bad), "invalid_token");
}

static void an_old_client_lives_a_day_after_the_new_one(void **state)
{
    struct fixture *f = *state;
    struct client_step first = given_client(f), second = {.org = first.org, .store = first.store};
    assert_ok(f, WRITE(f, do_client, &second));
    time_passes(f, MS_DAY - MS_MINUTE);
    assert_ok(f, WRITE(f, do_token, &first));
    assert_ok(f, READ(f, do_bearer, &first));
    time_passes(f, MS_MINUTE);
    assert_refused(f, WRITE(f, do_token, &first), "invalid_client");
    assert_refused(f, READ(f, do_bearer, &first), "invalid_token");
    assert_ok(f, WRITE(f, do_token, &second));
}

static void a_subject_is_the_same_at_one_provider_and_another_at_the_next(void **state)
{
    struct fixture *f = *state;
    struct client_step a = {.org = {11}, .store = {77}}, again = a,
                       other = {.org = {12}, .store = {77}};
    assert_ok(f, WRITE(f, do_subject, &a));
    assert_ok(f, WRITE(f, do_subject, &again));
    assert_ok(f, WRITE(f, do_subject, &other));
    assert_true(str_eq(a.subject, again.subject));
    assert_false(str_eq(a.subject, other.subject));
    assert_int_equal(a.subject.len, 22);
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
        cmocka_unit_test(each_permission_is_held_by_its_roles_in_its_organisations_and_by_no_other),
        cmocka_unit_test(a_viewer_only_reads),
        cmocka_unit_test(nobody_holds_nothing),
        cmocka_unit_test(a_machine_holds_its_scopes_and_no_role),
        cmocka_unit_test(names_go_there_and_back),
        cmocka_unit_test(a_person_gets_an_organisation_of_their_own),
        cmocka_unit_test(an_address_is_taken_in_any_case_of_letters),
        cmocka_unit_test(what_is_no_address_is_refused),
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
        cmocka_unit_test(an_owner_gives_and_takes_roles),
        cmocka_unit_test(nobody_grants_more_than_they_hold),
        cmocka_unit_test(the_last_owner_stays),
        cmocka_unit_test(a_disabled_owner_does_not_count),
        cmocka_unit_test(a_personal_organisation_has_one_member),
        cmocka_unit_test(the_operator_exists_once),
        cmocka_unit_test(nobody_makes_an_operator_through_the_front_door),
        cmocka_unit_test(a_client_gets_a_token_for_ten_minutes),
        cmocka_unit_test(a_token_holds_only_the_scopes_asked_for),
        cmocka_unit_test(a_wrong_secret_or_client_gets_no_token),
        cmocka_unit_test(an_old_client_lives_a_day_after_the_new_one),
        cmocka_unit_test(a_subject_is_the_same_at_one_provider_and_another_at_the_next),
        cmocka_unit_test(a_request_without_anybody_is_refused),
        cmocka_unit_test(a_cookie_counts_only_under_api_and_a_bearer_only_under_if2),
        cmocka_unit_test(over_tls_only_the_host_cookie_counts),
        cmocka_unit_test(a_change_from_another_site_is_refused),
        cmocka_unit_test(a_login_over_an_old_cookie_needs_no_token),
        cmocka_unit_test(the_administration_socket_acts_as_the_operator),
    };
    return RUN_ON_BOTH(tests);
}
