/* SPDX-License-Identifier: Apache-2.0 */
/* Key files and member files: every key that is read is written again to a line of the file. */
#include <string.h>

#include "proof/proof.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct vkeys keys;
    static struct members members;
    struct arena *arena = arena_new(0);
    const char *why = NULL;
    if (vkeys_read(arena, str_from(data, size), &keys, &why)) {
        for (int i = 0; i < keys.count; i++) {
            struct buf line;
            uint8_t point[SM2_POINT_BYTES];
            buf_init(&line, arena, size + 512);
            sm2_point(keys.key[i].key, point);
            vkey_write(&line, keys.key[i].name, keys.key[i].cosigner, point);
            ENSURE(memmem(data, size, line.data, line.len) != NULL);
        }
        vkeys_free(&keys);
    }
    if (members_read(arena, str_from(data, size), &members, &why)) {
        ENSURE(members.quorum <= members.keys.count);
        members_free(&members);
    }
    arena_free(arena);
    return 0;
}
