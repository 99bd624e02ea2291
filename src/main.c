/* SPDX-License-Identifier: Apache-2.0 */
/* The program: finds the command, reads the settings, hands over. */
#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"
#include "main.h"

struct command {
    const char *word;
    int (*run)(const struct command_line *line);
    const char *help;
};

static const struct command commands[] = {
    {"serve", command_serve, "serve: the platform (API, portal, IF2, jobs)"},
    {"init", command_init,
     "init [--demo yes]: make folder, keys, database, operator account; --demo: the demo market"},
    {"migrate", command_migrate, "migrate: bring the database to this version (keeps a copy)"},
    {"routes", command_routes, "routes: all routes as JSON"},
    {"fsck", command_fsck, "fsck: check books, states and evidence; reads only"},
    {"backup", command_backup, "backup FILE: copy of the running database"},
    {"restore", command_restore,
     "restore FILE [--new-epoch true --approved-by NAME]: put a copy back (server stopped)"},
    {"export", command_export, "export journal: the books as a plain-text journal"},
};
enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

static int help(void)
{
    printf("suanhe " SUANHE_VERSION
           "\nUsage: suanhe COMMAND [--setting value ...] [argument ...]\n\n");
    for (int i = 0; i < COMMAND_COUNT; i++)
        printf("  suanhe %s\n", commands[i].help);
    printf("\nOf the running server:\n");
    command_remote_help();
    printf("\nSettings (--key value, SUANHE_KEY, or a line `key = value` of --config FILE):\n");
    for (int i = 0; i < settings_table.count; i++)
        printf("  --%-18s %s [%s]\n", settings_table.settings[i].field.name,
               settings_table.settings[i].help, settings_table.settings[i].otherwise);
    return 0;
}

static void set_log_level(str_t level)
{
    static const char *const words[] = {"error", "warn", "info", "debug"};
    for (int i = 0; i < 4; i++)
        if (str_is(level, words[i]))
            log_set_level((enum log_level)i);
}

/* --config FILE is taken out first, since it says where the rest is read. */
static const char *take_config(int *argc, char **argv)
{
    for (int i = 0; i + 1 < *argc; i++) {
        if (strcmp(argv[i], "--config") != 0)
            continue;
        const char *file = argv[i + 1];
        memmove(&argv[i], &argv[i + 2], sizeof(argv[0]) * (size_t)(*argc - i - 2));
        *argc -= 2;
        return file;
    }
    return NULL;
}

static int run(const struct command_line *line, const char *word)
{
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i].word, word) == 0)
            return commands[i].run(line);
    if (command_is_remote(word))
        return command_remote(line);
    fprintf(stderr, "suanhe: no command `%s`; `suanhe help` lists them\n", word);
    return 2;
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "help", *failed, *message;
    if (strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return help();
    if (strcmp(word, "--version") == 0 || strcmp(word, "version") == 0) {
        printf("suanhe " SUANHE_VERSION "\n");
        return 0;
    }
    if (!crypto_self_test(&failed)) {
        fprintf(stderr, "suanhe: self-test of %s failed; not starting\n", failed);
        return 1;
    }
    struct command_line line = {.arena = arena_new(0)};
    int count = argc - 2;
    char **args = argv + 2;
    const char *file = take_config(&count, args);
    line.rest[line.rest_count++] = word;
    struct config_source source = {
        .table = &settings_table,
        .file = file,
        .argc = count,
        .argv = args,
        .rest = line.rest + 1,
        .rest_max = 62,
    };
    if (!config_read(line.arena, &source, &line.settings, &message)) {
        fprintf(stderr, "suanhe: %s\n", message);
        return 2;
    }
    line.rest_count += source.rest_count;
    set_log_level(line.settings.log_level);
    int status = run(&line, word);
    arena_free(line.arena);
    return status;
}
