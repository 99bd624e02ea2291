/* SPDX-License-Identifier: Apache-2.0 */
/* Receipts: with everything pinned, no byte can be changed unseen; optional lines may be taken out.
 */
#include "token_samples.h"

static struct sample *sample;
static struct sm2_key *tsa;
static str_t certificate;

static int given_sample(void **state)
{
    (void)state;
    sample = sample_new();
    tsa = key_of_number(9);
    certificate = sample_certificate(sample->arena, tsa, "0102030405");
    return 0;
}

static int drop(void **state)
{
    (void)state;
    sm2_free(tsa);
    sample_free(sample);
    return 0;
}

static struct receipt_pins all_pins(void)
{
    return (struct receipt_pins){&sample->vkeys, &sample->members, certificate, sample->actor};
}

static struct receipt *stamped_receipt(const struct token_wish *wish)
{
    struct receipt *receipt = full_receipt(sample);
    struct buf text;
    buf_init(&text, sample->arena, 4096);
    head_write(&text, &receipt->note.head);
    receipt->ts = sample_token(sample->arena, tsa, certificate, buf_str(&text), wish);
    return receipt;
}

static str_t stamped_text(void)
{
    const struct token_wish none = {0};
    return receipt_text(sample, stamped_receipt(&none));
}

static void verify(str_t text, const struct receipt_pins *pins, struct receipt_report *out)
{
    receipt_verify_pinned(sample->arena, text, pins, out);
}

static void assert_valid(str_t text)
{
    const struct receipt_pins pins = all_pins();
    struct receipt_report report;
    verify(text, &pins, &report);
    if (!report.valid)
        fail_msg(STR_FMT, STR_ARG(report.reason));
}

static void assert_invalid(str_t text, const char *because)
{
    const struct receipt_pins pins = all_pins();
    struct receipt_report report;
    verify(text, &pins, &report);
    if (report.valid ||
        memmem(report.reason.data, report.reason.len, because, strlen(because)) == NULL)
        fail_msg("`" STR_FMT "` does not say `%s`", STR_ARG(report.reason), because);
}

static const struct receipt_step *step_of(const struct receipt_report *report, const char *name)
{
    for (int i = 0; i < report->count; i++)
        if (strcmp(report->step[i].name, name) == 0)
            return &report->step[i];
    fail_msg("no step %s", name);
    return NULL;
}

static void a_full_receipt_passes_every_step(void **state)
{
    (void)state;
    static const char *const names[] = {"format",  "entry", "leaf",    "root",  "signature",
                                        "members", "ts",    "payload", "actor", "time"};
    const struct receipt_pins pins = all_pins();
    struct receipt_report report;
    verify(stamped_text(), &pins, &report);
    assert_true(report.valid);
    assert_int_equal(report.count, 10);
    for (int i = 0; i < 10; i++) {
        assert_string_equal(report.step[i].name, names[i]);
        if (report.step[i].state != STEP_OK)
            fail_msg("%s: " STR_FMT, names[i], STR_ARG(report.step[i].detail));
    }
}

static void no_byte_of_a_receipt_can_be_changed_unseen(void **state)
{
    (void)state;
    const struct receipt_pins pins = all_pins();
    str_t good = stamped_text();
    char *bent = arena_copy(sample->arena, good.data, good.len);
    struct arena *arena = arena_new(0);
    for (size_t i = 0; i < good.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            struct receipt_report report;
            bent[i] = (char)(bent[i] ^ 1 << bit);
            receipt_verify_pinned(arena, str_from(bent, good.len), &pins, &report);
            if (report.valid)
                fail_msg("bit %d of byte %zu", bit, i);
            assert_true(report.reason.len > 0);
            bent[i] = (char)(bent[i] ^ 1 << bit);
            arena_reset(arena);
        }
    }
    arena_free(arena);
}

static void a_byte_more_or_less_is_refused_everywhere(void **state)
{
    (void)state;
    const struct receipt_pins pins = all_pins();
    str_t good = receipt_text(sample, full_receipt(sample));
    struct arena *arena = arena_new(0);
    for (size_t i = 0; i < good.len; i++) {
        struct receipt_report report;
        str_t before = str_from(good.data, i);
        receipt_verify_pinned(arena, before, &pins, &report);
        assert_false(report.valid);
        receipt_verify_pinned(arena, joined(arena, before, str_cut(good, i + 1)), &pins, &report);
        assert_false(report.valid);
        str_t more = joined(arena, joined(arena, before, STR("A")), str_cut(good, i));
        receipt_verify_pinned(arena, more, &pins, &report);
        assert_false(report.valid);
        arena_reset(arena);
    }
    arena_free(arena);
}

static void optional_lines_may_be_taken_out(void **state)
{
    (void)state;
    str_t full = stamped_text();
    str_t bare =
        without_line(sample->arena, without_line(sample->arena, full, "payload "), "salt ");
    assert_valid(full);
    assert_valid(bare);
    assert_valid(without_line(sample->arena, full, "ts "));
    assert_valid(without_line(sample->arena, bare, "ts "));
    assert_invalid(without_line(sample->arena, full, "payload "), "payload");
    assert_invalid(without_line(sample->arena, full, "salt "), "come together");
    assert_invalid(without_line(sample->arena, full, "extra "), "extra");
    assert_invalid(without_line(sample->arena, full, "index "), "index");
}

static void what_is_not_pinned_is_reported_as_not_checked(void **state)
{
    (void)state;
    struct receipt_report report;
    const struct receipt_pins pins = {.keys = &sample->vkeys};
    verify(stamped_text(), &pins, &report);
    assert_true(report.valid);
    assert_int_equal(step_of(&report, "members")->state, STEP_NOT_CHECKED);
    assert_int_equal(step_of(&report, "actor")->state, STEP_NOT_CHECKED);
    assert_int_equal(step_of(&report, "ts")->state, STEP_NOT_CHECKED);
    assert_true(str_starts(step_of(&report, "ts")->detail, STR("TSA not checked")));
    const struct receipt_pins nothing = {0};
    verify(stamped_text(), &nothing, &report);
    assert_false(report.valid);
}

static void a_late_entry_is_a_warning_only(void **state)
{
    (void)state;
    const struct receipt_pins pins = all_pins();
    struct receipt_report report;
    for (int late = 0; late <= 1; late++) {
        struct entry entry = sample_entry(sample, 5);
        entry.time_ms = SAMPLE_HEAD_TIME + 5000 + (uint64_t)late;
        struct receipt *receipt = sample_receipt(sample, entry_bytes(sample, &entry), 5, 11);
        receipt->note_text = note_of(sample, &receipt->note.head, true);
        verify(receipt_text(sample, receipt), &pins, &report);
        assert_true(report.valid);
        assert_int_equal(step_of(&report, "time")->state, late ? STEP_WARNING : STEP_OK);
    }
}

static void another_actors_signature_is_refused_when_the_key_is_pinned(void **state)
{
    (void)state;
    struct receipt_pins pins = all_pins();
    struct receipt_report report;
    pins.actor_key = sample->log;
    verify(stamped_text(), &pins, &report);
    assert_false(report.valid);
    assert_int_equal(step_of(&report, "actor")->state, STEP_FAILED);
}

static void the_largest_payload_is_accepted_and_one_byte_more_is_not(void **state)
{
    (void)state;
    size_t most = 1 << 20;
    char *payload = arena_alloc(sample->arena, most + 1);
    memset(payload, 'x', most + 1);
    for (size_t len = most; len <= most + 1; len++) {
        struct entry entry = sample_entry(sample, 5);
        entry.payload_commit = payload_commit(sample->salt, str_from(payload, len));
        struct receipt *receipt = sample_receipt(sample, entry_bytes(sample, &entry), 5, 11);
        receipt->payload = str_from(payload, len);
        receipt->salt = str_from(sample->salt, 32);
        receipt->note_text = note_of(sample, &receipt->note.head, true);
        if (len == most)
            assert_valid(receipt_text(sample, receipt));
        else
            assert_invalid(receipt_text(sample, receipt), "1 MiB");
    }
}

static void more_path_than_56_hashes_is_refused(void **state)
{
    (void)state;
    str_t text = receipt_text(sample, full_receipt(sample));
    struct buf lines;
    buf_init(&lines, sample->arena, 8192);
    buf_puts(&lines, "index 5\n");
    for (int i = 0; i < 56; i++)
        buf_puts(&lines, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n");
    assert_invalid(replaced(sample->arena, text, "index 5\n", buf_str(&lines).data), "56 hashes");
}

/* ---- time stamps ---- */

static void assert_token_refused(const struct token_wish *wish, const char *because)
{
    assert_invalid(receipt_text(sample, stamped_receipt(wish)), because);
}

static void tokens_of_another_form_are_refused(void **state)
{
    (void)state;
    const struct token_wish bare = {.without_certificate = true},
                            loose = {.unsigned_attribute = true}, two = {.two_signers = true},
                            wrong = {.wrong_digest = true}, old = {.rfc_version_1 = true},
                            carried = {.other_certificate =
                                           sample_certificate(sample->arena, tsa, "0102030406")};
    assert_valid(receipt_text(sample, stamped_receipt(&bare)));
    assert_token_refused(&loose, "one SM2 signer");
    assert_token_refused(&two, "one SM2 signer");
    assert_token_refused(&old, "one SM2 signer");
    assert_token_refused(&wrong, "content is not what was signed");
    assert_token_refused(&carried, "another certificate");
}

static void a_token_of_another_authority_is_refused(void **state)
{
    (void)state;
    struct receipt_pins pins = all_pins();
    struct receipt_report report;
    pins.tsa = sample_certificate(sample->arena, tsa, "0102030499");
    verify(stamped_text(), &pins, &report);
    assert_false(report.valid);
    pins.tsa = sample_certificate(sample->arena, sample->actor, "0102030405");
    verify(without_line(sample->arena, stamped_text(), "payload "), &pins, &report);
    assert_false(report.valid);
}

static void a_token_of_another_head_is_refused_even_unpinned(void **state)
{
    (void)state;
    struct receipt *receipt = full_receipt(sample);
    const struct token_wish none = {0};
    const struct receipt_pins pins = {.keys = &sample->vkeys};
    struct receipt_report report;
    receipt->ts = sample_token(sample->arena, tsa, certificate, STR("another text"), &none);
    verify(receipt_text(sample, receipt), &pins, &report);
    assert_false(report.valid);
    assert_true(str_is(report.reason, "the time stamp is of another text than this head"));
}

/* ---- bundles ---- */

static int receipts_in(str_t file, const char **out_why)
{
    struct receipt_cursor cursor = {0};
    str_t receipt;
    int count = 0;
    while (receipt_next(&cursor, file, &receipt, out_why)) {
        assert_valid(receipt);
        count++;
    }
    return count;
}

static void bundles_hold_exactly_what_they_count(void **state)
{
    (void)state;
    const char *why = NULL;
    str_t one = stamped_text(), two = joined(sample->arena, one, one);
    assert_int_equal(receipts_in(one, &why), 1);
    assert_null(why);
    assert_int_equal(receipts_in(joined(sample->arena, STR("evd-bundle/v1 2\n"), two), &why), 2);
    assert_null(why);
    assert_int_equal(receipts_in(STR("evd-bundle/v1 0\n"), &why), 0);
    assert_non_null(why);
    assert_int_equal(receipts_in(joined(sample->arena, STR("evd-bundle/v1 1\n"), two), &why), 1);
    assert_non_null(why);
    assert_int_equal(receipts_in(joined(sample->arena, STR("evd-bundle/v1 3\n"), two), &why), 2);
    assert_non_null(why);
    assert_int_equal(receipts_in(joined(sample->arena, STR("evd-bundle/v1 02\n"), two), &why), 0);
    assert_non_null(why);
}

static void consistency_text_is_read_strictly(void **state)
{
    (void)state;
    hash_t path[CONSISTENCY_MAX + 1];
    const char *why = "";
    int count = -1;
    str_t line = STR("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n");
    assert_true(consistency_read(sample->arena, (str_t){0}, path, &count, &why) && count == 0);
    assert_true(consistency_read(sample->arena, line, path, &count, &why) && count == 1);
    assert_false(consistency_read(sample->arena, STR("\n"), path, &count, &why));
    assert_false(
        consistency_read(sample->arena, str_from(line.data, line.len - 1), path, &count, &why));
    str_t many = {0};
    for (int i = 0; i < CONSISTENCY_MAX; i++)
        many = joined(sample->arena, many, line);
    assert_true(consistency_read(sample->arena, many, path, &count, &why) &&
                count == CONSISTENCY_MAX);
    assert_false(
        consistency_read(sample->arena, joined(sample->arena, many, line), path, &count, &why));
}

static void what_others_wrote_is_escaped_before_it_is_printed(void **state)
{
    (void)state;
    str_t text = proof_escape(sample->arena, STR("a\x1b[2J\\\xE7\xAE\x97"));
    assert_true(str_is(text, "a\\x1b[2J\\x5c\\xe7\\xae\\x97"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_receipt_passes_every_step),
        cmocka_unit_test(no_byte_of_a_receipt_can_be_changed_unseen),
        cmocka_unit_test(a_byte_more_or_less_is_refused_everywhere),
        cmocka_unit_test(optional_lines_may_be_taken_out),
        cmocka_unit_test(what_is_not_pinned_is_reported_as_not_checked),
        cmocka_unit_test(a_late_entry_is_a_warning_only),
        cmocka_unit_test(another_actors_signature_is_refused_when_the_key_is_pinned),
        cmocka_unit_test(the_largest_payload_is_accepted_and_one_byte_more_is_not),
        cmocka_unit_test(more_path_than_56_hashes_is_refused),
        cmocka_unit_test(tokens_of_another_form_are_refused),
        cmocka_unit_test(a_token_of_another_authority_is_refused),
        cmocka_unit_test(a_token_of_another_head_is_refused_even_unpinned),
        cmocka_unit_test(bundles_hold_exactly_what_they_count),
        cmocka_unit_test(consistency_text_is_read_strictly),
        cmocka_unit_test(what_others_wrote_is_escaped_before_it_is_printed),
    };
    return cmocka_run_group_tests(tests, given_sample, drop);
}
