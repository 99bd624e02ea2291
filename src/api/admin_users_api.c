/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's pages for people, organisations, stores and bank transfers; and the buyer's own
 * balance. */
#include "account/account.h"
#include "api/api.h"
#include "crypto/crypto.h"
#include "ledger/ledger.h"
#include "store/store.h"

/* ---- stores ---- */
static err_t get_stores(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct page page;
    struct store *stores;
    size_t count;
    int state = 0;
    str_t word = request_query(request, "state");
    TRY(request_known_query(ctx, request, "state limit cursor"));
    if (word.len > 0 && !names_find(&store_state_names, word, &state))
        return refuse_field(ctx, STR("/query/state"), "not_in_list", "no such state");
    TRY(api_page(ctx, request, str_printf(ctx->arena, "admin/stores %d", state), &page));
    TRY(store_list(ctx, state, page.before, page.limit + 1, &stores, &count));
    size_t shown = count > (size_t)page.limit ? (size_t)page.limit : count;
    jw_object(&reply->json);
    jw_key(&reply->json, "data");
    jw_array(&reply->json);
    for (size_t i = 0; i < shown; i++)
        api_write_store(&reply->json, &stores[i]);
    api_page_end(ctx, reply, &page, count, shown ? stores[shown - 1].m.id : REF_NONE);
    return OK;
}

enum decision { APPROVE = 1, REQUEST_CHANGES, REJECT };
static const char *const decisions[] = {
    [APPROVE] = "approve", [REQUEST_CHANGES] = "request_changes", [REJECT] = "reject"};
static const struct names decision_names = NAMES(decisions);

struct review_body {
    int32_t decision;
    str_t *reasons;
    size_t reason_count;
};
static const struct field review_fields[] = {
    FIELD_ENUM(struct review_body, decision, &decision_names, FIELD_REQUIRED),
    FIELD_TEXTS(struct review_body, reasons, reason_count, 0, 10, 0),
};
static const struct shape review_shape = SHAPE(struct review_body, review_fields);

static err_t post_review(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    static const int event[] = {[APPROVE] = STORE_APPROVE,
                                [REQUEST_CHANGES] = STORE_REQUEST_CHANGES,
                                [REJECT] = STORE_REJECT};
    const struct review_body *in = request->input;
    struct store store;
    ref_t id;
    TRY(request_ref(ctx, request, 0, "sto", &id));
    TRY(store_load(ctx, id, &store));
    if (store.m.state == STORE_SUBMITTED)
        TRY(store_fire(ctx, id, STORE_TAKE, NULL, 0, &store));
    TRY(store_fire(ctx, id, event[in->decision], in->reasons, in->reason_count, &store));
    reply_etag(ctx, reply, store.m.version);
    api_write_store(&reply->json, &store);
    return OK;
}

/* ---- money in ---- */
static err_t book(struct ctx *ctx, struct top_up *top_up)
{
    struct org org;
    err_t err = account_org_load(ctx, top_up->org_id, &org);
    if (err == ERR_NOT_FOUND) {
        problem_clear(ctx);
        return refuse_field(ctx, STR("/org_id"), "not_in_list", "no such organisation");
    }
    TRY(err);
    if (org.kind != ORG_CONSUMER)
        return refuse_field(ctx, STR("/org_id"), "not_a_consumer", "only buyers have a balance");
    ref_t operator_org;
    bool found = false;
    TRY(account_operator_find(ctx, &operator_org, &found));
    return ledger_book_top_up(ctx, top_up, operator_org);
}

err_t api_credit(struct ctx *ctx, ref_t org, money_t amount, str_t bank_reference, str_t note)
{
    struct top_up top_up = {
        .org_id = org, .amount = amount, .bank_reference = bank_reference, .note = note};
    return book(ctx, &top_up);
}

struct credit_body {
    ref_t org_id;
    money_t amount;
    str_t bank_reference, note;
};
static const struct field credit_fields[] = {
    FIELD_REF(struct credit_body, org_id, "org", FIELD_REQUIRED),
    FIELD_AS(struct credit_body, amount, "amount_fen", 1, INT64_C(1000000000000), FIELD_REQUIRED),
    FIELD(struct credit_body, bank_reference, 1, 60, FIELD_REQUIRED),
    FIELD(struct credit_body, note, 0, 200, 0),
};
static const struct shape credit_shape = SHAPE(struct credit_body, credit_fields);

static err_t post_credit(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    const struct credit_body *in = request->input;
    struct top_up top_up = {.org_id = in->org_id,
                            .amount = in->amount,
                            .bank_reference = in->bank_reference,
                            .note = in->note};
    struct ledger_balance balance;
    TRY(book(ctx, &top_up));
    TRY(ledger_balance(ctx, in->org_id, &balance));
    struct jw *w = &reply->json;
    reply->status = 201;
    jw_object(w);
    jw_put_ref(w, "topup_id", "top", top_up.id);
    jw_put_int(w, "balance_fen", balance.balance.fen);
    jw_put_ref(w, "event_id", "evt", top_up.event_id);
    jw_end_object(w);
    return OK;
}

/* ---- people and organisations ---- */
static void write_user(struct jw *w, const struct user *user)
{
    jw_object(w);
    jw_put_ref(w, "user_id", "usr", user->id);
    jw_put_text(w, "email", user->email);
    jw_put_text(w, "name", user->name);
    jw_put_text(w, "state", user->state == 1 ? STR("active") : STR("disabled"));
    jw_put_utc(w, "created_at", user->created_at);
    jw_end_object(w);
}

static err_t read_search(struct ctx *ctx, const struct request *request, const char *list,
                         str_t *out_q, struct page *out_page)
{
    *out_q = request_query(request, "q");
    TRY(request_known_query(ctx, request, "q limit cursor"));
    if (out_q->len > 120)
        return refuse_field(ctx, STR("/query/q"), "too_long", "at most 120 bytes");
    return api_page(ctx, request, str_printf(ctx->arena, "%s " STR_FMT, list, STR_ARG(*out_q)),
                    out_page);
}

static err_t get_users(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct page page;
    struct user *users;
    size_t count;
    str_t q;
    TRY(read_search(ctx, request, "admin/users", &q, &page));
    TRY(account_user_search(ctx, q, page.before, page.limit + 1, &users, &count));
    size_t shown = count > (size_t)page.limit ? (size_t)page.limit : count;
    jw_object(&reply->json);
    jw_key(&reply->json, "data");
    jw_array(&reply->json);
    for (size_t i = 0; i < shown; i++)
        write_user(&reply->json, &users[i]);
    api_page_end(ctx, reply, &page, count, shown ? users[shown - 1].id : REF_NONE);
    return OK;
}

static err_t get_orgs(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct page page;
    struct org *orgs;
    size_t count;
    str_t q;
    TRY(read_search(ctx, request, "admin/orgs", &q, &page));
    TRY(account_org_search(ctx, q, page.before, page.limit + 1, &orgs, &count));
    size_t shown = count > (size_t)page.limit ? (size_t)page.limit : count;
    struct jw *w = &reply->json;
    jw_object(w);
    jw_key(w, "data");
    jw_array(w);
    for (size_t i = 0; i < shown; i++) {
        jw_object(w);
        jw_put_ref(w, "org_id", "org", orgs[i].id);
        jw_put_text(w, "name", orgs[i].name);
        jw_put_text(w, "kind", str_of(names_of(&org_kind_names, orgs[i].kind)));
        jw_put_bool(w, "personal", orgs[i].personal);
        jw_put_utc(w, "created_at", orgs[i].created_at);
        jw_end_object(w);
    }
    api_page_end(ctx, reply, &page, count, shown ? orgs[shown - 1].id : REF_NONE);
    return OK;
}

struct reset {
    ref_t user;
    str_t verifier;
};

/* Who works for the operator is reset or disabled by its owner alone: anybody else could become
 * more than they are. */
static err_t check_target(struct ctx *ctx, ref_t user, bool disable)
{
    struct membership *of;
    size_t count;
    TRY(account_memberships(ctx, user, &of, &count));
    for (size_t i = 0; i < count; i++) {
        if (of[i].kind != ORG_OPERATOR)
            continue;
        if (!(ctx->actor.roles & ROLE_OWNER))
            return refuse(ctx, ERR_DENIED, "role_too_high",
                          "only the operator's owner may do this");
        if (disable && (of[i].roles & ROLE_OWNER))
            return refuse(ctx, ERR_CONFLICT, "last_owner", "take the owner's role away first");
    }
    return OK;
}

static err_t write_reset(struct ctx *ctx, void *arg)
{
    const struct reset *reset = arg;
    TRY(check_target(ctx, reset->user, false));
    return account_set_password(ctx, reset->user, reset->verifier, REF_NONE);
}

static err_t post_reset(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct reset reset;
    uint8_t random[15];
    TRY(request_ref(ctx, request, 0, "usr", &reset.user));
    crypto_random(random, sizeof random);
    str_t password = base64url_encode(ctx->arena, str_from(random, sizeof random));
    reset.verifier = password_hash(ctx->arena, password);
    TRY(db_write(ctx, ctx->platform->db, write_reset, &reset));
    reply_header(reply, "Cache-Control", STR("no-store"));
    jw_object(&reply->json);
    jw_put_text(&reply->json, "temporary_password", password);
    jw_end_object(&reply->json);
    return OK;
}

static err_t set_state(struct ctx *ctx, const struct request *request, struct reply *reply,
                       int state)
{
    ref_t id;
    struct user user;
    TRY(request_ref(ctx, request, 0, "usr", &id));
    TRY(account_set_state(ctx, id, state));
    TRY(check_target(ctx, id, state == 2));
    TRY(account_user_load(ctx, id, &user));
    write_user(&reply->json, &user);
    return OK;
}

static err_t post_disable(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    return set_state(ctx, request, reply, 2);
}

static err_t post_enable(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    return set_state(ctx, request, reply, 1);
}

/* ---- a buyer's balance ---- */
static err_t get_balance(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct ledger_balance balance;
    const struct settings *settings = api_settings(ctx);
    (void)request;
    TRY(ledger_balance(ctx, ctx->actor.org_id, &balance));
    struct jw *w = &reply->json;
    jw_object(w);
    jw_put_int(w, "balance_fen", balance.balance.fen);
    jw_put_int(w, "frozen_fen", balance.in_escrow.fen);
    jw_key(w, "bank");
    jw_object(w);
    jw_put_text(w, "account_name", settings->bank_account_name);
    jw_put_text(w, "bank", settings->bank_name);
    jw_put_text(w, "account_no", settings->bank_account_no);
    jw_put_ref(w, "reference", "org", ctx->actor.org_id);
    jw_end_object(w);
    jw_end_object(w);
    return OK;
}

static str_t line_kind(int kind)
{
    switch (kind) {
    case LEDGER_TOP_UP:
        return STR("top_up");
    case LEDGER_ORDER_PAID:
        return STR("payment");
    default:
        return STR("refund");
    }
}

static const struct top_up *top_up_of(const struct top_up *top_ups, size_t count, ref_t id)
{
    for (size_t i = 0; i < count; i++)
        if (ref_is(top_ups[i].id, id))
            return &top_ups[i];
    return NULL;
}

static void write_line(struct jw *w, const struct ledger_line *line, const struct top_up *top_up)
{
    jw_object(w);
    jw_put_ref(w, "tx_id", "ltx", line->tx_id);
    jw_put_text(w, "kind", line_kind(line->kind));
    jw_put_int(w, "amount_fen", line->amount.fen);
    jw_put_int(w, "balance_after_fen", line->balance_after.fen);
    jw_put_ref(w, "order_id", "ord", line->order_id);
    jw_put_utc(w, "at", line->at);
    jw_put_ref(w, "event_id", "evt", top_up ? top_up->event_id : REF_NONE);
    jw_put_text(w, "note", top_up ? top_up->note : STR(""));
    jw_key(w, "bank_reference");
    if (top_up)
        jw_text(w, top_up->bank_reference);
    else
        jw_null(w);
    jw_end_object(w);
}

static err_t get_transactions(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct page page;
    struct ledger_line *lines;
    struct top_up *top_ups = NULL;
    size_t count, id_count = 0, top_up_count = 0;
    TRY(request_known_query(ctx, request, "limit cursor"));
    TRY(api_page(ctx, request, STR("transactions"), &page));
    TRY(ledger_lines(ctx, ctx->actor.org_id, page.before, page.limit + 1, &lines, &count));
    size_t shown = count > (size_t)page.limit ? (size_t)page.limit : count;
    int64_t *ids = NEW_ARRAY(ctx, int64_t, shown + 1);
    for (size_t i = 0; i < shown; i++)
        if (lines[i].kind == LEDGER_TOP_UP)
            ids[id_count++] = lines[i].biz_ref.value;
    if (id_count > 0)
        TRY(ledger_top_ups(ctx, ids, id_count, &top_ups, &top_up_count));
    jw_object(&reply->json);
    jw_key(&reply->json, "data");
    jw_array(&reply->json);
    for (size_t i = 0; i < shown; i++)
        write_line(&reply->json, &lines[i], top_up_of(top_ups, top_up_count, lines[i].biz_ref));
    api_page_end(ctx, reply, &page, count, shown ? lines[shown - 1].tx_id : REF_NONE);
    return OK;
}

static const struct route routes[] = {
    {"GET", "/api/v1/admin/stores", PERM_STORE_REVIEW, TX_READ, NULL, get_stores, 0},
    {"POST", "/api/v1/admin/stores/{id}/review", PERM_STORE_REVIEW, TX_WRITE, &review_shape,
     post_review, 0},
    {"POST", "/api/v1/admin/credits", PERM_CREDIT_BOOK, TX_WRITE, &credit_shape, post_credit,
     ROUTE_KEY_REQUIRED},
    {"GET", "/api/v1/admin/users", PERM_ADMIN_READ, TX_READ, NULL, get_users, 0},
    {"POST", "/api/v1/admin/users/{id}/password-reset", PERM_ADMIN_USER, TX_NONE, NULL, post_reset,
     ROUTE_NO_KEY},
    {"POST", "/api/v1/admin/users/{id}/disable", PERM_ADMIN_USER, TX_WRITE, NULL, post_disable, 0},
    {"POST", "/api/v1/admin/users/{id}/enable", PERM_ADMIN_USER, TX_WRITE, NULL, post_enable, 0},
    {"GET", "/api/v1/admin/orgs", PERM_ADMIN_READ, TX_READ, NULL, get_orgs, 0},
    {"GET", "/api/v1/balance", PERM_BALANCE_READ, TX_READ, NULL, get_balance, 0},
    {"GET", "/api/v1/transactions", PERM_BALANCE_READ, TX_READ, NULL, get_transactions, 0},
};
const struct route_table admin_users_routes = ROUTES(routes);
