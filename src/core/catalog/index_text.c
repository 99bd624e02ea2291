/* SPDX-License-Identifier: Apache-2.0 */
/* Words: Latin letters and digits in lower case, whole and in their parts (c5.12xlarge, c5,
 * 12xlarge), found by prefix; Chinese as single characters and pairs, so that one- and
 * two-character queries are found. */
#include <stdlib.h>
#include <string.h>

#include "index_internal.h"

enum { WORD_MAX = 64 };

struct words {
    const char *at, *end;
};
enum word_kind { WORD_NONE, WORD_LATIN, WORD_HAN };

static bool is_latin(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_joint(unsigned char c)
{
    return c == '.' || c == '-' || c == '_' || c == '+';
}

/* The next run of one kind. */
static enum word_kind next_run(struct words *words, str_t *out)
{
    while (words->at < words->end) {
        const char *start = words->at;
        unsigned char c = (unsigned char)*start;
        if (is_latin(c)) {
            while (words->at < words->end &&
                   (is_latin((unsigned char)*words->at) ||
                    (is_joint((unsigned char)*words->at) && words->at + 1 < words->end &&
                     is_latin((unsigned char)words->at[1]))))
                words->at++;
            *out = str_from(start, (size_t)(words->at - start));
            return WORD_LATIN;
        }
        if (c >= 0xE3 && c <= 0xE9) {
            while (words->at + 2 < words->end && (unsigned char)*words->at >= 0xE3 &&
                   (unsigned char)*words->at <= 0xE9)
                words->at += 3;
            if (words->at > start) {
                *out = str_from(start, (size_t)(words->at - start));
                /* U+3000 to U+303F are marks, not characters. */
                if (!(c == 0xE3 && (unsigned char)start[1] == 0x80))
                    return WORD_HAN;
                words->at = start + 3;
                continue;
            }
        }
        words->at++;
    }
    return WORD_NONE;
}

static str_t lower(str_t text, char space[WORD_MAX])
{
    size_t len = text.len < WORD_MAX ? text.len : WORD_MAX;
    for (size_t i = 0; i < len; i++) {
        char c = text.data[i];
        space[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    return str_from(space, len);
}

typedef void (*word_fn)(void *state, str_t word);

static void each_part(str_t run, word_fn fn, void *state)
{
    size_t start = 0;
    bool parts = false;
    for (size_t i = 0; i <= run.len; i++) {
        bool joint = i < run.len && is_joint((unsigned char)run.data[i]);
        parts = parts || joint;
        if ((joint || (i == run.len && parts)) && i > start)
            fn(state, str_from(run.data + start, i - start));
        if (joint)
            start = i + 1;
    }
}

static void each_word(str_t text, word_fn fn, void *state)
{
    struct words words = {text.data, text.data + text.len};
    char space[WORD_MAX];
    str_t run;
    for (enum word_kind kind; (kind = next_run(&words, &run)) != WORD_NONE;) {
        if (kind == WORD_LATIN) {
            str_t word = lower(run, space);
            fn(state, word);
            each_part(word, fn, state);
            continue;
        }
        for (size_t i = 0; i + 3 <= run.len; i += 3) {
            fn(state, str_from(run.data + i, 3));
            if (i + 6 <= run.len)
                fn(state, str_from(run.data + i, 6));
        }
    }
}

static void make_room(struct postings *p, uint32_t token)
{
    if (token >= p->row_slots) {
        uint32_t slots = p->row_slots ? p->row_slots * 2 : 1024;
        while (slots <= token)
            slots *= 2;
        p->rows = realloc(p->rows, slots * sizeof(*p->rows));
        if (!p->rows)
            log_die("out of memory in the catalogue index");
        memset(p->rows + p->row_slots, 0, (slots - p->row_slots) * sizeof(*p->rows));
        p->row_slots = slots;
    }
}

void postings_put(struct postings *p, uint32_t token, roaring_bitmap_t *rows)
{
    make_room(p, token);
    if (p->rows[token])
        roaring_bitmap_free(p->rows[token]);
    p->rows[token] = rows;
}

static roaring_bitmap_t *rows_of(struct postings *p, str_t word)
{
    uint32_t token = intern_put(&p->tokens, word);
    make_room(p, token);
    if (!p->rows[token])
        p->rows[token] = roaring_bitmap_create();
    return p->rows[token];
}

struct row_state {
    struct postings *p;
    uint32_t row;
};

static void add_word(void *state, str_t word)
{
    struct row_state *s = state;
    roaring_bitmap_add(rows_of(s->p, word), s->row);
}

static void remove_word(void *state, str_t word)
{
    struct row_state *s = state;
    roaring_bitmap_remove(rows_of(s->p, word), s->row);
}

void postings_add_row(struct postings *p, str_t text, uint32_t row)
{
    struct row_state state = {.p = p, .row = row};
    each_word(text, add_word, &state);
}

void postings_remove_row(struct postings *p, str_t text, uint32_t row)
{
    struct row_state state = {.p = p, .row = row};
    each_word(text, remove_word, &state);
}

struct token_state {
    struct postings *p;
    void (*fn)(void *state, uint32_t token);
    void *state;
};

static void give_token(void *state, str_t word)
{
    struct token_state *s = state;
    s->fn(s->state, intern_put(&s->p->tokens, word));
}

void postings_each_token(struct postings *p, str_t text, void (*fn)(void *state, uint32_t token),
                         void *state)
{
    struct token_state tokens = {p, fn, state};
    each_word(text, give_token, &tokens);
}

static int by_text(const void *a, const void *b, void *tokens)
{
    const str_t *texts = tokens;
    return str_cmp(texts[*(const uint32_t *)a], texts[*(const uint32_t *)b]);
}

void postings_settle(struct postings *p)
{
    if (p->sorted_count == p->tokens.count)
        return;
    p->sorted = realloc(p->sorted, p->tokens.count * sizeof(*p->sorted));
    if (!p->sorted)
        log_die("out of memory in the catalogue index");
    for (uint32_t i = p->sorted_count; i < p->tokens.count; i++)
        p->sorted[i] = i;
    p->sorted_count = p->tokens.count;
    qsort_r(p->sorted, p->sorted_count, sizeof(*p->sorted), by_text, p->tokens.texts);
}

void postings_free(struct postings *p)
{
    for (uint32_t i = 0; i < p->row_slots; i++)
        if (p->rows[i])
            roaring_bitmap_free(p->rows[i]);
    free(p->rows);
    free(p->sorted);
    intern_free(&p->tokens);
    *p = (struct postings){0};
}

/* ---- finding ---- */
static roaring_bitmap_t *with_prefix(const struct postings *p, str_t prefix)
{
    uint32_t low = 0, high = p->sorted_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (str_cmp(p->tokens.texts[p->sorted[middle]], prefix) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    const roaring_bitmap_t *found[512];
    size_t count = 0;
    for (; low < p->sorted_count && str_starts(p->tokens.texts[p->sorted[low]], prefix); low++) {
        found[count++] = p->rows[p->sorted[low]];
        if (count == sizeof(found) / sizeof(found[0])) {
            /* A one-letter prefix of very many words: fold what is there, go on. */
            roaring_bitmap_t *part = roaring_bitmap_or_many(count, found);
            for (low++;
                 low < p->sorted_count && str_starts(p->tokens.texts[p->sorted[low]], prefix);
                 low++)
                roaring_bitmap_or_inplace(part, p->rows[p->sorted[low]]);
            return part;
        }
    }
    if (count == 0)
        return roaring_bitmap_create();
    return count == 1 ? roaring_bitmap_copy(found[0]) : roaring_bitmap_or_many(count, found);
}

static roaring_bitmap_t *with_word(const struct postings *p, str_t word)
{
    int64_t token = intern_find(&p->tokens, word);
    return token < 0 ? roaring_bitmap_create() : roaring_bitmap_copy(p->rows[token]);
}

static void narrow(roaring_bitmap_t **all, roaring_bitmap_t *rows)
{
    if (!*all) {
        *all = rows;
        return;
    }
    roaring_bitmap_and_inplace(*all, rows);
    roaring_bitmap_free(rows);
}

roaring_bitmap_t *postings_find(const struct postings *p, str_t query, roaring_bitmap_t **out_exact)
{
    struct words words = {query.data, query.data + query.len};
    roaring_bitmap_t *all = NULL, *exact = NULL;
    char space[WORD_MAX];
    str_t run;
    for (enum word_kind kind; (kind = next_run(&words, &run)) != WORD_NONE;) {
        if (kind == WORD_LATIN) {
            str_t word = lower(run, space);
            narrow(&all, with_prefix(p, word));
            narrow(&exact, with_word(p, word));
            continue;
        }
        if (run.len == 3) {
            narrow(&all, with_word(p, run));
            continue;
        }
        for (size_t i = 0; i + 6 <= run.len; i += 3)
            narrow(&all, with_word(p, str_from(run.data + i, 6)));
    }
    if (exact)
        roaring_bitmap_and_inplace(exact, all);
    *out_exact = exact;
    return all;
}
