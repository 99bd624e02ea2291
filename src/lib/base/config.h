/* SPDX-License-Identifier: Apache-2.0 */
/* Settings by a table: one file of `key = value`, each also `--key value` and SUANHE_KEY (later
 * wins: file, environment, command line). An unknown key or a bad value stops the start with a
 * message. */
#ifndef SUANHE_BASE_CONFIG_H
#define SUANHE_BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "arena.h"
#include "shape.h"

struct setting {
    struct field field;    /* FIELD(struct settings, port, 1, 65535, 0): text, integer or bool */
    const char *otherwise; /* default, as text */
    const char *help;
};

struct setting_table {
    const struct setting *settings;
    int count;
    const char *env_prefix; /* "SUANHE_" */
};

/* Where the settings come from, and what is left of the command line. */
struct config_source {
    const struct setting_table *table;
    const char *file; /* NULL: none */
    int argc;         /* what follows the command word */
    char *const *argv;
    const char **rest; /* what is no `--key value`, up to rest_max */
    int rest_max, rest_count;
};

/* Fills *out (a zeroed struct). false: *out_message says what is wrong. */
bool config_read(struct arena *arena, struct config_source *source, void *out,
                 const char **out_message);

#endif
