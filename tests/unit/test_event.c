/* SPDX-License-Identifier: Apache-2.0 */
/* The mover moves a row only by a rule and only from the version that was read; the follower notes
 * each fact once for each organisation that hears of it, and nobody else reads it. */
#include "evidence_support.h"

/* ---- the mover ---- */
enum { LAMP_OFF, LAMP_ON, LAMP_BROKEN, LAMP_STATES };
enum { SWITCH_ON, SWITCH_OFF, BREAK, LAMP_EVENTS };
static const char *const state_name[] = {"off", "on", "broken"}, *const event_name[] = {
                                                                     "switch_on", "switch_off",
                                                                     "break"};
static const struct names state_names = NAMES(state_name), event_names = NAMES(event_name);
struct lamp {
    struct moving m;
    int64_t power;
};
static err_t has_power(struct ctx *ctx, void *row)
{
    const struct lamp *lamp = row;
    return lamp->power > 0 ? OK : refuse(ctx, ERR_STATE, "no_power", "the lamp has no power");
}
static const struct fsm_rule rules[] = {
    {LAMP_OFF, SWITCH_ON, LAMP_ON, has_power},
    {LAMP_ON, SWITCH_OFF, LAMP_OFF, NULL},
    {LAMP_ON, BREAK, LAMP_BROKEN, NULL},
    {LAMP_OFF, BREAK, LAMP_BROKEN, NULL},
};
static const struct fsm lamp_fsm = {.name = "lamp",
                                    .table = "lamp",
                                    .states = &state_names,
                                    .events = &event_names,
                                    .rules = rules,
                                    .rule_count = 4,
                                    .initial = LAMP_OFF};
static const struct field lamp_fields[] = {MOVING_FIELDS(struct lamp, "lmp", &state_names),
                                           FIELD(struct lamp, power, 0, 100, 0)};
static const struct shape lamp_shape = SHAPE(struct lamp, lamp_fields);

struct firing {
    struct lamp lamp[4];
    int count, event;
    bool stale;
};

static err_t make_table(struct ctx *ctx, void *arg)
{
    (void)arg;
    return db_exec(
        ctx,
        "CREATE TABLE lamp (id BIGINT PRIMARY KEY, state BIGINT NOT NULL, version BIGINT NOT NULL, "
        "last_event_id BIGINT NOT NULL, power BIGINT NOT NULL, updated_at BIGINT NOT NULL)",
        NO_ARGS, NULL);
}

static err_t put_lamp(struct ctx *ctx, struct lamp *lamp, int64_t id)
{
    TRY(db_exec(ctx, "DELETE FROM lamp WHERE id = $1", ARGS(A(id)), NULL));
    lamp->m.id.value = id;
    lamp->m.version = lamp->m.version == 0 ? 1 : lamp->m.version;
    return db_exec_one(ctx,
                       "INSERT INTO lamp (id, state, version, last_event_id, power, updated_at) "
                       "VALUES ($1, $2, $3, 0, $4, 0)",
                       ARGS(A(id), A(lamp->m.state), A(lamp->m.version), A(lamp->power)));
}

static err_t put_and_fire(struct ctx *ctx, void *arg)
{
    /* A copy for each run: a repeated piece starts from what it was given. */
    struct firing *given = arg, copy = *given, *firing = &copy;
    struct moving *rows[4];
    for (int i = 0; i < firing->count; i++) {
        TRY(put_lamp(ctx, &firing->lamp[i], i + 1));
        rows[i] = &firing->lamp[i].m;
    }
    if (firing->stale)
        firing->lamp[0].m.version--;
    if (firing->count == 1)
        TRY(fsm_fire(ctx, &lamp_fsm, rows[0], firing->event, (ref_t){55}));
    else
        TRY(fsm_fire_many(ctx, &lamp_fsm, rows, (size_t)firing->count, firing->event, (ref_t){55}));
    for (int i = 0; !firing->stale && i < firing->count; i++)
        given->lamp[i].m = firing->lamp[i].m;
    return OK;
}

struct stored {
    struct lamp *lamps;
    size_t count;
};
static err_t read_lamps(struct ctx *ctx, void *arg)
{
    struct stored *stored = arg;
    return db_all(ctx, "SELECT id, state, version, last_event_id, power FROM lamp ORDER BY id",
                  NO_ARGS, &lamp_shape, &stored->lamps, &stored->count);
}

static void each_cell_of_state_and_event_moves_by_its_rule_or_refuses(struct world *world)
{
    assert_ok(world, WRITE(world, make_table, NULL));
    for (int state = 0; state < LAMP_STATES; state++)
        for (int event = 0; event < LAMP_EVENTS; event++) {
            struct firing firing = {.count = 1, .event = event};
            firing.lamp[0] = (struct lamp){{.state = state, .version = 5}, 10};
            const struct fsm_rule *rule = fsm_find(&lamp_fsm, state, event);
            err_t err = WRITE(world, put_and_fire, &firing);
            if (rule == NULL) {
                assert_refused(world, err, "illegal_transition");
                continue;
            }
            assert_ok(world, err);
            struct stored stored;
            assert_ok(world, READ(world, read_lamps, &stored));
            assert_int_equal(stored.count, 1);
            assert_int_equal(stored.lamps[0].m.state, rule->to);
            assert_int_equal(stored.lamps[0].m.version, 6);
            assert_int_equal(stored.lamps[0].m.last_event_id.value, 55);
            assert_int_equal(firing.lamp[0].m.state, rule->to);
            assert_int_equal(firing.lamp[0].m.version, 6);
            assert_int_equal(number_of(world, "SELECT updated_at FROM lamp"), world->ctx.now.ms);
        }
}

static void a_guard_refuses_with_its_own_reason(struct world *world)
{
    assert_ok(world, WRITE(world, make_table, NULL));
    struct firing firing = {.count = 1, .event = SWITCH_ON};
    assert_refused(world, WRITE(world, put_and_fire, &firing), "no_power");
}

static void a_row_that_another_change_moved_first_is_not_moved(struct world *world)
{
    assert_ok(world, WRITE(world, make_table, NULL));
    struct firing firing = {.count = 1, .event = BREAK, .stale = true};
    firing.lamp[0].m.version = 1;
    err_t err = WRITE(world, put_and_fire, &firing);
    /* The second run of the piece finds its own rows again one version back; it never succeeds. */
    assert_refused(world, err, "concurrent_change");
    firing = (struct firing){.count = 2, .event = BREAK, .stale = true};
    assert_refused(world, WRITE(world, put_and_fire, &firing), "concurrent_change");
}

static void many_rows_move_together_or_not_at_all(struct world *world)
{
    assert_ok(world, WRITE(world, make_table, NULL));
    struct firing firing = {.count = 4, .event = BREAK};
    firing.lamp[0] = (struct lamp){{.state = LAMP_ON, .version = 3}, 1};
    firing.lamp[1] = (struct lamp){{.state = LAMP_OFF, .version = 3}, 1};
    firing.lamp[2] = (struct lamp){{.state = LAMP_ON, .version = 8}, 1};
    firing.lamp[3] = (struct lamp){{.state = LAMP_ON, .version = 3}, 1};
    assert_ok(world, WRITE(world, put_and_fire, &firing));
    struct stored stored;
    assert_ok(world, READ(world, read_lamps, &stored));
    static const int64_t versions[] = {4, 4, 9, 4};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(stored.lamps[i].m.state, LAMP_BROKEN);
        assert_int_equal(stored.lamps[i].m.version, versions[i]);
        assert_int_equal(firing.lamp[i].m.version, versions[i]);
    }
    struct firing mixed = {.count = 2, .event = SWITCH_OFF};
    mixed.lamp[0].m.state = LAMP_ON;
    mixed.lamp[1].m.state = LAMP_OFF;
    assert_refused(world, WRITE(world, put_and_fire, &mixed), "illegal_transition");
    assert_ok(world, READ(world, read_lamps, &stored));
    assert_int_equal(stored.lamps[0].m.state, LAMP_BROKEN);
}

/* ---- who hears ---- */
struct paging {
    ref_t root, org;
    int64_t at;
    int limit;
    enum { TIMELINE, OF_ORG, FEED } what;
    struct event_page page;
};
static err_t read_page(struct ctx *ctx, void *arg)
{
    struct paging *paging = arg;
    if (paging->what == TIMELINE)
        return event_timeline(ctx, paging->root, paging->org, paging->at, paging->limit,
                              &paging->page);
    if (paging->what == OF_ORG)
        return event_of_org(ctx, paging->org, paging->at, paging->limit, &paging->page);
    return event_feed(ctx, paging->org, paging->at, paging->limit, &paging->page);
}

static _Atomic int woken;
static void count_wake(void *state)
{
    (void)state;
    woken++;
}

/* 30 facts of one root: every third is heard by 8 too, all by 7. */
static void given_story(struct world *world)
{
    for (int i = 0; i < 30; i++) {
        struct telling telling = {
            .type = FACT_ORDER_STATUS, .count = 1, .root = {500}, .org = {i % 3 == 0 ? 8 : 7}};
        assert_ok(world, WRITE(world, tell, &telling));
    }
    wait_numbered(world);
}

static struct event_page page_of(struct world *world, struct paging paging)
{
    assert_ok(world, READ(world, read_page, &paging));
    return paging.page;
}

static void an_organisation_reads_only_what_it_may_hear(struct world *world)
{
    assert_ok(world, world_open_evidence(world, false, false));
    assert_ok(world, event_open(&world->ctx, count_wake, NULL, &world->platform.events));
    given_story(world);
    woken = 0;
    assert_ok(world, event_catch_up(&world->ctx));
    assert_ok(world, event_catch_up(&world->ctx));
    assert_int_equal(woken, 1);
    assert_int_equal(event_position(world->platform.events), 30);

    struct event_page all =
        page_of(world, (struct paging){.root = {500}, .limit = 100, .what = TIMELINE});
    assert_int_equal(all.count, 30);
    assert_int_equal(all.events[0].position, 30);
    struct event_page eight =
        page_of(world, (struct paging){.root = {500}, .org = {8}, .limit = 100, .what = TIMELINE});
    assert_int_equal(eight.count, 10);
    for (size_t i = 0; i < eight.count; i++) {
        assert_true(evidence_heard_by(&eight.events[i], (ref_t){8}));
        assert_true(str_is(eight.events[i].payload, "{\"n\":0}"));
    }
    assert_int_equal(
        page_of(world, (struct paging){.root = {500}, .org = {9}, .limit = 9, .what = TIMELINE})
            .count,
        0);
    assert_int_equal(
        page_of(world, (struct paging){.org = {7}, .limit = 100, .what = OF_ORG}).count, 20);
    assert_int_equal(page_of(world, (struct paging){.org = {9}, .limit = 100, .what = FEED}).count,
                     0);
}

static void pages_meet_without_gap_or_repeat(struct world *world)
{
    assert_ok(world, world_open_evidence(world, false, false));
    given_story(world);
    assert_ok(world, event_catch_up(&world->ctx));
    int64_t at = 0, seen = 0;
    struct event_page page;
    do {
        page =
            page_of(world, (struct paging){.root = {500}, .at = at, .limit = 7, .what = TIMELINE});
        for (size_t i = 0; i < page.count; i++)
            assert_int_equal(page.events[i].position, 30 - seen++);
        at = page.events[page.count - 1].position;
    } while (page.more);
    assert_int_equal(seen, 30);
    at = seen = 0;
    do {
        page = page_of(world, (struct paging){.org = {7}, .at = at, .limit = 10, .what = FEED});
        for (size_t i = 0; i < page.count; i++) {
            assert_true(page.events[i].position > at);
            at = page.events[i].position;
            seen++;
        }
    } while (page.more);
    assert_int_equal(seen, 20);
}

static void the_follower_hears_of_new_facts_by_itself(struct world *world)
{
    assert_ok(world, world_open_evidence(world, false, false));
    assert_ok(world, event_open(&world->ctx, count_wake, NULL, &world->platform.events));
    event_start(world->platform.events);
    woken = 0;
    given_story(world);
    for (int i = 0; event_position(world->platform.events) < 30; i++) {
        assert_true(i < 2000);
        usleep(2000);
    }
    assert_true(woken >= 1);
    assert_int_equal(number_of(world, "SELECT count(*) FROM event_audience"), 30);
    assert_int_equal(number_of(world, "SELECT count(*) FROM event_root"), 30);
}

#define EACH_TEST(X)                                             \
    X(each_cell_of_state_and_event_moves_by_its_rule_or_refuses) \
    X(a_guard_refuses_with_its_own_reason)                       \
    X(a_row_that_another_change_moved_first_is_not_moved)        \
    X(many_rows_move_together_or_not_at_all)                     \
    X(an_organisation_reads_only_what_it_may_hear)               \
    X(pages_meet_without_gap_or_repeat)                          \
    X(the_follower_hears_of_new_facts_by_itself)

int main(void)
{
    const struct CMUnitTest sqlite[] = {EACH_TEST(ON_SQLITE)};
    const struct CMUnitTest pg[] = {EACH_TEST(ON_PG)};
    log_set_level(LOG_ERROR);
    int failed = cmocka_run_group_tests_name("sqlite", sqlite, NULL, NULL);
    if (getenv("SUANHE_TEST_PG") != NULL)
        failed += cmocka_run_group_tests_name("postgresql", pg, NULL, NULL);
    return failed;
}
