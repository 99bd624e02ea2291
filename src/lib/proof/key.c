/* SPDX-License-Identifier: Apache-2.0 */
/* Pinned keys and member lists. A key's id binds its name, its use and its point. */
#include <string.h>

#include "proof_internal.h"

static const char log_use[] = "sm2-sm3", vote_use[] = "sm2-sm3-cosig";

enum { KEY_TYPE_BYTE = 0xFF, KEY_HEX_BYTES = 8, NAME_LIMIT = 512, MEMBERS_FILE_MAX = 65536 };

static str_t use_of(bool cosigner)
{
    return cosigner ? STR("sm2-sm3-cosig") : STR("sm2-sm3");
}

void vkey_id(str_t name, bool cosigner, const uint8_t point[SM2_POINT_BYTES], uint8_t out_id[4])
{
    hash_t hash;
    const str_t parts[] = {name, STR("\n\xFF"), use_of(cosigner), str_from(point, SM2_POINT_BYTES)};
    sm3_parts(parts, 4, hash.bytes);
    memcpy(out_id, hash.bytes, KEY_ID_BYTES);
}

void vkey_write(struct buf *buf, str_t name, bool cosigner, const uint8_t point[SM2_POINT_BYTES])
{
    uint8_t id[KEY_ID_BYTES];
    vkey_id(name, cosigner, point, id);
    struct buf blob;
    buf_init(&blob, buf->arena, 128);
    buf_putc(&blob, (char)KEY_TYPE_BYTE);
    buf_put(&blob, use_of(cosigner));
    buf_put(&blob, str_from(point, SM2_POINT_BYTES));
    buf_put(buf, name);
    buf_putc(buf, '+');
    buf_put(buf, hex_encode(buf->arena, str_from(id, sizeof id)));
    buf_putc(buf, '+');
    buf_put(buf, base64_encode(buf->arena, buf_str(&blob)));
}

static bool cut_at_plus(str_t *rest, str_t *out_part)
{
    const char *plus = rest->len > 0 ? memchr(rest->data, '+', rest->len) : NULL;
    if (plus == NULL)
        return false;
    *out_part = str_from(rest->data, (size_t)(plus - rest->data));
    *rest = str_cut(*rest, out_part->len + 1);
    return true;
}

static bool is_name(str_t name)
{
    if (name.len == 0 || name.len > NAME_LIMIT || !str_is_utf8(name))
        return false;
    for (size_t i = 0; i < name.len; i++)
        if ((uint8_t)name.data[i] <= 0x20 || name.data[i] == 0x7f)
            return false;
    return true;
}

bool vkey_read(struct arena *arena, str_t line, struct vkey *out, const char **out_why)
{
    str_t name, hex, blob;
    *out = (struct vkey){0};
    *out_why = "a key line is not name+8 hex digits+base64";
    if (!cut_at_plus(&line, &name) || !cut_at_plus(&line, &hex) || !is_name(name) ||
        hex.len != KEY_HEX_BYTES || !base64_decode(arena, line, &blob) || blob.len == 0)
        return false;
    *out_why = "a key line holds no SM2 key";
    if ((uint8_t)blob.data[0] != KEY_TYPE_BYTE || blob.len < 1 + SM2_POINT_BYTES)
        return false;
    size_t use_len = blob.len - 1 - SM2_POINT_BYTES;
    str_t use = str_from(blob.data + 1, use_len);
    if (!str_is(use, log_use) && !str_is(use, vote_use))
        return false;
    const uint8_t *point = (const uint8_t *)blob.data + 1 + use_len;
    out->name = name;
    out->cosigner = str_is(use, vote_use);
    vkey_id(name, out->cosigner, point, out->id);
    *out_why = "the id in a key line is not the key's";
    if (!str_eq(hex_encode(arena, str_from(out->id, KEY_ID_BYTES)), hex))
        return false;
    *out_why = "the point in a key line is not on the curve";
    out->key = sm2_from_point(point);
    return out->key != NULL;
}

const struct vkey *vkeys_find(const struct vkeys *keys, str_t name, str_t key_id)
{
    for (int i = 0; i < keys->count; i++) {
        const struct vkey *key = &keys->key[i];
        if (str_eq(key->name, name) && str_eq(str_from(key->id, KEY_ID_BYTES), key_id))
            return key;
    }
    return NULL;
}

static bool vkeys_add(struct arena *arena, str_t line, struct vkeys *keys, const char **out_why)
{
    if (keys->count == VKEYS_MAX) {
        *out_why = "there are more than 64 keys";
        return false;
    }
    struct vkey key;
    if (!vkey_read(arena, line, &key, out_why))
        return false;
    if (vkeys_find(keys, key.name, str_from(key.id, KEY_ID_BYTES)) != NULL) {
        sm2_free(key.key);
        *out_why = "a key stands twice";
        return false;
    }
    keys->key[keys->count++] = key;
    return true;
}

/* False leaves nothing to free. */
static bool refused(struct vkeys *keys)
{
    vkeys_free(keys);
    return false;
}

bool vkeys_read(struct arena *arena, str_t file, struct vkeys *out, const char **out_why)
{
    *out = (struct vkeys){0};
    file = str_dup(arena, file);
    while (file.len > 0) {
        str_t line;
        if (!line_next(&file, &line)) { /* a hand-made file may lack its last line feed */
            line = file;
            file = (str_t){0};
        }
        if (line.len == 0 || line.data[0] == '#')
            continue;
        if (!vkeys_add(arena, line, out, out_why))
            return refused(out);
    }
    if (out->count == 0)
        *out_why = "there is no key";
    return out->count > 0;
}

void vkeys_free(struct vkeys *keys)
{
    for (int i = 0; i < keys->count; i++)
        sm2_free(keys->key[i].key);
    keys->count = 0;
}

static bool read_members(struct arena *arena, str_t rest, struct members *out, const char **out_why)
{
    str_t line, number;
    uint64_t quorum;
    if (!text_is_strict(rest, out_why))
        return false;
    *out_why = "the first line is not `quorum <number>`";
    if (!line_next(&rest, &line) || !line_field(line, "quorum", &number) ||
        !number_read(number, VKEYS_MAX + 1, &quorum))
        return false;
    while (line_next(&rest, &line)) {
        struct vkeys *keys = &out->keys;
        if (!vkeys_add(arena, line, keys, out_why))
            return false;
        *out_why = "a member's key is no sm2-sm3-cosig key";
        if (!keys->key[keys->count - 1].cosigner)
            return false;
        *out_why = "the members are not sorted by name, each once";
        if (keys->count > 1 &&
            str_cmp(keys->key[keys->count - 2].name, keys->key[keys->count - 1].name) >= 0)
            return false;
    }
    *out_why = "the quorum is larger than the number of members";
    out->quorum = (int)quorum;
    return out->quorum <= out->keys.count;
}

bool members_read(struct arena *arena, str_t file, struct members *out, const char **out_why)
{
    *out = (struct members){.file = str_dup(arena, file)};
    if (file.len == 0)
        return true;
    *out_why = "the file is too long";
    if (file.len <= MEMBERS_FILE_MAX && read_members(arena, out->file, out, out_why))
        return true;
    return refused(&out->keys);
}

void members_free(struct members *members)
{
    vkeys_free(&members->keys);
}
