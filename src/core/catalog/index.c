/* SPDX-License-Identifier: Apache-2.0 */
/* Life of the index: built at start, kept current from the change sequence. Reading the database
 * happens outside the lock; taking a few rows in happens under it. Nothing can be lost: the
 * sequence is read again at least every second, from the last change taken in (on PostgreSQL from
 * some seconds before it, since commits may come out of order). */
#include <stdlib.h>
#include <string.h>

#include "index_internal.h"

enum {
    REFRESH_QUICK_US = 20 * 1000,
    REFRESH_SLOW_US = 1000 * 1000,
    POKE_HOLDS_US = 2 * 1000 * 1000,
    REBUILD_AFTER_S = 30 * 60,
    CHANGES_MAX = 5000,
    OVERLAP_MS = 10 * 1000,
};

void catalog_index_poke(struct catalog_index *index)
{
    if (index)
        atomic_store(&index->poked_us, clock_monotonic_us());
}

struct load_work {
    struct index_data *data;
};

static err_t load_work(struct ctx *ctx, void *arg)
{
    struct load_work *work = arg;
    return index_load(ctx, &work->data);
}

err_t catalog_index_open(struct ctx *ctx, struct catalog_index **out)
{
    struct load_work work = {0};
    TRY(db_read(ctx, ctx->platform->db, load_work, &work));
    struct catalog_index *index = calloc(1, sizeof(*index));
    if (!index)
        log_die("out of memory in the catalogue index");
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    /* Searches are many and short; a waiting refresh must not starve. */
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&index->lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    pthread_mutex_init(&index->refreshing, NULL);
    pthread_mutex_init(&index->cache_lock, NULL);
    index->data = work.data;
    atomic_store(&index->refreshed_us, clock_monotonic_us());
    atomic_store(&index->content_generation, 1);
    atomic_store(&index->stock_generation, 1);
    *out = index;
    return OK;
}

void catalog_index_close(struct catalog_index *index)
{
    if (!index)
        return;
    cache_free(index);
    index_data_free(index->data);
    pthread_rwlock_destroy(&index->lock);
    pthread_mutex_destroy(&index->refreshing);
    pthread_mutex_destroy(&index->cache_lock);
    free(index);
}

/* ---- what changed ---- */
struct change {
    int64_t id, product_id;
};
static const struct field change_fields[] = {
    FIELD(struct change, id, 0, INT64_MAX, 0),
    FIELD(struct change, product_id, 0, INT64_MAX, 0),
};
static const struct shape change_shape = SHAPE(struct change, change_fields);

struct delta {
    int64_t *products; /* distinct */
    size_t count;
    struct entry_row *entries;
    size_t entry_count;
    struct stock_row *stocks;
    size_t stock_count;
    struct catalog_code *codes;
    size_t code_count;
    struct store *stores;
    size_t store_count;
    struct id_text *specs;
    size_t spec_count;
    bool more;
};

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Reads new changes and moves the cursor; data->cursor and data->seen belong to the one who
 * refreshes. */
static err_t read_changes(struct ctx *ctx, struct index_data *data, struct delta *delta)
{
    bool overlap = db_kind(ctx->platform->db) == DB_POSTGRES;
    int64_t from = data->cursor;
    if (overlap && from) {
        utc_t at = id_time((ref_t){from});
        from = id_floor(utc_add(at, -OVERLAP_MS)).value;
    }
    struct change *changes;
    size_t count;
    TRY(db_all(ctx, "SELECT id, product_id FROM catalog_change WHERE id > $1 ORDER BY id LIMIT $2",
               ARGS(A(from), A((int32_t)(overlap ? CHANGES_MAX * 20 : CHANGES_MAX))), &change_shape,
               &changes, &count));
    delta->products = NEW_ARRAY(ctx, int64_t, count + 1);
    int64_t *seen = overlap ? malloc((count + 1) * sizeof(*seen)) : NULL;
    size_t fresh = 0, i = 0;
    for (; i < count && fresh < CHANGES_MAX; i++) {
        bool known = overlap && data->seen_count &&
                     bsearch(&changes[i].id, data->seen, data->seen_count, sizeof(*seen), by_value);
        if (!known)
            delta->products[fresh++] = changes[i].product_id;
        if (seen)
            seen[i] = changes[i].id;
        if (changes[i].id > data->cursor)
            data->cursor = changes[i].id;
        delta->more = fresh == CHANGES_MAX;
    }
    if (overlap) {
        free(data->seen);
        data->seen = seen;
        data->seen_count = i;
    }
    qsort(delta->products, fresh, sizeof(*delta->products), by_value);
    for (size_t k = 0; k < fresh; k++)
        if (k == 0 || delta->products[k] != delta->products[delta->count - 1])
            delta->products[delta->count++] = delta->products[k];
    return OK;
}

/* What the changed products look like now, with dictionaries, stores and specifications not known
 * yet. */
static err_t read_rows(struct ctx *ctx, const struct index_data *data, struct delta *delta)
{
    if (delta->count == 0)
        return OK;
    struct db_args ids = ARGS(A_IDS(delta->products, delta->count));
    TRY(db_all(ctx,
               "SELECT product_id, codes, name, source_type FROM catalog_entry"
               " WHERE product_id IN ({ids}) ORDER BY product_id",
               ids, &entry_row_shape, &delta->entries, &delta->entry_count));
    TRY(db_all(ctx,
               "SELECT k.product_id AS product_id, MAX(t.available - t.held) AS sellable"
               " FROM catalog_sku k JOIN catalog_stock t ON t.sku_id = k.id"
               " WHERE k.product_id IN ({ids}) GROUP BY k.product_id ORDER BY k.product_id",
               ids, &stock_row_shape, &delta->stocks, &delta->stock_count));
    int64_t *specs = NEW_ARRAY(ctx, int64_t, delta->entry_count + 1);
    size_t spec_count = 0;
    bool codes = false;
    for (size_t i = 0; i < delta->entry_count; i++) {
        struct catalog_entry entry = {0};
        if (!entry_unpack(delta->entries[i].codes, &entry))
            continue;
        if (id_map_get(&data->specs_of, (uint64_t)entry.specs_id.value) < 0)
            specs[spec_count++] = entry.specs_id.value;
        codes = codes || (size_t)entry.category >= data->code_count[CODE_CATEGORY] ||
                (size_t)entry.region >= data->code_count[CODE_REGION] ||
                (size_t)entry.accelerator >= data->code_count[CODE_ACCELERATOR] ||
                (size_t)entry.source >= data->code_count[CODE_SOURCE];
    }
    if (spec_count)
        TRY(db_all(ctx, "SELECT id, specs FROM catalog_specs WHERE id IN ({ids})",
                   ARGS(A_IDS(specs, spec_count)), &id_text_shape, &delta->specs,
                   &delta->spec_count));
    if (codes)
        TRY(index_load_codes(ctx, &delta->codes, &delta->code_count));
    return OK;
}

/* Stores open and close without a change of their products: their states are read again every
 * second. */
static err_t read_stores(struct ctx *ctx, struct catalog_index *index, bool force,
                         struct delta *delta)
{
    struct store *part;
    size_t count;
    ref_t before = REF_NONE;
    if (!force && clock_monotonic_us() - atomic_load(&index->stores_us) < REFRESH_SLOW_US)
        return OK;
    atomic_store(&index->stores_us, clock_monotonic_us());
    do {
        TRY(store_list(ctx, 0, before, 200, &part, &count));
        struct store *all = NEW_ARRAY(ctx, struct store, delta->store_count + count + 1);
        if (delta->store_count)
            memcpy(all, delta->stores, delta->store_count * sizeof(*all));
        if (count)
            memcpy(all + delta->store_count, part, count * sizeof(*all));
        delta->stores = all;
        delta->store_count += count;
        if (count)
            before = part[count - 1].m.id;
    } while (count == 200);
    return OK;
}

/* ---- taking it in ---- */
static bool same_row(const struct index_data *data, const struct catalog_entry *entry)
{
    int64_t row = id_map_get(&data->row_of, (uint64_t)entry->product_id.value);
    return row >= 0 && data->listed[row] == entry->listed &&
           data->price_from[row] == entry->price_from.e10 &&
           data->price_hour[row] == entry->price_hour.e10 &&
           data->charge_mask[row] == entry->charge_mask &&
           ref_is(data->specs_id[row], entry->specs_id) && data->lead_h[row] == entry->lead_h &&
           data->sla_bp[row] == entry->sla_bp && data->region[row] == entry->region &&
           data->category[row] == entry->category && data->source[row] == entry->source &&
           str_eq(data->texts.texts[data->name[row]], entry->name) &&
           str_eq(data->texts.texts[data->source_type[row]], entry->source_type);
}

static bool apply_stores(struct index_data *data, const struct delta *delta)
{
    bool changed = false;
    for (size_t i = 0; i < delta->store_count; i++) {
        int64_t known = id_map_get(&data->store_of, (uint64_t)delta->stores[i].m.id.value);
        bool open = delta->stores[i].m.state == STORE_OPEN;
        changed = changed || known < 0 || data->stores[known].open != open;
        index_take_store(data, &delta->stores[i]);
    }
    return changed;
}

static void apply(struct catalog_index *index, const struct delta *delta)
{
    struct index_data *data = index->data;
    bool content = false, stock = false;
    pthread_rwlock_wrlock(&index->lock);
    if (delta->code_count)
        index_take_codes(data, delta->codes, delta->code_count);
    content = apply_stores(data, delta);
    for (size_t i = 0; i < delta->spec_count; i++)
        index_take_specs(data, delta->specs[i].id, delta->specs[i].specs);
    size_t at = 0;
    for (size_t i = 0; i < delta->entry_count; i++) {
        struct catalog_entry entry = {.product_id = delta->entries[i].product_id,
                                      .name = delta->entries[i].name,
                                      .source_type = delta->entries[i].source_type};
        if (!entry_unpack(delta->entries[i].codes, &entry))
            continue;
        while (at < delta->stock_count &&
               delta->stocks[at].product_id.value < entry.product_id.value)
            at++;
        int64_t sellable = 0;
        if (at < delta->stock_count && ref_is(delta->stocks[at].product_id, entry.product_id) &&
            delta->stocks[at].sellable > 0)
            sellable = delta->stocks[at].sellable;
        if (!same_row(data, &entry)) {
            content = true;
            index_put_row(data, &entry, (int32_t)sellable, false);
            continue;
        }
        int64_t row = id_map_get(&data->row_of, (uint64_t)entry.product_id.value);
        stock = stock || data->stock[row] != sellable;
        data->stock[row] = (int32_t)sellable;
    }
    postings_settle(&data->postings);
    index_rank_names(data);
    if (content)
        atomic_fetch_add(&index->content_generation, 1);
    if (content || stock)
        atomic_fetch_add(&index->stock_generation, 1);
    pthread_rwlock_unlock(&index->lock);
}

/* Long unused: the change sequence may have been cleaned meanwhile. */
static err_t rebuild(struct ctx *ctx, struct catalog_index *index)
{
    struct index_data *fresh, *old;
    TRY(index_load(ctx, &fresh));
    pthread_rwlock_wrlock(&index->lock);
    old = index->data;
    index->data = fresh;
    atomic_fetch_add(&index->content_generation, 1);
    atomic_fetch_add(&index->stock_generation, 1);
    pthread_rwlock_unlock(&index->lock);
    index_data_free(old);
    return OK;
}

static err_t refresh_locked(struct ctx *ctx, struct catalog_index *index, bool force)
{
    int64_t now = clock_monotonic_us(), last = atomic_load(&index->refreshed_us);
    atomic_store(&index->refreshed_us, now);
    if ((now - last) / 1000000 > REBUILD_AFTER_S)
        return rebuild(ctx, index);
    for (;;) {
        struct delta delta = {0};
        int64_t cursor = index->data->cursor;
        err_t err = read_changes(ctx, index->data, &delta);
        if (err == OK)
            err = read_rows(ctx, index->data, &delta);
        if (err == OK)
            err = read_stores(ctx, index, force || delta.count > 0, &delta);
        if (err != OK) {
            index->data->cursor = cursor;
            index->data->seen_count = 0;
            return err;
        }
        if (delta.count || delta.store_count)
            apply(index, &delta);
        if (!delta.more)
            return OK;
    }
}

err_t catalog_index_refresh(struct ctx *ctx, bool force)
{
    struct catalog_index *index = ctx->platform->catalog;
    int64_t now = clock_monotonic_us(), since = now - atomic_load(&index->refreshed_us);
    bool poked = now - atomic_load(&index->poked_us) < POKE_HOLDS_US;
    if (!force && since < (poked ? REFRESH_QUICK_US : REFRESH_SLOW_US))
        return OK;
    if (force)
        pthread_mutex_lock(&index->refreshing);
    else if (pthread_mutex_trylock(&index->refreshing) != 0)
        return OK;
    err_t err = refresh_locked(ctx, index, force);
    pthread_mutex_unlock(&index->refreshing);
    return err;
}

err_t catalog_clean(struct ctx *ctx)
{
    TRY(db_exec(ctx, "DELETE FROM catalog_change WHERE id < $1",
                ARGS(A(id_floor(utc_add(ctx->now, -2 * (int64_t)MS_HOUR)))), NULL));
    return db_exec(ctx, "DELETE FROM catalog_quote WHERE id < $1",
                   ARGS(A(id_floor(utc_add(ctx->now, -2 * (int64_t)MS_DAY)))), NULL);
}
