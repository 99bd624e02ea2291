/* SPDX-License-Identifier: Apache-2.0 */
/* What the verifier reads: whole files, pinned keys and lists. Every failure is told on standard
 * error, and the program then judges nothing. */
#ifndef SUANHE_VERIFY_FILES_H
#define SUANHE_VERIFY_FILES_H

#include "proof/proof.h"

enum { EXIT_VALID = 0, EXIT_INVALID = 1, EXIT_USAGE = 2 };

/* The command line behind the command word. */
struct options {
    const char *key, *members, *tsa, *actor_key, *from, *to;
    const char **files;
    int file_count;
};

/* Everything that is trusted, read from the files that the options name. */
struct trust {
    struct arena *arena;
    struct vkeys keys;
    struct members members;
    bool has_members;
    str_t tsa;
    struct sm2_key *actor_key;
};

/* allowed names the options the command knows, as " key members "; of them key is always needed. */
bool options_read(struct arena *arena, int argc, char **argv, const char *allowed,
                  struct options *out);
bool file_read(const char *path, str_t *out); /* freed by file_free */
void file_free(str_t file);
bool trust_read(struct arena *arena, const struct options *options, struct trust *out);
void trust_free(struct trust *trust);

#endif
