/* SPDX-License-Identifier: Apache-2.0 */
/* Entries: what is read is written again to the same bytes. */
#include "proof/proof.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct entry entry;
    const char *why = NULL;
    if (!entry_read(str_from(data, size), &entry, &why)) {
        ENSURE(why != NULL);
        return 0;
    }
    struct arena *arena = arena_new(0);
    struct buf again;
    buf_init(&again, arena, 1 << 17);
    entry_write(&again, &entry);
    ENSURE(str_eq(buf_str(&again), str_from(data, size)));
    arena_free(arena);
    return 0;
}
