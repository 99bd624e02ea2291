/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of a state machine and their search. What moves a row is core/event; here is only the
 * table. */
#ifndef SUANHE_BASE_FSM_H
#define SUANHE_BASE_FSM_H

#include "ctx.h"
#include "shape.h"

struct fsm_rule {
    int from;
    int event;
    int to;
    err_t (*guard)(struct ctx *ctx, void *row); /* may refuse; NULL: none */
};

struct fsm {
    const char *name;  /* "order" */
    const char *table; /* the table whose `state` column core/event moves */
    const struct names *states;
    const struct names *events;
    const struct fsm_rule *rules;
    int rule_count;
    int initial; /* the state a row is born in */
};

/* NULL when the state does not know the event. */
const struct fsm_rule *fsm_find(const struct fsm *fsm, int from, int event);
bool fsm_is_terminal(const struct fsm *fsm, int state);
/* Every state is reached from `initial` (or from another birth state given by a rule with from =
 * -1), every rule names known states and events, no (from, event) twice. False and a message
 * otherwise. */
bool fsm_check(const struct fsm *fsm, const char **out_message);

#endif
