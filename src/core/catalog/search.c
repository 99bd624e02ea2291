/* SPDX-License-Identifier: Apache-2.0 */
/* Searching: text by postings, then one pass over typed columns. Facet filters are judged per group
 * of rows that are alike in all facets. Each facet is counted over the hits of all other filters: a
 * group that fails exactly one facet counts in that facet only. Results of whole searches are
 * remembered until what they depend on changes. */
#include <stdlib.h>
#include <string.h>

#include "index_internal.h"

const char *const facet_names[FACET_COUNT] = {"category", "class",       "store",
                                              "region",   "accelerator", "charge_mode"};
static const char *const sort_name[] = {"relevance", "price", "price_desc", "name", "lead"};
const struct names search_sort_names = NAMES(sort_name);

struct place {
    int64_t key, id;
    uint32_t row;
};

/* A search with its codes resolved. */
struct plan {
    const struct search *search;
    uint8_t *allowed[FACET_COUNT]; /* by code; NULL: all */
    size_t codes[FACET_COUNT];     /* how many codes there are */
    uint32_t *counts[FACET_COUNT];
    roaring_bitmap_t *rows, *exact;
    struct place top[SEARCH_LIMIT_MAX + 1];
    int top_count, keep;
    bool after;
    struct place after_place;
    int64_t total;
    int64_t penalty; /* added to the relevance of what is not exact */
};

/* ---- remembered searches ---- */
enum { CACHE_SLOTS = 1024 };
struct count_row {
    uint8_t facet;
    uint16_t code;
    uint32_t count;
};
struct cache_entry {
    uint64_t hash;
    int64_t generation;
    char *key;
    size_t key_len;
    int64_t total;
    struct place top[SEARCH_LIMIT_MAX + 1];
    int top_count;
    size_t count_rows;
    struct count_row counts[];
};

static void entry_free(struct cache_entry *entry)
{
    if (entry)
        free(entry->key);
    free(entry);
}

void cache_free(struct catalog_index *index)
{
    for (size_t i = 0; index->cache && i < CACHE_SLOTS; i++)
        entry_free(index->cache[i]);
    free(index->cache);
}

static str_t cache_key(struct ctx *ctx, const struct search *s)
{
    struct buf key;
    buf_init(&key, ctx->arena, 65536);
    buf_put(&key, s->text);
    for (int f = 0; f < FACET_COUNT; f++) {
        buf_printf(&key, "\n%d", f);
        for (int i = 0; i < s->value_count[f]; i++) {
            buf_putc(&key, '\t');
            buf_put(&key, s->values[f][i]);
        }
    }
    buf_printf(&key, "\n%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64,
               s->vcpus_min_milli, s->vcpus_max_milli, s->memory_min_mib, s->memory_max_mib,
               s->accelerator_count_min, s->price_max.e10);
    buf_printf(&key, " %d %d %d %d %" PRId64 " %" PRId64, s->in_stock, s->sort, s->limit, s->after,
               s->after_key, s->after_id.value);
    return buf_str(&key);
}

static int64_t generation_of(struct catalog_index *index, const struct search *search)
{
    return search->in_stock ? atomic_load(&index->stock_generation)
                            : -atomic_load(&index->content_generation);
}

static bool cache_find(struct catalog_index *index, struct plan *plan, str_t key,
                       int64_t generation)
{
    uint64_t hash = str_hash(key);
    bool found = false;
    pthread_mutex_lock(&index->cache_lock);
    const struct cache_entry *entry = index->cache ? index->cache[hash % CACHE_SLOTS] : NULL;
    if (entry && entry->hash == hash && entry->generation == generation &&
        str_eq(str_from(entry->key, entry->key_len), key)) {
        memcpy(plan->top, entry->top, sizeof(plan->top));
        plan->top_count = entry->top_count;
        plan->total = entry->total;
        for (size_t i = 0; i < entry->count_rows; i++)
            plan->counts[entry->counts[i].facet][entry->counts[i].code] = entry->counts[i].count;
        found = true;
    }
    pthread_mutex_unlock(&index->cache_lock);
    return found;
}

static void cache_store(struct catalog_index *index, const struct plan *plan, str_t key,
                        int64_t generation)
{
    size_t rows = 0;
    for (int f = 0; f < FACET_COUNT; f++)
        for (size_t i = 0; i < plan->codes[f]; i++)
            rows += plan->counts[f][i] != 0;
    struct cache_entry *entry = malloc(sizeof(*entry) + rows * sizeof(struct count_row));
    if (!entry)
        return;
    *entry = (struct cache_entry){.hash = str_hash(key),
                                  .generation = generation,
                                  .key = malloc(key.len + 1),
                                  .key_len = key.len,
                                  .total = plan->total,
                                  .top_count = plan->top_count};
    if (!entry->key) {
        free(entry);
        return;
    }
    memcpy(entry->key, key.data, key.len);
    memcpy(entry->top, plan->top, sizeof(plan->top));
    for (int f = 0; f < FACET_COUNT; f++)
        for (size_t i = 0; i < plan->codes[f]; i++)
            if (plan->counts[f][i])
                entry->counts[entry->count_rows++] =
                    (struct count_row){(uint8_t)f, (uint16_t)i, plan->counts[f][i]};
    pthread_mutex_lock(&index->cache_lock);
    if (!index->cache)
        index->cache = calloc(CACHE_SLOTS, sizeof(*index->cache));
    struct cache_entry *old = entry;
    if (index->cache) {
        old = index->cache[entry->hash % CACHE_SLOTS];
        index->cache[entry->hash % CACHE_SLOTS] = entry;
    }
    pthread_mutex_unlock(&index->cache_lock);
    entry_free(old);
}

/* ---- resolving codes ---- */
static size_t code_of(const struct index_data *data, int facet, str_t value)
{
    static const int kinds[FACET_COUNT] = {CODE_CATEGORY, 0, 0, CODE_REGION, CODE_ACCELERATOR, 0};
    int number = 0;
    ref_t store;
    if (facet == FACET_CLASS)
        return names_find(&product_class_names, value, &number) ? (size_t)number : 0;
    if (facet == FACET_CHARGE)
        return names_find(&charge_mode_names, value, &number) ? (size_t)number : 0;
    if (facet == FACET_STORE) {
        int64_t at = ref_read(value, "sto", &store)
                         ? id_map_get(&data->store_of, (uint64_t)store.value)
                         : -1;
        return at < 0 ? 0 : (size_t)at + 1;
    }
    for (size_t i = 1; i < data->code_count[kinds[facet]]; i++)
        if (str_eq(data->codes[kinds[facet]][i].code, value))
            return i;
    return 0;
}

/* Stores count from 1 here, so that 0 is "no such code" everywhere. */
static void resolve(struct ctx *ctx, const struct index_data *data, struct plan *plan)
{
    const size_t codes[FACET_COUNT] = {data->code_count[CODE_CATEGORY],
                                       4,
                                       data->store_count + 1,
                                       data->code_count[CODE_REGION],
                                       data->code_count[CODE_ACCELERATOR],
                                       CHARGE_BITS};
    for (int f = 0; f < FACET_COUNT; f++) {
        plan->codes[f] = codes[f] ? codes[f] : 1;
        plan->counts[f] = NEW_ARRAY(ctx, uint32_t, plan->codes[f]);
        if (plan->search->value_count[f] == 0)
            continue;
        plan->allowed[f] = NEW_ARRAY(ctx, uint8_t, plan->codes[f]);
        for (int i = 0; i < plan->search->value_count[f]; i++)
            plan->allowed[f][code_of(data, f, plan->search->values[f][i])] = 1;
        plan->allowed[f][0] = 0;
    }
}

/* ---- the pass ---- */
static inline bool passes_ranges(const struct index_data *d, const struct search *s, uint32_t row)
{
    if (s->vcpus_min_milli && d->vcpus_milli[row] < s->vcpus_min_milli)
        return false;
    if (s->vcpus_max_milli && d->vcpus_milli[row] > s->vcpus_max_milli)
        return false;
    if (s->memory_min_mib && d->memory_mib[row] < s->memory_min_mib)
        return false;
    if (s->memory_max_mib && d->memory_mib[row] > s->memory_max_mib)
        return false;
    if (s->accelerator_count_min && d->accelerator_count[row] < s->accelerator_count_min)
        return false;
    if (s->price_max.e10 && (d->price_hour[row] == 0 || d->price_hour[row] > s->price_max.e10))
        return false;
    return !s->in_stock || d->stock[row] > 0;
}

static bool has_ranges(const struct search *s)
{
    return s->vcpus_min_milli || s->vcpus_max_milli || s->memory_min_mib || s->memory_max_mib ||
           s->accelerator_count_min || s->price_max.e10 || s->in_stock;
}

enum { FAILS_ALL = 0xff };

/* Which facets the rows of a group fail, as bits; FAILS_ALL when they count nowhere. */
static uint8_t judge(const struct index_data *d, const struct plan *p, const struct index_group *g)
{
    const size_t code[FACET_COUNT] = {g->category, g->class,       (size_t)g->store + 1,
                                      g->region,   g->accelerator, 0};
    unsigned fail = 0;
    if (!g->listed || !d->stores[g->store].open)
        return FAILS_ALL;
    for (int f = 0; f < FACET_CHARGE; f++)
        if (p->allowed[f] && !p->allowed[f][code[f]])
            fail |= 1u << f;
    if (p->allowed[FACET_CHARGE]) {
        bool any = false;
        for (int bit = 1; bit < CHARGE_BITS; bit++)
            any = any || (p->allowed[FACET_CHARGE][bit] && (g->charge_mask >> bit & 1));
        fail |= any ? 0 : 1u << FACET_CHARGE;
    }
    return fail & (fail - 1) ? FAILS_ALL : (uint8_t)fail;
}

static void count_in(struct plan *p, const struct index_group *g, int facet, uint32_t rows)
{
    const size_t code[FACET_COUNT] = {g->category, g->class,       (size_t)g->store + 1,
                                      g->region,   g->accelerator, 0};
    if (facet != FACET_CHARGE) {
        p->counts[facet][code[facet]] += rows;
        return;
    }
    for (unsigned mask = g->charge_mask & ((1u << CHARGE_BITS) - 1); mask; mask &= mask - 1)
        p->counts[facet][__builtin_ctz(mask)] += rows;
}

static void count_groups(const struct index_data *d, struct plan *p, const uint8_t *fails,
                         const uint32_t *rows)
{
    for (uint32_t g = 0; g < d->group_count; g++) {
        if (rows[g] == 0 || fails[g] == FAILS_ALL)
            continue;
        if (fails[g] != 0) {
            count_in(p, &d->groups[g], __builtin_ctz(fails[g]), rows[g]);
            continue;
        }
        p->total += rows[g];
        for (int f = 0; f < FACET_COUNT; f++)
            count_in(p, &d->groups[g], f, rows[g]);
    }
}

static int place_order(const struct place *a, const struct place *b)
{
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

/* Ascending keys; products without an hourly price come last. Relevance: whole words before
 * prefixes, then price. */
static inline int64_t key_of(const struct index_data *d, const struct plan *p, uint32_t row)
{
    int64_t price = d->price_hour[row] ? d->price_hour[row] : INT64_C(1) << 60;
    switch ((enum search_sort)p->search->sort) {
    case SORT_PRICE_DESC:
        return d->price_hour[row] ? -price : price;
    case SORT_NAME:
        return d->name_rank[d->name[row]];
    case SORT_LEAD:
        return d->lead_h[row];
    case SORT_PRICE:
    case SORT_RELEVANCE:
        break;
    }
    return price + p->penalty;
}

static inline void offer(const struct index_data *d, struct plan *p, uint32_t row)
{
    int64_t key = key_of(d, p, row);
    if (p->top_count == p->keep && key > p->top[p->keep - 1].key)
        return;
    struct place place = {key, d->product[row].value, row};
    if (p->top_count == p->keep && place_order(&place, &p->top[p->keep - 1]) >= 0)
        return;
    if (p->after && place_order(&place, &p->after_place) <= 0)
        return;
    int at = p->top_count < p->keep ? p->top_count++ : p->keep - 1;
    while (at > 0 && place_order(&place, &p->top[at - 1]) < 0) {
        p->top[at] = p->top[at - 1];
        at--;
    }
    p->top[at] = place;
}

struct pass {
    uint8_t *fails; /* by group */
    uint32_t *rows; /* hits of everything but facets, by group */
    bool ranges;
    bool whole; /* no filter but facets: the groups know their counts */
};

static void visit_rows(const struct index_data *d, struct plan *p, const struct pass *pass,
                       const uint32_t *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t row = rows ? rows[i] : (uint32_t)i, group = d->group[row];
        if (pass->fails[group] == FAILS_ALL)
            continue;
        if (pass->ranges && !passes_ranges(d, p->search, row))
            continue;
        if (!pass->whole)
            pass->rows[group]++;
        if (pass->fails[group] == 0)
            offer(d, p, row);
    }
}

static void visit_bitmap(struct ctx *ctx, const struct index_data *d, struct plan *p,
                         const struct pass *pass, const roaring_bitmap_t *bitmap)
{
    uint64_t count = roaring_bitmap_get_cardinality(bitmap);
    uint32_t *rows = NEW_ARRAY(ctx, uint32_t, count + 1);
    roaring_bitmap_to_uint32_array(bitmap, rows);
    visit_rows(d, p, pass, rows, count);
}

static void visit_text(struct ctx *ctx, const struct index_data *d, struct plan *p,
                       const struct pass *pass)
{
    if (!p->exact || p->search->sort != SORT_RELEVANCE) {
        visit_bitmap(ctx, d, p, pass, p->rows);
        return;
    }
    roaring_bitmap_t *rest = roaring_bitmap_andnot(p->rows, p->exact);
    visit_bitmap(ctx, d, p, pass, p->exact);
    p->penalty = INT64_C(1) << 61;
    visit_bitmap(ctx, d, p, pass, rest);
    roaring_bitmap_free(rest);
}

static void run(struct ctx *ctx, const struct index_data *data, struct plan *plan)
{
    struct pass pass = {.fails = NEW_ARRAY(ctx, uint8_t, data->group_count + 1),
                        .rows = NEW_ARRAY(ctx, uint32_t, data->group_count + 1),
                        .ranges = has_ranges(plan->search)};
    pass.whole = !pass.ranges && !plan->rows;
    for (uint32_t g = 0; g < data->group_count; g++) {
        pass.fails[g] = judge(data, plan, &data->groups[g]);
        pass.rows[g] = pass.whole ? data->groups[g].rows : 0;
    }
    plan->after = plan->search->after;
    plan->after_place = (struct place){plan->search->after_key, plan->search->after_id.value, 0};
    if (plan->after) { /* ranks of names move when names come: go on from where the product stands
                          now */
        int64_t row = id_map_get(&data->row_of, (uint64_t)plan->search->after_id.value);
        if (row >= 0 && plan->search->sort == SORT_NAME)
            plan->after_place.key = key_of(data, plan, (uint32_t)row);
    }
    if (plan->rows)
        visit_text(ctx, data, plan, &pass);
    else
        visit_rows(data, plan, &pass, NULL, data->count);
    count_groups(data, plan, pass.fails, pass.rows);
}

/* ---- answers ---- */
static str_t label_of(const struct index_data *data, int facet, size_t code, str_t *out_zh,
                      str_t *out_en)
{
    static const char *const class_zh[] = {"", "基础设施", "平台", "软件"};
    static const char *const class_en[] = {"", "Infrastructure", "Platform", "Software"};
    static const char *const charge_zh[] = {"", "按量付费", "包周期", "竞价", "一次性", "试用"};
    static const char *const charge_en[] = {"",     "On demand", "Reserved",
                                            "Spot", "One-off",   "Trial"};
    static const int kinds[FACET_COUNT] = {CODE_CATEGORY, 0, 0, CODE_REGION, CODE_ACCELERATOR, 0};
    if (facet == FACET_CLASS) {
        *out_zh = str_of(class_zh[code]);
        *out_en = str_of(class_en[code]);
        return str_of(names_of(&product_class_names, (int)code));
    }
    if (facet == FACET_CHARGE) {
        *out_zh = str_of(charge_zh[code]);
        *out_en = str_of(charge_en[code]);
        return str_of(names_of(&charge_mode_names, (int)code));
    }
    const struct index_code *row = &data->codes[kinds[facet]][code];
    *out_zh = row->name_zh;
    *out_en = row->name_en;
    return row->code;
}

static int by_count(const void *a, const void *b)
{
    const struct facet_value *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return str_cmp(x->value, y->value);
}

static void give_facets(struct ctx *ctx, const struct index_data *data, const struct plan *plan,
                        struct search_result *out)
{
    for (int f = 0; f < FACET_COUNT; f++) {
        struct facet_value *values = NEW_ARRAY(ctx, struct facet_value, plan->codes[f] + 1);
        size_t count = 0;
        for (size_t code = 1; code < plan->codes[f]; code++) {
            if (plan->counts[f][code] == 0)
                continue;
            struct facet_value *value = &values[count++];
            str_t zh, en, text;
            if (f == FACET_STORE) {
                text = ref_text(ctx->arena, "sto", data->stores[code - 1].id);
                zh = en = data->stores[code - 1].name;
            } else {
                text = label_of(data, f, code, &zh, &en);
            }
            *value = (struct facet_value){str_dup(ctx->arena, text), str_dup(ctx->arena, zh),
                                          str_dup(ctx->arena, en), plan->counts[f][code]};
        }
        qsort(values, count, sizeof(*values), by_count);
        out->facets[f] = values;
        out->facet_count[f] = count;
    }
}

static void give_hit(struct ctx *ctx, const struct index_data *d, uint32_t row,
                     struct search_hit *out)
{
    static const struct index_code none = {0};
    const struct index_code *region = d->region[row] < d->code_count[CODE_REGION]
                                          ? &d->codes[CODE_REGION][d->region[row]]
                                          : &none;
    const struct index_code *category = d->category[row] < d->code_count[CODE_CATEGORY]
                                            ? &d->codes[CODE_CATEGORY][d->category[row]]
                                            : &none;
    const struct index_code *source = d->source[row] < d->code_count[CODE_SOURCE]
                                          ? &d->codes[CODE_SOURCE][d->source[row]]
                                          : &none;
    const struct index_store *store = &d->stores[d->store[row]];
    struct arena *arena = ctx->arena;
    str_t rest = source->code, provider = {0};
    (void)str_next(&rest, '/', &provider);
    *out = (struct search_hit){
        .product_id = d->product[row],
        .store_id = store->id,
        .name = str_dup(arena, d->texts.texts[d->name[row]]),
        .category = str_dup(arena, category->code),
        .class = str_of(names_of(&product_class_names, d->class[row])),
        .store_name = str_dup(arena, store->name),
        .region_code = str_dup(arena, region->code),
        .region_name = str_dup(arena, region->name_zh),
        .specs = str_dup(arena, d->spec_texts.texts[d->specs[row]]),
        .price_from = {d->price_from[row]},
        .price_hour = {d->price_hour[row]},
        .price_unit = d->price_unit[row],
        .charge_mode = d->charge_mode[row],
        .lead_h = d->lead_h[row],
        .sla_bp = d->sla_bp[row],
        .stock_available = d->stock[row],
        .source_provider = str_dup(arena, provider),
        .source_region = str_dup(arena, rest),
        .source_type = str_dup(arena, d->texts.texts[d->source_type[row]]),
    };
}

static void give(struct ctx *ctx, const struct index_data *data, const struct plan *plan,
                 struct search_result *out)
{
    out->count = plan->top_count < plan->search->limit ? plan->top_count : plan->search->limit;
    out->more = plan->top_count > out->count;
    out->total = plan->total;
    for (int i = 0; i < out->count; i++)
        give_hit(ctx, data, plan->top[i].row, &out->hits[i]);
    if (out->count) {
        out->last_key = plan->top[out->count - 1].key;
        out->last_id = (ref_t){plan->top[out->count - 1].id};
    }
    give_facets(ctx, data, plan, out);
}

err_t catalog_search(struct ctx *ctx, const struct search *search, struct search_result *out)
{
    struct catalog_index *index = ctx->platform->catalog;
    struct plan *plan = NEW(ctx, struct plan);
    plan->search = search;
    plan->keep = search->limit + 1;
    TRY(catalog_index_refresh(ctx, false));
    str_t key = cache_key(ctx, search);
    pthread_rwlock_rdlock(&index->lock);
    const struct index_data *data = index->data;
    int64_t generation = generation_of(index, search);
    resolve(ctx, data, plan);
    if (!cache_find(index, plan, key, generation)) {
        plan->rows = postings_find(&data->postings, search->text, &plan->exact);
        run(ctx, data, plan);
        if (plan->rows)
            roaring_bitmap_free(plan->rows);
        if (plan->exact)
            roaring_bitmap_free(plan->exact);
        cache_store(index, plan, key, generation);
    }
    give(ctx, data, plan, out);
    pthread_rwlock_unlock(&index->lock);
    return OK;
}

err_t catalog_summary(struct ctx *ctx, ref_t product, struct search_hit *out, bool *out_found)
{
    struct catalog_index *index = ctx->platform->catalog;
    TRY(catalog_index_refresh(ctx, false));
    pthread_rwlock_rdlock(&index->lock);
    int64_t row = id_map_get(&index->data->row_of, (uint64_t)product.value);
    *out_found = row >= 0;
    if (row >= 0)
        give_hit(ctx, index->data, (uint32_t)row, out);
    pthread_rwlock_unlock(&index->lock);
    return OK;
}

err_t catalog_count_stores(struct ctx *ctx, struct store_count **out, size_t *out_count)
{
    struct catalog_index *index = ctx->platform->catalog;
    TRY(catalog_index_refresh(ctx, false));
    pthread_rwlock_rdlock(&index->lock);
    const struct index_data *data = index->data;
    *out = NEW_ARRAY(ctx, struct store_count, data->store_count + 1);
    *out_count = data->store_count;
    for (size_t i = 0; i < data->store_count; i++)
        (*out)[i].store_id = data->stores[i].id;
    for (uint32_t row = 0; row < data->count; row++)
        (*out)[data->store[row]].products += data->listed[row];
    pthread_rwlock_unlock(&index->lock);
    return OK;
}

err_t catalog_count_category(struct ctx *ctx, str_t category, int64_t *out)
{
    struct search *search = NEW(ctx, struct search);
    struct search_result *result = NEW(ctx, struct search_result);
    search->values[FACET_CATEGORY][0] = category;
    search->value_count[FACET_CATEGORY] = 1;
    search->limit = 1;
    TRY(catalog_search(ctx, search, result));
    *out = result->total;
    return OK;
}
