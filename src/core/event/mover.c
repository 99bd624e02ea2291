/* SPDX-License-Identifier: Apache-2.0 */
/* The mover: the only code that writes a `state` column. Each UPDATE carries the version it was
 * read with. The SQL of a machine's table is text made once and kept for the life of the process,
 * since lib/db finds prepared statements by the address of their text; that list only grows, by one
 * element per table. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event/event.h"

struct mover_sql {
    struct mover_sql *next;
    char table[64], one[256], many[288];
};
static struct {
    pthread_mutex_t lock;
    struct mover_sql *first;
} texts = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const struct mover_sql *sql_of(const struct fsm *fsm)
{
    pthread_mutex_lock(&texts.lock);
    struct mover_sql *found = texts.first;
    while (found != NULL && strcmp(found->table, fsm->table) != 0)
        found = found->next;
    if (found == NULL) {
        static const char set[] =
            "SET state = $1, version = version + 1, last_event_id = $2, updated_at = $3";
        found = calloc(1, sizeof *found);
        ENSURE(found != NULL && strlen(fsm->table) < sizeof found->table);
        snprintf(found->table, sizeof found->table, "%s", fsm->table);
        snprintf(found->one, sizeof found->one,
                 "UPDATE %s %s WHERE id = $4 AND version = $5 AND state = $6", fsm->table, set);
        snprintf(found->many, sizeof found->many,
                 "UPDATE %s %s WHERE version = $4 AND state = $5 AND id IN ({ids})", fsm->table,
                 set);
        found->next = texts.first;
        texts.first = found;
    }
    pthread_mutex_unlock(&texts.lock);
    return found;
}

/* The rule, with its guard passed. */
static err_t find_rule(struct ctx *ctx, const struct fsm *fsm, struct moving *row, int event,
                       const struct fsm_rule **out)
{
    *out = fsm_find(fsm, row->state, event);
    if (*out == NULL)
        return refuse(ctx, ERR_STATE, "illegal_transition", "%s %s does not know %s", fsm->name,
                      names_of(fsm->states, row->state), names_of(fsm->events, event));
    return (*out)->guard == NULL ? OK : (*out)->guard(ctx, row);
}

static void moved(struct moving *row, int to, ref_t event_id)
{
    row->state = to;
    row->version++;
    row->last_event_id = event_id;
}

err_t fsm_fire(struct ctx *ctx, const struct fsm *fsm, struct moving *row, int event,
               ref_t event_id)
{
    const struct fsm_rule *rule;
    TRY(find_rule(ctx, fsm, row, event, &rule));
    TRY(db_exec_one(ctx, sql_of(fsm)->one,
                    ARGS(A((int32_t)rule->to), A(event_id), A(ctx->now), A(row->id),
                         A(row->version), A(row->state))));
    moved(row, rule->to, event_id);
    return OK;
}

/* Moves the rows that share state and version with rows[first]; their ids go into `ids`. */
static err_t fire_alike(struct ctx *ctx, const struct fsm *fsm, struct moving **rows, size_t count,
                        int to, int64_t *ids, ref_t event_id)
{
    size_t alike = 0;
    int64_t changed = 0;
    for (size_t i = 0; i < count; i++)
        if (rows[i]->state == rows[0]->state && rows[i]->version == rows[0]->version)
            ids[alike++] = rows[i]->id.value;
    TRY(db_exec(ctx, sql_of(fsm)->many,
                ARGS(A((int32_t)to), A(event_id), A(ctx->now), A(rows[0]->version),
                     A(rows[0]->state), A_IDS(ids, alike)),
                &changed));
    return changed == (int64_t)alike ? OK : ERR_AGAIN;
}

err_t fsm_fire_many(struct ctx *ctx, const struct fsm *fsm, struct moving **rows, size_t count,
                    int event, ref_t event_id)
{
    const struct fsm_rule *rule = NULL;
    int to = 0;
    if (count == 0)
        return OK;
    struct moving **left = NEW_ARRAY(ctx, struct moving *, count);
    int64_t *ids = NEW_ARRAY(ctx, int64_t, count);
    for (size_t i = 0; i < count; i++) {
        TRY(find_rule(ctx, fsm, rows[i], event, &rule));
        ENSURE(i == 0 || rule->to == to);
        to = rule->to;
        left[i] = rows[i];
    }
    for (size_t left_count = count; left_count > 0;) {
        TRY(fire_alike(ctx, fsm, left, left_count, to, ids, event_id));
        size_t kept = 0;
        struct moving *first = left[0];
        for (size_t i = 0; i < left_count; i++)
            if (left[i]->state != first->state || left[i]->version != first->version)
                left[kept++] = left[i];
        left_count = kept;
    }
    for (size_t i = 0; i < count; i++)
        moved(rows[i], to, event_id);
    return OK;
}
