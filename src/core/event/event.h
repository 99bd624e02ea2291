/* SPDX-License-Identifier: Apache-2.0 */
/* The one mover of state columns, and who hears of which fact: timelines, the event stream. Readers
 * follow the one dense position of core/evidence; what they keep is narrow and can be rebuilt. */
#ifndef SUANHE_EVENT_H
#define SUANHE_EVENT_H

#include "base/base.h"
#include "evidence/evidence.h"

/* What every row with a state carries; embed it first in the struct: struct order { struct moving
 * m; ... }. */
struct moving {
    ref_t id;
    int32_t state;
    int64_t version;
    ref_t last_event_id;
};
#define MOVING_FIELDS(T, prefix, state_names)                                             \
    FIELD_REF_AT(T, m.id, "id", prefix), FIELD_ENUM_AT(T, m.state, "state", state_names), \
        FIELD_AS(T, m.version, "version", 0, INT64_MAX, 0),                               \
        FIELD_REF_AT(T, m.last_event_id, "last_event_id", "evt")
#define FIELD_REF_AT(T, member, name_, prefix_)                                             \
    {                                                                                       \
        .name = (name_), .type = FT_REF, .offset = offsetof(T, member), .prefix = (prefix_) \
    }
#define FIELD_ENUM_AT(T, member, name_, names_)                                            \
    {                                                                                      \
        .name = (name_), .type = FT_ENUM, .offset = offsetof(T, member), .names = (names_) \
    }

/* Moves a row by an event: finds the rule or refuses ERR_STATE `illegal_transition`, runs the
 * guard, and updates state, version + 1, last_event_id, updated_at WHERE id and version still hold
 * (a lost guard repeats the transaction). event_id names the fact, appended in the same
 * transaction. On success *row carries the new values. */
err_t fsm_fire(struct ctx *ctx, const struct fsm *fsm, struct moving *row, int event,
               ref_t event_id);
/* Several rows of one table to the same target in one statement; all must be in a state that knows
 * the event. */
err_t fsm_fire_many(struct ctx *ctx, const struct fsm *fsm, struct moving **rows, size_t count,
                    int event, ref_t event_id);

/* ---- followers ---- */
/* Opens the hub; *wake (may be NULL) is called after new events were indexed (SSE). */
err_t event_open(struct ctx *ctx, void (*wake)(void *state), void *wake_state,
                 struct event_hub **out);
void event_start(struct event_hub *hub); /* the follower thread */
void event_close(struct event_hub *hub);
/* New entries are committed: hurry the follower. Safe from any thread. */
void event_poke(struct event_hub *hub);
/* Indexes what is new at once (tests, commands). */
err_t event_catch_up(struct ctx *ctx);
int64_t event_position(struct event_hub *hub); /* last indexed */

/* ---- reading ---- */
struct event_page {
    struct event *events;
    size_t count;
    bool more;
};
/* The timeline of a root, newest first, only what org may hear (REF_NONE: everything), before
 * `before` (0: from the end). */
err_t event_timeline(struct ctx *ctx, ref_t root, ref_t org, int64_t before, int limit,
                     struct event_page *out);
/* What an organisation hears, newest first, before `before` (0: from the end). */
err_t event_of_org(struct ctx *ctx, ref_t org, int64_t before, int limit, struct event_page *out);
/* What it hears after a position, oldest first (SSE, feed). */
err_t event_feed(struct ctx *ctx, ref_t org, int64_t after, int limit, struct event_page *out);

#endif
