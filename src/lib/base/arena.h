/* SPDX-License-Identifier: Apache-2.0 */
/* Memory by life time: one arena per request, job step or test, freed whole. Allocation never
 * returns NULL: without memory, or beyond the arena's cap, the process stops and is started again;
 * the database is the truth. Clients cannot reach the cap, since every input is bounded at the
 * edge. */
#ifndef SUANHE_BASE_ARENA_H
#define SUANHE_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct arena;

enum { ARENA_CAP_BYTES = 256 << 20 };

/* Owned by the caller, freed by arena_free. cap_bytes 0 means ARENA_CAP_BYTES. */
struct arena *arena_new(size_t cap_bytes);
/* Runs the deferred clean-ups, newest first, and frees all memory. NULL is allowed. */
void arena_free(struct arena *arena);
/* Runs the deferred clean-ups and forgets all content, keeping the first block for the next use. */
void arena_reset(struct arena *arena);
/* Zeroed memory, aligned for any type, alive until the arena is freed or reset. */
void *arena_alloc(struct arena *arena, size_t bytes);
/* A copy of bytes; with a NUL behind it that does not count. */
char *arena_copy(struct arena *arena, const void *data, size_t bytes);
/* close(object) runs when the arena is freed or reset: for foreign objects. */
void arena_defer(struct arena *arena, void (*close)(void *), void *object);

#endif
