/* SPDX-License-Identifier: Apache-2.0 */
/* For buf.c only: growing the newest allocation in place. */
#ifndef SUANHE_BASE_ARENA_INTERNAL_H
#define SUANHE_BASE_ARENA_INTERNAL_H

#include "arena.h"

/* Memory that is not zeroed. */
void *arena_alloc_raw(struct arena *arena, size_t bytes);
/* Grows old (old_bytes long) to new_bytes, in place if it is the newest allocation and the block
 * has room, otherwise as a copy. What is new is not zeroed. old NULL: a new allocation. */
void *arena_grow(struct arena *arena, void *old, size_t old_bytes, size_t new_bytes);

#endif
