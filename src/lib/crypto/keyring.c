/* SPDX-License-Identifier: Apache-2.0 */
/* The key ring. Each key is one file DIR/keys/<kind>-<name>.key: a box sealed with the KEK around
 * the kind, the name and 32 bytes, so that two files cannot change places. A file appears whole or
 * not at all and is never overwritten: of two processes that make the same key, both use the one
 * that was first. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto_internal.h"

enum { KEY_FILE_MAX = 512, NAME_MAX_BYTES = 40, KEY_BYTES = 32 };

enum key_kind { KIND_SECRET, KIND_SM2 };
static const char *const kind_words[] = {"secret", "sm2"};

struct ring_key {
    struct ring_key *next;
    enum key_kind kind;
    char name[NAME_MAX_BYTES + 1];
    uint8_t bytes[KEY_BYTES];
    struct sm2_key *sm2; /* KIND_SM2 only */
};

struct keyring {
    pthread_mutex_t lock;
    struct arena *arena;
    char *dir; /* DIR/keys */
    uint8_t kek[KEY_BYTES];
    struct ring_key *first;
};

/* ---- files ---- */

static const char *error_text(struct arena *arena)
{
    char *room = arena_alloc(arena, 128);
    return strerror_r(errno, room, 128);
}

static const char *path_of(struct arena *arena, const char *dir, const char *name)
{
    return str_printf(arena, "%s/%s", dir, name).data;
}

/* Reads a whole small file that nobody else may read. The message is for the operator. */
static bool file_read(struct arena *arena, const char *path, str_t *out, const char **out_message)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        *out_message = str_printf(arena, "%s: %s", path, error_text(arena)).data;
        if (fd >= 0)
            close(fd);
        return false;
    }
    *out_message = NULL;
    if (!S_ISREG(status.st_mode))
        *out_message = str_printf(arena, "%s: not a plain file", path).data;
    else if ((status.st_mode & 077) != 0)
        *out_message = str_printf(arena, "%s: others may read or write it; chmod 600", path).data;
    char *bytes = arena_alloc(arena, KEY_FILE_MAX);
    ssize_t got = *out_message == NULL ? read(fd, bytes, KEY_FILE_MAX) : -1;
    close(fd);
    if (*out_message == NULL && (got < 0 || got == KEY_FILE_MAX))
        *out_message = str_printf(arena, "%s: cannot be read as a key", path).data;
    if (*out_message != NULL)
        return false;
    *out = str_from(bytes, (size_t)got);
    return true;
}

static bool write_all(int fd, str_t bytes)
{
    while (bytes.len > 0) {
        ssize_t done = write(fd, bytes.data, bytes.len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        bytes = str_cut(bytes, (size_t)done);
    }
    return fsync(fd) == 0;
}

static bool sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

/* Makes dir/name with these bytes unless it is there; link() is the one step that cannot replace
 * another's file. */
static bool file_make(struct arena *arena, const char *dir, const char *name, str_t bytes,
                      const char **out_message)
{
    const char *path = path_of(arena, dir, name);
    char *temporary = arena_alloc(arena, strlen(path) + 8);
    memcpy(temporary, path, strlen(path));
    memcpy(temporary + strlen(path), ".XXXXXX", 8);
    int fd = mkostemp(temporary, O_CLOEXEC);
    bool ok = fd >= 0 && fchmod(fd, 0600) == 0 && write_all(fd, bytes);
    if (ok && link(temporary, path) != 0)
        ok = errno == EEXIST;
    ok = ok && sync_dir(dir);
    if (!ok)
        *out_message = str_printf(arena, "%s: %s", path, error_text(arena)).data;
    if (fd >= 0) {
        close(fd);
        unlink(temporary);
    }
    return ok;
}

/* ---- keys in files ---- */

static bool is_name(str_t name)
{
    if (name.len == 0 || name.len > NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_')
            return false;
    }
    return true;
}

static str_t file_name(struct arena *arena, enum key_kind kind, const char *name)
{
    return str_printf(arena, "%s-%s.key", kind_words[kind], name);
}

/* What stands in the box in front of the 32 bytes. */
static str_t label_of(struct arena *arena, enum key_kind kind, const char *name)
{
    return str_printf(arena, "%s-%s\n", kind_words[kind], name);
}

static bool key_unwrap(struct keyring *ring, struct arena *arena, struct ring_key *key,
                       const char **out_message)
{
    str_t file = file_name(arena, key->kind, key->name), box;
    const char *path = path_of(arena, ring->dir, file.data);
    if (!file_read(arena, path, &box, out_message))
        return false;
    struct buf plain;
    buf_init(&plain, arena, KEY_FILE_MAX);
    str_t label = label_of(arena, key->kind, key->name);
    bool ok = box_open(ring->kek, box, &plain) && plain.len == label.len + KEY_BYTES &&
              str_starts(buf_str(&plain), label);
    if (ok)
        memcpy(key->bytes, plain.data + label.len, KEY_BYTES);
    if (plain.len > 0)
        crypto_wipe(plain.data, plain.len);
    if (ok && key->kind == KIND_SM2)
        key->sm2 = sm2_from_private(key->bytes);
    if (!ok || (key->kind == KIND_SM2 && key->sm2 == NULL)) {
        *out_message = str_printf(arena, "%s: damaged, or wrapped by another KEK", path).data;
        return false;
    }
    return true;
}

static bool key_wrap(struct keyring *ring, struct arena *arena, const struct ring_key *key,
                     const char **out_message)
{
    struct buf plain, box;
    buf_init(&plain, arena, KEY_FILE_MAX);
    buf_init(&box, arena, KEY_FILE_MAX);
    buf_put(&plain, label_of(arena, key->kind, key->name));
    buf_put(&plain, str_from(key->bytes, KEY_BYTES));
    box_seal(ring->kek, 0, buf_str(&plain), &box);
    crypto_wipe(plain.data, plain.len);
    ENSURE(!box.overflow);
    str_t file = file_name(arena, key->kind, key->name);
    return file_make(arena, ring->dir, file.data, buf_str(&box), out_message);
}

static struct ring_key *key_new(enum key_kind kind, str_t name)
{
    struct ring_key *key = calloc(1, sizeof *key);
    ENSURE(key != NULL && name.len <= NAME_MAX_BYTES);
    key->kind = kind;
    memcpy(key->name, name.data, name.len);
    return key;
}

static void key_free(struct ring_key *key)
{
    sm2_free(key->sm2);
    crypto_wipe(key, sizeof *key);
    free(key);
}

/* ---- the ring ---- */

static bool kek_read(struct keyring *ring, const char *path, const char **out_message)
{
    str_t text, bytes;
    if (!file_read(ring->arena, path, &text, out_message))
        return false;
    if (!hex_decode(ring->arena, str_trim(text), &bytes) || bytes.len != KEY_BYTES) {
        *out_message = str_printf(ring->arena, "%s: not 32 bytes as hex", path).data;
        return false;
    }
    memcpy(ring->kek, bytes.data, KEY_BYTES);
    return true;
}

static bool kek_make(struct keyring *ring, const char *dir, const char **out_message)
{
    uint8_t kek[KEY_BYTES];
    crypto_random(kek, sizeof kek);
    str_t hex = hex_encode(ring->arena, str_from(kek, sizeof kek));
    str_t line = str_printf(ring->arena, STR_FMT "\n", STR_ARG(hex));
    crypto_wipe(kek, sizeof kek);
    return file_make(ring->arena, dir, "kek", line, out_message);
}

static bool kek_open(struct keyring *ring, const char *dir, const char *kek_file, bool create,
                     const char **out_message)
{
    if (kek_file != NULL)
        return kek_read(ring, kek_file, out_message);
    const char *path = path_of(ring->arena, dir, "kek");
    if (create && access(path, F_OK) != 0 && !kek_make(ring, dir, out_message))
        return false;
    return kek_read(ring, path, out_message);
}

static bool dir_make(struct arena *arena, const char *dir, const char **out_message)
{
    if (mkdir(dir, 0700) == 0 || errno == EEXIST)
        return true;
    *out_message = str_printf(arena, "%s: %s", dir, error_text(arena)).data;
    return false;
}

/* Loads <kind>-<name>.key; any other name in the folder is left alone. */
static bool load_file(struct keyring *ring, str_t file, const char **out_message)
{
    str_t stem = str_from(file.data, file.len - 4);
    for (enum key_kind kind = KIND_SECRET; kind <= KIND_SM2; kind++) {
        size_t prefix = strlen(kind_words[kind]);
        if (!str_starts(stem, str_of(kind_words[kind])) || stem.len <= prefix ||
            stem.data[prefix] != '-')
            continue;
        str_t name = str_cut(stem, prefix + 1);
        if (!is_name(name))
            continue;
        struct ring_key *key = key_new(kind, name);
        if (!key_unwrap(ring, ring->arena, key, out_message)) {
            key_free(key);
            return false;
        }
        key->next = ring->first;
        ring->first = key;
    }
    return true;
}

static bool load_all(struct keyring *ring, const char **out_message)
{
    DIR *folder = opendir(ring->dir);
    if (folder == NULL) {
        *out_message = str_printf(ring->arena, "%s: %s", ring->dir, error_text(ring->arena)).data;
        return false;
    }
    bool ok = true;
    struct dirent *file;
    while (ok && (file = readdir(folder)) != NULL) { // NOLINT(concurrency-mt-unsafe): own stream
        str_t name = str_of(file->d_name);
        if (str_ends(name, STR(".key")))
            ok = load_file(ring, name, out_message);
    }
    closedir(folder);
    return ok;
}

struct keyring *keyring_open(const char *dir, const char *kek_file, bool create,
                             const char **out_message)
{
    static _Thread_local char message[512]; /* outlives the ring that is not opened */
    struct keyring *ring = calloc(1, sizeof *ring);
    ENSURE(ring != NULL && pthread_mutex_init(&ring->lock, NULL) == 0);
    ring->arena = arena_new(0);
    str_t keys = str_printf(ring->arena, "%s/keys", dir);
    ring->dir = arena_copy(ring->arena, keys.data, keys.len);
    const char *why = "";
    bool ok =
        !create || (dir_make(ring->arena, dir, &why) && dir_make(ring->arena, ring->dir, &why));
    ok = ok && kek_open(ring, dir, kek_file, create, &why) && load_all(ring, &why);
    if (ok)
        return ring;
    size_t bytes = strlen(why) < sizeof message - 1 ? strlen(why) : sizeof message - 1;
    memcpy(message, why, bytes);
    message[bytes] = '\0';
    *out_message = message;
    keyring_free(ring);
    return NULL;
}

void keyring_free(struct keyring *ring)
{
    if (ring == NULL)
        return;
    while (ring->first != NULL) {
        struct ring_key *key = ring->first;
        ring->first = key->next;
        key_free(key);
    }
    pthread_mutex_destroy(&ring->lock);
    arena_free(ring->arena);
    crypto_wipe(ring, sizeof *ring);
    free(ring);
}

/* What is in the file counts, also when another process was quicker than this one. */
static struct ring_key *key_make(struct keyring *ring, enum key_kind kind, const char *name)
{
    struct arena *arena = arena_new(0);
    struct ring_key *key = key_new(kind, str_of(name));
    if (kind == KIND_SM2) {
        struct sm2_key *fresh = sm2_generate();
        sm2_private(fresh, key->bytes);
        sm2_free(fresh);
    } else {
        crypto_random(key->bytes, KEY_BYTES);
    }
    const char *why = "";
    if (!key_wrap(ring, arena, key, &why) || !key_unwrap(ring, arena, key, &why))
        log_die("key ring: %s", why);
    arena_free(arena);
    return key;
}

/* Keys are never changed or removed while the ring is open, so the pointer may be used without the
 * lock. */
static const struct ring_key *key_get(struct keyring *ring, enum key_kind kind, const char *name)
{
    ENSURE(is_name(str_of(name)));
    ENSURE(pthread_mutex_lock(&ring->lock) == 0);
    struct ring_key *key = ring->first;
    while (key != NULL && (key->kind != kind || strcmp(key->name, name) != 0))
        key = key->next;
    if (key == NULL) {
        key = key_make(ring, kind, name);
        key->next = ring->first;
        ring->first = key;
    }
    ENSURE(pthread_mutex_unlock(&ring->lock) == 0);
    return key;
}

void keyring_secret(struct keyring *ring, const char *name, uint8_t out[32])
{
    memcpy(out, key_get(ring, KIND_SECRET, name)->bytes, KEY_BYTES);
}

/* HKDF-Expand to one block; the secret is uniform already, so nothing needs to be extracted. */
void keyring_data_key(struct keyring *ring, ref_t org_id, uint8_t out[32])
{
    const struct ring_key *secret = key_get(ring, KIND_SECRET, "data");
    struct crypto_thread *thread = crypto_thread();
    for (int i = 0; i < BOX_CACHE; i++) {
        const struct data_key *known = &thread->data[i];
        if (known->org == org_id.value && memcmp(known->secret, secret->bytes, KEY_BYTES) == 0) {
            memcpy(out, known->key, KEY_BYTES);
            return;
        }
    }
    uint8_t tail[9];
    for (int i = 0; i < 8; i++)
        tail[i] = (uint8_t)((uint64_t)org_id.value >> (56 - 8 * i));
    tail[8] = 0x01;
    const str_t parts[] = {STR("suanhe data key v1"), str_from(tail, sizeof tail)};
    hmac_sm3_parts(str_from(secret->bytes, KEY_BYTES), parts, 2, out);
    struct data_key *slot = &thread->data[thread->data_next++ % BOX_CACHE];
    memcpy(slot->secret, secret->bytes, KEY_BYTES);
    memcpy(slot->key, out, KEY_BYTES);
    slot->org = org_id.value;
}

const struct sm2_key *keyring_sm2(struct keyring *ring, const char *name)
{
    return key_get(ring, KIND_SM2, name)->sm2;
}
