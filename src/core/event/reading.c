/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of events: positions by a range read of the follower's narrow tables, then the entries by
 * position. What an organisation reads is only what it is in the audience of. */
#include "event/event.h"

enum { PAGE_MAX = 500 };

struct position_row {
    int64_t position;
};
static const struct field position_fields[] = {
    FIELD(struct position_row, position, 0, INT64_MAX, 0)};
static const struct shape position_shape = SHAPE(struct position_row, position_fields);

/* One position more than asked for says whether there is another page. */
static int page_limit(int limit)
{
    ENSURE(limit > 0 && limit <= PAGE_MAX);
    return limit + 1;
}

static err_t read_page(struct ctx *ctx, const struct position_row *rows, size_t count, int limit,
                       bool newest_first, struct event_page *out)
{
    struct event *events;
    size_t found;
    out->more = count > (size_t)limit;
    if (out->more)
        count = (size_t)limit;
    int64_t *positions = NEW_ARRAY(ctx, int64_t, count + 1);
    for (size_t i = 0; i < count; i++)
        positions[i] = rows[i].position;
    TRY(evidence_find_many(ctx, positions, count, true, &events, &found));
    for (size_t i = 0; newest_first && i < found / 2; i++) {
        struct event other = events[i];
        events[i] = events[found - 1 - i];
        events[found - 1 - i] = other;
    }
    out->events = events;
    out->count = found;
    return OK;
}

static int64_t below(int64_t before)
{
    return before == 0 ? INT64_MAX : before;
}

err_t event_timeline(struct ctx *ctx, ref_t root, ref_t org, int64_t before, int limit,
                     struct event_page *out)
{
    struct position_row *rows;
    size_t count;
    if (org.value == 0)
        TRY(db_all(ctx,
                   "SELECT position FROM event_root WHERE root_id = $1 AND position < $2 ORDER BY "
                   "position DESC LIMIT $3",
                   ARGS(A(root), A(below(before)), A((int32_t)page_limit(limit))), &position_shape,
                   &rows, &count));
    else
        TRY(db_all(
            ctx,
            "SELECT r.position FROM event_root r WHERE r.root_id = $1 AND r.position < $2 AND "
            "EXISTS "
            "(SELECT 1 FROM event_audience a WHERE a.org_id = $3 AND a.position = r.position) "
            "ORDER BY r.position DESC LIMIT $4",
            ARGS(A(root), A(below(before)), A(org), A((int32_t)page_limit(limit))), &position_shape,
            &rows, &count));
    return read_page(ctx, rows, count, limit, true, out);
}

err_t event_of_org(struct ctx *ctx, ref_t org, int64_t before, int limit, struct event_page *out)
{
    struct position_row *rows;
    size_t count;
    TRY(db_all(ctx,
               "SELECT position FROM event_audience WHERE org_id = $1 AND position < $2 ORDER BY "
               "position DESC LIMIT $3",
               ARGS(A(org), A(below(before)), A((int32_t)page_limit(limit))), &position_shape,
               &rows, &count));
    return read_page(ctx, rows, count, limit, true, out);
}

err_t event_feed(struct ctx *ctx, ref_t org, int64_t after, int limit, struct event_page *out)
{
    struct position_row *rows;
    size_t count;
    TRY(db_all(ctx,
               "SELECT position FROM event_audience WHERE org_id = $1 AND position > $2 ORDER BY "
               "position LIMIT $3",
               ARGS(A(org), A(after), A((int32_t)page_limit(limit))), &position_shape, &rows,
               &count));
    return read_page(ctx, rows, count, limit, false, out);
}
