/* SPDX-License-Identifier: Apache-2.0 */
/* The unified social credit code (GB 32100): 18 characters, of which 9 to 17 are the organisation
 * code with its own check digit (GB 11714). */
#include <string.h>

#include "crypto/crypto.h"

enum { USCC_LEN = 18, ORGANISATION_FROM = 8, ORGANISATION_LEN = 8 };

static const char alphabet[] = "0123456789ABCDEFGHJKLMNPQRTUWXY";

static int value_31(char c)
{
    const char *found = c != '\0' ? strchr(alphabet, c) : NULL;
    return found != NULL ? (int)(found - alphabet) : -1;
}

/* Organisation codes count letters from A = 10 without gaps. */
static int value_36(char c)
{
    return c <= '9' ? c - '0' : c - 'A' + 10;
}

static char organisation_check(const char *code)
{
    static const int weights[ORGANISATION_LEN] = {3, 7, 9, 10, 5, 8, 4, 2};
    int sum = 0;
    for (int i = 0; i < ORGANISATION_LEN; i++)
        sum += weights[i] * value_36(code[ORGANISATION_FROM + i]);
    return "0X987654321"[sum % 11];
}

static char code_check(const char *code)
{
    int sum = 0, weight = 1;
    for (int i = 0; i < USCC_LEN - 1; i++) {
        sum += value_31(code[i]) * weight;
        weight = weight * 3 % 31;
    }
    return alphabet[(31 - sum % 31) % 31];
}

int uscc_check(str_t code, char *out_expected)
{
    *out_expected = '\0';
    if (code.len != USCC_LEN)
        return -1;
    for (int i = 0; i < USCC_LEN - 2; i++) {
        bool in_area = i >= 2 && i < 8; /* the administrative division is of digits */
        int value = value_31(code.data[i]);
        if (value < 0 || (in_area && value > 9))
            return i + 1;
    }
    char expected = organisation_check(code.data);
    if (code.data[16] != expected) {
        *out_expected = expected;
        return 17;
    }
    expected = code_check(code.data);
    if (code.data[17] != expected) {
        *out_expected = expected;
        return 18;
    }
    return 0;
}
