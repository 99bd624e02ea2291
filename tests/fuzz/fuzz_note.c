/* SPDX-License-Identifier: Apache-2.0 */
/* Signed notes: a head that is read is written again to the same text. */
#include "proof/proof.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct note note;
    const char *why = NULL;
    struct arena *arena = arena_new(0);
    if (note_read(arena, str_from(data, size), &note, &why)) {
        struct buf again;
        buf_init(&again, arena, 1 << 14);
        head_write(&again, &note.head);
        ENSURE(str_eq(buf_str(&again), note.text));
        ENSURE(note.signature_count >= 1 && note.signature_count <= 64);
    } else {
        ENSURE(why != NULL);
    }
    arena_free(arena);
    return 0;
}
