/* SPDX-License-Identifier: Apache-2.0 */
/* Known answers of every algorithm, run when a program starts: a library that computes something
 * else, or lacks an algorithm, must not handle data. */
#include <string.h>

#include "crypto/crypto.h"

/* The signing key of the examples in GB/T 32918.5. */
static const char sample_d[] = "3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8";
static const char sample_signature[] =
    "3046022100f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
    "022100b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa";
static const char sm4_sample_key[] = "0123456789abcdeffedcba9876543210";

static int nibble(char c)
{
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

static void from_hex(const char *hex, uint8_t *out)
{
    for (size_t i = 0; hex[2 * i] != '\0'; i++)
        out[i] = (uint8_t)(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
}

static bool is_hex(const uint8_t *bytes, const char *hex)
{
    for (size_t i = 0; hex[2 * i] != '\0'; i++)
        if (bytes[i] != (nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1])))
            return false;
    return true;
}

static bool sm3_knows(void)
{
    uint8_t out[SM3_BYTES];
    sm3(STR("abc"), out);
    return is_hex(out, "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0");
}

static bool hmac_knows(void)
{
    uint8_t out[SM3_BYTES];
    hmac_sm3(STR("key"), STR("abc"), out);
    return is_hex(out, "28e63256e7c5a087b1f073265dc53092163f7b82729735d06f28f10af9d52393");
}

static bool hkdf_knows(void)
{
    uint8_t out[32];
    hkdf_sm3(STR("ikm"), STR("salt"), STR("info"), out, sizeof out);
    return is_hex(out, "315a3171a989f11d4b10d39d48360982fc7f586ccbc688699af779c6e05a3355");
}

static bool pbkdf2_knows(void)
{
    uint8_t out[32];
    pbkdf2_sm3(STR("password"), STR("salt"), 10000, out, sizeof out);
    return is_hex(out, "738c8c432372d98a73350bc252209e4cf2acdde7cc816730b9812bdfd55c1265");
}

static bool sm4_knows(void)
{
    static const struct {
        enum sm4_mode mode;
        const char *cipher;
    } known[] = {
        {SM4_CBC, "2677f46b09c122cc975533105bd4a22ad9ee98830e69745c9827f934a19621f8"},
        {SM4_CTR, "06999e6239a36eaa2284fd89eda5f7657f161f5854b6ea16c28809fe9d1db305"},
        {SM4_OFB, "06999e6239a36eaa2284fd89eda5f765e3fe505fa3964c6a7946f68fc13ef63f"},
        {SM4_CFB, "06999e6239a36eaa2284fd89eda5f765cab243c911b87479b3c487b45ecea658"},
    };
    uint8_t key[16], plain[32], out[64], back[64];
    size_t out_len, back_len;
    from_hex(sm4_sample_key, key);
    for (uint8_t i = 0; i < 32; i++)
        plain[i] = i;
    bool ok =
        sm4_crypt(&(struct sm4_use){SM4_ECB, key, NULL}, true, str_from(key, 16), out, &out_len) &&
        is_hex(out, "681edf34d206965e86b3e94f536e4246");
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        ok = ok &&
             sm4_crypt(&(struct sm4_use){known[i].mode, key, plain}, true, str_from(plain, 32), out,
                       &out_len) &&
             is_hex(out, known[i].cipher) &&
             sm4_crypt(&(struct sm4_use){known[i].mode, key, plain}, false, str_from(out, out_len),
                       back, &back_len) &&
             back_len == 32 && memcmp(back, plain, 32) == 0;
    return ok;
}

static bool cmac_knows(void)
{
    uint8_t key[16], out[16];
    from_hex(sm4_sample_key, key);
    cmac_sm4(key, STR("abc"), out);
    return is_hex(out, "8e75238ac2672a6aee408c1e251854d8");
}

static bool sm2_knows(void)
{
    uint8_t d[32], signature[SM2_SIG_MAX], fresh[SM2_SIG_MAX];
    size_t fresh_len;
    from_hex(sample_d, d);
    from_hex(sample_signature, signature);
    struct sm2_key *key = sm2_from_private(d);
    if (key == NULL)
        return false;
    str_t known = str_from(signature, sizeof sample_signature / 2);
    sm2_sign(key, STR("suanhe"), fresh, &fresh_len);
    bool ok = sm2_verify(key, STR("message digest"), known) &&
              !sm2_verify(key, STR("message digesT"), known) &&
              sm2_verify(key, STR("suanhe"), str_from(fresh, fresh_len));
    sm2_free(key);
    return ok;
}

static bool random_differs(void)
{
    uint8_t a[32], b[32];
    crypto_random(a, sizeof a);
    crypto_random(b, sizeof b);
    return memcmp(a, b, sizeof a) != 0;
}

bool crypto_self_test(const char **out_failed)
{
    static const struct {
        const char *name;
        bool (*knows)(void);
    } tests[] = {{"SM3", sm3_knows}, {"HMAC-SM3", hmac_knows},     {"HKDF-SM3", hkdf_knows},
                 {"SM4", sm4_knows}, {"PBKDF2-SM3", pbkdf2_knows}, {"CMAC-SM4", cmac_knows},
                 {"SM2", sm2_knows}, {"random", random_differs}};
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        if (!tests[i].knows()) {
            *out_failed = tests[i].name;
            return false;
        }
    }
    return true;
}
