/* SPDX-License-Identifier: Apache-2.0 */
/* The openssl program as an independent judge: it verifies our signatures and we verify its, both
 * ways for encryption, digests, modes and certificates. Without the program the tests fail; they
 * never pass by not running. */
#include "token_samples.h"

#include <unistd.h>

#define USER_ID "distid:1234567812345678"

static struct arena *arena;
static struct sm2_key *key;
static char folder[64];

static const char *const files[] = {"key.pem", "public.pem", "message",  "signature",
                                    "cipher",  "plain",      "cert.der", "out"};

static const char *path(const char *name)
{
    return str_printf(arena, "%s/%s", folder, name).data;
}

static void write_file(const char *name, str_t bytes)
{
    FILE *file = fopen(path(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.data, 1, bytes.len, file), bytes.len);
    assert_int_equal(fclose(file), 0);
}

static str_t read_all(FILE *file)
{
    struct buf buf;
    char piece[4096];
    buf_init(&buf, arena, 1 << 20);
    for (size_t got; (got = fread(piece, 1, sizeof piece, file)) > 0;)
        buf_put(&buf, str_from(piece, got));
    return buf_str(&buf);
}

static str_t read_file(const char *name)
{
    FILE *file = fopen(path(name), "rb");
    assert_non_null(file);
    str_t bytes = read_all(file);
    fclose(file);
    return bytes;
}

/* Runs `openssl ...` in the folder; gives its output. */
static bool openssl(const char *arguments, str_t *out)
{
    str_t command = str_printf(arena, "cd %s && openssl %s 2>&1", folder, arguments);
    FILE *process = popen(command.data, "r"); // NOLINT(cert-env33-c): the shell is wanted here
    assert_non_null(process);
    *out = read_all(process);
    return pclose(process) == 0;
}

static bool openssl_does(const char *arguments)
{
    str_t out;
    return openssl(arguments, &out);
}

static void must(const char *arguments)
{
    str_t out;
    if (!openssl(arguments, &out))
        fail_msg("openssl %s: " STR_FMT, arguments, STR_ARG(out));
}

static void write_pem(const char *name, const char *label, str_t der)
{
    str_t base64 = base64_encode(arena, der);
    struct buf pem;
    buf_init(&pem, arena, 8192);
    buf_printf(&pem, "-----BEGIN %s-----\n", label);
    for (; base64.len > 0; base64 = str_cut(base64, 64))
        buf_printf(&pem, "%.*s\n", base64.len < 64 ? (int)base64.len : 64, base64.data);
    buf_printf(&pem, "-----END %s-----\n", label);
    write_file(name, buf_str(&pem));
}

static int given_a_key_on_both_sides(void **state)
{
    (void)state;
    arena = arena_new(0);
    memcpy(folder, "/tmp/openssl-XXXXXX", sizeof "/tmp/openssl-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return 1;
    key = sm2_generate();
    uint8_t d[32], bits[1 + SM2_POINT_BYTES] = {0};
    sm2_private(key, d);
    sm2_point(key, bits + 1);
    str_t private_der =
        GROUP(arena, 0x30, tlv(arena, 0x02, STR("\x01")), tlv(arena, 0x04, str_from(d, 32)),
              tlv(arena, 0xA0, oid(arena, "2a811ccf5501822d")),
              tlv(arena, 0xA1, tlv(arena, 0x03, str_from(bits, sizeof bits))));
    write_pem("key.pem", "EC PRIVATE KEY", private_der);
    write_pem("public.pem", "PUBLIC KEY", public_key_der(arena, key));
    write_file("message", STR("一份 message\nof two lines"));
    return 0;
}

static int drop(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        remove(path(files[i]));
    int left = rmdir(folder);
    sm2_free(key);
    arena_free(arena);
    return left;
}

static void sign_message(void)
{
    write_file("signature", signature_by(arena, key, read_file("message")));
}

static void it_verifies_our_signatures_under_the_default_user_id(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        sign_message();
        must("dgst -sm3 -verify public.pem -sigopt " USER_ID " -signature signature message");
        must("pkeyutl -verify -pubin -inkey public.pem -rawin -digest sm3 -in message -sigfile "
             "signature "
             "-pkeyopt " USER_ID);
    }
}

static void it_refuses_our_signatures_without_the_user_id(void **state)
{
    (void)state;
    sign_message();
    assert_false(openssl_does("dgst -sm3 -verify public.pem -signature signature message"));
    assert_false(openssl_does(
        "dgst -sm3 -verify public.pem -sigopt distid:someone -signature signature message"));
    must("dgst -sm3 -verify public.pem -sigopt " USER_ID " -signature signature message");
}

static void we_verify_its_signatures_under_the_default_user_id(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        must("dgst -sm3 -sign key.pem -sigopt " USER_ID " -out signature message");
        assert_true(sm2_verify(key, read_file("message"), read_file("signature")));
        must("pkeyutl -sign -inkey key.pem -rawin -digest sm3 -in message -out signature "
             "-pkeyopt " USER_ID);
        assert_true(sm2_verify(key, read_file("message"), read_file("signature")));
    }
    must("dgst -sm3 -sign key.pem -out signature message");
    assert_false(sm2_verify(key, read_file("message"), read_file("signature")));
}

static void keys_that_it_makes_are_read_by_us(void **state)
{
    (void)state;
    must("genpkey -algorithm SM2 -out key2.pem");
    must("pkey -in key2.pem -pubout -outform DER -out public2.der");
    must("dgst -sm3 -sign key2.pem -sigopt " USER_ID " -out signature message");
    struct sm2_key *other = public_key_read(read_file("public2.der"));
    assert_non_null(other);
    assert_true(sm2_verify(other, read_file("message"), read_file("signature")));
    assert_false(sm2_verify(key, read_file("message"), read_file("signature")));
    sm2_free(other);
    remove(path("key2.pem"));
    remove(path("public2.der"));
}

static void encryption_is_understood_both_ways(void **state)
{
    (void)state;
    struct buf cipher, plain;
    buf_init(&cipher, arena, 4096);
    buf_init(&plain, arena, 4096);
    assert_true(sm2_encrypt(key, STR("from us"), &cipher));
    write_file("cipher", buf_str(&cipher));
    must("pkeyutl -decrypt -inkey key.pem -in cipher -out plain");
    assert_true(str_is(read_file("plain"), "from us"));
    write_file("plain", STR("from it"));
    must("pkeyutl -encrypt -pubin -inkey public.pem -in plain -out cipher");
    assert_true(sm2_decrypt(key, read_file("cipher"), &plain));
    assert_true(str_is(buf_str(&plain), "from it"));
}

static void digests_and_macs_agree(void **state)
{
    (void)state;
    uint8_t digest[SM3_BYTES], mac[SM3_BYTES], random[1000];
    str_t out;
    for (size_t len = 0; len < sizeof random; len = len * 2 + 13) {
        crypto_random(random, len);
        write_file("message", str_from(random, len));
        sm3(str_from(random, len), digest);
        hmac_sm3(STR("secret key"), str_from(random, len), mac);
        assert_true(openssl("dgst -sm3 -r message", &out));
        assert_true(str_starts(out, hex_encode(arena, str_from(digest, 32))));
        assert_true(openssl("dgst -sm3 -r -hmac 'secret key' message", &out));
        assert_true(str_starts(out, hex_encode(arena, str_from(mac, 32))));
    }
    write_file("message", STR("一份 message\nof two lines"));
}

static void cipher_modes_agree(void **state)
{
    (void)state;
    static const char *const names[] = {"ecb", "cbc", "ctr", "ofb", "cfb"};
    uint8_t key_bytes[16], iv[16], random[333], out[400];
    crypto_random(random, sizeof random);
    write_file("plain", str_from(random, sizeof random));
    for (enum sm4_mode mode = SM4_ECB; mode <= SM4_CFB; mode++) {
        size_t len;
        crypto_random(key_bytes, 16);
        crypto_random(iv, 16);
        str_t key_hex = hex_encode(arena, str_from(key_bytes, 16)),
              iv_hex = hex_encode(arena, str_from(iv, 16));
        str_t vector =
            mode == SM4_ECB ? STR("") : str_printf(arena, "-iv " STR_FMT, STR_ARG(iv_hex));
        must(str_printf(arena, "enc -sm4-%s -K " STR_FMT " " STR_FMT " -in plain -out cipher",
                        names[mode], STR_ARG(key_hex), STR_ARG(vector))
                 .data);
        assert_true(sm4_crypt(&(struct sm4_use){mode, key_bytes, iv}, true,
                              str_from(random, sizeof random), out, &len));
        assert_true(str_eq(read_file("cipher"), str_from(out, len)));
    }
}

static void it_reads_our_certificate_and_token(void **state)
{
    (void)state;
    str_t out;
    const struct token_wish none = {0};
    str_t certificate = sample_certificate(arena, key, "0102030405");
    write_file("cert.der", certificate);
    assert_true(openssl("x509 -inform DER -in cert.der -noout -text", &out));
    assert_non_null(memmem(out.data, out.len, "Sample TSA", 10));
    /* `openssl verify` does not hand the user id on to the issuer's copy, so the parts are judged
     * by themselves. */
    struct der outer = {certificate}, inner;
    str_t content, body, skipped = {0}, bits = {0};
    assert_true(der_next(&outer, 0x30, &content));
    inner.rest = content;
    assert_true(der_next(&inner, 0x30, &body));
    write_file("message", str_from(content.data, content.len - inner.rest.len));
    assert_true(der_next(&inner, 0x30, &skipped) && der_next(&inner, 0x03, &bits));
    write_file("signature", str_cut(bits, 1));
    must("dgst -sm3 -verify public.pem -sigopt " USER_ID " -signature signature message");
    write_file("out", sample_token(arena, key, certificate, STR("stamped"), &none));
    assert_true(openssl("ts -reply -token_in -in out -token_out -text", &out));
    assert_non_null(memmem(out.data, out.len, "Nov 24 15:30:00.123 2026 GMT", 28));
}

static void a_certificate_that_it_makes_gives_us_its_key(void **state)
{
    (void)state;
    must("req -x509 -key key.pem -sm3 -sigopt " USER_ID
         " -subj /CN=x -days 1 -outform DER -out cert.der");
    struct sm2_key *owner = certificate_key(read_file("cert.der"));
    assert_non_null(owner);
    uint8_t ours[SM2_POINT_BYTES], its[SM2_POINT_BYTES];
    sm2_point(key, ours);
    sm2_point(owner, its);
    assert_memory_equal(ours, its, SM2_POINT_BYTES);
    sm2_free(owner);
}

static void it_verifies_a_signed_head(void **state)
{
    (void)state;
    struct head head = {
        .origin = STR(SAMPLE_ORIGIN), .size = 0, .height = 1, .time_ms = 5, .root = tree_empty()};
    struct buf note_text;
    struct note note;
    const char *why = "";
    buf_init(&note_text, arena, 4096);
    head_sign(&note_text, &head, key);
    assert_true(note_read(arena, buf_str(&note_text), &note, &why));
    write_file("message", note.text);
    write_file("signature", str_cut(note.signatures[0].blob, 4));
    must("dgst -sm3 -verify public.pem -sigopt " USER_ID " -signature signature message");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_verifies_our_signatures_under_the_default_user_id),
        cmocka_unit_test(it_refuses_our_signatures_without_the_user_id),
        cmocka_unit_test(we_verify_its_signatures_under_the_default_user_id),
        cmocka_unit_test(keys_that_it_makes_are_read_by_us),
        cmocka_unit_test(encryption_is_understood_both_ways),
        cmocka_unit_test(digests_and_macs_agree),
        cmocka_unit_test(cipher_modes_agree),
        cmocka_unit_test(it_reads_our_certificate_and_token),
        cmocka_unit_test(a_certificate_that_it_makes_gives_us_its_key),
        cmocka_unit_test(it_verifies_a_signed_head),
    };
    return cmocka_run_group_tests(tests, given_a_key_on_both_sides, drop);
}
