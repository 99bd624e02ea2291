/* SPDX-License-Identifier: Apache-2.0 */
/* Users, members, machine clients: who may do what, and every refusal by its reason. */
#include "account_steps.h"

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
    };
    return RUN_ON_BOTH(tests);
}
