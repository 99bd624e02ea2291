/* SPDX-License-Identifier: Apache-2.0 */
/* Stores: the whole table of states and events by every actor, applications, credentials. */
#include "fixture.h"
#include "store/store.h"

#define USCC "91110000600037341L"

struct store_step {
    struct store_application in;
    struct store store;
    struct store *list;
    size_t count;
    ref_t id, org;
    int event, state;
    int64_t version;
    str_t reasons[2], url, bearer;
    size_t reason_count;
    struct store_credentials made;
};
STEP(do_apply, struct store_step)
{
    return store_apply(ctx, &arg->in, &arg->store);
}
STEP(do_update, struct store_step)
{
    return store_update(ctx, arg->id, arg->version, &arg->in, &arg->store);
}
STEP(do_fire, struct store_step)
{
    return store_fire(ctx, arg->id, arg->event, arg->reasons, arg->reason_count, &arg->store);
}
STEP(do_credentials, struct store_step)
{
    return store_make_credentials(ctx, arg->id, &arg->made);
}
STEP(do_connected, struct store_step)
{
    return store_connected(ctx, arg->id, &arg->store);
}
STEP(do_demo, struct store_step)
{
    return store_import_demo(ctx, arg->org, &arg->in, &arg->store);
}
STEP(read_outbound, struct store_step)
{
    return store_outbound(ctx, arg->id, &arg->url, &arg->bearer);
}
STEP(read_store, struct store_step)
{
    return store_load(ctx, arg->id, &arg->store);
}
STEP(read_list, struct store_step)
{
    return store_list(ctx, arg->state, REF_NONE, 10, &arg->list, &arg->count);
}

static struct store_application application(void)
{
    return (struct store_application){.name = STR("示例算力店"),
                                      .uscc = STR(USCC),
                                      .legal_name = STR("示例有限公司"),
                                      .description = STR("GPU"),
                                      .contact_name = STR("李四"),
                                      .region_code = STR("110000"),
                                      .if2_base_url = STR("https://s.example/base"),
                                      .accepted_rules_version = STR("1")};
}

/* A seller, who acts from now on, and a store in draft. */
struct scene {
    struct person seller, staff;
    ref_t org, store;
};
static struct scene given_scene(struct fixture *f)
{
    struct scene scene = {.seller = given_person(f, "seller@b.example"),
                          .staff = given_operator(f)};
    struct store_step step = {.in = application()};
    scene.org = given_org(f, &scene.seller, ORG_PROVIDER);
    assert_ok(f, WRITE(f, do_apply, &step));
    scene.store = step.store.m.id;
    return scene;
}

static err_t fire_with(struct fixture *f, ref_t store, int event, bool reason)
{
    struct store_step step = {
        .id = store, .event = event, .reasons = {STR("缺少资质")}, .reason_count = reason};
    return WRITE(f, do_fire, &step);
}

enum who { SELLER, SELLER_VIEWER, OTHER_SELLER, REVIEWER, OPERATOR_FINANCE, SYSTEM, WHO_COUNT };
static void become(struct fixture *f, const struct scene *scene, enum who who)
{
    static const uint32_t roles[] = {[SELLER] = ROLE_ADMIN,
                                     [SELLER_VIEWER] = ROLE_VIEWER,
                                     [OTHER_SELLER] = ROLE_OWNER,
                                     [REVIEWER] = ROLE_OPERATIONS,
                                     [OPERATOR_FINANCE] = ROLE_FINANCE,
                                     [SYSTEM] = 0};
    if (who == SYSTEM)
        act_as_system(f);
    else if (who == REVIEWER || who == OPERATOR_FINANCE)
        act_as(f, scene->staff.user.id, scene->staff.personal_org, ORG_OPERATOR, roles[who]);
    else
        act_as(f, scene->seller.user.id, who == OTHER_SELLER ? (ref_t){4711} : scene->org,
               ORG_PROVIDER, roles[who]);
}

/* ---- the table of states, written a second time by hand ---- */
static int wanted(int state, int event)
{
    switch (event) {
    case STORE_SUBMIT:
        return state == STORE_DRAFT || state == STORE_CHANGES_REQUESTED ? STORE_SUBMITTED : 0;
    case STORE_TAKE:
        return state == STORE_SUBMITTED ? STORE_REVIEWING : 0;
    case STORE_APPROVE:
        return state == STORE_REVIEWING ? STORE_APPROVED : 0;
    case STORE_REQUEST_CHANGES:
        return state == STORE_REVIEWING ? STORE_CHANGES_REQUESTED : 0;
    case STORE_REJECT:
        return state == STORE_REVIEWING ? STORE_REJECTED : 0;
    case STORE_CONNECT:
        return state == STORE_APPROVED ? STORE_CONNECTED : 0;
    case STORE_OPEN_UP:
        return state == STORE_CONNECTED || state == STORE_PAUSED ? STORE_OPEN : 0;
    case STORE_PAUSE:
        return state == STORE_OPEN ? STORE_PAUSED : 0;
    case STORE_SUSPEND:
        return state == STORE_OPEN || state == STORE_PAUSED ? STORE_SUSPENDED : 0;
    case STORE_RESUME:
        return state == STORE_SUSPENDED ? STORE_OPEN : 0;
    case STORE_CLOSE:
        return state == STORE_SUBMITTED || state == STORE_REVIEWING || state == STORE_REJECTED ||
                       state == STORE_CLOSED
                   ? 0
                   : STORE_CLOSED;
    default:
        return 0;
    }
}

static bool may(enum who who, int event)
{
    switch (event) {
    case STORE_SUBMIT:
    case STORE_CONNECT:
    case STORE_OPEN_UP:
    case STORE_PAUSE:
        return who == SELLER || who == SYSTEM;
    case STORE_CLOSE:
        return who == SELLER || who == REVIEWER || who == SYSTEM;
    default:
        return who == REVIEWER || who == SYSTEM;
    }
}

struct put_step {
    ref_t id;
    int32_t state;
};
STEP(put_in_state, struct put_step)
{
    return db_exec_one(ctx, "UPDATE store_head SET state = $1 WHERE id = $2",
                       ARGS(A(arg->state), A(arg->id)));
}

static void each_state_knows_exactly_its_events_by_exactly_its_actors(void **state)
{
    struct fixture *f = *state;
    struct scene scene = given_scene(f);
    for (int from = STORE_DRAFT; from <= STORE_CLOSED; from++)
        for (int event = STORE_SUBMIT; event <= STORE_CLOSE; event++)
            for (enum who who = 0; who < WHO_COUNT; who++) {
                struct put_step put = {scene.store, from};
                struct store_step step = {
                    .id = scene.store, .event = event, .reasons = {STR("原因")}, .reason_count = 1};
                assert_ok(f, WRITE(f, put_in_state, &put));
                become(f, &scene, who);
                err_t err = WRITE(f, do_fire, &step);
                int to = wanted(from, event);
                bool allowed = may(who, event);
                if ((err == OK) != (to != 0 && allowed))
                    fail_msg("from %s event %d who %d", names_of(&store_state_names, from), event,
                             who);
                if (err == OK)
                    assert_int_equal(step.store.m.state, to);
                else if (allowed)
                    assert_refused(f, err, "illegal_transition");
                else
                    assert_refused(f, err,
                                   who == OTHER_SELLER || who == OPERATOR_FINANCE
                                       ? "not_found"
                                       : "permission_denied");
            }
}

static void the_machine_is_sound(void **state)
{
    const char *message = "";
    (void)state;
    if (!fsm_check(&store_fsm, &message))
        fail_msg("%s", message);
    assert_true(fsm_is_terminal(&store_fsm, STORE_CLOSED));
    assert_true(fsm_is_terminal(&store_fsm, STORE_REJECTED));
    assert_false(fsm_is_terminal(&store_fsm, STORE_SUSPENDED));
}

static void another_sellers_store_is_not_found(void **state)
{
    struct fixture *f = *state;
    struct scene scene = given_scene(f);
    become(f, &scene, OTHER_SELLER);
    assert_refused(f, fire_with(f, scene.store, STORE_SUBMIT, false), "not_found");
    struct store_step step = {.id = scene.store, .in = application(), .version = 1};
    assert_refused(f, WRITE(f, do_update, &step), "not_found");
    assert_refused(f, WRITE(f, do_credentials, &step), "not_found");
    assert_refused(f, WRITE(f, do_connected, &step), "not_found");
}

static void a_viewer_moves_nothing(void **state)
{
    struct fixture *f = *state;
    struct scene scene = given_scene(f);
    become(f, &scene, SELLER_VIEWER);
    assert_refused(f, fire_with(f, scene.store, STORE_SUBMIT, false), "permission_denied");
}

static void a_refusal_of_the_review_says_why(void **state)
{
    struct fixture *f = *state;
    struct scene scene = given_scene(f);
    assert_ok(f, fire_with(f, scene.store, STORE_SUBMIT, false));
    become(f, &scene, REVIEWER);
    assert_ok(f, fire_with(f, scene.store, STORE_TAKE, false));
    assert_int_equal(fire_with(f, scene.store, STORE_REJECT, false), ERR_INPUT);
    assert_true(str_is(f->ctx.problem.errors[0].pointer, "/reasons"));
    problem_clear(&f->ctx);
    assert_ok(f, fire_with(f, scene.store, STORE_REQUEST_CHANGES, true));
    struct store_step step = {.id = scene.store};
    assert_ok(f, READ(f, read_store, &step));
    assert_true(str_is(step.store.review_reasons, "[\"缺少资质\"]"));
    become(f, &scene, SELLER);
    assert_ok(f, fire_with(f, scene.store, STORE_SUBMIT, false));
}

static void each_move_tells_one_fact(void **state)
{
    struct fixture *f = *state;
    struct scene scene = given_scene(f);
    struct store_step step = {.id = scene.store};
    assert_int_equal(facts_of(f, FACT_STORE_APPLY), 1);
    assert_ok(f, fire_with(f, scene.store, STORE_SUBMIT, false));
    assert_int_equal(facts_of(f, FACT_STORE_STATE), 1);
    assert_ok(f, READ(f, read_store, &step));
    assert_true(step.store.m.last_event_id.value > 0);
    assert_int_equal(step.store.m.version, 2);
    assert_refused(f, fire_with(f, scene.store, STORE_SUBMIT, false), "illegal_transition");
    assert_int_equal(facts_of(f, FACT_STORE_STATE), 1);
}

static void a_wrong_credit_code_names_the_right_check_digit(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *code, *detail;
    } bad[] = {{"911100006000373410", "position 18: expected L"},
               {"123", "18 characters"},
               {"9111000060003734I1", NULL}};
    given_scene(f);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct store_step step = {.in = application()};
        step.in.uscc = str_of(bad[i].code);
        err_t err = WRITE(f, do_apply, &step);
        assert_int_equal(f->ctx.problem.error_count, 1);
        assert_true(str_is(f->ctx.problem.errors[0].pointer, "/uscc"));
        assert_string_equal(f->ctx.problem.errors[0].code, "uscc_invalid");
        if (bad[i].detail)
            assert_true(str_is(f->ctx.problem.errors[0].detail, bad[i].detail));
        assert_refused(f, err, "uscc_invalid");
    }
}

static void a_base_address_is_plain_scheme_host_and_path(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {"ftp://a.example",     "https://",
                                      "https:///x",          "https://a.example/",
                                      "https://u@a.example", "https://a.example?x=1",
                                      "https://a.example#x", "a.example"};
    static const char *const good[] = {"https://a.example", "http://127.0.0.1:9090/p/x",
                                       "https://a.example:8443/b"};
    given_scene(f);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct store_step step = {.in = application()};
        step.in.if2_base_url = str_of(bad[i]);
        if (WRITE(f, do_apply, &step) == OK)
            fail_msg("accepted: %s", bad[i]);
        assert_refused(f, ERR_INPUT, "validation_failed");
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct store_step step = {.in = application()};
        step.in.if2_base_url = str_of(good[i]);
        assert_ok(f, WRITE(f, do_apply, &step));
    }
}

static void only_provider_organisations_have_stores(void **state)
{
    struct fixture *f = *state;
    struct person person = given_person(f, "a@b.example");
    struct store_step step = {.in = application()};
    act_as(f, person.user.id, person.personal_org, ORG_CONSUMER, ROLE_OWNER);
    assert_refused(f, WRITE(f, do_apply, &step), "permission_denied");
}

static void a_store_is_edited_only_before_its_review(void **state)
{
    struct fixture *f = *state;
    struct scene scene = given_scene(f);
    struct store_step step = {.id = scene.store, .in = application(), .version = 1};
    step.in.name = STR("新名字");
    assert_ok(f, WRITE(f, do_update, &step));
    assert_true(str_is(step.store.name, "新名字"));
    assert_int_equal(step.store.m.version, 2);
    assert_refused(f, WRITE(f, do_update, &step), "version_mismatch");
    assert_ok(f, fire_with(f, scene.store, STORE_SUBMIT, false));
    step.version = 3;
    assert_refused(f, WRITE(f, do_update, &step), "illegal_transition");
}

static void given_approved(struct fixture *f, const struct scene *scene)
{
    act_as_system(f);
    assert_ok(f, fire_with(f, scene->store, STORE_SUBMIT, false));
    assert_ok(f, fire_with(f, scene->store, STORE_TAKE, false));
    assert_ok(f, fire_with(f, scene->store, STORE_APPROVE, false));
    become(f, scene, SELLER);
}

static void credentials_come_after_the_approval_and_are_stored_sealed(void **state)
{
    struct fixture *f = *state;
    struct scene scene = given_scene(f);
    struct store_step step = {.id = scene.store}, again = step;
    assert_refused(f, WRITE(f, do_credentials, &step), "illegal_transition");
    assert_refused(f, READ(f, read_outbound, &step), "store_no_credentials");
    given_approved(f, &scene);
    assert_ok(f, WRITE(f, do_credentials, &step));
    assert_ok(f, READ(f, read_outbound, &step));
    assert_true(str_eq(step.bearer, step.made.if2_bearer));
    assert_true(str_is(step.url, "https://s.example/base"));
    assert_int_equal(
        number_of(f, "SELECT COUNT(*) FROM store_credential WHERE length(if2_bearer) > 60"), 1);
    assert_ok(f, WRITE(f, do_credentials, &again));
    assert_ok(f, READ(f, read_outbound, &again));
    assert_true(str_eq(again.bearer, again.made.if2_bearer));
    assert_false(str_eq(again.bearer, step.bearer));
    assert_false(str_eq(again.made.client_secret, step.made.client_secret));
    assert_int_equal(facts_of(f, FACT_STORE_CREDENTIALS), 2);
}

static void a_tested_store_is_connected_and_may_be_tested_again(void **state)
{
    struct fixture *f = *state;
    struct scene scene = given_scene(f);
    struct store_step step = {.id = scene.store};
    assert_refused(f, WRITE(f, do_connected, &step), "illegal_transition");
    given_approved(f, &scene);
    assert_ok(f, WRITE(f, do_connected, &step));
    assert_int_equal(step.store.m.state, STORE_CONNECTED);
    assert_ok(f, WRITE(f, do_connected, &step));
    assert_int_equal(step.store.m.state, STORE_CONNECTED);
    assert_ok(f, fire_with(f, scene.store, STORE_OPEN_UP, false));
    assert_ok(f, WRITE(f, do_connected, &step));
    assert_int_equal(step.store.m.state, STORE_OPEN);
}

static void a_demo_store_goes_the_whole_way(void **state)
{
    struct fixture *f = *state;
    struct scene scene = given_scene(f);
    struct store_step step = {.org = scene.org, .in = application()}, list = {.state = STORE_OPEN},
                      all = {.state = 0};
    act_as_system(f);
    assert_ok(f, WRITE(f, do_demo, &step));
    assert_int_equal(step.store.m.state, STORE_OPEN);
    assert_true(step.store.demo);
    assert_int_equal(facts_of(f, FACT_STORE_STATE), 5);
    assert_ok(f, READ(f, read_list, &list));
    assert_int_equal(list.count, 1);
    assert_ok(f, READ(f, read_list, &all));
    assert_int_equal(all.count, 2);
    assert_true(all.list[0].m.id.value > all.list[1].m.id.value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_state_knows_exactly_its_events_by_exactly_its_actors),
        cmocka_unit_test(the_machine_is_sound),
        cmocka_unit_test(another_sellers_store_is_not_found),
        cmocka_unit_test(a_viewer_moves_nothing),
        cmocka_unit_test(a_refusal_of_the_review_says_why),
        cmocka_unit_test(each_move_tells_one_fact),
        cmocka_unit_test(a_wrong_credit_code_names_the_right_check_digit),
        cmocka_unit_test(a_base_address_is_plain_scheme_host_and_path),
        cmocka_unit_test(only_provider_organisations_have_stores),
        cmocka_unit_test(a_store_is_edited_only_before_its_review),
        cmocka_unit_test(credentials_come_after_the_approval_and_are_stored_sealed),
        cmocka_unit_test(a_tested_store_is_connected_and_may_be_tested_again),
        cmocka_unit_test(a_demo_store_goes_the_whole_way),
    };
    return RUN_ON_BOTH(tests);
}
