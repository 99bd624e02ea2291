/* SPDX-License-Identifier: Apache-2.0 */
/* Receipts and bundles: a receipt that is read is written again to the same text; every verdict has
 * a reason. */
#include <string.h>

#include "proof/proof.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct receipt receipt;
    struct arena *arena = arena_new(0);
    struct receipt_cursor cursor = {0};
    struct receipt_report report;
    str_t text = str_from(data, size), one;
    const char *why = NULL;
    if (receipt_read(arena, text, &receipt, &why)) {
        struct buf again;
        buf_init(&again, arena, size + 64);
        receipt_write(&again, &receipt);
        ENSURE(str_eq(buf_str(&again), text));
        struct token token;
        if (receipt.ts.data != NULL && token_read(receipt.ts, &token, &why))
            ENSURE(token.imprint.len == SM3_BYTES);
    }
    while (receipt_next(&cursor, text, &one, &why)) {
        receipt_verify(arena, one, NULL, NULL, &report);
        ENSURE(!report.valid && report.reason.len > 0); /* without keys nothing is valid */
    }
    arena_free(arena);
    return 0;
}
