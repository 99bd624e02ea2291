/* SPDX-License-Identifier: Apache-2.0 */
/* Searching and checking rule tables. */
#include "fsm.h"

const struct fsm_rule *fsm_find(const struct fsm *fsm, int from, int event)
{
    for (int i = 0; i < fsm->rule_count; i++) {
        if (fsm->rules[i].from == from && fsm->rules[i].event == event)
            return &fsm->rules[i];
    }
    return NULL;
}

bool fsm_is_terminal(const struct fsm *fsm, int state)
{
    for (int i = 0; i < fsm->rule_count; i++) {
        if (fsm->rules[i].from == state)
            return false;
    }
    return true;
}

static bool is_known(const struct names *names, int value)
{
    return names_of(names, value)[0] != '\0';
}

static const char *check_rule(const struct fsm *fsm, const struct fsm_rule *rule)
{
    if (rule->from != -1 && !is_known(fsm->states, rule->from))
        return "a rule starts from an unknown state";
    if (!is_known(fsm->states, rule->to))
        return "a rule leads to an unknown state";
    if (!is_known(fsm->events, rule->event))
        return "a rule names an unknown event";
    if (fsm_find(fsm, rule->from, rule->event) != rule)
        return "two rules for one state and event";
    return NULL;
}

enum { STATES_MAX = 128 };

static const char *check_reach(const struct fsm *fsm)
{
    bool reached[STATES_MAX] = {false};
    reached[fsm->initial] = true;
    for (bool grows = true; grows;) {
        grows = false;
        for (int i = 0; i < fsm->rule_count; i++) {
            const struct fsm_rule *rule = &fsm->rules[i];
            if ((rule->from == -1 || reached[rule->from]) && !reached[rule->to])
                grows = reached[rule->to] = true;
        }
    }
    for (int state = 0; state < fsm->states->count; state++) {
        if (is_known(fsm->states, state) && !reached[state])
            return "a state is never reached";
    }
    return NULL;
}

bool fsm_check(const struct fsm *fsm, const char **out_message)
{
    const char *message = NULL;
    if (fsm->states->count > STATES_MAX)
        message = "too many states";
    else if (!is_known(fsm->states, fsm->initial))
        message = "the initial state is unknown";
    for (int i = 0; i < fsm->rule_count && message == NULL; i++)
        message = check_rule(fsm, &fsm->rules[i]);
    if (message == NULL)
        message = check_reach(fsm);
    if (message != NULL)
        *out_message = message;
    return message == NULL;
}
