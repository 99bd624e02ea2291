/* SPDX-License-Identifier: Apache-2.0 */
/* The index in memory: typed columns by row (a row is a product), interned names, dictionaries,
 * postings. Plain memory owned by struct index_data; a rebuild makes a new one and swaps it in
 * under the lock. */
#ifndef SUANHE_CATALOG_INDEX_INTERNAL_H
#define SUANHE_CATALOG_INDEX_INTERNAL_H

#include <pthread.h>
#include <roaring/roaring.h>
#include <stdatomic.h>

#include "catalog_internal.h"

/* 64-bit key to 32-bit value, open addressing; key 0 is free. */
struct id_map {
    uint64_t *keys;
    uint32_t *values;
    size_t count, slots;
};
enum { ID_MAP_NONE = -1 };
int64_t id_map_get(const struct id_map *map, uint64_t key);
void id_map_put(struct id_map *map, uint64_t key, uint32_t value);
void id_map_free(struct id_map *map);

/* Texts kept once each, numbered from 0. */
struct intern {
    struct id_map by_hash; /* hash of the text, moved on by one while another text holds it */
    str_t *texts;
    uint32_t count, slots;
    char *block;
    size_t block_used, block_size;
    char **blocks;
    size_t block_count;
};
uint32_t intern_put(struct intern *pool, str_t text);
int64_t intern_find(const struct intern *pool, str_t text);
void intern_free(struct intern *pool);

struct index_code {
    str_t code, name_zh, name_en;
    int32_t class;
};
struct index_store {
    ref_t id;
    str_t name;
    bool open;
};

/* Postings: token number (in `tokens`) to the rows that hold it. */
struct postings {
    struct intern tokens;
    roaring_bitmap_t **rows;
    uint32_t row_slots;
    uint32_t *sorted; /* token numbers by text; the last `tail` numbers are not in it yet */
    uint32_t sorted_count;
};
void postings_add_row(struct postings *p, str_t text, uint32_t row);
void postings_remove_row(struct postings *p, str_t text, uint32_t row);
/* Building all at once: the token of each word of a text, then the rows of each token (taken over).
 */
void postings_each_token(struct postings *p, str_t text, void (*fn)(void *state, uint32_t token),
                         void *state);
void postings_put(struct postings *p, uint32_t token, roaring_bitmap_t *rows);
void postings_settle(struct postings *p); /* brings the sorted list up to date */
void postings_free(struct postings *p);
/* Rows that hold every word of the query (Latin words by prefix); NULL when the query holds no
 * word. exact: those where the Latin words stand whole, NULL when there are none in the query. Both
 * are the caller's to free. */
roaring_bitmap_t *postings_find(const struct postings *p, str_t query,
                                roaring_bitmap_t **out_exact);

/* Rows alike in all facets: a facet filter is judged once for a group, a count of a group counts in
 * every facet. */
struct index_group {
    uint8_t listed, category, class, charge_mask;
    uint16_t store, region, accelerator;
    uint32_t rows;
};

enum { CODES_MAX = 65536, CHARGE_BITS = 6 };
struct index_data {
    size_t count, slots;
    ref_t *product, *specs_id;
    uint8_t *listed, *category, *class, *charge_mask, *charge_mode, *price_unit;
    uint16_t *store, *region, *accelerator, *source, *lead_h, *sla_bp;
    uint32_t *name, *source_type, *specs, *vcpus_milli, *memory_mib, *accelerator_count, *group;
    int32_t *stock;
    int64_t *price_hour, *price_from;
    struct id_map row_of; /* product key to row */
    struct index_group *groups;
    uint32_t group_count, group_slots;
    struct id_map group_of;
    struct intern texts; /* names and source types */
    uint32_t *name_rank; /* by text number */
    uint32_t ranked;
    struct intern spec_texts;
    struct id_map specs_of;      /* specs key to text number */
    struct index_code *codes[5]; /* by kind and number */
    size_t code_count[5];
    struct intern labels; /* what codes and stores point to */
    struct index_store *stores;
    size_t store_count, store_slots;
    struct id_map store_of;
    struct postings postings;
    int64_t last_row; /* while loading: the row of the last SKU */
    int64_t cursor;   /* last change taken in */
    int64_t *seen;    /* PostgreSQL: changes taken in that a late commit may still precede */
    size_t seen_count;
};

struct cache_entry;
struct catalog_index {
    pthread_rwlock_t lock;      /* guards data */
    pthread_mutex_t refreshing; /* one refresh at a time */
    struct index_data *data;
    _Atomic int64_t poked_us, refreshed_us, stores_us;
    _Atomic int64_t content_generation, stock_generation;
    pthread_mutex_t cache_lock;
    struct cache_entry **cache;
};

err_t index_load(struct ctx *ctx, struct index_data **out);
void index_data_free(struct index_data *data);
/* Takes one product's row in; the caller holds the write lock. The dictionaries know its codes,
 * stores and specs. */
void index_put_row(struct index_data *data, const struct catalog_entry *entry, int32_t stock,
                   bool bulk);
err_t index_load_codes(struct ctx *ctx, struct catalog_code **out, size_t *out_count);
void index_take_codes(struct index_data *data, const struct catalog_code *codes, size_t count);
void index_take_store(struct index_data *data, const struct store *store);
void index_take_specs(struct index_data *data, ref_t id, str_t specs);
void index_post_all(struct index_data *data);
void index_rank_names(struct index_data *data);
/* The words a product is found by, but for its name. */
str_t index_code_words(const struct index_data *data, int kind, size_t number, char *space,
                       size_t size);

struct entry_row {
    ref_t product_id;
    str_t codes, name, source_type;
};
extern const struct shape entry_row_shape;
struct id_text {
    ref_t id;
    str_t specs;
};
extern const struct shape id_text_shape;
struct stock_row {
    ref_t product_id;
    int64_t sellable;
};
extern const struct shape stock_row_shape;

void cache_free(struct catalog_index *index);

#endif
