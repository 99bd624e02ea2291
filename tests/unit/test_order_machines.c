/* SPDX-License-Identifier: Apache-2.0 */
/* The machines of orders, and the fold of a parent: every state with every event, every pair of
 * children. */
#include "order_support.h"

struct machine {
    const struct fsm *fsm;
    const char *insert; /* a row whose id and state are put in */
};
static const struct machine machines[] = {
    {&order_fsm,
     "INSERT INTO order_head (id, kind, parent_id, buyer_org_id, buyer_user_id, store_id, "
     "provider_org_id, "
     "state, version, last_event_id, list_fen, discount_fen, payable_fen, tax_fen, paid_fen, "
     "refunded_fen, "
     "commission_bp, cancel_from, pay_deadline, paid_at, acknowledged_at, external_order_id, "
     "provider_sequence, outbound_sequence, item_count, title, cost_centre, purchase_order_no, "
     "note, "
     "created_at, updated_at) VALUES (77, 2, 1, 1, 1, 1, 1, $1, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, "
     "0, 0, '', "
     "0, 0, 0, '', '', '', '', 0, 0)"},
    {&order_parent_fsm, NULL}, /* as above */
    {&item_fsm,
     "INSERT INTO order_item (id, order_id, state, version, last_event_id, sku_id, product_id, "
     "product_version, instance_id, refund_id, product_name, category, external_product_id, "
     "external_sku_id, region_code, term, specs, config, charge_mode, price_unit, quantity, "
     "rate_bp, "
     "lead_h, unit_price, list_fen, discount_fen, payable_fen, tax_fen, updated_at) VALUES (77, "
     "78, $1, 5, "
     "1, 1, 1, 1, 1, 0, '', '', '', '', '', '', '[]', '{}', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0)"},
    {&instance_fsm,
     "INSERT INTO order_instance (id, item_id, order_id, parent_id, buyer_org_id, store_id, state, "
     "version, last_event_id, external_instance_id, units, tool_url, error, started_at, "
     "expires_at, "
     "created_at, updated_at) VALUES (77, 1, 1, 1, 1, 1, $1, 5, 1, '', '[]', '', '', 0, 0, 0, 0)"},
    {&payment_fsm, "INSERT INTO order_payment (id, order_id, buyer_org_id, user_id, state, "
                   "version, last_event_id, "
                   "amount_fen, channel, paid_at, created_at, updated_at) VALUES (77, 1, 1, 1, $1, "
                   "5, 1, 0, 1, 0, 0, "
                   "0)"},
    {&refund_fsm,
     "INSERT INTO order_refund (id, item_id, order_id, parent_id, buyer_org_id, state, version, "
     "last_event_id, amount_fen, reason, created_at, done_at, updated_at) VALUES (77, 1, 1, 1, 1, "
     "$1, 5, "
     "1, 0, 1, 0, 0, 0)"},
};
enum { MACHINES = sizeof machines / sizeof machines[0] };

static void every_machine_is_well_formed(void **state)
{
    (void)state;
    for (int i = 0; i < MACHINES; i++) {
        const char *message = "";
        if (!fsm_check(machines[i].fsm, &message))
            fail_msg("%s: %s", machines[i].fsm->name, message);
    }
}

static bool leads_to_an_end(const struct fsm *fsm, int from)
{
    bool reached[64] = {false};
    reached[from] = true;
    for (bool grows = true; grows;) {
        grows = false;
        for (int i = 0; i < fsm->rule_count; i++)
            if (reached[fsm->rules[i].from] && !reached[fsm->rules[i].to])
                grows = reached[fsm->rules[i].to] = true;
    }
    for (int state = 0; state < 64; state++)
        if (reached[state] && fsm_is_terminal(fsm, state))
            return true;
    return false;
}

static void every_state_leads_to_an_end(void **state)
{
    (void)state;
    for (int i = 0; i < MACHINES; i++)
        for (int k = 0; k < machines[i].fsm->states->count; k++)
            if (names_of(machines[i].fsm->states, k)[0] && !leads_to_an_end(machines[i].fsm, k))
                fail_msg("%s: no way out of %s", machines[i].fsm->name,
                         names_of(machines[i].fsm->states, k));
}

/* What the agreed tables say, apart from the code: `from event to`. */
static const char *const order_cells[] = {"draft submit pending_payment",
                                          "draft submit_free accepting",
                                          "draft discard closed",
                                          "pending_payment pay accepting",
                                          "pending_payment cancel closed",
                                          "pending_payment expire closed",
                                          "accepting ack provisioning",
                                          "accepting nack rejected",
                                          "accepting cancel cancelling",
                                          "provisioning cancel cancelling",
                                          "provisioning all_active completed",
                                          "provisioning some_active partially_completed",
                                          "provisioning none_active failed",
                                          "provisioning all_cancelled cancelled",
                                          "cancelling back_to_accepting accepting",
                                          "cancelling back_to_provisioning provisioning",
                                          "cancelling all_active completed",
                                          "cancelling some_active partially_completed",
                                          "cancelling none_active failed",
                                          "cancelling all_cancelled cancelled",
                                          "pending_payment hold held",
                                          "accepting hold held",
                                          "provisioning hold held",
                                          "cancelling hold held",
                                          "held resume_payment pending_payment",
                                          "held resume_accepting accepting",
                                          "held resume_provisioning provisioning",
                                          "held resume_cancelling cancelling",
                                          NULL};
static const char *const item_cells[] = {"pending provision provisioning",
                                         "pending activate active",
                                         "pending fail failed",
                                         "pending cancel cancelling",
                                         "pending drop cancelled",
                                         "provisioning activate active",
                                         "provisioning fail failed",
                                         "provisioning cancel cancelling",
                                         "cancelling cancel_done cancelled",
                                         "cancelling fail failed",
                                         "cancelling back_to_pending pending",
                                         "cancelling back_to_provisioning provisioning",
                                         NULL};
static const char *const instance_cells[] = {"creating activate active",
                                             "creating fail failed",
                                             "creating drop released",
                                             "active expire grace",
                                             "active freeze frozen",
                                             "active suspend suspended",
                                             "active change changing",
                                             "active release releasing",
                                             "active release_done released",
                                             "grace freeze frozen",
                                             "grace renew active",
                                             "grace release releasing",
                                             "frozen renew active",
                                             "frozen release releasing",
                                             "frozen release_done released",
                                             "suspended resume active",
                                             "suspended release releasing",
                                             "changing changed active",
                                             "releasing release_done released",
                                             NULL};
static const char *const payment_cells[] = {"created processing processing",
                                            "created succeeded succeeded",
                                            "created closed closed",
                                            "processing succeeded succeeded",
                                            "processing failed failed",
                                            "processing closed closed",
                                            "processing unknown unknown",
                                            "unknown succeeded succeeded",
                                            "unknown failed failed",
                                            "unknown closed closed",
                                            NULL};
static const char *const refund_cells[] = {"requested quote quoting",
                                           "requested cancel cancelled",
                                           "requested approve approved",
                                           "quoting quote_done quoted",
                                           "quoting cancel cancelled",
                                           "quoted approve approved",
                                           "quoted ask approving",
                                           "quoted requote quoting",
                                           "quoted cancel cancelled",
                                           "approving approve approved",
                                           "approving reject rejected",
                                           "approving requote quoting",
                                           "approving cancel cancelled",
                                           "approved pay_out processing",
                                           "approved gate gated",
                                           "gated release releasing",
                                           "releasing pay_out processing",
                                           "processing done succeeded",
                                           "processing fail failed",
                                           "failed pay_out processing",
                                           "failed give_up manual",
                                           "manual done succeeded",
                                           NULL};
static const struct {
    const struct fsm *fsm;
    const char *const *cells;
} agreed[] = {{&order_fsm, order_cells},
              {&item_fsm, item_cells},
              {&instance_fsm, instance_cells},
              {&payment_fsm, payment_cells},
              {&refund_fsm, refund_cells}};

static void the_rules_are_those_that_were_agreed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof agreed / sizeof agreed[0]; i++) {
        const struct fsm *fsm = agreed[i].fsm;
        int listed = 0;
        for (; agreed[i].cells[listed]; listed++) {
            bool is_there = false;
            for (int k = 0; k < fsm->rule_count; k++) {
                char cell[120];
                snprintf(cell, sizeof cell, "%s %s %s", names_of(fsm->states, fsm->rules[k].from),
                         names_of(fsm->events, fsm->rules[k].event),
                         names_of(fsm->states, fsm->rules[k].to));
                is_there = is_there || strcmp(cell, agreed[i].cells[listed]) == 0;
            }
            if (!is_there)
                fail_msg("%s: no rule %s", fsm->name, agreed[i].cells[listed]);
        }
        assert_int_equal(listed, fsm->rule_count);
    }
}

struct firing {
    const struct machine *machine;
    int state, event;
    err_t result;
    const char *reason;
    struct moving row;
    int64_t stored_state, stored_version;
};

/* Puts a row in a state, fires, looks at the row, and takes everything back. */
static err_t fire(struct ctx *ctx, void *arg)
{
    struct firing *firing = arg;
    const struct machine *machine = firing->machine;
    char sql[100];
    if (machine->fsm == &item_fsm) { /* it belongs to an order */
        TRY(db_exec_one(ctx, machines[0].insert, ARGS(A((int64_t)ORDER_ACCEPTING))));
        TRY(db_exec_one(ctx, "UPDATE order_head SET id = 78 WHERE id = 77", NO_ARGS));
    }
    TRY(db_exec_one(ctx, machine->insert ? machine->insert : machines[0].insert,
                    ARGS(A((int64_t)firing->state))));
    firing->row =
        (struct moving){.id = {77}, .state = firing->state, .version = 5, .last_event_id = {1}};
    firing->result = fsm_fire(ctx, machine->fsm, &firing->row, firing->event, (ref_t){99});
    firing->reason = ctx->problem.reason;
    snprintf(sql, sizeof sql, "SELECT state FROM %s WHERE id = 77", machine->fsm->table);
    TRY(db_int(ctx, str_z(ctx->arena, str_of(sql)), NO_ARGS, &firing->stored_state));
    snprintf(sql, sizeof sql, "SELECT version FROM %s WHERE id = 77", machine->fsm->table);
    TRY(db_int(ctx, str_z(ctx->arena, str_of(sql)), NO_ARGS, &firing->stored_version));
    return refuse(ctx, ERR_STATE, "taken_back", "on purpose");
}

static void check_cell(struct fixture *f, struct firing *firing)
{
    const struct fsm *fsm = firing->machine->fsm;
    const struct fsm_rule *rule = NULL;
    for (int i = 0; i < fsm->rule_count; i++)
        if (fsm->rules[i].from == firing->state && fsm->rules[i].event == firing->event)
            rule = &fsm->rules[i];
    assert_refused(f, WRITE(f, fire, firing), "taken_back");
    const char *state = names_of(fsm->states, firing->state),
               *event = names_of(fsm->events, firing->event);
    if (rule == NULL &&
        (firing->result != ERR_STATE || strcmp(firing->reason, "illegal_transition") != 0))
        fail_msg("%s: %s must not know %s", fsm->name, state, event);
    if (rule != NULL && firing->result != OK)
        fail_msg("%s: %s must know %s", fsm->name, state, event);
    int to = rule != NULL ? rule->to : firing->state;
    assert_int_equal(firing->stored_state, to);
    assert_int_equal(firing->row.state, to);
    assert_int_equal(firing->stored_version, rule != NULL ? 6 : 5);
    assert_int_equal(firing->row.version, firing->stored_version);
}

static void exactly_the_listed_cells_of_every_machine_move(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < MACHINES; i++) {
        const struct fsm *fsm = machines[i].fsm;
        for (int s = 0; s < fsm->states->count; s++)
            for (int e = 0; e < fsm->events->count; e++) {
                struct firing firing = {.machine = &machines[i], .state = s, .event = e};
                if (names_of(fsm->states, s)[0] && names_of(fsm->events, e)[0])
                    check_cell(f, &firing);
            }
    }
}

/* ---- the fold, against the text of the rule ---- */
static bool is_any(const int *states, int wanted)
{
    return states[0] == wanted || states[1] == wanted;
}
static int fold_by_the_text(const int *states)
{
    if (is_any(states, ORDER_HELD))
        return ORDER_HELD;
    if (is_any(states, ORDER_PENDING_PAYMENT))
        return ORDER_PENDING_PAYMENT;
    if (states[0] == ORDER_ACCEPTING && states[1] == ORDER_ACCEPTING)
        return ORDER_ACCEPTING;
    if (is_any(states, ORDER_ACCEPTING) || is_any(states, ORDER_PROVISIONING) ||
        is_any(states, ORDER_CANCELLING))
        return ORDER_PROVISIONING;
    return states[0] == states[1] ? states[0] : ORDER_PARTIALLY_COMPLETED;
}

static void a_parent_is_the_fold_of_any_two_children(void **state)
{
    (void)state;
    for (int a = ORDER_PENDING_PAYMENT; a < ORDER_STATE_COUNT; a++)
        for (int b = ORDER_PENDING_PAYMENT; b < ORDER_STATE_COUNT; b++) {
            const int states[] = {a, b};
            const struct order children[] = {{.m.state = a}, {.m.state = b}};
            int got = order_fold(children, 2);
            if (got != fold_by_the_text(states))
                fail_msg("%s and %s make %s", names_of(&order_state_names, a),
                         names_of(&order_state_names, b), names_of(&order_state_names, got));
            assert_true(names_of(order_parent_fsm.states, got)[0] != '\0');
        }
}

/* ---- order numbers ---- */
static void an_order_number_finds_its_order_again(void **state)
{
    struct fixture *f = *state;
    for (int64_t i = 0; i < 500; i++) {
        ref_t first, last,
            id = {id_floor((utc_t){INT64_C(1600000000000) + i * 12345678901}).value |
                  (i % 64) << 16 | (i * 131 % 65536)};
        str_t number = order_no(f->ctx.arena, id);
        assert_true(order_no_read(number, &first, &last));
        assert_true(first.value <= id.value && id.value <= last.value);
    }
}

static void a_number_with_one_altered_or_swapped_digit_is_no_order_number(void **state)
{
    struct fixture *f = *state;
    ref_t first, last, id = id_make(f->platform.ids, f->ctx.now);
    str_t number = order_no(f->ctx.arena, id);
    char text[32];
    for (size_t i = 0; i < number.len; i++) {
        for (char digit = '0'; digit <= '9'; digit++) {
            memcpy(text, number.data, number.len);
            text[i] = digit;
            assert_int_equal(order_no_read(str_from(text, number.len), &first, &last),
                             digit == number.data[i]);
        }
        memcpy(text, number.data, number.len);
        if (i + 1 == number.len || text[i] == text[i + 1])
            continue;
        text[i] = number.data[i + 1];
        text[i + 1] = number.data[i];
        assert_false(order_no_read(str_from(text, number.len), &first, &last));
    }
    assert_false(order_no_read(str_from(number.data, number.len - 1), &first, &last));
    assert_false(order_no_read(STR(""), &first, &last));
}

static void a_number_of_a_day_that_never_was_is_refused(void **state)
{
    struct fixture *f = *state;
    ref_t first, last;
    for (int check = 0; check < 100; check++) {
        str_t number = str_printf(f->ctx.arena, "20260231120000000100001%02d", check);
        assert_false(order_no_read(number, &first, &last));
    }
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(every_machine_is_well_formed),
        cmocka_unit_test(every_state_leads_to_an_end),
        cmocka_unit_test(the_rules_are_those_that_were_agreed),
        cmocka_unit_test(exactly_the_listed_cells_of_every_machine_move),
        cmocka_unit_test(a_parent_is_the_fold_of_any_two_children),
        cmocka_unit_test(an_order_number_finds_its_order_again),
        cmocka_unit_test(a_number_with_one_altered_or_swapped_digit_is_no_order_number),
        cmocka_unit_test(a_number_of_a_day_that_never_was_is_refused),
    };
    return RUN_ORDERS(tests);
}
