/* SPDX-License-Identifier: Apache-2.0 */
/* The Merkle tree against its published roots and against the definition, written down as it stands
 * in RFC 6962. */
#include "proof_samples.h"

static struct tree *tree;
static struct arena *arena;

static uint64_t split(uint64_t count)
{
    uint64_t k = 1;
    while (k * 2 < count)
        k *= 2;
    return k;
}

/* MTH of the definition. */
static hash_t defined_root(const hash_t *leaves, uint64_t count)
{
    if (count == 0)
        return tree_empty();
    if (count == 1)
        return leaves[0];
    uint64_t k = split(count);
    hash_t left = defined_root(leaves, k), right = defined_root(leaves + k, count - k);
    return tree_node(&left, &right);
}

/* PATH of the definition. */
static int defined_path(const hash_t *leaves, uint64_t index, uint64_t count, hash_t *out)
{
    if (count <= 1)
        return 0;
    uint64_t k = split(count);
    bool left = index < k;
    int length = left ? defined_path(leaves, index, k, out)
                      : defined_path(leaves + k, index - k, count - k, out);
    out[length] = left ? defined_root(leaves + k, count - k) : defined_root(leaves, k);
    return length + 1;
}

/* SUBPROOF of the definition. */
static int defined_proof(const hash_t *leaves, uint64_t from, uint64_t count, bool whole,
                         hash_t *out)
{
    if (from == count) {
        if (whole)
            return 0;
        out[0] = defined_root(leaves, count);
        return 1;
    }
    uint64_t k = split(count);
    if (from <= k) {
        int length = defined_proof(leaves, from, k, whole, out);
        out[length] = defined_root(leaves + k, count - k);
        return length + 1;
    }
    int length = defined_proof(leaves + k, from - k, count - k, false, out);
    out[length] = defined_root(leaves, k);
    return length + 1;
}

static int given_300_leaves(void **state)
{
    (void)state;
    arena = arena_new(0);
    tree = arena_alloc(arena, sizeof *tree);
    for (int i = 0; i < 300; i++) {
        hash_t leaf = tree_leaf(str_printf(arena, "leaf %d", i));
        tree_push(tree, &leaf);
    }
    return 0;
}

static int drop(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static void the_published_roots_of_eight_leaves_come_out(void **state)
{
    (void)state;
    static const char *const leaves[] = {"",
                                         "00",
                                         "10",
                                         "2021",
                                         "3031",
                                         "40414243",
                                         "5051525354555657",
                                         "606162636465666768696a6b6c6d6e6f"};
    static const char *const roots[] = {
        "1ab21d8355cfa17f8e61194831e81a8f22bec8c728fefb747ed035eb5082aa2b",
        "2daef60e7a0b8f5e024c81cd2ab3109f2b4f155cf83adeb2ae5532f74a157fdf",
        "0b990fe0c7ad70f1bf1a1262f2c7908ea48146b14253a6db99f2917ab1f5cc4d",
        "209ec96a210d662a964772680e8544d18cab7b88ffec3e00962220349b56ea56",
        "28e4e307ef6d2d0c62d84b11ef96e835efe490f35b93c8f024ecfe38c8dd4377",
        "bb10c996aeebbcdc69be3715fc847344de77442d37a5ab8213da9f41785b103b",
        "8723c1ab1f82ddfba4a3733ac0c80d936d9f4c208c7dbc8cc81ca9fff8584f66",
        "bd36c22a1ac6ff4308e0c3cc1a85bf0ffa30538ec60a55c70413ab15d45db4d2",
        "bc48ba7a709184b5f2a631e1adeb8dc2a0d4c018c1d6cc89b5664fe154c93b38"};
    struct frontier frontier = {0};
    for (int size = 0; size <= 8; size++) {
        hash_t root = frontier_root(&frontier);
        assert_memory_equal(root.bytes, from_hex(arena, roots[size]).data, HASH_BYTES);
        if (size == 8)
            break;
        hash_t leaf = tree_leaf(from_hex(arena, leaves[size]));
        frontier_append(&frontier, &leaf);
    }
}

static void the_frontier_has_the_defined_root_at_every_size(void **state)
{
    (void)state;
    struct frontier frontier = {0};
    for (uint64_t size = 0; size < 300; size++) {
        hash_t root = frontier_root(&frontier), defined = defined_root(tree->node[0], size);
        assert_memory_equal(root.bytes, defined.bytes, HASH_BYTES);
        frontier_append(&frontier, &tree->node[0][size]);
        assert_int_equal(frontier.size, size + 1);
    }
}

static bool fetch_within(void *state, int level, uint64_t index, hash_t *out)
{
    const uint64_t *size = state;
    if (level > 9 || (index + 1) << level > *size)
        fail_msg("node %d/%d is not complete in a tree of %d", level, (int)index, (int)*size);
    *out = tree->node[level][index];
    return true;
}

static void inclusion_proofs_are_the_defined_ones_and_verify(void **state)
{
    (void)state;
    hash_t path[INCLUSION_MAX], defined[INCLUSION_MAX];
    for (uint64_t size = 1; size <= 300; size++) {
        bool by_definition = size <= 70 || size % 23 == 0; /* which costs size hashes a path */
        hash_t root = defined_root(tree->node[0], size);
        for (uint64_t index = 0; index < size; index++) {
            int count = -1;
            assert_true(tree_inclusion(fetch_within, &size, index, size, path, &count));
            if (by_definition) {
                assert_int_equal(count, defined_path(tree->node[0], index, size, defined));
                assert_memory_equal(path, defined, sizeof(hash_t) * (size_t)count);
            }
            const hash_t *leaf = &tree->node[0][index];
            assert_true(tree_verify_inclusion(leaf, index, size, path, count, &root));
            assert_false(tree_verify_inclusion(leaf, index, size, path, count - 1, &root));
            path[count] = root;
            assert_false(tree_verify_inclusion(leaf, index, size, path, count + 1, &root));
            assert_false(tree_verify_inclusion(leaf, size, size, path, count, &root));
            assert_false(tree_verify_inclusion(leaf, index, size * 2, path, count, &root));
            if (size > 1)
                assert_false(
                    tree_verify_inclusion(leaf, (index + 1) % size, size, path, count, &root));
        }
    }
}

static void every_bit_of_an_inclusion_proof_matters(void **state)
{
    (void)state;
    hash_t path[INCLUSION_MAX];
    uint64_t size = 299;
    int count;
    hash_t root = defined_root(tree->node[0], size);
    assert_true(tree_inclusion(fetch_within, &size, 298, size, path, &count));
    for (int i = 0; i < count; i++) {
        for (int byte = 0; byte < HASH_BYTES; byte++) {
            path[i].bytes[byte] ^= 1;
            assert_false(tree_verify_inclusion(&tree->node[0][298], 298, size, path, count, &root));
            path[i].bytes[byte] ^= 1;
        }
    }
}

static void assert_consistency(uint64_t from, uint64_t to)
{
    hash_t path[CONSISTENCY_MAX + 1], defined[CONSISTENCY_MAX + 1];
    int count = -1;
    hash_t old_root = defined_root(tree->node[0], from), new_root = defined_root(tree->node[0], to);
    assert_true(tree_consistency(fetch_within, &to, from, to, path, &count));
    int expected = from == 0 ? 0 : defined_proof(tree->node[0], from, to, true, defined);
    assert_int_equal(count, expected);
    assert_memory_equal(path, defined, sizeof(hash_t) * (size_t)count);
    assert_true(tree_verify_consistency(from, to, &old_root, &new_root, path, count));
    path[count] = new_root;
    assert_false(tree_verify_consistency(from, to, &old_root, &new_root, path, count + 1));
    if (from == 0)
        return;
    hash_t other = tree_empty();
    assert_false(tree_verify_consistency(from, to, &other, &new_root, path, count));
    assert_false(tree_verify_consistency(from, to, &old_root, &other, path, count));
    if (count > 0)
        assert_false(tree_verify_consistency(from, to, &old_root, &new_root, path, count - 1));
    for (int i = 0; i < count; i++) {
        path[i].bytes[i % HASH_BYTES] ^= 0x40;
        assert_false(tree_verify_consistency(from, to, &old_root, &new_root, path, count));
        path[i].bytes[i % HASH_BYTES] ^= 0x40;
    }
}

static void consistency_proofs_are_the_defined_ones_and_verify(void **state)
{
    (void)state;
    for (uint64_t to = 0; to <= 64; to++)
        for (uint64_t from = 0; from <= to; from++)
            assert_consistency(from, to);
    for (uint64_t from = 0; from <= 300; from += 13)
        assert_consistency(from, 300);
}

static void a_rewritten_log_has_no_consistency_proof(void **state)
{
    (void)state;
    hash_t path[CONSISTENCY_MAX];
    uint64_t to = 64;
    int count;
    hash_t old_root = defined_root(tree->node[0] + 100, 50),
           new_root = defined_root(tree->node[0], to);
    assert_true(tree_consistency(fetch_within, &to, 50, to, path, &count));
    assert_false(tree_verify_consistency(50, to, &old_root, &new_root, path, count));
    assert_false(tree_verify_consistency(to, 50, &new_root, &old_root, path, count));
}

static bool read_nothing(void *state, int level, uint64_t index, hash_t *out)
{
    (void)state;
    (void)level;
    (void)index;
    (void)out;
    return false;
}

static void unreadable_nodes_and_senseless_sizes_give_no_proof(void **state)
{
    (void)state;
    hash_t path[CONSISTENCY_MAX];
    int count;
    assert_false(tree_inclusion(read_nothing, NULL, 1, 5, path, &count));
    assert_false(tree_consistency(read_nothing, NULL, 3, 5, path, &count));
    assert_false(tree_inclusion(read_nothing, NULL, 5, 5, path, &count));
    assert_false(tree_inclusion(read_nothing, NULL, 0, (uint64_t)1 << 57, path, &count));
    assert_false(tree_consistency(read_nothing, NULL, 6, 5, path, &count));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_roots_of_eight_leaves_come_out),
        cmocka_unit_test(the_frontier_has_the_defined_root_at_every_size),
        cmocka_unit_test(inclusion_proofs_are_the_defined_ones_and_verify),
        cmocka_unit_test(every_bit_of_an_inclusion_proof_matters),
        cmocka_unit_test(consistency_proofs_are_the_defined_ones_and_verify),
        cmocka_unit_test(a_rewritten_log_has_no_consistency_proof),
        cmocka_unit_test(unreadable_nodes_and_senseless_sizes_give_no_proof),
    };
    return cmocka_run_group_tests(tests, given_300_leaves, drop);
}
