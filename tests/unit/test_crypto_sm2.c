/* SPDX-License-Identifier: Apache-2.0 */
/* SM2: the standard's examples, strict signatures, and the traps of the library. */
#include "proof_samples.h"

/* The library has a type of the name that an error code of this product has. */
#define ERR_STATE OPENSSL_ERR_STATE
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#undef ERR_STATE

#define SAMPLE_R "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
#define SAMPLE_S "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
#define ORDER "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123"
#define ORDER_LESS_1 "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54122"
#define ORDER_LESS_2 "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54121"

static struct arena *arena;
static struct sm2_key *key;

static int given_the_sample_key(void **state)
{
    (void)state;
    arena = arena_new(0);
    key = key_of_hex(arena, SAMPLE_D);
    return 0;
}

static int drop(void **state)
{
    (void)state;
    sm2_free(key);
    arena_free(arena);
    return 0;
}

static str_t signature_of(const struct sm2_key *by, str_t message)
{
    uint8_t *out = arena_alloc(arena, SM2_SIG_MAX);
    size_t len;
    sm2_sign(by, message, out, &len);
    assert_true(len <= SM2_SIG_MAX);
    return str_from(out, len);
}

static void the_public_point_follows_from_the_private_number(void **state)
{
    (void)state;
    uint8_t point[SM2_POINT_BYTES], d[32];
    sm2_point(key, point);
    assert_memory_equal(point, from_hex(arena, SAMPLE_POINT).data, SM2_POINT_BYTES);
    sm2_private(key, d);
    assert_memory_equal(d, from_hex(arena, SAMPLE_D).data, 32);
}

static void the_standards_signature_verifies(void **state)
{
    (void)state;
    str_t signature = from_hex(arena, "3046022100" SAMPLE_R "022100" SAMPLE_S);
    assert_true(sm2_verify(key, STR("message digest"), signature));
    assert_false(sm2_verify(key, STR("message digesT"), signature));
    assert_false(sm2_verify(key, (str_t){0}, signature));
    struct sm2_key *public_only =
        sm2_from_point((const uint8_t *)from_hex(arena, SAMPLE_POINT).data);
    assert_true(sm2_verify(public_only, STR("message digest"), signature));
    sm2_free(public_only);
}

static void fresh_signatures_verify_with_their_key_only(void **state)
{
    (void)state;
    struct sm2_key *other = sm2_generate();
    for (int i = 0; i < 50; i++) {
        str_t message = str_printf(arena, "message %d", i), signature = signature_of(key, message);
        assert_true(sm2_verify(key, message, signature));
        assert_false(sm2_verify(other, message, signature));
        assert_false(str_eq(signature, signature_of(key, message)));
    }
    assert_true(sm2_verify(key, (str_t){0}, signature_of(key, (str_t){0})));
    sm2_free(other);
}

static void any_changed_byte_of_a_signature_is_refused(void **state)
{
    (void)state;
    str_t signature = signature_of(key, STR("m"));
    char *bent = arena_copy(arena, signature.data, signature.len);
    for (size_t i = 0; i < signature.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            bent[i] = (char)(bent[i] ^ 1 << bit);
            assert_false(sm2_verify(key, STR("m"), str_from(bent, signature.len)));
            bent[i] = (char)(bent[i] ^ 1 << bit);
        }
        assert_false(sm2_verify(key, STR("m"), str_from(bent, i)));
    }
}

static void only_strict_signatures_count(void **state)
{
    (void)state;
    static const char *const loose[] = {
        SAMPLE_R SAMPLE_S,
        "3046022100" SAMPLE_R "022100" SAMPLE_S "00",
        "308146022100" SAMPLE_R "022100" SAMPLE_S,
        "304702220000" SAMPLE_R "022100" SAMPLE_S,
        "30450220" SAMPLE_R "022100" SAMPLE_S,
        "3046022100" ORDER "022100" SAMPLE_S,
        "3046022100" SAMPLE_R "022100" ORDER,
        "3026020100022100" SAMPLE_S,
        "3026022100" SAMPLE_R "020100",
    };
    for (size_t i = 0; i < sizeof loose / sizeof loose[0]; i++)
        assert_false(sm2_signature_is_strict(from_hex(arena, loose[i])));
    assert_true(
        sm2_signature_is_strict(from_hex(arena, "3046022100" ORDER_LESS_1 "022100" ORDER_LESS_1)));
    assert_true(sm2_signature_is_strict(from_hex(arena, "3006020101020101")));
}

static void numbers_that_are_no_private_key_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "0000000000000000000000000000000000000000000000000000000000000000", ORDER_LESS_1, ORDER,
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_null(sm2_from_private((const uint8_t *)from_hex(arena, bad[i]).data));
    struct sm2_key *last = sm2_from_private((const uint8_t *)from_hex(arena, ORDER_LESS_2).data);
    assert_non_null(last);
    assert_true(sm2_verify(last, STR("m"), signature_of(last, STR("m"))));
    sm2_free(last);
}

static void points_off_the_curve_are_refused(void **state)
{
    (void)state;
    uint8_t point[SM2_POINT_BYTES], zero[SM2_POINT_BYTES] = {0};
    sm2_point(key, point);
    point[64] ^= 1;
    assert_null(sm2_from_point(point));
    point[64] ^= 1;
    point[0] = 0x02;
    assert_null(sm2_from_point(point));
    assert_null(sm2_from_point(zero));
    zero[0] = 0x04;
    assert_null(sm2_from_point(zero));
    memset(point + 1, 0xFF, 64);
    point[0] = 0x04;
    assert_null(sm2_from_point(point));
}

static str_t opened(str_t cipher)
{
    struct buf out;
    buf_init(&out, arena, 1 << 17);
    return sm2_decrypt(key, cipher, &out) ? buf_str(&out) : (str_t){0};
}

#define SAMPLE_C1                                                          \
    "022004ebfc718e8d1798620432268e77feb6415e2ede0e073c0f4f640ecd2e149a73" \
    "022100e858f9d81e5430a57b36daab8f950a3c64e6ee6a63094d99283aff767e124df0"
#define SAMPLE_C3 "042059983c18f809e262923c53aec295d30383b54e39d609d160afcb1908d0bd8766"
#define SAMPLE_C2 "041321886ca989ca9c7d58087307ca93092d651efa"

static void the_standards_cipher_text_opens(void **state)
{
    (void)state;
    assert_true(str_is(opened(from_hex(arena, "307c" SAMPLE_C1 SAMPLE_C3 SAMPLE_C2)),
                       "encryption standard"));
    assert_int_equal(opened(from_hex(arena, "307c" SAMPLE_C1 SAMPLE_C3 SAMPLE_C2 "00")).len, 0);
    assert_int_equal(opened(from_hex(arena, "307e" SAMPLE_C1 SAMPLE_C3 SAMPLE_C2 "0500")).len, 0);
    assert_int_equal(opened(from_hex(arena, "3069" SAMPLE_C1 SAMPLE_C3 "0400")).len, 0);
    assert_int_equal(opened((str_t){0}).len, 0);
}

static void what_is_encrypted_comes_back_unless_changed(void **state)
{
    (void)state;
    char plain[300];
    memset(plain, 'p', sizeof plain);
    for (size_t len = 1; len <= sizeof plain; len = len * 2 + 1) {
        struct buf cipher;
        buf_init(&cipher, arena, 4096);
        assert_true(sm2_encrypt(key, str_from(plain, len), &cipher));
        assert_true(str_eq(opened(buf_str(&cipher)), str_from(plain, len)));
        for (size_t i = 0; i < cipher.len; i += 7) {
            cipher.data[i] ^= 1;
            assert_int_equal(opened(buf_str(&cipher)).len, 0);
            cipher.data[i] ^= 1;
        }
    }
    struct buf none;
    buf_init(&none, arena, 64);
    assert_false(sm2_encrypt(key, (str_t){0}, &none));
}

/* A one-byte text is hidden by one byte of key stream, which is zero once in 256 draws: the library
 * must then draw again. */
static void a_short_text_never_stands_open(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++) {
        struct buf cipher;
        buf_init(&cipher, arena, 4096);
        assert_true(sm2_encrypt(key, STR("x"), &cipher));
        assert_true(cipher.data[cipher.len - 1] != 'x');
    }
}

/* ---- traps of the library ---- */

static EVP_MD_CTX *library_verifier(EVP_PKEY *pkey, const char *user_id)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(pkey, NULL);
    if (user_id != NULL)
        assert_int_equal(EVP_PKEY_CTX_set1_id(context, user_id, (int)strlen(user_id)), 1);
    EVP_MD_CTX_set_pkey_ctx(digest, context);
    assert_int_equal(EVP_DigestVerifyInit(digest, NULL, EVP_sm3(), NULL, pkey), 1);
    return digest;
}

static bool library_accepts(EVP_PKEY *pkey, const char *user_id, str_t signature)
{
    EVP_MD_CTX *digest = library_verifier(pkey, user_id);
    EVP_PKEY_CTX *context = EVP_MD_CTX_get_pkey_ctx(digest);
    bool valid = EVP_DigestVerify(digest, (const uint8_t *)signature.data, signature.len,
                                  (const uint8_t *)"m", 1) == 1;
    EVP_MD_CTX_free(digest);
    EVP_PKEY_CTX_free(context);
    return valid;
}

/* The key in the library's own form, by way of its public key encoding. */
static EVP_PKEY *library_key(void)
{
    uint8_t point[SM2_POINT_BYTES];
    sm2_point(key, point);
    struct buf der;
    buf_init(&der, arena, 256);
    buf_put(&der, from_hex(arena, "3059301306072a8648ce3d020106082a811ccf5501822d034200"));
    buf_put(&der, str_from(point, sizeof point));
    const uint8_t *bytes = (const uint8_t *)der.data;
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &bytes, (long)der.len);
    assert_non_null(pkey);
    assert_true(EVP_PKEY_is_a(pkey, "SM2"));
    return pkey;
}

static void our_signatures_carry_the_default_user_id_not_the_librarys_empty_one(void **state)
{
    (void)state;
    EVP_PKEY *pkey = library_key();
    str_t signature = signature_of(key, STR("m"));
    assert_true(library_accepts(pkey, "1234567812345678", signature));
    assert_false(library_accepts(pkey, NULL, signature));
    assert_false(library_accepts(pkey, "", signature));
    EVP_PKEY_free(pkey);
}

/* Were it used, its ECDSA signatures would be accepted by nobody, and no error would be seen. */
static void the_librarys_key_maker_by_curve_name_would_sign_as_ecdsa(void **state)
{
    (void)state;
    EVP_PKEY *pkey = EVP_EC_gen("SM2");
    assert_non_null(pkey);
    assert_true(EVP_PKEY_is_a(pkey, "EC"));
    assert_false(EVP_PKEY_is_a(pkey, "SM2"));
    uint8_t point[SM2_POINT_BYTES], signature[SM2_SIG_MAX];
    size_t point_len, len = sizeof signature;
    assert_int_equal(EVP_PKEY_get_octet_string_param(pkey, "pub", point, sizeof point, &point_len),
                     1);
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(digest, NULL, EVP_sm3(), NULL, pkey), 1);
    assert_int_equal(EVP_DigestSign(digest, signature, &len, (const uint8_t *)"m", 1), 1);
    struct sm2_key *ours = sm2_from_point(point);
    assert_non_null(ours);
    assert_false(sm2_verify(ours, STR("m"), str_from(signature, len)));
    sm2_free(ours);
    EVP_MD_CTX_free(digest);
    EVP_PKEY_free(pkey);
}

static void refusals_leave_no_error_behind_in_the_library(void **state)
{
    (void)state;
    uint8_t zero[SM2_POINT_BYTES] = {0x04};
    ERR_clear_error();
    assert_null(sm2_from_point(zero));
    assert_false(sm2_verify(key, STR("m"), from_hex(arena, "3006020101020101")));
    assert_int_equal(opened(from_hex(arena, "307c" SAMPLE_C1 SAMPLE_C3
                                            "041321886ca989ca9c7d58087307ca93092d651efb"))
                         .len,
                     0);
    assert_int_equal(ERR_peek_error(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_public_point_follows_from_the_private_number),
        cmocka_unit_test(the_standards_signature_verifies),
        cmocka_unit_test(fresh_signatures_verify_with_their_key_only),
        cmocka_unit_test(any_changed_byte_of_a_signature_is_refused),
        cmocka_unit_test(only_strict_signatures_count),
        cmocka_unit_test(numbers_that_are_no_private_key_are_refused),
        cmocka_unit_test(points_off_the_curve_are_refused),
        cmocka_unit_test(the_standards_cipher_text_opens),
        cmocka_unit_test(what_is_encrypted_comes_back_unless_changed),
        cmocka_unit_test(a_short_text_never_stands_open),
        cmocka_unit_test(our_signatures_carry_the_default_user_id_not_the_librarys_empty_one),
        cmocka_unit_test(the_librarys_key_maker_by_curve_name_would_sign_as_ecdsa),
        cmocka_unit_test(refusals_leave_no_error_behind_in_the_library),
    };
    return cmocka_run_group_tests(tests, given_the_sample_key, drop);
}
