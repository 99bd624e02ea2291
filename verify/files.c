/* SPDX-License-Identifier: Apache-2.0 */
/* Command line and files of the verifier. */
#include "files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX_BYTES = 1 << 30, PEM_MAX = 1 << 16, READ_STEP = 1 << 16 };

static const char *const option_names[] = {"key", "members", "tsa", "actor-key", "from", "to"};

/* Where the value of an option is kept; NULL: no such option. */
static const char **option_place(struct options *options, const char *name)
{
    const char **const places[] = {&options->key,       &options->members, &options->tsa,
                                   &options->actor_key, &options->from,    &options->to};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (strcmp(option_names[i], name) == 0)
            return places[i];
    return NULL;
}

static bool is_allowed(struct arena *arena, const char *allowed, const char *name)
{
    return strstr(allowed, str_printf(arena, " %s ", name).data) != NULL;
}

static bool complain(const char *what, const char *which)
{
    fprintf(stderr, "suanhe-verify: %s: %s\n", which, what);
    return false;
}

bool options_read(struct arena *arena, int argc, char **argv, const char *allowed,
                  struct options *out)
{
    *out = (struct options){.files = arena_alloc(arena, sizeof(char *) * (size_t)(argc + 1))};
    bool only_files = false;
    for (int i = 0; i < argc; i++) {
        if (only_files || strncmp(argv[i], "--", 2) != 0) {
            out->files[out->file_count++] = argv[i];
            continue;
        }
        const char *name = argv[i] + 2;
        if (*name == '\0') {
            only_files = true;
            continue;
        }
        const char **place = option_place(out, name);
        if (place == NULL || !is_allowed(arena, allowed, name))
            return complain("unknown option", argv[i]);
        if (*place != NULL)
            return complain("given twice", argv[i]);
        if (++i == argc)
            return complain("needs a file", argv[i - 1]);
        *place = argv[i];
    }
    if (out->key == NULL)
        return complain("needs a file with the log's keys", "--key");
    if (out->file_count == 0)
        return complain("no file is named", "arguments");
    return true;
}

bool file_read(const char *path, str_t *out)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return complain(strerrordesc_np(errno), path);
    char *bytes = NULL;
    size_t len = 0, room = 0, got = 0;
    do {
        if (room - len < READ_STEP) {
            room = room * 2 + READ_STEP;
            char *grown = realloc(bytes, room);
            ENSURE(grown != NULL);
            bytes = grown;
        }
        got = fread(bytes + len, 1, READ_STEP, file);
        len += got;
    } while (got > 0 && len <= FILE_MAX_BYTES);
    bool ok = ferror(file) == 0 && len <= FILE_MAX_BYTES;
    fclose(file);
    if (!ok) {
        free(bytes);
        return complain("cannot be read, or is too long", path);
    }
    *out = str_from(bytes, len);
    return true;
}

void file_free(str_t file)
{
    union {
        const char *in;
        char *out;
    } owned = {.in = file.data};
    free(owned.out);
}

/* The bytes inside the first PEM frame; a file without one is taken as DER. */
static bool pem_read(struct arena *arena, str_t text, str_t *out)
{
    if (!str_starts(text, STR("-----BEGIN "))) {
        *out = str_dup(arena, text);
        return true;
    }
    struct buf base64;
    str_t line;
    buf_init(&base64, arena, PEM_MAX);
    str_next(&text, '\n', &line);
    while (str_next(&text, '\n', &line)) {
        if (str_starts(line, STR("-----END ")))
            return !base64.overflow && base64_decode(arena, buf_str(&base64), out);
        buf_put(&base64, str_trim(line));
    }
    return false;
}

static bool der_file(struct arena *arena, const char *path, str_t *out)
{
    str_t file;
    if (!file_read(path, &file))
        return false;
    bool ok = pem_read(arena, file, out);
    file_free(file);
    return ok || complain("neither PEM nor DER", path);
}

static bool keys_read(struct arena *arena, const char *path, struct vkeys *out)
{
    str_t file;
    const char *why = "";
    if (!file_read(path, &file))
        return false;
    bool ok = vkeys_read(arena, file, out, &why);
    file_free(file);
    if (!ok)
        return complain(why, path);
    for (int i = 0; i < out->count; i++)
        if (out->key[i].cosigner)
            return complain("a member's key is no log key; give it with --members", path);
    return true;
}

static bool members_file(struct arena *arena, const char *path, struct members *out)
{
    str_t file;
    const char *why = "";
    if (!file_read(path, &file))
        return false;
    bool ok = members_read(arena, file, out, &why);
    file_free(file);
    return ok || complain(why, path);
}

bool trust_read(struct arena *arena, const struct options *options, struct trust *out)
{
    *out = (struct trust){.arena = arena};
    if (!keys_read(arena, options->key, &out->keys))
        return false;
    if (options->members != NULL && !members_file(arena, options->members, &out->members))
        return false;
    out->has_members = options->members != NULL;
    if (options->tsa != NULL) {
        if (!der_file(arena, options->tsa, &out->tsa))
            return false;
        struct sm2_key *key = certificate_key(out->tsa);
        if (key == NULL)
            return complain("not a certificate of an SM2 key", options->tsa);
        sm2_free(key);
    }
    if (options->actor_key != NULL) {
        str_t der;
        if (!der_file(arena, options->actor_key, &der))
            return false;
        out->actor_key = public_key_read(der);
        if (out->actor_key == NULL)
            out->actor_key = certificate_key(der);
        if (out->actor_key == NULL)
            return complain("neither a public SM2 key nor a certificate of one",
                            options->actor_key);
    }
    return true;
}

void trust_free(struct trust *trust)
{
    vkeys_free(&trust->keys);
    members_free(&trust->members);
    sm2_free(trust->actor_key);
}
