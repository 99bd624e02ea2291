/* SPDX-License-Identifier: Apache-2.0 */
/* suanhe-verify: checks receipts, heads and consistency proofs without network and without trusting
 * the operator. It tells each step with the values compared; the last line of a file is its
 * verdict. Exit: 0 valid, 1 invalid, 2 usage or unreadable input (then nothing is judged). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "files.h"

static const char help_text[] =
    "suanhe-verify receipt --key FILE [--members FILE] [--tsa CERT] [--actor-key FILE] RECEIPT...\n"
    "suanhe-verify consistency --key FILE --from HEAD --to HEAD PROOF\n"
    "suanhe-verify head --key FILE [--members FILE] HEAD...\n"
    "suanhe-verify --version | --help\n"
    "\n"
    "  --key FILE        the log's public keys, one `name+id+base64` a line; # begins a comment "
    "line\n"
    "  --members FILE    the member list whose votes are counted; without it votes are not "
    "counted\n"
    "  --tsa CERT        certificate of the time-stamp authority (PEM or DER); without it a "
    "token's\n"
    "                    signature is not checked\n"
    "  --actor-key FILE  public key or certificate of the actor (PEM or DER); without it the "
    "actor's\n"
    "                    signature is not checked\n"
    "\n"
    "A RECEIPT file holds one receipt or a bundle. Exit: 0 all valid, 1 something is invalid,\n"
    "2 wrong usage or an unreadable file, and then nothing was judged.\n";

static const char *state_word(enum receipt_step_state state)
{
    static const char *const words[] = {[STEP_OK] = "ok",
                                        [STEP_FAILED] = "FAILED",
                                        [STEP_NOT_CHECKED] = "not checked",
                                        [STEP_WARNING] = "WARNING"};
    return words[state];
}

static void print_report(const struct receipt_report *report)
{
    for (int i = 0; i < report->count; i++)
        printf("  %-9s  %-11s  " STR_FMT "\n", report->step[i].name,
               state_word(report->step[i].state), STR_ARG(report->step[i].detail));
}

/* One file with one receipt or a bundle. */
static bool judge_receipts(const char *name, str_t file, const struct receipt_pins *pins)
{
    struct receipt_cursor cursor = {0};
    struct arena *arena = arena_new(0);
    str_t receipt;
    const char *why = NULL;
    uint64_t count = 0, wrong = 0;
    char reason[512] = "";
    while (receipt_next(&cursor, file, &receipt, &why)) {
        struct receipt_report report;
        receipt_verify_pinned(arena, receipt, pins, &report);
        count++;
        if (cursor.bundle)
            printf("%s: receipt %" PRIu64 "\n", name, count);
        else
            printf("%s:\n", name);
        print_report(&report);
        if (!report.valid && wrong++ == 0)
            snprintf(reason, sizeof reason, STR_FMT, STR_ARG(report.reason));
        arena_reset(arena);
    }
    arena_free(arena);
    if (why != NULL)
        printf("%s: INVALID: %s\n", name, why);
    else if (wrong > 0 && cursor.bundle)
        printf("%s: INVALID: %" PRIu64 " of %" PRIu64 " receipts, the first: %s\n", name, wrong,
               count, reason);
    else if (wrong > 0)
        printf("%s: INVALID: %s\n", name, reason);
    else
        printf("%s: VALID %" PRIu64 " receipt%s\n", name, count, count == 1 ? "" : "s");
    return why == NULL && wrong == 0;
}

/* A head with its checked log signature (and votes, when members are pinned). */
static bool check_head(const char *name, str_t file, const struct trust *trust, struct note *out,
                       const char **out_why)
{
    int votes = 0;
    if (!note_read(trust->arena, file, out, out_why))
        return false;
    const struct head *head = &out->head;
    str_t origin = proof_escape(trust->arena, head->origin);
    str_t root = hex_encode(trust->arena, str_from(head->root.bytes, HASH_BYTES));
    printf("%s:\n  head       ok           " STR_FMT ", height %" PRIu64 ", size %" PRIu64
           ", time %" PRIu64 " ms, root " STR_FMT "\n",
           name, STR_ARG(origin), head->height, head->size, head->time_ms, STR_ARG(root));
    if (!note_verify(out, &trust->keys, out_why))
        return false;
    str_t id = hex_encode(trust->arena, str_from(out->signatures[0].blob.data, 4));
    printf("  signature  ok           by key " STR_FMT "\n", STR_ARG(id));
    if (!trust->has_members) {
        printf("  members    not checked  %d further signature lines, not counted without a member "
               "list\n",
               out->signature_count - 1);
        return true;
    }
    if (!note_verify_votes(out, &trust->members, &votes, out_why))
        return false;
    printf("  members    ok           %d valid votes, %d needed\n", votes, trust->members.quorum);
    return true;
}

static bool judge_head(const char *name, str_t file, const struct trust *trust)
{
    struct note note;
    const char *why = "";
    bool valid = check_head(name, file, trust, &note, &why);
    if (valid) {
        hash_t block;
        sm3(note.text, block.bytes);
        str_t id = hex_encode(trust->arena, str_from(block.bytes, HASH_BYTES));
        printf("%s: VALID block " STR_FMT "\n", name, STR_ARG(id));
    } else {
        printf("%s: INVALID: %s\n", name, why);
    }
    return valid;
}

static bool hashes_equal(const hash_t *a, const hash_t *b)
{
    return memcmp(a->bytes, b->bytes, HASH_BYTES) == 0;
}

/* Contradictions between two signed heads of one log; NULL when there are none. */
static const char *contradiction(const struct note *from, const struct note *to)
{
    const struct head *a = &from->head, *b = &to->head;
    hash_t from_text;
    sm3(from->text, from_text.bytes);
    if (!str_eq(a->origin, b->origin))
        return "the two heads are of different logs";
    if (a->size == b->size && !hashes_equal(&a->root, &b->root))
        return "EQUIVOCATION: two roots are signed for one size";
    if (a->height == b->height && !str_eq(from->text, to->text))
        return "EQUIVOCATION: two texts are signed for one height";
    if (a->height > b->height || a->size > b->size)
        return "the head given with --from is the newer one";
    if (b->time_ms < a->time_ms)
        return "the newer head has an earlier time";
    if (b->height == a->height + 1 && !hashes_equal(&b->prev, &from_text))
        return "the newer head does not name the older one as the one before it";
    return NULL;
}

struct consistency {
    str_t from, to, proof;
    const char *from_name, *to_name, *proof_name;
};

static bool check_consistency(const struct trust *trust, const struct consistency *in,
                              const char **out_why)
{
    struct note *notes = arena_alloc(trust->arena, sizeof *notes * 2);
    hash_t path[CONSISTENCY_MAX + 1];
    int count = 0;
    if (!check_head(in->from_name, in->from, trust, &notes[0], out_why) ||
        !check_head(in->to_name, in->to, trust, &notes[1], out_why))
        return false;
    *out_why = contradiction(&notes[0], &notes[1]);
    if (*out_why != NULL || !consistency_read(trust->arena, in->proof, path, &count, out_why))
        return false;
    const struct head *from = &notes[0].head, *to = &notes[1].head;
    *out_why = "the proof does not lead from the older root to the newer one";
    if (!tree_verify_consistency(from->size, to->size, &from->root, &to->root, path, count))
        return false;
    printf("%s:\n  path       ok           %d hashes lead from size %" PRIu64 " to size %" PRIu64
           "\n",
           in->proof_name, count, from->size, to->size);
    if (from->size == 0)
        printf("%s: VALID first sight: an empty log proves nothing about what follows\n",
               in->proof_name);
    else
        printf("%s: VALID nothing was changed or removed from size %" PRIu64 " to %" PRIu64 "\n",
               in->proof_name, from->size, to->size);
    return true;
}

static int usage(void)
{
    fputs(help_text, stderr);
    return EXIT_USAGE;
}

/* Reads all files before the first is judged. */
static bool read_files(struct arena *arena, const struct options *options, str_t **out_files)
{
    str_t *files = arena_alloc(arena, sizeof *files * (size_t)options->file_count);
    bool ok = true;
    for (int i = 0; ok && i < options->file_count; i++)
        ok = file_read(options->files[i], &files[i]);
    *out_files = files;
    return ok;
}

static void free_files(const struct options *options, str_t *files)
{
    for (int i = 0; i < options->file_count; i++)
        file_free(files[i]);
}

static int run_each(struct arena *arena, const struct options *options, const struct trust *trust,
                    bool receipts)
{
    const struct receipt_pins pins = {.keys = &trust->keys,
                                      .members = trust->has_members ? &trust->members : NULL,
                                      .tsa = trust->tsa,
                                      .actor_key = trust->actor_key};
    str_t *files;
    bool readable = read_files(arena, options, &files), valid = true;
    for (int i = 0; readable && i < options->file_count; i++) {
        bool one = receipts ? judge_receipts(options->files[i], files[i], &pins)
                            : judge_head(options->files[i], files[i], trust);
        valid = valid && one;
    }
    free_files(options, files);
    if (!readable)
        return EXIT_USAGE;
    return valid ? EXIT_VALID : EXIT_INVALID;
}

static int run_consistency(const struct options *options, const struct trust *trust)
{
    struct consistency in = {
        .from_name = options->from, .to_name = options->to, .proof_name = options->files[0]};
    if (options->from == NULL || options->to == NULL || options->file_count != 1)
        return usage();
    bool readable = file_read(options->from, &in.from) && file_read(options->to, &in.to) &&
                    file_read(options->files[0], &in.proof);
    const char *why = "";
    bool valid = readable && check_consistency(trust, &in, &why);
    if (readable && !valid)
        printf("%s: INVALID: %s\n", in.proof_name, why);
    file_free(in.from);
    file_free(in.to);
    file_free(in.proof);
    if (!readable)
        return EXIT_USAGE;
    return valid ? EXIT_VALID : EXIT_INVALID;
}

static int run(struct arena *arena, int argc, char **argv)
{
    static const struct {
        const char *word, *allowed;
    } commands[] = {{"receipt", " key members tsa actor-key "},
                    {"consistency", " key from to "},
                    {"head", " key members "}};
    struct options options;
    struct trust trust;
    size_t command = 0;
    while (command < 3 && strcmp(commands[command].word, argv[1]) != 0)
        command++;
    if (command == 3)
        return usage();
    if (!options_read(arena, argc - 2, argv + 2, commands[command].allowed, &options))
        return EXIT_USAGE;
    int code = EXIT_USAGE;
    if (trust_read(arena, &options, &trust))
        code = command == 1 ? run_consistency(&options, &trust)
                            : run_each(arena, &options, &trust, command == 0);
    trust_free(&trust);
    return code;
}

int main(int argc, char **argv)
{
    const char *failed = "";
    if (argc < 2)
        return usage();
    if (strcmp(argv[1], "--help") == 0) {
        fputs(help_text, stdout);
        return EXIT_VALID;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("suanhe-verify " SUANHE_VERSION);
        return EXIT_VALID;
    }
    if (!crypto_self_test(&failed)) {
        fprintf(stderr, "suanhe-verify: the cryptographic library fails its self test: %s\n",
                failed);
        return EXIT_USAGE;
    }
    struct arena *arena = arena_new(0);
    int code = run(arena, argc, argv);
    arena_free(arena);
    return code;
}
