/* SPDX-License-Identifier: Apache-2.0 */
/* Facts for people: what an organisation may hear of, as lists and as a live stream; receipts of
 * its own facts; and for everybody the heads, proofs and tiles of the logs, which name nobody. */
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/api.h"
#include "evidence/evidence.h"

/* ---- rows of a timeline ---- */
struct actor_names {
    bool all; /* the operator sees who acted; others only their own members */
    struct user *users;
    size_t user_count;
    struct member *members;
    size_t member_count;
};

static err_t load_names(struct ctx *ctx, const struct event_page *page, struct actor_names *out)
{
    *out = (struct actor_names){.all = ctx->actor.org_kind == ORG_OPERATOR};
    int64_t *ids = NEW_ARRAY(ctx, int64_t, page->count + 1);
    size_t count = 0;
    for (size_t i = 0; i < page->count; i++)
        if (page->events[i].actor_kind == 1)
            ids[count++] = page->events[i].actor.value;
    if (count == 0)
        return OK;
    if (out->all)
        return account_user_names(ctx, ids, count, &out->users, &out->user_count);
    return account_members(ctx, ctx->actor.org_id, &out->members, &out->member_count);
}

/* Null when the actor is no user, or one of another organisation. */
static void write_actor(struct jw *w, const struct actor_names *names, const struct event *event)
{
    static const char *const kinds[] = {"system", "user", "client"};
    str_t name = {0};
    for (size_t i = 0; event->actor_kind == 1 && i < names->user_count; i++)
        if (ref_is(names->users[i].id, event->actor))
            name = names->users[i].name;
    for (size_t i = 0; event->actor_kind == 1 && i < names->member_count; i++)
        if (ref_is(names->members[i].user_id, event->actor))
            name = names->members[i].name;
    jw_key(w, "actor");
    jw_object(w);
    jw_put_text(
        w, "kind",
        str_of(event->actor_kind >= 0 && event->actor_kind < 3 ? kinds[event->actor_kind] : ""));
    jw_key(w, "name");
    if (name.len > 0)
        jw_text(w, name);
    else
        jw_null(w);
    jw_end_object(w);
}

static str_t type_name(const struct event *event)
{
    const struct fact_kind *kind = fact_kind_of(event->type);
    return str_of(kind == NULL ? "unknown" : kind->name);
}

static void write_event(struct jw *w, const struct actor_names *names,
                        const struct evidence_reach *reach, const struct event *event)
{
    static const char *const states[] = {"pending", "recorded", "closed"};
    const struct fact_kind *kind = fact_kind_of(event->type);
    jw_object(w);
    jw_put_ref(w, "event_id", "evt", event->event_id);
    jw_put_int(w, "position", event->position);
    jw_put_text(w, "log", str_of(evidence_log_word((int)event->log)));
    jw_put_text(w, "type", type_name(event));
    jw_put_text(w, "kind", str_of(kind == NULL ? "evidence" : kind->kind));
    jw_put_text(w, "object_id", event->object_text);
    jw_put_utc(w, "at", event->at);
    write_actor(w, names, event);
    jw_key(w, "payload");
    if (event->payload.len > 0)
        jw_raw(w, event->payload);
    else
        jw_null(w);
    jw_put_text(w, "receipt_state", str_of(states[evidence_receipt_state(reach, event)]));
    jw_end_object(w);
}

static err_t reply_rows(struct ctx *ctx, struct reply *reply, const struct event_page *page,
                        int64_t next, uint64_t filter)
{
    struct actor_names names;
    struct evidence_reach reach;
    struct jw *w = &reply->json;
    TRY(load_names(ctx, page, &names));
    TRY(evidence_reach_load(ctx, &reach));
    jw_object(w);
    jw_key(w, "data");
    jw_array(w);
    for (size_t i = 0; i < page->count; i++)
        write_event(w, &names, &reach, &page->events[i]);
    jw_end_array(w);
    jw_key(w, "next_cursor");
    if (next > 0)
        jw_text(w, cursor_make(ctx, next, 0, filter));
    else
        jw_null(w);
    jw_end_object(w);
    return OK;
}

err_t api_reply_events(struct ctx *ctx, struct reply *reply, const struct event_page *page,
                       uint64_t filter)
{
    int64_t next = page->more && page->count > 0 ? page->events[page->count - 1].position : 0;
    return reply_rows(ctx, reply, page, next, filter);
}

/* ---- what my organisation heard ---- */
enum { SCAN_PAGE = 200, SCAN_PAGES = 5 };

struct event_filter {
    int type; /* 0: any */
    str_t object;
    int limit;
    int64_t before;
    uint64_t hash;
};

static err_t read_filter(struct ctx *ctx, const struct request *request, struct event_filter *out)
{
    int64_t limit, tie;
    str_t type = request_query(request, "type"), cursor = request_query(request, "cursor");
    *out = (struct event_filter){.object = request_query(request, "object")};
    TRY(request_known_query(ctx, request, "limit cursor type object"));
    TRY(request_query_int(ctx, request, "limit", 1, SCAN_PAGE, 50, &limit));
    out->limit = (int)limit;
    int count;
    const struct fact_kind *kinds = fact_kinds(&count);
    for (int i = 0; i < count; i++)
        if (str_is(type, kinds[i].name))
            out->type = kinds[i].type;
    if (type.len > 0 && out->type == 0)
        return refuse_field(ctx, STR("/query/type"), "not_in_list", "no such type of event");
    if (out->object.len > 0 && out->object.len != REF_TEXT_BYTES)
        return refuse_field(ctx, STR("/query/object"), "bad_format", "an id is expected");
    out->hash = str_hash(str_printf(ctx->arena, "events|%d|" STR_FMT "|%" PRId64, out->type,
                                    STR_ARG(out->object), ctx->actor.org_id.value));
    return cursor.len > 0 ? cursor_read(ctx, cursor, out->hash, &out->before, &tie) : OK;
}

static bool passes(const struct event_filter *filter, const struct event *event)
{
    return (filter->type == 0 || event->type == filter->type) &&
           (filter->object.len == 0 || str_eq(filter->object, event->object_text));
}

/* A filtered page looks at SCAN_PAGES * SCAN_PAGE events at most and may hold fewer rows than asked
 * for; its cursor goes on where it stopped looking. */
static err_t get_events(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct event_filter filter;
    TRY(read_filter(ctx, request, &filter));
    bool plain = filter.type == 0 && filter.object.len == 0;
    struct event_page page = {0}, found = {.events = NEW_ARRAY(ctx, struct event, filter.limit)};
    int64_t at = filter.before;
    bool more = true;
    for (int scan = 0; more && scan < SCAN_PAGES && (int)found.count < filter.limit; scan++) {
        TRY(event_of_org(ctx, ctx->actor.org_id, at, plain ? filter.limit : SCAN_PAGE, &page));
        size_t i = 0;
        for (; i < page.count && (int)found.count < filter.limit; i++) {
            at = page.events[i].position;
            if (passes(&filter, &page.events[i]))
                found.events[found.count++] = page.events[i];
        }
        more = page.more || i < page.count;
    }
    return reply_rows(ctx, reply, &found, more ? at : 0, filter.hash);
}

/* ---- receipts ---- */
enum { WAIT_S_MAX = 5, WAIT_STEP_MS = 40 };

struct asking {
    ref_t event_id;
    bool with_payload;
    str_t text;
};

/* A fact that the organisation does not hear of does not exist for it. */
static err_t ask_receipt(struct ctx *ctx, void *arg)
{
    struct asking *asking = arg;
    struct event event;
    TRY(evidence_find_event(ctx, asking->event_id, false, &event));
    if (!evidence_heard_by(&event, ctx->actor.org_id))
        return refuse(ctx, ERR_NOT_FOUND, "not_found", "no such event");
    return evidence_receipt(ctx, asking->event_id, asking->with_payload, &asking->text);
}

static bool is_pending(const struct ctx *ctx, err_t err)
{
    return err == ERR_UPSTREAM && ctx->problem.reason != NULL &&
           str_is(str_of(ctx->problem.reason), "receipt_pending");
}

static err_t get_receipt(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    struct asking asking = {0};
    str_t payload = request_query(request, "payload");
    TRY(request_known_query(ctx, request, "payload"));
    TRY(request_ref(ctx, request, 0, "evt", &asking.event_id));
    if (payload.len > 0 && !str_is(payload, "true") && !str_is(payload, "false"))
        return refuse_field(ctx, STR("/query/payload"), "not_in_list", "true or false");
    asking.with_payload = !str_is(payload, "false");
    int64_t wait_s = request->prefer_wait_s < WAIT_S_MAX ? request->prefer_wait_s : WAIT_S_MAX;
    int64_t until_us = clock_monotonic_us() + wait_s * 1000000;
    err_t err = db_read(ctx, ctx->platform->db, ask_receipt, &asking);
    while (is_pending(ctx, err) && clock_monotonic_us() < until_us) {
        usleep(WAIT_STEP_MS * 1000);
        problem_clear(ctx);
        err = db_read(ctx, ctx->platform->db, ask_receipt, &asking);
    }
    reply_header(reply, "Cache-Control", STR("private, no-store"));
    if (is_pending(ctx, err)) {
        problem_clear(ctx);
        reply->status = 202;
        reply_header(reply, "Retry-After", STR("1"));
        jw_object(&reply->json);
        jw_put_ref(&reply->json, "event_id", "evt", asking.event_id);
        jw_put_text(&reply->json, "receipt_state", STR("pending"));
        jw_end_object(&reply->json);
        return OK;
    }
    TRY(err);
    str_t name = ref_text(ctx->arena, "evt", asking.event_id);
    reply->content_type = "text/plain; charset=utf-8";
    reply_header(reply, "Content-Disposition",
                 str_printf(ctx->arena, "attachment; filename=\"" STR_FMT ".evd\"", STR_ARG(name)));
    buf_put(&reply->body, asking.text);
    return OK;
}

/* ---- the live stream ---- */
enum { FEED_BATCH = 50, STREAM_MS = 15 * MS_MINUTE };

/* It ends after a while: the browser comes back with Last-Event-ID and is authenticated again. */
struct listener {
    struct platform *platform;
    ref_t org_id;
    int64_t position;
    int64_t until_us;
    bool greeted;
};

struct listening {
    struct listener *listener;
    struct event_page page;
};

static err_t read_feed(struct ctx *ctx, void *arg)
{
    struct listening *listening = arg;
    return event_feed(ctx, listening->listener->org_id, listening->listener->position, FEED_BATCH,
                      &listening->page);
}

/* The root is the object itself but for what belongs to an order, a store or an organisation. */
static str_t root_text(struct ctx *ctx, const struct event *event)
{
    if (ref_is(event->root, event->object))
        return event->object_text;
    if (event->type >= FACT_PRODUCT_LIST && event->type <= FACT_PRODUCT_IMPORT)
        return ref_text(ctx->arena, "sto", event->root);
    return ref_text(ctx->arena, event->type == FACT_TOP_UP ? "org" : "ord", event->root);
}

static void write_news(struct ctx *ctx, struct buf *out, const struct event *event)
{
    struct jw w;
    buf_printf(out, "id: %" PRId64 "\nevent: " STR_FMT "\ndata: ", event->position,
               STR_ARG(type_name(event)));
    jw_init(&w, out);
    jw_object(&w);
    jw_put_ref(&w, "event_id", "evt", event->event_id);
    jw_put_text(&w, "type", type_name(event));
    jw_put_text(&w, "object_id", event->object_text);
    jw_put_text(&w, "root_id", root_text(ctx, event));
    jw_put_utc(&w, "at", event->at);
    jw_end_object(&w);
    buf_puts(out, "\n\n");
}

static bool next_news(void *state, struct buf *out)
{
    struct listener *listener = state;
    struct ctx ctx;
    int64_t indexed = event_position(listener->platform->events);
    if (!listener->greeted)
        buf_puts(out, "retry: 2000\n\n");
    listener->greeted = true;
    if (indexed <= listener->position)
        return clock_monotonic_us() < listener->until_us;
    ctx_init(&ctx, listener->platform, clock_now());
    struct listening listening = {.listener = listener};
    bool read = db_read(&ctx, listener->platform->db, read_feed, &listening) == OK;
    for (size_t i = 0; read && i < listening.page.count; i++)
        write_news(&ctx, out, &listening.page.events[i]);
    if (read && listening.page.more)
        listener->position = listening.page.events[listening.page.count - 1].position;
    else if (read)
        listener->position = indexed;
    for (size_t i = 0; read && i < listening.page.count; i++)
        if (listening.page.events[i].position > listener->position)
            listener->position = listening.page.events[i].position;
    ctx_done(&ctx);
    return clock_monotonic_us() < listener->until_us;
}

static void close_listener(void *state)
{
    free(state);
}

static err_t get_stream(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    int64_t from = event_position(ctx->platform->events);
    TRY(request_known_query(ctx, request, ""));
    if (request->last_event_id.len > 0 && !str_to_int(request->last_event_id, 0, INT64_MAX, &from))
        return refuse_status(ctx, 400, "invalid_request", "Last-Event-ID is a position");
    struct listener *listener = calloc(1, sizeof *listener);
    ENSURE(listener != NULL);
    *listener =
        (struct listener){.platform = ctx->platform, .org_id = ctx->actor.org_id, .position = from};
    listener->until_us = clock_monotonic_us() + INT64_C(1000) * STREAM_MS;
    reply->content_type = "text/event-stream; charset=utf-8";
    reply_header(reply, "Cache-Control", STR("no-store"));
    reply_header(reply, "X-Accel-Buffering", STR("no"));
    reply->stream = (struct http_stream){listener, next_news, close_listener};
    return OK;
}

/* ---- what everybody may check ---- */
static err_t request_log(struct ctx *ctx, str_t word, int *out)
{
    for (int log = 1; log <= LOG_COUNT; log++)
        if (str_is(word, evidence_log_word(log))) {
            *out = log;
            return OK;
        }
    return refuse(ctx, ERR_NOT_FOUND, "not_found", "no such log");
}

/* The same address is another thing once a new epoch has begun, so no cache may hold it for long.
 */
#define CACHE_OF_EPOCH STR("public, max-age=300")

static err_t get_keys(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    TRY(request_known_query(ctx, request, ""));
    reply->content_type = "text/plain; charset=utf-8";
    evidence_keys(ctx->platform->evidence, &reply->body);
    return OK;
}

static err_t get_checkpoint(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    int log;
    int64_t height;
    str_t note;
    TRY(request_known_query(ctx, request, "height"));
    TRY(request_log(ctx, request->params[0], &log));
    TRY(request_query_int(ctx, request, "height", 1, INT64_MAX, 0, &height));
    TRY(evidence_checkpoint(ctx, log, height, &note));
    reply->content_type = "text/plain; charset=utf-8";
    reply_header(reply, "Cache-Control", height == 0 ? STR("no-cache") : CACHE_OF_EPOCH);
    buf_put(&reply->body, note);
    return OK;
}

static err_t get_consistency(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    int log;
    int64_t from, to;
    str_t text;
    TRY(request_known_query(ctx, request, "from to"));
    TRY(request_log(ctx, request->params[0], &log));
    TRY(request_query_int(ctx, request, "from", 0, INT64_MAX, 0, &from));
    TRY(request_query_int(ctx, request, "to", 0, INT64_MAX, 0, &to));
    TRY(evidence_consistency(ctx, log, from, to, &text));
    reply->content_type = "text/plain; charset=utf-8";
    buf_put(&reply->body, text);
    return OK;
}

/* N in groups of three digits, all but the last with an x before, then perhaps `.p` and a width:
 * `x001/234.p/17`. */
static bool read_tile_path(str_t rest, int64_t *out_index, int64_t *out_width)
{
    str_t part;
    int64_t group = 0;
    bool last = false;
    *out_index = 0;
    *out_width = TILE_HASHES;
    while (!last && str_next(&rest, '/', &part)) {
        bool partial = str_ends(part, STR(".p"));
        last = part.len == 0 || part.data[0] != 'x';
        part = str_cut(part, last ? 0 : 1);
        part.len -= partial ? 2 : 0;
        if (part.len != 3 || (partial && !last) || *out_index > INT64_MAX / 1000 - 1)
            return false;
        for (int i = 0; i < 3; i++) {
            if (part.data[i] < '0' || part.data[i] > '9')
                return false;
            group = group * (i > 0 ? 10 : 0) + (part.data[i] - '0');
        }
        *out_index = *out_index * 1000 + group;
        if (partial && (!str_to_int(rest, 1, TILE_HASHES - 1, out_width)))
            return false;
        if (partial)
            return true;
    }
    return last && rest.len == 0;
}

static err_t get_tile(struct ctx *ctx, const struct request *request, struct reply *reply)
{
    str_t rest = str_cut(request->path, sizeof "/evidence/v1/" - 1), word, part;
    int log;
    int64_t level, index, width;
    str_t bytes;
    TRY(request_known_query(ctx, request, ""));
    bool good = str_next(&rest, '/', &word) && str_next(&rest, '/', &part) &&
                str_next(&rest, '/', &part) && str_to_int(part, 0, TILE_LEVELS - 1, &level) &&
                read_tile_path(rest, &index, &width);
    if (!good)
        return refuse(ctx, ERR_NOT_FOUND, "not_found", "no such tile");
    TRY(request_log(ctx, word, &log));
    TRY(evidence_tile(ctx, log, (int)level, index, (int)width, &bytes));
    reply->content_type = "application/octet-stream";
    reply_header(reply, "Cache-Control", CACHE_OF_EPOCH);
    buf_put(&reply->body, bytes);
    return OK;
}

#define TILE_OF(log)                                                                        \
    {                                                                                       \
        "GET", "/evidence/v1/" log "/tile/{level}/{a}/{b}/{c}", 0, TX_READ, NULL, get_tile, \
            ROUTE_PUBLIC                                                                    \
    }
static const struct route routes[] = {
    {"GET", "/api/v1/evidence/events", PERM_EVIDENCE_READ, TX_READ, NULL, get_events, 0},
    {"GET", "/api/v1/evidence/receipts/{event_id}", PERM_EVIDENCE_READ, TX_NONE, NULL, get_receipt,
     0},
    {"GET", "/api/v1/events", PERM_EVENTS_READ, TX_NONE, NULL, get_stream, ROUTE_STREAM},
    {"GET", "/evidence/v1/keys", 0, TX_NONE, NULL, get_keys, ROUTE_PUBLIC},
    {"GET", "/evidence/v1/{log}/checkpoint", 0, TX_READ, NULL, get_checkpoint, ROUTE_PUBLIC},
    {"GET", "/evidence/v1/{log}/proof/consistency", 0, TX_READ, NULL, get_consistency,
     ROUTE_PUBLIC},
    {"GET", "/evidence/v1/{log}/tile/{level}/{n}", 0, TX_READ, NULL, get_tile, ROUTE_PUBLIC},
    {"GET", "/evidence/v1/{log}/tile/{level}/{a}/{b}", 0, TX_READ, NULL, get_tile, ROUTE_PUBLIC},
    /* A route has four parameters at most. */
    TILE_OF("ops"),
    TILE_OF("trade"),
    TILE_OF("finance"),
    TILE_OF("match"),
};
const struct route_table evidence_routes = ROUTES(routes);
