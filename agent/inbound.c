/* SPDX-License-Identifier: Apache-2.0 */
/* What the platform calls: health, the order (R16), the change of its state (R8), the question
 * about it; and the page that a purchased product's entry opens. A message is answered from the
 * journal when it was seen before. */
#include <inttypes.h>
#include <string.h>

#include "agent.h"
#include "crypto/crypto.h"

/* ---- who calls ---- */
static int provider_of_path(const struct agent *agent, str_t path)
{
    str_t rest = path, part;
    if (!str_starts(path, STR("/p/")))
        return -1;
    rest = str_cut(path, 3);
    if (!str_next(&rest, '/', &part))
        return -1;
    for (int i = 0; i < agent->config.provider_count; i++)
        if (str_eq(agent->config.providers[i].code, part))
            return i;
    return -1;
}

err_t agent_authenticate(struct ctx *ctx, const struct request *request)
{
    const struct agent *agent = agent_of(ctx);
    int provider = provider_of_path(agent, request->path);
    if (provider < 0 || !str_starts(request->authorization, STR("Bearer ")))
        return OK;
    if (str_eq_secret(str_cut(request->authorization, 7), agent->config.providers[provider].bearer))
        ctx->actor.client_id.value = provider + 1;
    return OK;
}

err_t agent_authorise(struct ctx *ctx, const struct request *request)
{
    (void)request;
    if (ctx->actor.client_id.value == 0)
        return refuse(ctx, ERR_AUTH, "invalid_token", "the bearer of this provider is needed");
    return OK;
}

static int caller(const struct ctx *ctx)
{
    return (int)ctx->actor.client_id.value - 1;
}

static err_t get_health(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct jw *w = &reply->json;
    (void)ctx;
    jw_object(w);
    jw_put_text(w, "status", STR("ok"));
    jw_put_text(w, "nonce", request->nonce);
    jw_end_object(w);
    return OK;
}

/* ---- R16 ---- */
static utc_t end_of_term(utc_t from, str_t term)
{
    int64_t count;
    if (term.len < 3 || term.data[0] != 'P' ||
        !str_to_int(str_from(term.data + 1, term.len - 2), 1, 120, &count))
        return (utc_t){0};
    char unit = term.data[term.len - 1];
    int anchor = utc_shanghai(from).day;
    if (unit == 'M')
        return utc_add_months(from, (int)count, anchor);
    if (unit == 'Y')
        return utc_add_months(from, (int)count * 12, anchor);
    if (unit == 'D')
        return utc_add(from, count * MS_DAY);
    return (utc_t){0};
}

static err_t read_items(struct ctx *ctx, const struct json *body, ref_t order,
                        struct agent_item **out, size_t *out_count)
{
    const struct json *items = json_get(body, "items");
    size_t count = json_count(items);
    if (count == 0 || count > 100)
        return refuse_field(ctx, STR("/items"), "out_of_range", "1 to 100 items");
    struct agent_item *list = NEW_ARRAY(ctx, struct agent_item, count);
    for (size_t i = 0; i < count; i++) {
        const struct json *item = json_at(items, i);
        int64_t quantity = json_get_int(item, "quantity", 0);
        if (!ref_read(json_get_text(item, "item_id"), "itm", &list[i].id) ||
            !ref_read(json_get_text(item, "instance_id"), "ins", &list[i].instance_id) ||
            quantity < 1 || quantity > 100000)
            return refuse_field(ctx, str_printf(ctx->arena, "/items/%zu", i), "bad_format",
                                "ids and quantity are needed");
        list[i].order_id = order;
        list[i].provider = caller(ctx);
        list[i].state = AGENT_INTENDED;
        list[i].desired = DESIRED_PRESENT;
        list[i].due_at = ctx->now;
        list[i].quantity = (int32_t)quantity;
        list[i].term = json_get_text(item, "term");
        list[i].spec = json_print(ctx->arena, item, true);
    }
    *out = list;
    *out_count = count;
    return OK;
}

static str_t accepted_answer(struct ctx *ctx, ref_t order)
{
    return str_printf(ctx->arena,
                      "{\"state\":\"accepted\",\"external_order_id\":\"ag-%013" PRIx64 "\"}",
                      (uint64_t)order.value);
}

/* The order of a buyer may ask the fake backend to refuse, so that a refusal can be seen. */
static bool asks_refusal(const struct json *body)
{
    const struct json *items = json_get(body, "items");
    for (size_t i = 0; i < json_count(items); i++)
        if (str_is(
                json_get_text(json_get(json_get(json_at(items, i), "config"), "fake"), "outcome"),
                "reject"))
            return true;
    return false;
}

static err_t answer(struct reply *reply, int status, str_t body)
{
    reply->status = status;
    if (status >= 400)
        reply->content_type = "application/problem+json";
    buf_put(&reply->body, body);
    return OK;
}

static err_t repeat_order(struct ctx *ctx, const struct agent_order *order, str_t digest,
                          struct reply *reply)
{
    if (order->provider != caller(ctx) || !str_eq(order->digest, digest))
        return refuse(ctx, ERR_CONFLICT, "order_conflict",
                      "this order is known with other content");
    return answer(reply, order->answer_status, order->answer);
}

static err_t take_order(struct ctx *ctx, const struct request *request, ref_t id, str_t digest,
                        struct reply *reply)
{
    struct agent_item *items;
    size_t count;
    TRY(read_items(ctx, request->json, id, &items, &count));
    bool refused = asks_refusal(request->json);
    struct agent_order order = {
        .id = id,
        .provider = caller(ctx),
        .state = refused ? AGENT_ORDER_REJECTED : AGENT_ORDER_ACCEPTED,
        .digest = digest,
        .answer_status = refused ? 409 : 201,
        .answer = refused ? STR("{\"status\":409,\"title\":\"refused\",\"code\":\"order_rejected\","
                                "\"retryable\":false}")
                          : accepted_answer(ctx, id),
    };
    TRY(journal_add_order(ctx, &order));
    for (size_t i = 0; !refused && i < count; i++)
        TRY(journal_add_item(ctx, &items[i]));
    return answer(reply, order.answer_status, order.answer);
}

static err_t post_order(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    const struct json *body;
    struct agent_order order = {0};
    bool found = false;
    uint8_t hash[SM3_BYTES];
    ref_t id;
    TRY(json_parse(ctx, request->body, &body));
    struct request parsed = *request;
    parsed.json = body;
    if (!ref_read(json_get_text(body, "order_id"), "ord", &id) ||
        json_get_int(body, "sequence", 0) != 1)
        return refuse_field(ctx, STR("/order_id"), "bad_format",
                            "order_id and sequence 1 are needed");
    sm3(request->body, hash);
    str_t digest = str_dup(ctx->arena, str_from(hash, SM3_BYTES));
    TRY(journal_order(ctx, id, &order, &found));
    if (found)
        return repeat_order(ctx, &order, digest, reply);
    return take_order(ctx, &parsed, id, digest, reply);
}

/* ---- R8 ---- */
struct change {
    ref_t order;
    int64_t sequence;
    str_t digest, command;
    const struct json *items;
};

static bool names_item(const struct ctx *ctx, const struct change *change,
                       const struct agent_item *item)
{
    for (size_t i = 0; i < json_count(change->items); i++)
        if (str_eq(json_get_text(json_at(change->items, i), "item_id"),
                   ref_text(ctx->arena, "itm", item->id)))
            return true;
    return json_count(change->items) == 0;
}

static str_t applied(struct ctx *ctx, int64_t sequence, const char *state)
{
    return str_printf(ctx->arena, "{\"applied_sequence\":%" PRId64 ",\"state\":\"%s\"}", sequence,
                      state);
}

/* What was delivered is not cancelled; what was not begun ends at once; what is being made is ended
 * by the worker and reported. */
static err_t cancel_items(struct ctx *ctx, const struct change *change, int *out_status,
                          str_t *out_answer)
{
    struct agent_item *items;
    size_t count, begun = 0;
    TRY(journal_items(ctx, change->order, &items, &count));
    for (size_t i = 0; i < count; i++)
        if (names_item(ctx, change, &items[i]) &&
            (items[i].state == AGENT_ACTIVE || items[i].state == AGENT_FAILED)) {
            *out_status = 409;
            *out_answer = STR("{\"status\":409,\"title\":\"delivered\",\"code\":\"illegal_"
                              "transition\",\"retryable\":false}");
            return OK;
        }
    for (size_t i = 0; i < count; i++)
        begun += names_item(ctx, change, &items[i]) && items[i].state == AGENT_CREATING;
    for (size_t i = 0; i < count; i++) {
        if (!names_item(ctx, change, &items[i]) || items[i].state == AGENT_CANCELLED)
            continue;
        items[i].desired = DESIRED_ABSENT;
        /* With one item begun the answer is 202, and the report tells of all that were named. */
        items[i].due_at = begun ? ctx->now : (utc_t){0};
        if (!begun)
            items[i].state = AGENT_CANCELLED;
        TRY(journal_save_item(ctx, &items[i]));
    }
    *out_status = begun ? 202 : 200;
    *out_answer = applied(ctx, change->sequence, begun ? "cancelling" : "cancelled");
    return OK;
}

static err_t refuse_gap(struct ctx *ctx, int64_t expected)
{
    err_t err = refuse(ctx, ERR_CONFLICT, "sequence_gap", "expected sequence %" PRId64, expected);
    ctx->problem.extension = str_printf(ctx->arena, "\"expected\":%" PRId64, expected);
    return err;
}

static err_t apply_change(struct ctx *ctx, const struct agent_order *order,
                          const struct change *change, struct reply *reply)
{
    int status = 200;
    str_t text;
    if (change->sequence == order->sequence && str_eq(order->change_digest, change->digest))
        return answer(reply, order->change_status, order->change_answer);
    if (change->sequence <= order->sequence)
        return answer(reply, 200, applied(ctx, order->sequence, "applied"));
    if (change->sequence != order->sequence + 1)
        return refuse_gap(ctx, order->sequence + 1);
    if (str_is(change->command, "cancel"))
        TRY(cancel_items(ctx, change, &status, &text));
    else if (str_is(change->command, "none"))
        text = applied(ctx, change->sequence, "applied");
    else
        return refuse(ctx, ERR_STATE, "illegal_transition",
                      "this backend does not know the command");
    TRY(journal_set_change(ctx, order->id, change->sequence, change->digest, status, text));
    return answer(reply, status, text);
}

static err_t post_change(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    const struct json *body;
    struct agent_order order = {0};
    struct change change = {0};
    bool found = false;
    uint8_t hash[SM3_BYTES];
    TRY(json_parse(ctx, request->body, &body));
    if (!ref_read(request->params[1], "ord", &change.order))
        return refuse(ctx, ERR_NOT_FOUND, "order_unknown", "not an order id");
    TRY(journal_order(ctx, change.order, &order, &found));
    if (!found || order.provider != caller(ctx) || order.state != AGENT_ORDER_ACCEPTED)
        return refuse(ctx, ERR_NOT_FOUND, "order_unknown", "no such order here");
    sm3(request->body, hash);
    change.digest = str_dup(ctx->arena, str_from(hash, SM3_BYTES));
    change.sequence = json_get_int(body, "sequence", 0);
    change.command = json_get_text(body, "command");
    change.items = json_get(body, "items");
    return apply_change(ctx, &order, &change, reply);
}

/* ---- the question ---- */
static err_t get_order(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct agent_order order = {0};
    struct agent_item *items;
    size_t count;
    bool found = false;
    ref_t id;
    if (!ref_read(request->params[1], "ord", &id))
        return refuse(ctx, ERR_NOT_FOUND, "order_unknown", "not an order id");
    TRY(journal_order(ctx, id, &order, &found));
    if (!found || order.provider != caller(ctx))
        return refuse(ctx, ERR_NOT_FOUND, "order_unknown", "no such order here");
    TRY(journal_items(ctx, id, &items, &count));
    struct jw *w = &reply->json;
    jw_object(w);
    jw_put_ref(w, "order_id", "ord", id);
    jw_put_text(w, "state",
                order.state == AGENT_ORDER_ACCEPTED ? STR("accepted") : STR("rejected"));
    jw_put_int(w, "last_sequence", order.sequence);
    jw_put_int(w, "report_sequence", order.report_sequence);
    jw_key(w, "items");
    jw_array(w);
    for (size_t i = 0; i < count; i++) {
        jw_object(w);
        jw_put_ref(w, "item_id", "itm", items[i].id);
        jw_put_ref(w, "instance_id", "ins", items[i].instance_id);
        jw_put_text(w, "state", str_of(names_of(&agent_item_names, items[i].state)));
        jw_put_text(w, "external_instance_id", items[i].external_instance_id);
        jw_put_utc(w, "started_at", items[i].started_at);
        jw_put_utc(w, "expires_at",
                   items[i].expires_at.ms ? items[i].expires_at
                                          : end_of_term(ctx->now, items[i].term));
        jw_end_object(w);
    }
    jw_end_array(w);
    jw_end_object(w);
    return OK;
}

/* The entry of a fake resource: enough to see that the link leads to one's own machine. */
static err_t get_tool(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    (void)ctx;
    reply->content_type = "text/html; charset=utf-8";
    buf_puts(&reply->body, "<!doctype html><html lang=\"zh\"><meta "
                           "charset=\"utf-8\"><title>控制台</title><h1>控制台</h1><p>实例 <code>");
    for (size_t i = 0; i < request->params[0].len && i < 100; i++) {
        char c = request->params[0].data[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_';
        buf_putc(&reply->body, plain ? c : '.');
    }
    buf_puts(&reply->body, "</code> 正在运行（演示后端）。</p></html>");
    return OK;
}

static err_t get_alive(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    (void)ctx;
    (void)request;
    buf_puts(&reply->body, "{\"status\":\"ok\"}");
    return OK;
}

static const struct route routes[] = {
    {"GET", "/healthz", 0, TX_NONE, NULL, get_alive, ROUTE_PUBLIC},
    {"GET", "/tool/{name}", 0, TX_NONE, NULL, get_tool, ROUTE_PUBLIC},
    {"GET", "/p/{provider}/if2/v1/health", 1, TX_NONE, NULL, get_health, 0},
    {"POST", "/p/{provider}/if2/v1/orders", 1, TX_WRITE, NULL, post_order, ROUTE_RAW_BODY},
    {"POST", "/p/{provider}/if2/v1/orders/{id}/status-changes", 1, TX_WRITE, NULL, post_change,
     ROUTE_RAW_BODY},
    {"GET", "/p/{provider}/if2/v1/orders/{id}", 1, TX_READ, NULL, get_order, 0},
};
const struct route_table agent_routes = ROUTES(routes);
