/* SPDX-License-Identifier: Apache-2.0 */
/* Postings of all rows at once, when the index is built. Rows are grouped by each thing they are
 * found by (name, source type, store, codes); a word is read once for a group, and each word's rows
 * become one bitmap. */
#include <stdlib.h>
#include <string.h>

#include "index_internal.h"

/* The rows of one group that hold a word. */
struct span {
    uint32_t token, count;
    const uint32_t *rows;
};
enum { KINDS = 7 };
struct posting_build {
    struct index_data *data;
    struct span *spans;
    size_t count, slots;
    uint32_t *row_lists[KINDS];
    const uint32_t *rows; /* of the group in hand */
    uint32_t row_count;
};

static void *must(void *memory)
{
    if (!memory)
        log_die("out of memory in the catalogue index");
    return memory;
}

static void add_span(void *state, uint32_t token)
{
    struct posting_build *build = state;
    if (build->count == build->slots) {
        build->slots = build->slots ? build->slots * 2 : 65536;
        build->spans = must(realloc(build->spans, build->slots * sizeof(*build->spans)));
    }
    build->spans[build->count++] = (struct span){token, build->row_count, build->rows};
}

static uint32_t number_of(const struct index_data *data, int kind, uint32_t row)
{
    switch (kind) {
    case 0:
        return data->name[row];
    case 1:
        return data->source_type[row];
    case 2:
        return data->store[row];
    case 3:
        return data->category[row];
    case 4:
        return data->region[row];
    case 5:
        return data->accelerator[row];
    default:
        return data->source[row];
    }
}

static size_t groups_of(const struct index_data *data, int kind)
{
    size_t count = kind < 2    ? data->texts.count
                   : kind == 2 ? data->store_count
                               : data->code_count[kind - 2];
    return count ? count : 1;
}

static str_t words_of(const struct index_data *data, int kind, size_t group, char *space,
                      size_t size)
{
    if (kind < 2)
        return data->texts.texts[group];
    if (kind == 2)
        return group < data->store_count ? data->stores[group].name : STR("");
    return index_code_words(data, kind - 2, group, space, size);
}

/* A counting sort of the rows by group, then the words of each group. */
static void collect(struct posting_build *build, int kind)
{
    struct index_data *data = build->data;
    size_t groups = groups_of(data, kind);
    uint32_t *start = must(calloc(groups + 2, sizeof(*start)));
    uint32_t *rows = must(malloc((data->count + 1) * sizeof(*rows)));
    char space[512];
    for (uint32_t row = 0; row < data->count; row++)
        start[number_of(data, kind, row) + 2]++;
    for (size_t i = 2; i < groups + 2; i++)
        start[i] += start[i - 1];
    for (uint32_t row = 0; row < data->count; row++)
        rows[start[number_of(data, kind, row) + 1]++] = row;
    for (size_t group = 0; group < groups; group++) {
        build->row_count = start[group + 1] - start[group];
        build->rows = rows + start[group];
        if (build->row_count)
            postings_each_token(&data->postings, words_of(data, kind, group, space, sizeof(space)),
                                add_span, build);
    }
    build->row_lists[kind] = rows;
    free(start);
}

static int by_token(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    return (x->token > y->token) - (x->token < y->token);
}

/* Rows of several spans, in order and once each: through a plain bit set. */
static uint32_t merge(const struct span *spans, size_t count, uint64_t *bits, size_t words,
                      uint32_t *out)
{
    uint32_t total = 0;
    memset(bits, 0, words * sizeof(*bits));
    for (size_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < spans[i].count; k++)
            bits[spans[i].rows[k] >> 6] |= UINT64_C(1) << (spans[i].rows[k] & 63);
    for (size_t w = 0; w < words; w++)
        for (uint64_t word = bits[w]; word; word &= word - 1)
            out[total++] = (uint32_t)(w * 64 + (size_t)__builtin_ctzll(word));
    return total;
}

void index_post_all(struct index_data *data)
{
    struct posting_build build = {.data = data};
    size_t words = data->count / 64 + 1;
    uint64_t *bits = must(malloc(words * sizeof(*bits)));
    uint32_t *rows = must(malloc((data->count + 1) * sizeof(*rows)));
    for (int kind = 0; kind < KINDS; kind++)
        collect(&build, kind);
    if (build.count)
        qsort(build.spans, build.count, sizeof(*build.spans), by_token);
    for (size_t i = 0, end; i < build.count; i = end) {
        for (end = i + 1; end < build.count && build.spans[end].token == build.spans[i].token;)
            end++;
        const uint32_t *found = build.spans[i].rows;
        uint32_t count = build.spans[i].count;
        if (end - i > 1) {
            count = merge(build.spans + i, end - i, bits, words, rows);
            found = rows;
        }
        roaring_bitmap_t *bitmap = roaring_bitmap_of_ptr(count, found);
        roaring_bitmap_run_optimize(bitmap);
        postings_put(&data->postings, build.spans[i].token, bitmap);
    }
    for (int kind = 0; kind < KINDS; kind++)
        free(build.row_lists[kind]);
    free(build.spans);
    free(bits);
    free(rows);
}
