/* SPDX-License-Identifier: Apache-2.0 */
/* DER: elements lie within what was given; tokens, certificates and keys are read without harm. */
#include "proof/proof.h"

static void walk(str_t bytes, int depth)
{
    struct der der = {bytes};
    while (!der_done(&der)) {
        int tag = (uint8_t)der.rest.data[0];
        size_t before = der.rest.len;
        str_t content;
        if (!der_next(&der, tag, &content))
            return;
        ENSURE(der.rest.len < before && content.len + 2 <= before - der.rest.len);
        if ((tag & 0x20) != 0 && depth < 16)
            walk(content, depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str_t bytes = str_from(data, size);
    struct token token;
    const char *why = NULL;
    walk(bytes, 0);
    sm2_signature_is_strict(bytes);
    if (token_read(bytes, &token, &why))
        token_verify(&token, bytes, &why);
    sm2_free(certificate_key(bytes));
    sm2_free(public_key_read(bytes));
    return 0;
}
