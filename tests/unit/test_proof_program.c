/* SPDX-License-Identifier: Apache-2.0 */
/* The program suanhe-verify as a user meets it: its exit codes and last lines. The program's source
 * is part of this test, so that it is judged by the same sanitizers and needs no other build step.
 */
#include "token_samples.h"

#include <sys/wait.h>
#include <unistd.h>

#define main verify_main
#include "../../verify/files.c"
#include "../../verify/main.c"
#undef main

static struct sample *sample;
static struct sm2_key *authority;
static char folder[64];

static const char *const files[] = {
    "keys",       "members", "tsa.pem", "tsa.der", "actor.pem",      "good.evd", "bad.evd",
    "bundle.evd", "short",   "from",    "to",      "proof",          "fork",     "empty",
    "junk",       "out",     "cosig",   "first",   "bad-bundle.evd", "head"};

static char *path(const char *name)
{
    str_t text = str_printf(sample->arena, "%s/%s", folder, name);
    return arena_copy(sample->arena, text.data, text.len);
}

static void write_file(const char *name, str_t bytes)
{
    FILE *file = fopen(path(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.len > 0 ? bytes.data : "", 1, bytes.len, file), bytes.len);
    assert_int_equal(fclose(file), 0);
}

static void write_pem(const char *name, const char *label, str_t der)
{
    str_t base64 = base64_encode(sample->arena, der);
    write_file(name,
               str_printf(sample->arena, "-----BEGIN %s-----\n" STR_FMT "\n-----END %s-----\n",
                          label, STR_ARG(base64), label));
}

static str_t head_note(uint64_t size, uint64_t height, uint64_t time_ms, const hash_t *root,
                       const hash_t *prev)
{
    struct buf note;
    struct head head = {.origin = STR(SAMPLE_ORIGIN),
                        .size = size,
                        .height = height,
                        .time_ms = time_ms,
                        .root = *root};
    if (prev != NULL)
        head.prev = *prev;
    buf_init(&note, sample->arena, 4096);
    head_sign(&note, &head, sample->log);
    return buf_str(&note);
}

static void write_heads(void)
{
    struct tree *tree = arena_alloc(sample->arena, sizeof *tree);
    struct frontier frontier = {0};
    hash_t root[21], block, path_hashes[CONSISTENCY_MAX], empty = tree_empty();
    int count;
    for (int i = 0; i < 20; i++) {
        hash_t leaf = tree_leaf(str_printf(sample->arena, "%d", i));
        tree_push(tree, &leaf);
        frontier_append(&frontier, &leaf);
        root[i + 1] = frontier_root(&frontier);
    }
    str_t first = head_note(0, 1, 100, &empty, NULL), from = head_note(7, 2, 200, &root[7], &empty);
    struct note note;
    const char *why = "";
    assert_true(note_read(sample->arena, from, &note, &why));
    sm3(note.text, block.bytes);
    write_file("first", first);
    write_file("from", from);
    write_file("to", head_note(20, 3, 300, &root[20], &block));
    write_file("fork", head_note(7, 4, 400, &root[8], &block));
    struct buf proof;
    buf_init(&proof, sample->arena, 4096);
    assert_true(tree_consistency(tree_fetch, tree, 7, 20, path_hashes, &count));
    consistency_write(&proof, path_hashes, count);
    write_file("proof", buf_str(&proof));
}

static int given_files(void **state)
{
    (void)state;
    sample = sample_new();
    authority = key_of_number(9);
    memcpy(folder, "/tmp/verify-XXXXXX", sizeof "/tmp/verify-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return 1;
    const struct token_wish none = {0};
    str_t certificate = sample_certificate(sample->arena, authority, "0102030405");
    struct receipt *receipt = full_receipt(sample);
    struct buf text;
    buf_init(&text, sample->arena, 4096);
    head_write(&text, &receipt->note.head);
    receipt->ts = sample_token(sample->arena, authority, certificate, buf_str(&text), &none);
    str_t good = receipt_text(sample, receipt),
          bad = replaced(sample->arena, good, "index 5", "index 4");
    str_t bundle = STR("evd-bundle/v1 2\n");
    write_file("keys", sample->vkeys_text);
    write_file("members", sample->members_text);
    write_pem("tsa.pem", "CERTIFICATE", certificate);
    write_file("tsa.der", certificate);
    write_pem("actor.pem", "PUBLIC KEY", public_key_der(sample->arena, sample->actor));
    write_file("good.evd", good);
    write_file("bad.evd", bad);
    write_file("bundle.evd", joined(sample->arena, joined(sample->arena, bundle, good), good));
    write_file("bad-bundle.evd", joined(sample->arena, joined(sample->arena, bundle, good), bad));
    write_file("short", joined(sample->arena, bundle, good));
    write_file("empty", (str_t){0});
    write_file("junk", STR("junk\n"));
    write_file("cosig", vkey_line(sample->arena, "w", true, sample->actor));
    write_heads();
    return 0;
}

static int drop(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        remove(path(files[i]));
    int left = rmdir(folder);
    sm2_free(authority);
    sample_free(sample);
    return left;
}

/* Words that name a file of the folder become its path. */
static char *argument(const char *word)
{
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (strcmp(files[i], word) == 0 && strcmp(word, "head") != 0)
            return path(word);
    return arena_copy(sample->arena, word, strlen(word));
}

/* Runs the program with these words; gives its exit code and everything it printed. */
static int run_program(const char *words, str_t *out)
{
    char *argv[32] = {argument("suanhe-verify")};
    int argc = 1;
    str_t rest = str_of(words), word;
    while (str_next(&rest, ' ', &word))
        argv[argc++] = argument(str_dup(sample->arena, word).data);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (freopen(path("out"), "w", stdout) == NULL || dup2(fileno(stdout), 2) < 0)
            _exit(99);
        int code = verify_main(argc, argv);
        fflush(stdout);
        _exit(code);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    str_t file;
    assert_true(file_read(path("out"), &file));
    *out = str_dup(sample->arena, file);
    file_free(file);
    return WEXITSTATUS(status);
}

static str_t last_line(str_t out)
{
    str_t line = {0}, next;
    while (str_next(&out, '\n', &next))
        if (next.len > 0)
            line = next;
    return line;
}

static void assert_run(const char *words, int code, const char *in_last_line)
{
    str_t out;
    int got = run_program(words, &out);
    str_t last = last_line(out);
    if (got != code || memmem(last.data, last.len, in_last_line, strlen(in_last_line)) == NULL)
        fail_msg("`%s` gives %d and says:\n" STR_FMT, words, got, STR_ARG(out));
}

static void a_valid_receipt_exits_0_with_the_verdict_last(void **state)
{
    (void)state;
    assert_run("receipt --key keys good.evd", 0, "good.evd: VALID");
    assert_run("receipt --key keys --members members --tsa tsa.pem --actor-key actor.pem good.evd",
               0, "good.evd: VALID");
    assert_run("receipt --key keys --tsa tsa.der --actor-key actor.pem -- good.evd", 0,
               "good.evd: VALID");
    assert_run("receipt --key keys bundle.evd", 0, "bundle.evd: VALID 2 receipts");
}

static void an_invalid_receipt_exits_1_and_says_why(void **state)
{
    (void)state;
    assert_run("receipt --key keys bad.evd", 1, "bad.evd: INVALID: the path from the leaf");
    assert_run("receipt --key keys junk", 1, "junk: INVALID: it does not begin with");
    assert_run("receipt --key keys empty", 1, "empty: INVALID: ");
    assert_run("receipt --key keys bad.evd good.evd", 1, "good.evd: VALID");
    assert_run("receipt --key keys good.evd bad.evd", 1, "bad.evd: INVALID");
    assert_run("receipt --key keys bad-bundle.evd", 1, "INVALID: 1 of 2 receipts");
    assert_run("receipt --key keys short", 1, "short: INVALID: the bundle holds fewer receipts");
    assert_run("receipt --key keys --members empty good.evd", 1,
               "INVALID: the head names another member list");
}

static void steps_that_are_not_checked_are_told(void **state)
{
    (void)state;
    str_t out;
    assert_int_equal(run_program("receipt --key keys good.evd", &out), 0);
    assert_non_null(memmem(out.data, out.len, "TSA not checked", 15));
    assert_non_null(memmem(out.data, out.len, "actor      not checked", 22));
    assert_non_null(memmem(out.data, out.len, "members    not checked", 22));
}

static void wrong_usage_exits_2_and_judges_nothing(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "frob",
                                        "receipt",
                                        "receipt good.evd",
                                        "receipt --key keys",
                                        "receipt --key missing good.evd",
                                        "receipt --key junk good.evd",
                                        "receipt --key empty good.evd",
                                        "receipt --key cosig good.evd",
                                        "receipt --key keys --members junk good.evd",
                                        "receipt --key keys --members missing good.evd",
                                        "receipt --key keys --frob x good.evd",
                                        "receipt --key keys --from from good.evd",
                                        "receipt --key keys --key keys good.evd",
                                        "receipt good.evd --key",
                                        "receipt --key keys --tsa junk good.evd",
                                        "receipt --key keys --tsa actor.pem good.evd",
                                        "receipt --key keys --actor-key junk good.evd",
                                        "receipt --key keys good.evd missing",
                                        "consistency --key keys --from from proof",
                                        "consistency --key keys --from from --to to",
                                        "consistency --key keys --from from --to to proof proof",
                                        "consistency --key keys --from from --to missing proof",
                                        "head --key keys missing"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        str_t out;
        int code = run_program(wrong[i], &out);
        if (code != 2 || memmem(out.data, out.len, "VALID", 5) != NULL)
            fail_msg("`%s` gives %d and says:\n" STR_FMT, wrong[i], code, STR_ARG(out));
    }
}

static void help_and_version_exit_0(void **state)
{
    (void)state;
    assert_run("--version", 0, "suanhe-verify " SUANHE_VERSION);
    assert_run("--help", 0, "nothing was judged");
}

static void heads_are_judged_alone(void **state)
{
    (void)state;
    assert_run("head --key keys from", 0, "from: VALID block ");
    assert_run("head --key keys from to first", 0, "first: VALID");
    assert_run("head --key keys junk", 1, "junk: INVALID");
    assert_run("head --key keys --members empty from", 1,
               "INVALID: the head names another member list");
}

static void consistency_is_judged_with_both_heads(void **state)
{
    (void)state;
    assert_run("consistency --key keys --from from --to to proof", 0, "VALID nothing was changed");
    assert_run("consistency --key keys --from from --to from empty", 0,
               "VALID nothing was changed");
    assert_run("consistency --key keys --from first --to to empty", 0, "VALID first sight");
    assert_run("consistency --key keys --from from --to to empty", 1,
               "INVALID: the proof does not lead");
    assert_run("consistency --key keys --from first --to to proof", 1,
               "INVALID: the proof does not lead");
    assert_run("consistency --key keys --from to --to from proof", 1,
               "INVALID: the head given with --from");
    assert_run("consistency --key keys --from from --to to junk", 1,
               "INVALID: a line is not one hash");
    assert_run("consistency --key keys --from from --to fork empty", 1,
               "INVALID: EQUIVOCATION: two roots");
    assert_run("consistency --key keys --from from --to junk proof", 1, "INVALID");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_valid_receipt_exits_0_with_the_verdict_last),
        cmocka_unit_test(an_invalid_receipt_exits_1_and_says_why),
        cmocka_unit_test(steps_that_are_not_checked_are_told),
        cmocka_unit_test(wrong_usage_exits_2_and_judges_nothing),
        cmocka_unit_test(help_and_version_exit_0),
        cmocka_unit_test(heads_are_judged_alone),
        cmocka_unit_test(consistency_is_judged_with_both_heads),
    };
    return cmocka_run_group_tests(tests, given_files, drop);
}
