/* SPDX-License-Identifier: Apache-2.0 */
/* Writes valid samples into tests/fuzz/corpus/<name>/ for the fuzz targets of proof; built as the
 * unit tests are: cc ... -I src/lib -I tests/unit tests/fuzz/make_corpus.c   and run in the top
 * folder. */
#include "token_samples.h"

#include <sys/stat.h>

static void sample_file(const char *name, const char *number, str_t bytes)
{
    char path[256];
    snprintf(path, sizeof path, "tests/fuzz/corpus/%s", name);
    mkdir("tests/fuzz/corpus", 0755);
    mkdir(path, 0755);
    snprintf(path, sizeof path, "tests/fuzz/corpus/%s/%s", name, number);
    FILE *file = fopen(path, "wb");
    ENSURE(file != NULL && fwrite(bytes.data, 1, bytes.len, file) == bytes.len &&
           fclose(file) == 0);
}

int main(void)
{
    struct sample *sample = sample_new();
    struct arena *arena = sample->arena;
    struct sm2_key *authority = key_of_number(9);
    const struct token_wish none = {0};
    struct receipt *receipt = full_receipt(sample);
    struct entry plain = {.log = LOG_OPS};
    str_t certificate = sample_certificate(arena, authority, "0102030405");
    struct buf text;
    buf_init(&text, arena, 4096);
    head_write(&text, &receipt->note.head);
    str_t token = sample_token(arena, authority, certificate, buf_str(&text), &none);
    sample_file("entry", "signed", receipt->extra);
    sample_file("entry", "smallest", entry_bytes(sample, &plain));
    sample_file("note", "voted", receipt->note_text);
    sample_file("note", "plain", note_of(sample, &receipt->note.head, false));
    sample_file("der", "token", token);
    sample_file("der", "certificate", certificate);
    sample_file("der", "public-key", public_key_der(arena, sample->log));
    sample_file("der", "signature", signature_by(arena, sample->log, STR("m")));
    sample_file("vkey", "keys", sample->vkeys_text);
    sample_file("vkey", "members", sample->members_text);
    sample_file("receipt", "full", receipt_text(sample, receipt));
    receipt->ts = token;
    str_t stamped = receipt_text(sample, receipt);
    sample_file("receipt", "stamped", stamped);
    sample_file("receipt", "bundle", joined(arena, STR("evd-bundle/v1 1\n"), stamped));
    sm2_free(authority);
    sample_free(sample);
    return 0;
}
