/* SPDX-License-Identifier: Apache-2.0 */
/* Settings from defaults, a file, the environment and the command line, the later one winning.
 * Every value goes through the same check. Only known names are looked up in the environment: other
 * programs' variables may share the prefix (container managers make some up), so an unknown one is
 * not an error there. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "shape_internal.h"

enum { FILE_MAX_BYTES = 1 << 20, SETTINGS_MAX = 256 };

struct config {
    struct arena *arena;
    const struct setting_table *table;
    char *out;
    bool given[SETTINGS_MAX];
    const char **message;
};

static bool __attribute__((format(printf, 2, 3)))
complain(struct config *config, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    *config->message = str_z(config->arena, str_of(text));
    return false;
}

static bool same_key(str_t key, const char *name)
{
    size_t len = strlen(name);
    if (key.len != len)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (name[i] != (key.data[i] == '-' ? '_' : key.data[i]))
            return false;
    }
    return true;
}

static int find_setting(const struct setting_table *table, str_t key)
{
    for (int i = 0; i < table->count; i++) {
        if (same_key(key, table->settings[i].field.name))
            return i;
    }
    return -1;
}

static bool set_integer(struct config *config, const struct field *field, str_t text,
                        const char *source)
{
    int64_t value;
    int64_t min = is_bounded(field) ? field->min : INT64_MIN,
            max = is_bounded(field) ? field->max : INT64_MAX;
    if (field->type == FT_INT32) {
        min = min < INT32_MIN ? INT32_MIN : min;
        max = max > INT32_MAX ? INT32_MAX : max;
    }
    if (!str_to_int(text, min, max, &value))
        return complain(config, "%s: %s must be an integer from %" PRId64 " to %" PRId64, source,
                        field->name, min, max);
    if (field->type == FT_INT32)
        *(int32_t *)(void *)(config->out + field->offset) = (int32_t)value;
    else
        *(int64_t *)(void *)(config->out + field->offset) = value;
    return true;
}

static bool set_text(struct config *config, const struct field *field, str_t text,
                     const char *source)
{
    const char *code = text_fault(field, text);
    if (code != NULL)
        return complain(config, "%s: %s is refused: %s", source, field->name, code);
    *(str_t *)(void *)(config->out + field->offset) = str_dup(config->arena, text);
    return true;
}

static bool set(struct config *config, int index, str_t text, const char *source)
{
    const struct field *field = &config->table->settings[index].field;
    config->given[index] = true;
    if (field->type == FT_INT32 || field->type == FT_INT64)
        return set_integer(config, field, text, source);
    if (field->type == FT_TEXT)
        return set_text(config, field, text, source);
    if (field->type == FT_ENUM) {
        int value;
        if (!names_find(field->names, text, &value))
            return complain(config, "%s: %s has no such choice", source, field->name);
        *(int32_t *)(void *)(config->out + field->offset) = value;
        return true;
    }
    ENSURE(field->type == FT_BOOL);
    if (!str_is(text, "true") && !str_is(text, "false"))
        return complain(config, "%s: %s must be true or false", source, field->name);
    *(bool *)(void *)(config->out + field->offset) = str_is(text, "true");
    return true;
}

static bool take_line(struct config *config, str_t line, const char *source)
{
    line = str_trim(line);
    if (line.len == 0 || line.data[0] == '#')
        return true;
    const char *equals = memchr(line.data, '=', line.len);
    if (equals == NULL)
        return complain(config, "%s: expected key = value", source);
    size_t at = (size_t)(equals - line.data);
    str_t key = str_trim(str_from(line.data, at));
    int index = find_setting(config->table, key);
    if (index < 0)
        return complain(config, "%s: unknown setting " STR_FMT, source,
                        (int)(key.len < 80 ? key.len : 80), key.data);
    return set(config, index, str_trim(str_cut(line, at + 1)), source);
}

static bool take_file(struct config *config, const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return complain(config, "%s: %s", path, strerror(errno));
    char *text = arena_alloc(config->arena, FILE_MAX_BYTES + 1);
    size_t len = fread(text, 1, FILE_MAX_BYTES + 1, file);
    bool failed = ferror(file) != 0;
    fclose(file);
    if (failed || len > FILE_MAX_BYTES)
        return complain(config, "%s: cannot be read, or is larger than 1 MiB", path);
    str_t rest = str_from(text, len), line;
    for (int number = 1; str_next(&rest, '\n', &line); number++) {
        char source[300];
        snprintf(source, sizeof source, "%.250s:%d", path, number);
        if (!take_line(config, line, source))
            return false;
    }
    return true;
}

static bool take_environment(struct config *config)
{
    for (int i = 0; i < config->table->count; i++) {
        char name[128];
        int len = snprintf(name, sizeof name, "%s%s", config->table->env_prefix,
                           config->table->settings[i].field.name);
        ENSURE(len > 0 && (size_t)len < sizeof name);
        for (int k = 0; k < len; k++)
            name[k] = (char)(name[k] >= 'a' && name[k] <= 'z' ? name[k] - 'a' + 'A' : name[k]);
        const char *value = getenv(name);
        if (value != NULL && !set(config, i, str_of(value), name))
            return false;
    }
    return true;
}

static bool take_arguments(struct config *config, struct config_source *source)
{
    source->rest_count = 0;
    for (int i = 0; i < source->argc; i++) {
        const char *word = source->argv[i];
        if (strncmp(word, "--", 2) != 0 || word[2] == '\0') {
            if (source->rest_count == source->rest_max)
                return complain(config, "unexpected argument %.80s", word);
            source->rest[source->rest_count++] = word;
            continue;
        }
        int index = find_setting(config->table, str_of(word + 2));
        if (index < 0)
            return complain(config, "unknown setting %.80s", word);
        if (++i == source->argc)
            return complain(config, "%s needs a value", word);
        if (!set(config, index, str_of(source->argv[i]), word))
            return false;
    }
    return true;
}

static bool take_defaults(struct config *config)
{
    for (int i = 0; i < config->table->count; i++) {
        const char *otherwise = config->table->settings[i].otherwise;
        if (otherwise != NULL && !set(config, i, str_of(otherwise), "default"))
            return false;
    }
    return true;
}

bool config_read(struct arena *arena, struct config_source *source, void *out,
                 const char **out_message)
{
    const struct setting_table *table = source->table;
    ENSURE(table->count <= SETTINGS_MAX);
    struct config config = {.arena = arena, .table = table, .out = out, .message = out_message};
    if (!take_defaults(&config) || (source->file != NULL && !take_file(&config, source->file)) ||
        (table->env_prefix != NULL && !take_environment(&config)) ||
        !take_arguments(&config, source))
        return false;
    for (int i = 0; i < table->count; i++) {
        const struct field *field = &table->settings[i].field;
        if ((field->flags & FIELD_REQUIRED) != 0 && !config.given[i])
            return complain(&config, "%s must be set", field->name);
    }
    return true;
}
