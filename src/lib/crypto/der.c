/* SPDX-License-Identifier: Apache-2.0 */
/* A strict reader of DER: one-byte tags, definite and shortest lengths, nothing beyond the end. A
 * refused read leaves the reader where it was. */
#include "crypto/crypto.h"

bool der_next(struct der *der, int tag, str_t *out_content)
{
    const uint8_t *bytes = (const uint8_t *)der->rest.data;
    size_t left = der->rest.len;
    if (left < 2 || bytes[0] != tag)
        return false;
    size_t header = 2, length = bytes[1];
    if (length >= 0x80) {
        size_t count = length & 0x7f;
        if (count == 0 || count > 4 || left < 2 + count)
            return false;
        length = 0;
        for (size_t i = 0; i < count; i++)
            length = length << 8 | bytes[2 + i];
        if (length < 0x80 || length >> (8 * (count - 1)) == 0)
            return false; /* a shorter form exists */
        header += count;
    }
    if (length > left - header)
        return false;
    *out_content = str_from(bytes + header, length);
    der->rest = str_cut(der->rest, header + length);
    return true;
}

bool der_done(const struct der *der)
{
    return der->rest.len == 0;
}
