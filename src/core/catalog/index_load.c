/* SPDX-License-Identifier: Apache-2.0 */
/* Building the index from the narrow tables: dictionaries, stores, packed entries, stock. No
 * document is parsed. */
#include <stdlib.h>
#include <string.h>

#include "index_internal.h"

static const struct field entry_row_fields[] = {
    FIELD_REF(struct entry_row, product_id, "prd", 0),
    FIELD_BYTES(struct entry_row, codes, 0, 256, 0),
    FIELD(struct entry_row, name, 0, 200, 0),
    FIELD(struct entry_row, source_type, 0, 200, 0),
};
const struct shape entry_row_shape = SHAPE(struct entry_row, entry_row_fields);
static const struct field id_text_fields[] = {
    FIELD_REF(struct id_text, id, "prd", 0),
    FIELD_JSON(struct id_text, specs, 65536, 0),
};
const struct shape id_text_shape = SHAPE(struct id_text, id_text_fields);
static const struct field stock_row_fields[] = {
    FIELD_REF(struct stock_row, product_id, "prd", 0),
    FIELD(struct stock_row, sellable, 0, INT64_MAX, 0),
};
const struct shape stock_row_shape = SHAPE(struct stock_row, stock_row_fields);

/* ---- rows ---- */
static void *grow(void *old, size_t slots, size_t size)
{
    void *memory = realloc(old, slots * size);
    if (!memory)
        log_die("out of memory in the catalogue index");
    return memory;
}

#define GROW(column) data->column = grow(data->column, data->slots, sizeof(*data->column))

static uint32_t add_row(struct index_data *data)
{
    if (data->count == data->slots) {
        data->slots = data->slots ? data->slots * 2 : 4096;
        GROW(product), GROW(specs_id), GROW(listed), GROW(category), GROW(class);
        GROW(charge_mask), GROW(charge_mode), GROW(price_unit), GROW(store), GROW(region);
        GROW(accelerator), GROW(source), GROW(lead_h), GROW(sla_bp), GROW(name), GROW(source_type);
        GROW(specs), GROW(vcpus_milli), GROW(memory_mib), GROW(accelerator_count), GROW(stock);
        GROW(price_hour), GROW(price_from), GROW(group);
    }
    return (uint32_t)data->count++;
}

static uint32_t find_group(struct index_data *data, uint32_t row)
{
    uint64_t key = (uint64_t)1 << 63 | (uint64_t)data->listed[row] << 62 |
                   (uint64_t)data->charge_mask[row] << 54 | (uint64_t)data->category[row] << 46 |
                   (uint64_t)data->store[row] << 30 | (uint64_t)data->region[row] << 15 |
                   data->accelerator[row];
    int64_t known = id_map_get(&data->group_of, key);
    if (known >= 0)
        return (uint32_t)known;
    if (data->group_count == data->group_slots) {
        data->group_slots = data->group_slots ? data->group_slots * 2 : 256;
        data->groups = grow(data->groups, data->group_slots, sizeof(*data->groups));
    }
    data->groups[data->group_count] = (struct index_group){.listed = data->listed[row],
                                                           .category = data->category[row],
                                                           .class = data->class[row],
                                                           .charge_mask = data->charge_mask[row],
                                                           .store = data->store[row],
                                                           .region = data->region[row],
                                                           .accelerator = data->accelerator[row]};
    id_map_put(&data->group_of, key, data->group_count);
    return data->group_count++;
}

static uint32_t cap32(int64_t value)
{
    return value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static void each_code_words(struct index_data *data, uint32_t row,
                            void (*fn)(struct postings *p, str_t text, uint32_t row))
{
    const uint16_t numbers[5] = {0, data->category[row], data->region[row], data->accelerator[row],
                                 data->source[row]};
    char space[512];
    for (int kind = CODE_CATEGORY; kind <= CODE_SOURCE; kind++)
        fn(&data->postings, index_code_words(data, kind, numbers[kind], space, sizeof(space)), row);
    fn(&data->postings, data->stores[data->store[row]].name, row);
    fn(&data->postings, data->texts.texts[data->name[row]], row);
    fn(&data->postings, data->texts.texts[data->source_type[row]], row);
}

/* A number the dictionary does not know (yet), or beyond what the group's key holds, reads as none.
 */
static uint16_t known_code(const struct index_data *data, int kind, int32_t number)
{
    return (uint16_t)((size_t)number < data->code_count[kind] && number < 32768 ? number : 0);
}

/* Neighbours often carry the same text: compared before it is looked up. */
static uint32_t keep_text(struct index_data *data, str_t text, uint32_t guess)
{
    if (guess < data->texts.count && str_eq(data->texts.texts[guess], text))
        return guess;
    return intern_put(&data->texts, text);
}

/* bulk: the words of all rows are posted at the end, by dictionary code, which is much cheaper. */
void index_put_row(struct index_data *data, const struct catalog_entry *entry, int32_t stock,
                   bool bulk)
{
    int64_t known = id_map_get(&data->row_of, (uint64_t)entry->product_id.value);
    int64_t store = id_map_get(&data->store_of, (uint64_t)entry->store_id.value);
    if (store < 0)
        return;
    uint32_t row = known >= 0 ? (uint32_t)known : add_row(data);
    if (known >= 0 && !bulk)
        each_code_words(data, row, postings_remove_row);
    if (known >= 0)
        data->groups[data->group[row]].rows--;
    data->product[row] = entry->product_id;
    data->specs_id[row] = entry->specs_id;
    data->listed[row] = (uint8_t)entry->listed;
    data->category[row] = (uint8_t)known_code(data, CODE_CATEGORY, entry->category);
    data->class[row] =
        (uint8_t)(data->category[row] ? data->codes[CODE_CATEGORY][data->category[row]].class : 0);
    data->charge_mask[row] = (uint8_t)entry->charge_mask;
    data->charge_mode[row] = (uint8_t)entry->charge_mode;
    data->price_unit[row] = (uint8_t)entry->price_unit;
    data->store[row] = (uint16_t)store;
    data->region[row] = known_code(data, CODE_REGION, entry->region);
    data->accelerator[row] = known_code(data, CODE_ACCELERATOR, entry->accelerator);
    data->source[row] = known_code(data, CODE_SOURCE, entry->source);
    data->lead_h[row] = (uint16_t)entry->lead_h;
    data->sla_bp[row] = (uint16_t)entry->sla_bp;
    data->name[row] = keep_text(data, entry->name, row ? data->name[row - 1] : 0);
    data->source_type[row] =
        keep_text(data, entry->source_type, row ? data->source_type[row - 1] : 0);
    int64_t specs = id_map_get(&data->specs_of, (uint64_t)entry->specs_id.value);
    data->specs[row] = specs < 0 ? 0 : (uint32_t)specs;
    data->vcpus_milli[row] = cap32(entry->vcpus_milli);
    data->memory_mib[row] = cap32(entry->memory_mib);
    data->accelerator_count[row] = cap32(entry->accelerator_count);
    data->price_hour[row] = entry->price_hour.e10;
    data->price_from[row] = entry->price_from.e10;
    data->stock[row] = stock;
    data->group[row] = find_group(data, row);
    data->groups[data->group[row]].rows++;
    if (known < 0)
        id_map_put(&data->row_of, (uint64_t)entry->product_id.value, row);
    if (!bulk)
        each_code_words(data, row, postings_add_row);
}

/* ---- dictionaries ---- */
static str_t label(struct index_data *data, str_t text)
{
    uint32_t at = intern_put(&data->labels, text); /* may move the texts */
    return data->labels.texts[at];
}

void index_take_codes(struct index_data *data, const struct catalog_code *codes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int kind = codes[i].kind;
        size_t number = (size_t)codes[i].number;
        if (number >= data->code_count[kind]) {
            data->codes[kind] = grow(data->codes[kind], number + 1, sizeof(struct index_code));
            memset(data->codes[kind] + data->code_count[kind], 0,
                   (number + 1 - data->code_count[kind]) * sizeof(struct index_code));
            data->code_count[kind] = number + 1;
        }
        data->codes[kind][number] =
            (struct index_code){label(data, codes[i].code), label(data, codes[i].name_zh),
                                label(data, codes[i].name_en), codes[i].class};
    }
}

str_t index_code_words(const struct index_data *data, int kind, size_t number, char *space,
                       size_t size)
{
    if (number == 0 || number >= data->code_count[kind])
        return STR("");
    const struct index_code *code = &data->codes[kind][number];
    int len = snprintf(space, size, STR_FMT " " STR_FMT " " STR_FMT, STR_ARG(code->code),
                       STR_ARG(code->name_zh), STR_ARG(code->name_en));
    return str_from(space, len < 0 ? 0 : (size_t)len < size ? (size_t)len : size - 1);
}

void index_take_store(struct index_data *data, const struct store *store)
{
    int64_t known = id_map_get(&data->store_of, (uint64_t)store->m.id.value);
    if (known < 0) {
        if (data->store_count == CODES_MAX)
            return;
        if (data->store_count == data->store_slots) {
            data->store_slots = data->store_slots ? data->store_slots * 2 : 64;
            data->stores = grow(data->stores, data->store_slots, sizeof(*data->stores));
        }
        known = (int64_t)data->store_count++;
        id_map_put(&data->store_of, (uint64_t)store->m.id.value, (uint32_t)known);
        data->stores[known] = (struct index_store){store->m.id, label(data, store->name), false};
    }
    data->stores[known].open = store->m.state == STORE_OPEN;
}

void index_take_specs(struct index_data *data, ref_t id, str_t specs)
{
    if (id_map_get(&data->specs_of, (uint64_t)id.value) < 0)
        id_map_put(&data->specs_of, (uint64_t)id.value, intern_put(&data->spec_texts, specs));
}

/* ---- names in order ---- */
static int by_name(const void *a, const void *b, void *texts)
{
    const str_t *text = texts;
    return str_cmp(text[*(const uint32_t *)a], text[*(const uint32_t *)b]);
}

void index_rank_names(struct index_data *data)
{
    uint32_t count = data->texts.count;
    if (data->ranked == count)
        return;
    uint32_t *order = grow(NULL, count, sizeof(*order));
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    qsort_r(order, count, sizeof(*order), by_name, data->texts.texts);
    data->name_rank = grow(data->name_rank, count, sizeof(*data->name_rank));
    for (uint32_t i = 0; i < count; i++)
        data->name_rank[order[i]] = i;
    data->ranked = count;
    free(order);
}

/* ---- from the database ---- */
err_t index_load_codes(struct ctx *ctx, struct catalog_code **out, size_t *out_count)
{
    struct catalog_code *part;
    size_t count, total = 0;
    struct catalog_code *all = NULL;
    for (int kind = CODE_CATEGORY; kind <= CODE_SOURCE; kind++) {
        TRY(catalog_codes(ctx, kind, &part, &count));
        struct catalog_code *more = NEW_ARRAY(ctx, struct catalog_code, total + count + 1);
        if (total)
            memcpy(more, all, total * sizeof(*all));
        if (count)
            memcpy(more + total, part, count * sizeof(*part));
        all = more;
        total += count;
    }
    *out = all;
    *out_count = total;
    return OK;
}

static err_t take_specs_row(struct ctx *ctx, const void *row, void *arg)
{
    const struct id_text *specs = row;
    (void)ctx;
    index_take_specs(arg, specs->id, specs->specs);
    return OK;
}

static err_t take_entry_row(struct ctx *ctx, const void *row, void *arg)
{
    const struct entry_row *in = row;
    struct catalog_entry entry = {
        .product_id = in->product_id, .name = in->name, .source_type = in->source_type};
    if (!entry_unpack(in->codes, &entry))
        return refuse(ctx, ERR_INTERNAL, "entry_damaged", "entry %" PRId64, in->product_id.value);
    index_put_row(arg, &entry, 0, true);
    return OK;
}

static err_t take_stock_row(struct ctx *ctx, const void *row, void *arg)
{
    const struct stock_row *in = row;
    struct index_data *data = arg;
    (void)ctx;
    /* SKUs of a product mostly follow each other. */
    int64_t at = data->last_row;
    while ((size_t)at < data->count && at <= data->last_row + 1 &&
           !ref_is(data->product[at], in->product_id))
        at++;
    if ((size_t)at >= data->count || !ref_is(data->product[at], in->product_id))
        at = id_map_get(&data->row_of, (uint64_t)in->product_id.value);
    data->last_row = at < 0 ? 0 : at;
    if (at >= 0 && in->sellable > data->stock[at])
        data->stock[at] = (int32_t)in->sellable;
    return OK;
}

static err_t load_stores(struct ctx *ctx, struct index_data *data)
{
    struct store *stores;
    size_t count;
    ref_t before = REF_NONE;
    do {
        TRY(store_list(ctx, 0, before, 200, &stores, &count));
        for (size_t i = 0; i < count; i++) {
            index_take_store(data, &stores[i]);
            before = stores[i].m.id;
        }
    } while (count == 200);
    return OK;
}

static err_t load_into(struct ctx *ctx, struct index_data *data)
{
    struct catalog_code *codes;
    size_t count;
    TRY(db_int(ctx, "SELECT MAX(id) FROM catalog_change", NO_ARGS, &data->cursor));
    TRY(index_load_codes(ctx, &codes, &count));
    index_take_codes(data, codes, count);
    TRY(load_stores(ctx, data));
    (void)intern_put(&data->spec_texts, STR("[]"));
    TRY(db_each(ctx, "SELECT id, specs FROM catalog_specs", NO_ARGS, &id_text_shape, take_specs_row,
                data));
    TRY(db_each(ctx,
                "SELECT product_id, codes, name, source_type FROM catalog_entry"
                " ORDER BY product_id",
                NO_ARGS, &entry_row_shape, take_entry_row, data));
    TRY(db_each(ctx,
                "SELECT product_id, available - held AS sellable FROM catalog_stock"
                " WHERE available > held",
                NO_ARGS, &stock_row_shape, take_stock_row, data));
    index_post_all(data);
    postings_settle(&data->postings);
    index_rank_names(data);
    return OK;
}

err_t index_load(struct ctx *ctx, struct index_data **out)
{
    struct index_data *data = calloc(1, sizeof(*data));
    if (!data)
        log_die("out of memory in the catalogue index");
    err_t err = load_into(ctx, data);
    if (err != OK) {
        index_data_free(data);
        return err;
    }
    *out = data;
    return OK;
}

void index_data_free(struct index_data *data)
{
    if (!data)
        return;
    void *columns[] = {
        data->product,  data->specs_id,    data->listed,      data->category,
        data->class,    data->charge_mask, data->charge_mode, data->price_unit,
        data->store,    data->region,      data->accelerator, data->source,
        data->lead_h,   data->sla_bp,      data->name,        data->source_type,
        data->specs,    data->vcpus_milli, data->memory_mib,  data->accelerator_count,
        data->stock,    data->price_hour,  data->price_from,  data->group,
        data->groups,   data->name_rank,   data->stores,      data->seen,
        data->codes[1], data->codes[2],    data->codes[3],    data->codes[4]};
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
        free(columns[i]);
    id_map_free(&data->row_of);
    id_map_free(&data->group_of);
    id_map_free(&data->specs_of);
    id_map_free(&data->store_of);
    intern_free(&data->texts);
    intern_free(&data->spec_texts);
    intern_free(&data->labels);
    postings_free(&data->postings);
    free(data);
}
