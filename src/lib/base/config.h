/* SPDX-License-Identifier: Apache-2.0 */
/* Settings by a table: one file of `key = value`, each also `--key value` and SUANHE_KEY (later wins: file,
 * environment, command line). An unknown key or a bad value stops the start with a message. */
#ifndef SUANHE_BASE_CONFIG_H
#define SUANHE_BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "arena.h"
#include "shape.h"

struct setting {
    struct field field;      /* FIELD(struct settings, port, 1, 65535, 0): text, integer or bool */
    const char *otherwise;   /* default, as text */
    const char *help;
};

struct setting_table {
    const struct setting *settings;
    int count;
    const char *env_prefix;  /* "SUANHE_" */
};

/* Fills *out (a zeroed struct). argv: what follows the command word; what is no `--key value` is left in
 * out_rest/out_rest_count (up to rest_max). file NULL: none. false: *out_message says what is wrong. */
bool config_read(struct arena *arena, const struct setting_table *table, const char *file, int argc,
                 char *const *argv, void *out, const char **out_rest, int rest_max, int *out_rest_count,
                 const char **out_message);

#endif
