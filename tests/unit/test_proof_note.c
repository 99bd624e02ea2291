/* SPDX-License-Identifier: Apache-2.0 */
/* Entries, keys, heads, votes and member lists: the golden head, and every refusal of the strict
 * text form. */
#include "proof_samples.h"

static struct sample *sample;

static int given_sample(void **state)
{
    (void)state;
    sample = sample_new();
    return 0;
}

static int drop(void **state)
{
    (void)state;
    sample_free(sample);
    return 0;
}

static const char golden_text[] =
    SAMPLE_ORIGIN "\n8\n"
                  "vEi6enCRhLXypjHhreuNwqDUwBjB1syJtWZP4VTJOzg=\n"
                  "height 1\n"
                  "prev AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
                  "time 1795000000000\n"
                  "set GrIdg1XPoX+OYRlIMegajyK+yMco/vt0ftA161CCqis=\n";
static const char golden_signature[] =
    "\n\xE2\x80\x94 " SAMPLE_ORIGIN " "
    "Ot4KbjBFAiEAjlGUv5pd0kYPoHVM157wAQ+"
    "mFqhstKdHupsrOkYL6FACIAalIyGqoZgyXMBbDE9yHRrW04wW5ZfD9SltEJEG8CD2\n";

static str_t golden(void)
{
    return joined(sample->arena, str_of(golden_text), str_of(golden_signature));
}

static const char *refusal(str_t text)
{
    static struct note note;
    const char *why = NULL;
    return note_read(sample->arena, text, &note, &why) ? NULL : why;
}

static void assert_refused(str_t text, const char *because)
{
    const char *why = refusal(text);
    if (why == NULL || strstr(why, because) == NULL)
        fail_msg("%s is not %s", why == NULL ? "accepted" : why, because);
}

static void the_golden_head_is_read_verified_and_written_alike(void **state)
{
    (void)state;
    struct note note;
    const char *why = "";
    assert_true(note_read(sample->arena, golden(), &note, &why));
    assert_true(note_verify(&note, &sample->vkeys, &why));
    assert_true(str_is(note.text, golden_text));
    assert_true(str_is(note.head.origin, SAMPLE_ORIGIN));
    assert_int_equal(note.head.size, 8);
    assert_int_equal(note.head.height, 1);
    assert_true(note.head.time_ms == SAMPLE_HEAD_TIME);
    struct buf again;
    uint8_t block[SM3_BYTES];
    buf_init(&again, sample->arena, 4096);
    head_write(&again, &note.head);
    assert_true(str_is(buf_str(&again), golden_text));
    sm3(note.text, block);
    str_t hex = hex_encode(sample->arena, str_from(block, 32));
    assert_true(str_starts(hex, STR("7dcde391")) && str_ends(hex, STR("db19")));
}

static void the_golden_key_line_has_the_golden_key_id(void **state)
{
    (void)state;
    assert_true(str_starts(sample->vkeys_text, STR(SAMPLE_ORIGIN "+3ade0a6e+")));
    assert_memory_equal(sample->vkeys.key[0].id, "\x3A\xDE\x0A\x6E", 4);
}

static void a_head_of_an_unpinned_key_is_refused(void **state)
{
    (void)state;
    struct note note;
    struct vkeys other;
    const char *why = "";
    assert_true(vkeys_read(sample->arena,
                           vkey_line(sample->arena, SAMPLE_ORIGIN, false, sample->actor), &other,
                           &why));
    assert_true(note_read(sample->arena, golden(), &note, &why));
    assert_false(note_verify(&note, &other, &why));
    assert_string_equal(why, "the log's key is not among the pinned keys");
    vkeys_free(&other);
}

static void every_byte_of_a_head_matters(void **state)
{
    (void)state;
    str_t good = golden();
    char *bent = arena_copy(sample->arena, good.data, good.len);
    for (size_t i = 0; i < good.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            struct note note;
            const char *why = "";
            struct arena *arena = arena_new(0);
            bent[i] = (char)(bent[i] ^ 1 << bit);
            if (note_read(arena, str_from(bent, good.len), &note, &why) &&
                note_verify(&note, &sample->vkeys, &why))
                fail_msg("bit %d of byte %zu", bit, i);
            bent[i] = (char)(bent[i] ^ 1 << bit);
            arena_free(arena);
        }
    }
    for (size_t len = 0; len < good.len; len++)
        assert_non_null(refusal(str_from(good.data, len)));
}

static void assert_edit_refused(const char *from, const char *to, const char *because)
{
    assert_refused(replaced(sample->arena, golden(), from, to), because);
}

static void other_forms_of_a_head_are_refused(void **state)
{
    (void)state;
    assert_edit_refused("\n8\n", "\n08\n", "size");
    assert_edit_refused("\n8\n", "\n+8\n", "size");
    assert_edit_refused("\n8\n", "\n-8\n", "size");
    assert_edit_refused("\n8\n", "\n72057594037927936\n", "size");
    assert_edit_refused("\n8\n", "\n99999999999999999999999\n", "size");
    assert_edit_refused("\n8\n", "\n0\n", "empty tree");
    assert_edit_refused("height 1", "height 0", "height");
    assert_edit_refused("height 1", "height 2", "previous");
    assert_edit_refused("height 1", "height  1", "height");
    assert_edit_refused("height 1", "height 1 ", "height");
    assert_edit_refused("height 1", "Height 1", "height");
    assert_edit_refused("height 1\n", "height 1\r\n", "control byte");
    assert_edit_refused("height 1\n", "", "fewer than seven");
    assert_edit_refused("prev AAAA", "prev BAAA", "previous");
    assert_edit_refused("AAA=\ntime", "AAB=\ntime", "previous");
    assert_edit_refused("time 1795000000000", "time 9223372036854775808", "time");
    assert_edit_refused("time 1795000000000", "time 1795000000000.5", "time");
    assert_edit_refused("qis=\n", "qis\n", "member set");
    assert_edit_refused("qis=\n", "qis=\nextra 1\n", "empty line");
    assert_edit_refused("JOzg=", "JOzh=", "root");
    assert_edit_refused("\n\n", "\n", "empty line");
    assert_edit_refused("\n\n", "\n\n\n", "signature line");
    assert_edit_refused("\xE2\x80\x94 op", "\xE2\x80\x93 op", "signature line");
    assert_edit_refused("\xE2\x80\x94 op", "\xE2\x80\x94op", "signature line");
    assert_edit_refused("trade Ot4K", "trade  Ot4K", "signature line");
    assert_edit_refused("trade Ot4K", "tra+de Ot4K", "signature line");
    assert_refused(joined(sample->arena, golden(), STR("\n")), "signature line");
    assert_refused(joined(sample->arena, STR("\xEF\xBB\xBF"), golden()), "byte order mark");
    assert_refused(joined(sample->arena, golden(), STR("x")), "line feed");
    assert_refused(joined(sample->arena, golden(), STR("\xC0\x80\n")), "UTF-8");
    assert_refused((str_t){0}, "line feed");
}

static void only_origins_of_the_known_form_are_accepted(void **state)
{
    (void)state;
    static const char *const good[] = {
        "op.example/evidence/ops",         "localhost:8080/evidence/match",
        "127.0.0.1:1/evidence/finance/2",  "[::1]:8443/evidence/trade",
        "[2001:db8::1]/evidence/trade/17", "suan_he-1/evidence/ops"};
    static const char *const bad[] = {
        "op.example/evidence/opsx",    "op.example/evidence/",
        "op.example/evidence",         "/evidence/ops",
        "op.example/evidence/ops/",    "op.example/evidence/ops/0",
        "op.example/evidence/ops/1/2", "op.example/evidence/ops/01",
        "op example/evidence/ops",     "op.example:/evidence/ops",
        "op.example:0/evidence/ops",   "op.example:65536/evidence/ops",
        "op.example:080/evidence/ops", "::1/evidence/ops",
        "[::1/evidence/ops",           "[]/evidence/ops",
        "op+x/evidence/ops",           "https://op/evidence/ops"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_edit_refused(SAMPLE_ORIGIN "\n8", str_printf(sample->arena, "%s\n08", good[i]).data,
                            "size");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_edit_refused(SAMPLE_ORIGIN "\n8", str_printf(sample->arena, "%s\n8", bad[i]).data,
                            "origin");
}

static void a_head_text_beyond_4_kib_is_refused(void **state)
{
    (void)state;
    char *host = arena_alloc(sample->arena, 4097);
    memset(host, 'a', 4096);
    assert_edit_refused("op.example", host, "4 KiB");
}

static void more_than_64_signature_lines_are_refused(void **state)
{
    (void)state;
    str_t many = golden();
    for (int i = 1; i <= 64; i++) {
        struct buf line;
        buf_init(&line, sample->arena, 1024);
        vote_sign(&line, str_of(golden_text), str_printf(sample->arena, "w%d", i), SAMPLE_HEAD_TIME,
                  sample->actor);
        if (i == 64)
            assert_null(refusal(many));
        many = joined(sample->arena, many, buf_str(&line));
    }
    assert_refused(many, "more than 64");
}

static str_t vote_line(const char *name, uint64_t time_ms, const struct sm2_key *key)
{
    struct buf line;
    buf_init(&line, sample->arena, 1024);
    vote_sign(&line, str_of(golden_text), str_of(name), time_ms, key);
    return buf_str(&line);
}

static void a_failing_line_of_a_pinned_member_makes_the_note_invalid(void **state)
{
    (void)state;
    struct vkeys keys;
    struct note note;
    const char *why = "";
    str_t both = joined(sample->arena, sample->vkeys_text,
                        vkey_line(sample->arena, "w", true, sample->actor));
    assert_true(vkeys_read(sample->arena, both, &keys, &why));
    str_t good = joined(sample->arena, golden(), vote_line("w", SAMPLE_HEAD_TIME, sample->actor));
    assert_true(note_read(sample->arena, good, &note, &why) && note_verify(&note, &keys, &why));
    str_t early =
        joined(sample->arena, golden(), vote_line("w", SAMPLE_HEAD_TIME - 1, sample->actor));
    assert_true(note_read(sample->arena, early, &note, &why));
    assert_false(note_verify(&note, &keys, &why));
    assert_true(note_verify(&note, &sample->vkeys, &why)); /* not pinned: ignored */
    vkeys_free(&keys);
}

static void a_members_key_of_the_logs_name_does_not_sign_heads(void **state)
{
    (void)state;
    struct vkeys keys;
    struct note note;
    const char *why = "";
    uint8_t blob[4 + SM2_SIG_MAX];
    size_t len;
    str_t line = vkey_line(sample->arena, SAMPLE_ORIGIN, true, sample->actor);
    assert_true(vkeys_read(sample->arena, line, &keys, &why));
    memcpy(blob, keys.key[0].id, 4);
    sm2_sign(sample->actor, str_of(golden_text), blob + 4, &len);
    str_t base64 = base64_encode(sample->arena, str_from(blob, 4 + len));
    str_t text = str_printf(sample->arena, "%s\n\xE2\x80\x94 " SAMPLE_ORIGIN " " STR_FMT "\n",
                            golden_text, STR_ARG(base64));
    assert_true(note_read(sample->arena, text, &note, &why));
    assert_false(note_verify(&note, &keys, &why));
    vkeys_free(&keys);
}

static const char *key_refusal(const char *format, str_t line)
{
    struct vkeys keys;
    const char *why = NULL;
    str_t text =
        replaced(sample->arena, str_of(format), "KEY\n", str_dup(sample->arena, line).data);
    bool read = vkeys_read(sample->arena, text, &keys, &why);
    if (read)
        vkeys_free(&keys);
    return read ? NULL : why;
}

static void key_files_skip_comments_and_hold_many_keys(void **state)
{
    (void)state;
    struct vkeys keys;
    const char *why = "";
    str_t other = vkey_line(sample->arena, "op.example/evidence/ops", false, sample->actor);
    str_t retired = vkey_line(sample->arena, SAMPLE_ORIGIN, false, sample->actor);
    str_t file = str_printf(sample->arena, "# keys\n\n" STR_FMT STR_FMT "\n" STR_FMT,
                            STR_ARG(other), STR_ARG(retired), STR_ARG(sample->vkeys_text));
    assert_true(vkeys_read(sample->arena, str_from(file.data, file.len - 1), &keys, &why));
    assert_int_equal(keys.count, 3);
    struct note note;
    assert_true(note_read(sample->arena, golden(), &note, &why) && note_verify(&note, &keys, &why));
    vkeys_free(&keys);
}

static void malformed_key_lines_are_refused(void **state)
{
    (void)state;
    str_t line = sample->vkeys_text;
    assert_null(key_refusal("KEY\n", line));
    assert_non_null(key_refusal("KEY\nKEY2\n", line));
    assert_non_null(key_refusal("# nothing\nKEY\n", STR("")));
    assert_non_null(key_refusal("KEY\n", joined(sample->arena, line, line)));
    assert_non_null(key_refusal("KEY\n", replaced(sample->arena, line, "3ade0a6e", "3ADE0A6E")));
    assert_non_null(key_refusal("KEY\n", replaced(sample->arena, line, "3ade0a6e", "3ade0a6f")));
    assert_non_null(key_refusal("KEY\n", replaced(sample->arena, line, "3ade0a6e", "3ade0a6")));
    assert_non_null(key_refusal("KEY\n", replaced(sample->arena, line, "trade+", "trade")));
    assert_non_null(key_refusal("KEY\n", replaced(sample->arena, line, "op.ex", "op ex")));
    assert_non_null(key_refusal("KEY\n", replaced(sample->arena, line, "\n", "=\n")));
    assert_non_null(key_refusal("KEY\n", replaced(sample->arena, line, "\n", " \n")));
}

static void a_key_whose_point_is_off_the_curve_is_refused(void **state)
{
    (void)state;
    struct buf line;
    uint8_t point[SM2_POINT_BYTES];
    buf_init(&line, sample->arena, 1024);
    sm2_point(sample->log, point);
    point[40] ^= 1;
    vkey_write(&line, STR("x"), false, point);
    assert_string_equal(key_refusal("KEY\n", buf_str(&line)),
                        "the point in a key line is not on the curve");
}

static const char *members_refusal(str_t file)
{
    struct members members;
    const char *why = NULL;
    bool read = members_read(sample->arena, file, &members, &why);
    if (read)
        members_free(&members);
    return read ? NULL : why;
}

static void member_files_have_one_form(void **state)
{
    (void)state;
    struct arena *arena = sample->arena;
    str_t a = vkey_line(arena, "a", true, sample->member[0]),
          b = vkey_line(arena, "b", true, sample->member[1]);
    str_t log = vkey_line(arena, "c", false, sample->actor), ab = joined(arena, a, b);
    assert_null(members_refusal((str_t){0}));
    assert_null(members_refusal(STR("quorum 0\n")));
    assert_null(members_refusal(joined(arena, STR("quorum 2\n"), ab)));
    assert_non_null(members_refusal(STR("\n")));
    assert_non_null(members_refusal(STR("quorum 1\n")));
    assert_non_null(members_refusal(ab));
    assert_non_null(members_refusal(joined(arena, STR("quorum 3\n"), ab)));
    assert_non_null(members_refusal(joined(arena, STR("quorum 02\n"), ab)));
    assert_non_null(members_refusal(joined(arena, STR("quorum 1\n"), joined(arena, b, a))));
    assert_non_null(members_refusal(joined(arena, STR("quorum 1\n"), joined(arena, a, a))));
    assert_non_null(members_refusal(joined(arena, STR("quorum 1\n# x\n"), ab)));
    assert_non_null(members_refusal(joined(arena, STR("quorum 1\n"), joined(arena, a, STR("\n")))));
    assert_non_null(members_refusal(joined(arena, STR("quorum 1\n"), joined(arena, ab, log))));
    str_t whole = joined(arena, STR("quorum 1\n"), ab);
    assert_non_null(members_refusal(str_from(whole.data, whole.len - 1)));
}

static void votes_are_refused_when_the_head_names_another_member_list(void **state)
{
    (void)state;
    struct note note;
    const char *why = "";
    int votes;
    assert_true(note_read(sample->arena, golden(), &note, &why));
    assert_false(note_verify_votes(&note, &sample->members, &votes, &why));
    assert_string_equal(why, "the head names another member list");
    struct members none;
    assert_true(members_read(sample->arena, (str_t){0}, &none, &why));
    assert_true(
        note_verify_votes(&note, &none, &votes, &why)); /* the golden set is of the empty file */
    assert_int_equal(votes, 0);
}

/* ---- entries ---- */

static void an_entry_comes_back_as_it_was_written(void **state)
{
    (void)state;
    struct entry entry = sample_entry(sample, 5), back;
    const char *why = "";
    str_t bytes = signed_entry_bytes(sample, entry);
    assert_true(entry_read(bytes, &back, &why));
    assert_int_equal(back.log, LOG_TRADE);
    assert_int_equal(back.type, 301);
    assert_int_equal(back.event_id, 1000005);
    assert_true(back.time_ms == SAMPLE_HEAD_TIME - 200);
    assert_memory_equal(&back.actor, &entry.actor, HASH_BYTES);
    assert_memory_equal(&back.prev, &entry.prev, HASH_BYTES);
    assert_memory_equal(&back.payload_commit, &entry.payload_commit, HASH_BYTES);
    assert_int_equal(back.ref_count, 2);
    assert_int_equal(back.refs[0].log, LOG_FINANCE);
    assert_int_equal(back.refs[1].event_id, 78);
    assert_true(str_eq(back.object_id, entry.object_id) &&
                str_eq(back.actor_cert_id, entry.actor_cert_id));
    assert_true(str_eq(entry_bytes(sample, &back), bytes));
}

static void entry_bytes_stand_where_the_format_says(void **state)
{
    (void)state;
    struct entry entry = {.log = LOG_MATCH,
                          .type = 0x1234,
                          .event_id = 0x0102030405060708,
                          .time_ms = 0xFF,
                          .object_id = STR("ab")};
    str_t bytes = entry_bytes(sample, &entry);
    assert_int_equal(bytes.len, 4 + 1 + 1 + 2 + 8 + 8 + 96 + 2 + 2 + 2 + 2 + 2);
    assert_memory_equal(
        bytes.data, "EVD1\x01\x04\x12\x34\x01\x02\x03\x04\x05\x06\x07\x08\0\0\0\0\0\0\0\xFF", 24);
    assert_memory_equal(bytes.data + 120,
                        "\0\0\0\x02"
                        "ab\0\0\0\0",
                        10);
}

static void every_shortened_or_lengthened_entry_is_refused(void **state)
{
    (void)state;
    struct entry back;
    const char *why = "";
    str_t bytes = signed_entry_bytes(sample, sample_entry(sample, 5));
    for (size_t len = 0; len < bytes.len; len++)
        assert_false(entry_read(str_from(bytes.data, len), &back, &why));
    assert_false(entry_read(joined(sample->arena, bytes, STR("\0")), &back, &why));
}

static void the_commitment_binds_salt_and_payload(void **state)
{
    (void)state;
    uint8_t salt[33] = {1}, direct[SM3_BYTES];
    hash_t commit = payload_commit(salt, STR("{}"));
    sm3(joined(sample->arena, str_from(salt, 32), STR("{}")), direct);
    assert_memory_equal(commit.bytes, direct, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_golden_head_is_read_verified_and_written_alike),
        cmocka_unit_test(the_golden_key_line_has_the_golden_key_id),
        cmocka_unit_test(a_head_of_an_unpinned_key_is_refused),
        cmocka_unit_test(every_byte_of_a_head_matters),
        cmocka_unit_test(other_forms_of_a_head_are_refused),
        cmocka_unit_test(only_origins_of_the_known_form_are_accepted),
        cmocka_unit_test(a_head_text_beyond_4_kib_is_refused),
        cmocka_unit_test(more_than_64_signature_lines_are_refused),
        cmocka_unit_test(a_failing_line_of_a_pinned_member_makes_the_note_invalid),
        cmocka_unit_test(a_members_key_of_the_logs_name_does_not_sign_heads),
        cmocka_unit_test(key_files_skip_comments_and_hold_many_keys),
        cmocka_unit_test(malformed_key_lines_are_refused),
        cmocka_unit_test(a_key_whose_point_is_off_the_curve_is_refused),
        cmocka_unit_test(member_files_have_one_form),
        cmocka_unit_test(votes_are_refused_when_the_head_names_another_member_list),
        cmocka_unit_test(an_entry_comes_back_as_it_was_written),
        cmocka_unit_test(entry_bytes_stand_where_the_format_says),
        cmocka_unit_test(every_shortened_or_lengthened_entry_is_refused),
        cmocka_unit_test(the_commitment_binds_salt_and_payload),
    };
    return cmocka_run_group_tests(tests, given_sample, drop);
}
