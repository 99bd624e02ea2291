/* SPDX-License-Identifier: Apache-2.0 */
/* The Merkle tree of RFC 6962 over SM3. A tree of n leaves splits at the largest power of two below
 * n; leaves and nodes are hashed with different first bytes. */
#include <string.h>

#include "proof_internal.h"

hash_t tree_leaf(str_t entry)
{
    hash_t hash;
    const str_t parts[] = {str_from("\x00", 1), entry};
    sm3_parts(parts, 2, hash.bytes);
    return hash;
}

hash_t tree_node(const hash_t *left, const hash_t *right)
{
    uint8_t both[1 + 2 * HASH_BYTES] = {0x01};
    memcpy(both + 1, left->bytes, HASH_BYTES);
    memcpy(both + 1 + HASH_BYTES, right->bytes, HASH_BYTES);
    hash_t hash;
    sm3(str_from(both, sizeof both), hash.bytes);
    return hash;
}

hash_t tree_empty(void)
{
    hash_t hash;
    sm3((str_t){0}, hash.bytes);
    return hash;
}

void frontier_append(struct frontier *frontier, const hash_t *leaf)
{
    ENSURE(frontier->size < UINT64_MAX);
    hash_t hash = *leaf;
    int level = 0;
    for (; frontier->size >> level & 1; level++)
        hash = tree_node(&frontier->sub[level], &hash);
    frontier->sub[level] = hash;
    frontier->size++;
}

hash_t frontier_root(const struct frontier *frontier)
{
    if (frontier->size == 0)
        return tree_empty();
    int level = __builtin_ctzll(frontier->size);
    hash_t root = frontier->sub[level];
    for (level++; level < 64; level++)
        if (frontier->size >> level & 1)
            root = tree_node(&frontier->sub[level], &root);
    return root;
}

/* The level of the largest complete subtree that leaves something on its right; count > 1. */
static int split_level(uint64_t count)
{
    return 63 - __builtin_clzll(count - 1);
}

struct reader {
    tree_read_fn read;
    void *state;
};

/* The hash of the leaves from `begin` to before `end`, where begin is aligned as every range of a
 * proof is. */
static bool range_hash(const struct reader *reader, uint64_t begin, uint64_t end, hash_t *out)
{
    hash_t left[64];
    int count = 0;
    while (((end - begin) & (end - begin - 1)) != 0) {
        int level = split_level(end - begin);
        if (!reader->read(reader->state, level, begin >> level, &left[count++]))
            return false;
        begin += (uint64_t)1 << level;
    }
    int level = __builtin_ctzll(end - begin);
    if (!reader->read(reader->state, level, begin >> level, out))
        return false;
    while (count > 0)
        *out = tree_node(&left[--count], out);
    return true;
}

static void reverse(hash_t *path, int count)
{
    for (int low = 0, high = count - 1; low < high; low++, high--) {
        hash_t kept = path[low];
        path[low] = path[high];
        path[high] = kept;
    }
}

bool tree_inclusion(tree_read_fn read, void *state, uint64_t index, uint64_t size, hash_t *out_path,
                    int *out_count)
{
    if (index >= size || size >> INCLUSION_MAX != 0)
        return false;
    const struct reader reader = {read, state};
    uint64_t begin = 0, end = size;
    int count = 0;
    while (end - begin > 1) {
        uint64_t middle = begin + ((uint64_t)1 << split_level(end - begin));
        bool is_left = index < middle;
        if (!range_hash(&reader, is_left ? middle : begin, is_left ? end : middle,
                        &out_path[count++]))
            return false;
        if (is_left)
            end = middle;
        else
            begin = middle;
    }
    reverse(out_path, count);
    *out_count = count;
    return true;
}

bool tree_consistency(tree_read_fn read, void *state, uint64_t from, uint64_t to, hash_t *out_path,
                      int *out_count)
{
    if (from > to || to >> INCLUSION_MAX != 0)
        return false;
    *out_count = 0;
    if (from == 0 || from == to)
        return true;
    const struct reader reader = {read, state};
    uint64_t begin = 0, end = to;
    int count = 0;
    while (from != end) {
        uint64_t middle = begin + ((uint64_t)1 << split_level(end - begin));
        bool is_left = from <= middle;
        if (!range_hash(&reader, is_left ? middle : begin, is_left ? end : middle,
                        &out_path[count++]))
            return false;
        if (is_left)
            end = middle;
        else
            begin = middle;
    }
    /* At begin 0 the rest is the old root itself, which the verifier has. */
    if (begin != 0 && !range_hash(&reader, begin, end, &out_path[count++]))
        return false;
    reverse(out_path, count);
    *out_count = count;
    return true;
}

/* Two numbers walk up the tree: the node and the last node of its level. */
struct climb {
    uint64_t node, last;
};

static bool climb_takes_left(struct climb *climb)
{
    bool left = (climb->node & 1) != 0 || climb->node == climb->last;
    if (left) {
        while ((climb->node & 1) == 0 && climb->node != 0) {
            climb->node >>= 1;
            climb->last >>= 1;
        }
    }
    climb->node >>= 1;
    climb->last >>= 1;
    return left;
}

bool tree_verify_inclusion(const hash_t *leaf, uint64_t index, uint64_t size, const hash_t *path,
                           int count, const hash_t *root)
{
    if (index >= size || count < 0 || count > INCLUSION_MAX)
        return false;
    struct climb climb = {index, size - 1};
    hash_t hash = *leaf;
    for (int i = 0; i < count; i++) {
        if (climb.last == 0)
            return false;
        if (climb_takes_left(&climb))
            hash = tree_node(&path[i], &hash);
        else
            hash = tree_node(&hash, &path[i]);
    }
    return climb.last == 0 && hash_is(&hash, root);
}

bool tree_verify_consistency(uint64_t from, uint64_t to, const hash_t *old_root,
                             const hash_t *new_root, const hash_t *path, int count)
{
    if (from > to || count < 0 || count > CONSISTENCY_MAX)
        return false;
    if (from == 0)
        return count == 0;
    if (from == to)
        return count == 0 && hash_is(old_root, new_root);
    bool whole =
        (from & (from - 1)) == 0; /* the old tree is one complete subtree: its root comes first */
    if (!whole && count == 0)
        return false;
    struct climb climb = {from - 1, to - 1};
    while ((climb.node & 1) != 0) {
        climb.node >>= 1;
        climb.last >>= 1;
    }
    int next = whole ? 0 : 1;
    hash_t old_hash = whole ? *old_root : path[0], new_hash = old_hash;
    for (; next < count; next++) {
        if (climb.last == 0)
            return false;
        if (climb_takes_left(&climb)) {
            old_hash = tree_node(&path[next], &old_hash);
            new_hash = tree_node(&path[next], &new_hash);
        } else {
            new_hash = tree_node(&new_hash, &path[next]);
        }
    }
    return climb.last == 0 && hash_is(&old_hash, old_root) && hash_is(&new_hash, new_root);
}
