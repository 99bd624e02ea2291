/* SPDX-License-Identifier: Apache-2.0 */
/* Known answers of SM3, SM4 and what is built on them; sealed boxes; passwords; social credit
 * codes; DER. */
#include "proof_samples.h"

#include <pthread.h>

#define SM4_SAMPLE "0123456789abcdeffedcba9876543210"

static void assert_hex(const void *bytes, size_t len, const char *hex)
{
    struct arena *arena = arena_new(0);
    str_t got = hex_encode(arena, str_from(bytes, len));
    if (!str_is(got, hex))
        fail_msg(STR_FMT " is not %s", STR_ARG(got), hex);
    arena_free(arena);
}

static void the_self_test_passes(void **state)
{
    (void)state;
    const char *failed = "";
    if (!crypto_self_test(&failed))
        fail_msg("%s", failed);
}

static void sm3_gives_the_standards_digests(void **state)
{
    (void)state;
    uint8_t out[SM3_BYTES];
    sm3(STR("abc"), out);
    assert_hex(out, 32, "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0");
    sm3(STR("abcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcd"), out);
    assert_hex(out, 32, "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732");
    sm3((str_t){0}, out);
    assert_hex(out, 32, "1ab21d8355cfa17f8e61194831e81a8f22bec8c728fefb747ed035eb5082aa2b");
}

static void sm3_of_parts_is_sm3_of_the_whole(void **state)
{
    (void)state;
    uint8_t whole[SM3_BYTES], parts[SM3_BYTES];
    const str_t pieces[] = {STR("a"), (str_t){0}, STR("b"), STR("c")};
    sm3(STR("abc"), whole);
    sm3_parts(pieces, 4, parts);
    assert_memory_equal(whole, parts, 32);
}

static void *hash_many(void *argument)
{
    uint8_t out[SM3_BYTES];
    bool *ok = argument;
    *ok = true;
    for (int i = 0; i < 2000; i++) {
        hmac_sm3(STR("key"), STR("abc"), out);
        *ok = *ok && out[0] == 0x28 && out[31] == 0x93;
    }
    return NULL;
}

static void threads_do_not_disturb_each_other(void **state)
{
    (void)state;
    pthread_t thread[4];
    bool ok[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, hash_many, &ok[i]), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(thread[i], NULL);
        assert_true(ok[i]);
    }
}

static void keyed_functions_give_their_known_answers(void **state)
{
    (void)state;
    uint8_t out[32];
    hmac_sm3(STR("key"), STR("abc"), out);
    assert_hex(out, 32, "28e63256e7c5a087b1f073265dc53092163f7b82729735d06f28f10af9d52393");
    pbkdf2_sm3(STR("password"), STR("salt"), 10000, out, 32);
    assert_hex(out, 32, "738c8c432372d98a73350bc252209e4cf2acdde7cc816730b9812bdfd55c1265");
    hkdf_sm3(STR("ikm"), STR("salt"), STR("info"), out, 32);
    assert_hex(out, 32, "315a3171a989f11d4b10d39d48360982fc7f586ccbc688699af779c6e05a3355");
    uint8_t key[16] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
                       0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10};
    cmac_sm4(key, STR("abc"), out);
    assert_hex(out, 16, "8e75238ac2672a6aee408c1e251854d8");
}

static void a_long_hmac_key_is_hashed_first(void **state)
{
    (void)state;
    char key[65];
    memset(key, 'k', sizeof key);
    uint8_t digest[SM3_BYTES], by_long[SM3_BYTES], by_digest[SM3_BYTES], by_block[SM3_BYTES];
    sm3(str_from(key, 65), digest);
    hmac_sm3(str_from(key, 65), STR("abc"), by_long);
    hmac_sm3(str_from(digest, 32), STR("abc"), by_digest);
    hmac_sm3(str_from(key, 64), STR("abc"), by_block);
    assert_memory_equal(by_long, by_digest, 32);
    assert_memory_not_equal(by_long, by_block, 32);
}

static void sm4_encrypts_one_block_and_a_million_times(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    str_t key = from_hex(arena, SM4_SAMPLE);
    const uint8_t *key_bytes = (const uint8_t *)key.data;
    uint8_t block[32], next[32];
    size_t len;
    memcpy(block, key_bytes, 16);
    for (int i = 0; i < 1000000; i++) {
        /* The first block of CFB over zeros is the encrypted vector itself, without any padding. */
        static const uint8_t zero[16];
        assert_true(sm4_crypt(&(struct sm4_use){SM4_CFB, key_bytes, block}, true,
                              str_from(zero, 16), next, &len));
        memcpy(block, next, 16);
        if (i == 0)
            assert_hex(block, 16, "681edf34d206965e86b3e94f536e4246");
    }
    assert_hex(block, 16, "595298c7c6fd271f0402f804c33d3f66");
    arena_free(arena);
}

static void every_sm4_mode_gives_its_known_answer(void **state)
{
    (void)state;
    static const struct {
        enum sm4_mode mode;
        const char *hex;
    } known[] = {
        {SM4_CBC, "2677f46b09c122cc975533105bd4a22ad9ee98830e69745c9827f934a19621f8"},
        {SM4_CTR, "06999e6239a36eaa2284fd89eda5f7657f161f5854b6ea16c28809fe9d1db305"},
        {SM4_OFB, "06999e6239a36eaa2284fd89eda5f765e3fe505fa3964c6a7946f68fc13ef63f"},
        {SM4_CFB, "06999e6239a36eaa2284fd89eda5f765cab243c911b87479b3c487b45ecea658"},
    };
    struct arena *arena = arena_new(0);
    const uint8_t *key = (const uint8_t *)from_hex(arena, SM4_SAMPLE).data;
    uint8_t plain[32], out[64], back[64];
    for (uint8_t i = 0; i < 32; i++)
        plain[i] = i;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        size_t len, back_len;
        assert_true(sm4_crypt(&(struct sm4_use){known[i].mode, key, plain}, true,
                              str_from(plain, 32), out, &len));
        assert_int_equal(len, known[i].mode == SM4_CBC ? 48 : 32);
        assert_hex(out, 32, known[i].hex);
        assert_true(sm4_crypt(&(struct sm4_use){known[i].mode, key, plain}, false,
                              str_from(out, len), back, &back_len));
        assert_int_equal(back_len, 32);
        assert_memory_equal(back, plain, 32);
    }
    arena_free(arena);
}

static void padded_modes_refuse_what_is_not_padded(void **state)
{
    (void)state;
    uint8_t key[16] = {1}, iv[16] = {2}, out[64], bent[32];
    size_t len, back;
    assert_true(sm4_crypt(&(struct sm4_use){SM4_CBC, key, iv}, true, STR("short"), out, &len));
    assert_int_equal(len, 16);
    assert_false(
        sm4_crypt(&(struct sm4_use){SM4_CBC, key, iv}, false, str_from(out, 15), bent, &back));
    assert_false(sm4_crypt(&(struct sm4_use){SM4_CBC, key, iv}, false, (str_t){0}, bent, &back));
    uint8_t other[16] = {3};
    int refused = 0;
    for (int i = 0; i < 20; i++) {
        other[15] = (uint8_t)i;
        refused += !sm4_crypt(&(struct sm4_use){SM4_ECB, other, NULL}, false, str_from(out, 16),
                              bent, &back);
    }
    assert_true(refused > 15);
}

static str_t sealed(struct arena *arena, const uint8_t key[32], uint32_t key_id, str_t plain)
{
    struct buf box;
    buf_init(&box, arena, 8192);
    box_seal(key, key_id, plain, &box);
    assert_false(box.overflow);
    return buf_str(&box);
}

static void a_box_opens_with_its_key_only(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    for (uint8_t i = 0; i < 20; i++) { /* more keys than a thread remembers */
        uint8_t key[32] = {i}, other[32] = {i, 1};
        str_t box = sealed(arena, key, 7u + i, STR("secret"));
        struct buf out;
        buf_init(&out, arena, 64);
        assert_int_equal(box_key_id(box), 7u + i);
        assert_int_equal(box.len, 1 + 4 + 16 + 6 + 32);
        assert_false(box_open(other, box, &out));
        assert_int_equal(out.len, 0);
        assert_true(box_open(key, box, &out));
        assert_true(str_is(buf_str(&out), "secret"));
    }
    arena_free(arena);
}

static void any_changed_byte_or_length_closes_a_box(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    uint8_t key[32] = {9};
    str_t box = sealed(arena, key, 1, STR("secret"));
    char *bent = arena_copy(arena, box.data, box.len);
    struct buf out;
    buf_init(&out, arena, 64);
    for (size_t i = 0; i < box.len; i++) {
        bent[i] ^= 0x10;
        assert_false(box_open(key, str_from(bent, box.len), &out));
        bent[i] ^= 0x10;
        assert_false(box_open(key, str_from(bent, i), &out));
    }
    assert_true(box_open(key, str_from(bent, box.len), &out));
    arena_free(arena);
}

static void boxes_of_any_length_come_back(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    uint8_t key[32] = {9}, plain[4000];
    crypto_random(plain, sizeof plain);
    for (size_t len = 0; len < sizeof plain; len += len < 40 ? 1 : 997) {
        struct buf out;
        buf_init(&out, arena, 8192);
        str_t box = sealed(arena, key, 1, str_from(plain, len));
        assert_true(box_open(key, box, &out));
        assert_int_equal(out.len, len);
        assert_memory_equal(len > 0 ? out.data : "", plain, len);
    }
    arena_free(arena);
}

static void a_password_verifies_and_another_does_not(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    str_t verifier = password_hash(arena, STR("正确 horse"));
    assert_true(str_starts(verifier, STR("pbkdf2-sm3$60000$")));
    assert_true(password_verify(verifier, STR("正确 horse")));
    assert_false(password_verify(verifier, STR("正确 horsf")));
    assert_false(password_verify(verifier, STR("")));
    assert_false(str_eq(verifier, password_hash(arena, STR("正确 horse"))));
    assert_false(password_needs_rehash(verifier));
    arena_free(arena);
}

static void an_unreadable_verifier_refuses_every_password(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "",
        "pbkdf2-sm3",
        "pbkdf2-sm3$60000$c2FsdHNhbHQ=",
        "pbkdf2-sm3$0$c2FsdHNhbHQ=$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "pbkdf2-sm3$-5$c2FsdHNhbHQ=$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "pbkdf2-sm3$99999999999$c2FsdHNhbHQ=$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "pbkdf2-sm3$1$$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "pbkdf2-sm3$1$c2FsdHNhbHQ=$",
        "pbkdf2-sm3$1$c2FsdHNhbHQ=$AAAA",
        "pbkdf2-sha1$1$c2FsdHNhbHQ=$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "$argon2id$nonsense",
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        assert_false(password_verify(str_of(broken[i]), STR("")));
    assert_true(password_needs_rehash(STR("")));
}

static void a_cheap_verifier_still_verifies_but_asks_for_a_new_one(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    uint8_t hash[32];
    pbkdf2_sm3(STR("old"), STR("saltsalt"), 1000, hash, 32);
    str_t text = base64_encode(arena, str_from(hash, 32));
    str_t verifier = str_printf(arena, "pbkdf2-sm3$1000$c2FsdHNhbHQ=$" STR_FMT, STR_ARG(text));
    assert_true(password_verify(verifier, STR("old")));
    assert_true(password_needs_rehash(verifier));
    arena_free(arena);
}

static void an_argon2id_verifier_is_accepted(void **state)
{
    (void)state;
    /* The reference's example: password "password", salt "somesalt", t=2, m=64 MiB, p=1. */
    str_t verifier = STR(
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc");
    assert_true(password_verify(verifier, STR("password")));
    assert_false(password_verify(verifier, STR("Password")));
    assert_false(password_needs_rehash(verifier));
}

/* ---- social credit codes, by another way of counting ---- */

static char check_of_code(const char *first_17)
{
    static const char order[] = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    long weights[17] = {1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28}, sum = 0;
    for (int i = 0; i < 17; i++)
        for (long value = 0; value < 31; value++)
            if (order[value] == first_17[i])
                sum += value * weights[i];
    for (int value = 0; value < 31; value++)
        if ((sum + value) % 31 == 0)
            return order[value];
    return '?';
}

static char check_of_organisation(const char *eight)
{
    static const char order[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    long weights[8] = {3, 7, 9, 10, 5, 8, 4, 2}, sum = 0;
    for (int i = 0; i < 8; i++)
        sum += (long)(strchr(order, eight[i]) - order) * weights[i];
    for (int value = 0; value <= 10; value++)
        if ((sum + value) % 11 == 0)
            return value == 10 ? 'X' : (char)('0' + value);
    return '?';
}

static void given_code(char code[19], unsigned seed)
{
    static const char order[] = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    code[0] = '9';
    code[1] = '1';
    for (int i = 2; i < 16; i++) {
        seed = seed * 1103515245u + 12345u;
        code[i] = i < 8 ? (char)('0' + (seed >> 16) % 10) : order[(seed >> 16) % 31];
    }
    code[16] = check_of_organisation(code + 8);
    code[17] = check_of_code(code);
    code[18] = '\0';
}

static void published_credit_codes_are_judged_rightly(void **state)
{
    (void)state;
    char expected;
    assert_int_equal(uscc_check(STR("91110000600037341L"), &expected), 0);
    assert_int_equal(uscc_check(STR("91350100M000100Y43"), &expected), 0);
    assert_int_equal(uscc_check(STR("91350100M000100Y4Z"), &expected), 18);
    assert_int_equal(expected, '3');
    assert_int_equal(uscc_check(STR("91350100M000100Y4"), &expected), -1);
    assert_int_equal(uscc_check(STR("91350100M000100Y433"), &expected), -1);
    assert_int_equal(uscc_check((str_t){0}, &expected), -1);
}

static void codes_made_another_way_are_valid(void **state)
{
    (void)state;
    char code[19], expected;
    bool saw_x = false, saw_0 = false;
    for (unsigned seed = 1; seed <= 500; seed++) {
        given_code(code, seed);
        saw_x = saw_x || code[16] == 'X';
        saw_0 = saw_0 || code[16] == '0';
        if (uscc_check(str_of(code), &expected) != 0)
            fail_msg("%s", code);
    }
    assert_true(saw_x && saw_0);
}

static void a_wrong_character_at_any_position_is_noticed(void **state)
{
    (void)state;
    static const char order[] = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    char code[19], expected;
    for (unsigned seed = 1; seed <= 20; seed++) {
        given_code(code, seed);
        for (int i = 0; i < 18; i++) {
            char right = code[i];
            for (const char *c = order; *c != '\0'; c++) {
                code[i] = *c;
                int wrong = uscc_check(str_of(code), &expected);
                assert_true((wrong == 0) == (*c == right));
            }
            for (const char *c = "IOSVZ iaz-\x80"; *c != '\0'; c++) {
                code[i] = *c;
                assert_int_equal(uscc_check(str_of(code), &expected), i + 1);
            }
            code[i] = right;
        }
    }
}

static void the_right_check_characters_are_told(void **state)
{
    (void)state;
    char code[19], expected;
    given_code(code, 7);
    char right_17 = code[16], right_18 = code[17];
    code[16] = right_17 == '1' ? '2' : '1';
    assert_int_equal(uscc_check(str_of(code), &expected), 17);
    assert_int_equal(expected, right_17);
    code[16] = right_17;
    code[17] = right_18 == '1' ? '2' : '1';
    assert_int_equal(uscc_check(str_of(code), &expected), 18);
    assert_int_equal(expected, right_18);
    code[2] = 'A';
    assert_int_equal(uscc_check(str_of(code), &expected), 3);
    assert_int_equal(expected, '\0');
}

/* ---- DER ---- */

static void assert_der(str_t bytes, int tag, bool readable)
{
    struct der der = {bytes};
    str_t content;
    assert_true(der_next(&der, tag, &content) == readable);
    if (!readable)
        assert_true(str_eq(der.rest, bytes));
}

static void der_is_read_strictly(void **state)
{
    (void)state;
    char long_form[3 + 128] = "\x04\x81\x80", longer[4 + 128] = "\x04\x82\x00\x80";
    assert_der(STR("\x02\x01\x05"), 0x02, true);
    assert_der(STR("\x05\x00"), 0x05, true);
    assert_der(str_from(long_form, sizeof long_form), 0x04, true);
    assert_der(STR("\x02\x01\x05"), 0x04, false);
    assert_der(STR("\x02\x02\x05"), 0x02, false);
    assert_der(STR("\x02"), 0x02, false);
    assert_der((str_t){0}, 0x02, false);
    assert_der(STR("\x02\x81\x01\x05"), 0x02, false);
    assert_der(STR("\x02\x80\x05\x00\x00"), 0x02, false);
    assert_der(str_from(longer, sizeof longer), 0x04, false);
    assert_der(STR("\x02\x84\xFF\xFF\xFF\xFF\x05"), 0x02, false);
    assert_der(STR("\x02\x85\x00\x00\x00\x00\x01\x05"), 0x02, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_self_test_passes),
        cmocka_unit_test(sm3_gives_the_standards_digests),
        cmocka_unit_test(sm3_of_parts_is_sm3_of_the_whole),
        cmocka_unit_test(threads_do_not_disturb_each_other),
        cmocka_unit_test(keyed_functions_give_their_known_answers),
        cmocka_unit_test(a_long_hmac_key_is_hashed_first),
        cmocka_unit_test(sm4_encrypts_one_block_and_a_million_times),
        cmocka_unit_test(every_sm4_mode_gives_its_known_answer),
        cmocka_unit_test(padded_modes_refuse_what_is_not_padded),
        cmocka_unit_test(a_box_opens_with_its_key_only),
        cmocka_unit_test(any_changed_byte_or_length_closes_a_box),
        cmocka_unit_test(boxes_of_any_length_come_back),
        cmocka_unit_test(a_password_verifies_and_another_does_not),
        cmocka_unit_test(an_unreadable_verifier_refuses_every_password),
        cmocka_unit_test(a_cheap_verifier_still_verifies_but_asks_for_a_new_one),
        cmocka_unit_test(an_argon2id_verifier_is_accepted),
        cmocka_unit_test(published_credit_codes_are_judged_rightly),
        cmocka_unit_test(codes_made_another_way_are_valid),
        cmocka_unit_test(a_wrong_character_at_any_position_is_noticed),
        cmocka_unit_test(the_right_check_characters_are_told),
        cmocka_unit_test(der_is_read_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
