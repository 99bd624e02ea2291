/* SPDX-License-Identifier: Apache-2.0 */
/* Sample logs, heads and receipts for the tests of crypto and proof: a small log of one trade with
 * pinned keys that are the same in every run (signatures differ, as SM2 draws a number for each).
 */
#ifndef SUANHE_PROOF_SAMPLES_H
#define SUANHE_PROOF_SAMPLES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proof/proof.h"

#define SAMPLE_ORIGIN "op.example/evidence/trade"
/* The key of the examples in GB/T 32918.5. */
#define SAMPLE_D "3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8"
#define SAMPLE_POINT                                                     \
    "0409F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020" \
    "CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13"

enum { SAMPLE_LEAVES_MAX = 512 };
#define SAMPLE_HEAD_TIME ((uint64_t)1795000000000)

/* Every complete node of a small tree, kept level by level. */
struct tree {
    uint64_t size;
    hash_t node[10][SAMPLE_LEAVES_MAX];
};

static inline void tree_push(struct tree *tree, const hash_t *leaf)
{
    uint64_t index = tree->size++;
    tree->node[0][index] = *leaf;
    for (int level = 0; index & 1; level++, index >>= 1)
        tree->node[level + 1][index >> 1] =
            tree_node(&tree->node[level][index - 1], &tree->node[level][index]);
}

static inline bool tree_fetch(void *state, int level, uint64_t index, hash_t *out)
{
    struct tree *tree = state;
    if (level > 9 || (index + 1) << level > tree->size)
        return false;
    *out = tree->node[level][index];
    return true;
}

static inline str_t from_hex(struct arena *arena, const char *hex)
{
    str_t lower = str_dup(arena, str_of(hex)), bytes;
    char *text = arena_copy(arena, lower.data, lower.len);
    for (size_t i = 0; i < lower.len; i++)
        if (text[i] >= 'A' && text[i] <= 'F')
            text[i] = (char)(text[i] + 32);
    assert_true(hex_decode(arena, str_from(text, lower.len), &bytes));
    return bytes;
}

static inline struct sm2_key *key_of_hex(struct arena *arena, const char *hex)
{
    struct sm2_key *key = sm2_from_private((const uint8_t *)from_hex(arena, hex).data);
    assert_non_null(key);
    return key;
}

/* A key whose private number is `last`. */
static inline struct sm2_key *key_of_number(uint8_t last)
{
    uint8_t d[32] = {0x11, [31] = last};
    struct sm2_key *key = sm2_from_private(d);
    assert_non_null(key);
    return key;
}

static inline str_t vkey_line(struct arena *arena, const char *name, bool cosigner,
                              const struct sm2_key *key)
{
    struct buf buf;
    uint8_t point[SM2_POINT_BYTES];
    buf_init(&buf, arena, 1024);
    sm2_point(key, point);
    vkey_write(&buf, str_of(name), cosigner, point);
    buf_putc(&buf, '\n');
    return buf_str(&buf);
}

struct sample {
    struct arena *arena;
    struct sm2_key *log, *member[2], *actor;
    const char *member_name[2];
    str_t vkeys_text, members_text;
    struct vkeys vkeys;
    struct members members;
    uint8_t salt[32];
    str_t payload;
    str_t signed_extra; /* made once, so that all full receipts are of one head */
};

static inline struct sample *sample_new(void)
{
    struct arena *arena = arena_new(0);
    struct sample *sample = arena_alloc(arena, sizeof *sample);
    sample->arena = arena;
    sample->log = key_of_hex(arena, SAMPLE_D);
    sample->member[0] = key_of_number(1);
    sample->member[1] = key_of_number(2);
    sample->actor = key_of_number(3);
    sample->member_name[0] = "auditor.example/witness";
    sample->member_name[1] = "provider.example/witness";
    sample->vkeys_text = vkey_line(arena, SAMPLE_ORIGIN, false, sample->log);
    str_t first = vkey_line(arena, sample->member_name[0], true, sample->member[0]);
    str_t second = vkey_line(arena, sample->member_name[1], true, sample->member[1]);
    sample->members_text =
        str_printf(arena, "quorum 2\n" STR_FMT STR_FMT, STR_ARG(first), STR_ARG(second));
    const char *why = "";
    if (!vkeys_read(arena, sample->vkeys_text, &sample->vkeys, &why) ||
        !members_read(arena, sample->members_text, &sample->members, &why))
        fail_msg("sample keys: %s", why);
    for (uint8_t i = 0; i < 32; i++)
        sample->salt[i] = (uint8_t)(0xA0 + i);
    sample->payload = STR("{\"amount_fen\":12345,\"order\":\"ord_0123456789ABC\"}");
    return sample;
}

static inline void sample_free(struct sample *sample)
{
    vkeys_free(&sample->vkeys);
    members_free(&sample->members);
    sm2_free(sample->log);
    sm2_free(sample->member[0]);
    sm2_free(sample->member[1]);
    sm2_free(sample->actor);
    arena_free(sample->arena);
}

static inline struct entry sample_entry(const struct sample *sample, uint64_t number)
{
    struct entry entry = {
        .log = LOG_TRADE,
        .type = 301,
        .event_id = 1000000 + number,
        .time_ms = SAMPLE_HEAD_TIME - 200,
        .payload_commit = payload_commit(sample->salt, sample->payload),
        .ref_count = 2,
        .refs = {{LOG_FINANCE, 77}, {LOG_OPS, 78}},
        .object_id = STR("ord_0123456789ABC"),
        .actor_cert_id = STR("cert-7"),
    };
    hmac_sm3(STR("pseudonym"), STR("usr_0123456789ABC"), entry.actor.bytes);
    return entry;
}

static inline str_t entry_bytes(const struct sample *sample, const struct entry *entry)
{
    struct buf buf;
    buf_init(&buf, sample->arena, 1 << 17);
    entry_write(&buf, entry);
    return buf_str(&buf);
}

/* The entry with the actor's signature over all that precedes it. */
static inline str_t signed_entry_bytes(const struct sample *sample, struct entry entry)
{
    uint8_t signature[SM2_SIG_MAX];
    size_t len;
    entry.actor_sig = (str_t){0};
    str_t bytes = entry_bytes(sample, &entry);
    sm2_sign(sample->actor, str_from(bytes.data, bytes.len - 2), signature, &len);
    entry.actor_sig = str_from(signature, len);
    return entry_bytes(sample, &entry);
}

static inline struct head sample_head(const struct sample *sample, const hash_t *root,
                                      uint64_t size)
{
    struct head head = {.origin = STR(SAMPLE_ORIGIN),
                        .size = size,
                        .height = 2,
                        .time_ms = SAMPLE_HEAD_TIME,
                        .root = *root};
    sm3(STR("the text of the first head"), head.prev.bytes);
    sm3(sample->members_text, head.set.bytes);
    return head;
}

/* A receipt for the given leaf bytes at `index` of a log of `size` entries; the note is signed by
 * the log only. */
static inline struct receipt *sample_receipt(struct sample *sample, str_t extra, uint64_t index,
                                             uint64_t size)
{
    struct tree *tree = arena_alloc(sample->arena, sizeof *tree);
    struct receipt *receipt = arena_alloc(sample->arena, sizeof *receipt);
    for (uint64_t i = 0; i < size; i++) {
        struct entry other = sample_entry(sample, i);
        hash_t leaf = tree_leaf(i == index ? extra : entry_bytes(sample, &other));
        tree_push(tree, &leaf);
    }
    struct frontier frontier = {0};
    for (uint64_t i = 0; i < size; i++)
        frontier_append(&frontier, &tree->node[0][i]);
    hash_t root = frontier_root(&frontier);
    receipt->extra = extra;
    receipt->index = index;
    assert_true(tree_inclusion(tree_fetch, tree, index, size, receipt->path, &receipt->path_count));
    receipt->note.head = sample_head(sample, &root, size);
    return receipt;
}

static inline str_t note_of(struct sample *sample, const struct head *head, bool with_votes)
{
    struct buf note, text;
    buf_init(&note, sample->arena, 1 << 16);
    buf_init(&text, sample->arena, 1 << 16);
    head_sign(&note, head, sample->log);
    head_write(&text, head);
    for (int i = 0; with_votes && i < 2; i++)
        vote_sign(&note, buf_str(&text), str_of(sample->member_name[i]),
                  head->time_ms + 10 + (uint64_t)i, sample->member[i]);
    return buf_str(&note);
}

static inline str_t receipt_text(struct sample *sample, struct receipt *receipt)
{
    struct buf buf;
    if (receipt->note_text.data == NULL)
        receipt->note_text = note_of(sample, &receipt->note.head, false);
    buf_init(&buf, sample->arena, 4 << 20);
    receipt_write(&buf, receipt);
    assert_false(buf.overflow);
    return buf_str(&buf);
}

/* The sample with everything in it: payload, actor's signature, votes. */
static inline struct receipt *full_receipt(struct sample *sample)
{
    if (sample->signed_extra.data == NULL)
        sample->signed_extra = signed_entry_bytes(sample, sample_entry(sample, 5));
    struct receipt *receipt = sample_receipt(sample, sample->signed_extra, 5, 11);
    receipt->payload = sample->payload;
    receipt->salt = str_from(sample->salt, 32);
    receipt->note_text = note_of(sample, &receipt->note.head, true);
    return receipt;
}

static inline str_t joined(struct arena *arena, str_t a, str_t b)
{
    struct buf buf;
    buf_init(&buf, arena, a.len + b.len + 1);
    buf_put(&buf, a);
    buf_put(&buf, b);
    return buf_str(&buf);
}

/* text without its first line that begins with `word`. */
static inline str_t without_line(struct arena *arena, str_t text, const char *word)
{
    const char *start = text.data;
    if (!str_starts(text, str_of(word))) {
        str_t mark = joined(arena, STR("\n"), str_of(word));
        start = memmem(text.data, text.len, mark.data, mark.len);
        assert_non_null(start);
        start++;
    }
    const char *end = memchr(start, '\n', text.len - (size_t)(start - text.data));
    size_t before = (size_t)(start - text.data), after = (size_t)(end - text.data) + 1;
    return joined(arena, str_from(text.data, before), str_cut(text, after));
}

/* text with the first `from` replaced; fails when it is not there. */
static inline str_t replaced(struct arena *arena, str_t text, const char *from, const char *to)
{
    char *found = memmem(text.data, text.len, from, strlen(from));
    if (found == NULL)
        fail_msg("`%s` is not in the sample", from);
    size_t before = (size_t)(found - text.data);
    str_t rest = str_cut(text, before + strlen(from));
    return str_printf(arena, STR_FMT "%s" STR_FMT, (int)before, text.data, to, STR_ARG(rest));
}

#endif
