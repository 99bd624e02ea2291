/* SPDX-License-Identifier: Apache-2.0 */
/* A bump allocator over a chain of growing blocks. The first block is kept by arena_reset, so a
 * connection that serves small requests never returns to malloc. Under the address sanitizer unused
 * bytes are poisoned and a gap follows every allocation, so running over an end is found although
 * blocks are shared. */
#include "arena_internal.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISONS 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_POISONS 1
#endif

#ifdef ARENA_POISONS
#include <sanitizer/asan_interface.h>
#define POISON(start, bytes) poison((start), (bytes))
/* Kept out of line: inlined, gcc takes the library's pointer to const as a read of fresh memory. */
static void __attribute__((noinline)) poison(char *start, size_t bytes)
{
    __asan_poison_memory_region(start, bytes);
}
#define UNPOISON(start, bytes) __asan_unpoison_memory_region((start), (bytes))
enum { GAP = 16 };
#else
#define POISON(start, bytes) ((void)(start), (void)(bytes))
#define UNPOISON(start, bytes) ((void)(start), (void)(bytes))
enum { GAP = 0 };
#endif

enum { ALIGN = 16, FIRST_BLOCK = 8192, LARGEST_BLOCK = 1 << 20 };

struct block {
    struct block *next;
    size_t capacity, used;
    _Alignas(16) char data[];
};

struct deferred {
    struct deferred *next;
    void (*close)(void *);
    void *object;
};

struct arena {
    struct block *head;  /* the block being filled; older and oversized ones follow */
    struct block *first; /* kept by arena_reset */
    struct deferred *deferred;
    size_t cap, total, next_block;
    char *newest; /* the newest allocation, which may still grow in place */
};

static size_t padded(size_t bytes)
{
    return (bytes + GAP + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static struct block *block_new(size_t capacity)
{
    struct block *block = malloc(sizeof *block + capacity);
    if (block == NULL)
        log_die("out of memory");
    block->next = NULL;
    block->capacity = capacity;
    block->used = 0;
    POISON(block->data, capacity);
    return block;
}

struct arena *arena_new(size_t cap_bytes)
{
    struct arena *arena = calloc(1, sizeof *arena);
    if (arena == NULL)
        log_die("out of memory");
    arena->cap = cap_bytes == 0 ? ARENA_CAP_BYTES : cap_bytes;
    arena->first = arena->head = block_new(FIRST_BLOCK - sizeof(struct block));
    arena->next_block = (size_t)2 * FIRST_BLOCK;
    return arena;
}

static void run_deferred(struct arena *arena)
{
    while (arena->deferred != NULL) {
        struct deferred *item = arena->deferred;
        arena->deferred = item->next;
        item->close(item->object);
    }
}

static void free_blocks_but(struct arena *arena, const struct block *kept)
{
    struct block *block = arena->head;
    while (block != NULL) {
        struct block *next = block->next;
        if (block != kept)
            free(block);
        block = next;
    }
}

void arena_free(struct arena *arena)
{
    if (arena == NULL)
        return;
    run_deferred(arena);
    free_blocks_but(arena, NULL);
    free(arena);
}

void arena_reset(struct arena *arena)
{
    run_deferred(arena);
    free_blocks_but(arena, arena->first);
    arena->head = arena->first;
    arena->head->next = NULL;
    arena->head->used = 0;
    POISON(arena->head->data, arena->head->capacity);
    arena->total = 0;
    arena->newest = NULL;
    arena->next_block = (size_t)2 * FIRST_BLOCK;
}

static void account(struct arena *arena, size_t bytes)
{
    if (bytes > arena->cap - arena->total)
        log_die("arena beyond its cap of %zu bytes", arena->cap);
    arena->total += bytes;
}

/* An oversized allocation gets a block of its own behind the head, whose room stays in use. */
static struct block *block_for(struct arena *arena, size_t need)
{
    if (need <= arena->head->capacity - arena->head->used)
        return arena->head;
    if (need > arena->next_block / 2) {
        struct block *own = block_new(need);
        own->next = arena->head->next;
        arena->head->next = own;
        return own;
    }
    struct block *block = block_new(arena->next_block);
    if (arena->next_block < LARGEST_BLOCK)
        arena->next_block *= 2;
    block->next = arena->head;
    arena->head = block;
    return block;
}

void *arena_alloc_raw(struct arena *arena, size_t bytes)
{
    account(arena, bytes);
    size_t need = padded(bytes);
    struct block *block = block_for(arena, need);
    char *start = block->data + block->used;
    block->used += need;
    UNPOISON(start, bytes);
    arena->newest = block == arena->head ? start : NULL;
    return start;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    void *start = arena_alloc_raw(arena, bytes);
    memset(start, 0, bytes);
    return start;
}

void *arena_grow(struct arena *arena, void *old, size_t old_bytes, size_t new_bytes)
{
    struct block *head = arena->head;
    if (old != NULL && old == arena->newest) {
        size_t offset = (size_t)(arena->newest - head->data);
        if (new_bytes <= arena->cap && padded(new_bytes) <= head->capacity - offset) {
            account(arena, new_bytes - old_bytes);
            head->used = offset + padded(new_bytes);
            UNPOISON(old, new_bytes);
            return old;
        }
    }
    void *start = arena_alloc_raw(arena, new_bytes);
    if (old != NULL && old_bytes > 0)
        memcpy(start, old, old_bytes);
    return start;
}

char *arena_copy(struct arena *arena, const void *data, size_t bytes)
{
    ENSURE(bytes < SIZE_MAX);
    char *copy = arena_alloc_raw(arena, bytes + 1);
    if (bytes > 0)
        memcpy(copy, data, bytes);
    copy[bytes] = '\0';
    return copy;
}

void arena_defer(struct arena *arena, void (*close)(void *), void *object)
{
    struct deferred *item = arena_alloc(arena, sizeof *item);
    *item = (struct deferred){arena->deferred, close, object};
    arena->deferred = item;
}
