/* SPDX-License-Identifier: Apache-2.0 */
/* Heads as signed notes: seven text lines, an empty line, the log's signature, then votes of
 * members. */
#include <inttypes.h>
#include <string.h>

#include "proof_internal.h"

#define DASH "\xE2\x80\x94 " /* em dash and space */

enum {
    HEAD_LINES = 7,
    NOTE_MAX = 256 << 10,
    BLOB_MAX = KEY_ID_BYTES + VOTE_TIME_BYTES + SM2_SIG_MAX
};

void head_write(struct buf *buf, const struct head *head)
{
    buf_put(buf, head->origin);
    buf_printf(buf, "\n%" PRIu64 "\n", head->size);
    hash_write(buf, &head->root);
    buf_printf(buf, "\nheight %" PRIu64 "\nprev ", head->height);
    hash_write(buf, &head->prev);
    buf_printf(buf, "\ntime %" PRIu64 "\nset ", head->time_ms);
    hash_write(buf, &head->set);
    buf_putc(buf, '\n');
}

static void put_signature(struct buf *buf, str_t name, str_t blob)
{
    buf_puts(buf, DASH);
    buf_put(buf, name);
    buf_putc(buf, ' ');
    buf_put(buf, base64_encode(buf->arena, blob));
    buf_putc(buf, '\n');
}

void head_sign(struct buf *buf, const struct head *head, const struct sm2_key *key)
{
    size_t start = buf->len;
    head_write(buf, head);
    uint8_t point[SM2_POINT_BYTES], blob[BLOB_MAX];
    size_t signature_len;
    sm2_point(key, point);
    vkey_id(head->origin, false, point, blob);
    sm2_sign(key, str_cut(buf_str(buf), start), blob + KEY_ID_BYTES, &signature_len);
    buf_putc(buf, '\n');
    put_signature(buf, head->origin, str_from(blob, KEY_ID_BYTES + signature_len));
}

void vote_message(struct buf *buf, str_t text, uint64_t time_ms)
{
    buf_printf(buf, "sm-cosignature/v1\ntime %" PRIu64 "\n", time_ms);
    buf_put(buf, text);
}

void vote_sign(struct buf *buf, str_t text, str_t name, uint64_t time_ms, const struct sm2_key *key)
{
    struct buf message;
    buf_init(&message, buf->arena, text.len + 64);
    vote_message(&message, text, time_ms);
    ENSURE(!message.overflow);
    uint8_t point[SM2_POINT_BYTES], blob[BLOB_MAX];
    size_t signature_len;
    sm2_point(key, point);
    vkey_id(name, true, point, blob);
    for (int i = 0; i < VOTE_TIME_BYTES; i++)
        blob[KEY_ID_BYTES + i] = (uint8_t)(time_ms >> (56 - 8 * i));
    sm2_sign(key, buf_str(&message), blob + KEY_ID_BYTES + VOTE_TIME_BYTES, &signature_len);
    put_signature(buf, name, str_from(blob, KEY_ID_BYTES + VOTE_TIME_BYTES + signature_len));
}

static bool named_hash(struct arena *arena, str_t line, const char *word, hash_t *out)
{
    str_t field;
    return line_field(line, word, &field) && hash_read(arena, field, out);
}

static bool named_number(str_t line, const char *word, uint64_t *out)
{
    str_t field;
    return line_field(line, word, &field) && number_read(field, TIME_LIMIT, out);
}

static bool head_read(struct arena *arena, const str_t line[HEAD_LINES], struct head *out,
                      const char **out_why)
{
    const char *why = NULL;
    out->origin = line[0];
    if (origin_log(line[0]) == 0)
        why = "the origin is malformed";
    else if (!number_read(line[1], SIZE_LIMIT, &out->size))
        why = "the size is malformed";
    else if (!hash_read(arena, line[2], &out->root))
        why = "the root is malformed";
    else if (!named_number(line[3], "height", &out->height) || out->height == 0)
        why = "the height is malformed";
    else if (!named_hash(arena, line[4], "prev", &out->prev))
        why = "the previous block's hash is malformed";
    else if (!named_number(line[5], "time", &out->time_ms))
        why = "the time is malformed";
    else if (!named_hash(arena, line[6], "set", &out->set))
        why = "the member set's hash is malformed";
    else if ((out->height == 1) != hash_is_zero(&out->prev))
        why = "only the first head, and that always, has a previous hash of zeros";
    const hash_t empty = tree_empty();
    if (why == NULL && out->size == 0 && !hash_is(&out->root, &empty))
        why = "an empty tree has another root";
    if (why != NULL)
        *out_why = why;
    return why == NULL;
}

static bool is_log_blob(str_t blob)
{
    return blob.len > KEY_ID_BYTES && sm2_signature_is_strict(str_cut(blob, KEY_ID_BYTES));
}

static bool is_vote_blob(str_t blob)
{
    return blob.len > KEY_ID_BYTES + VOTE_TIME_BYTES &&
           sm2_signature_is_strict(str_cut(blob, KEY_ID_BYTES + VOTE_TIME_BYTES));
}

static bool signature_read(struct arena *arena, str_t line, struct note *out, const char **out_why)
{
    if (out->signature_count == SIGNATURES_MAX) {
        *out_why = "there are more than 64 signature lines";
        return false;
    }
    *out_why = "a signature line is malformed";
    if (!str_starts(line, STR(DASH)))
        return false;
    str_t rest = str_cut(line, strlen(DASH)), blob;
    const char *space = rest.len > 0 ? memchr(rest.data, ' ', rest.len) : NULL;
    if (space == NULL || space == rest.data)
        return false;
    str_t name = str_from(rest.data, (size_t)(space - rest.data));
    if (memchr(name.data, '+', name.len) != NULL ||
        !base64_decode(arena, str_cut(rest, name.len + 1), &blob))
        return false;
    bool first = out->signature_count == 0;
    *out_why = "a signature is not strict DER";
    if (!is_log_blob(blob) && (first || !is_vote_blob(blob)))
        return false;
    *out_why = "a key has signed twice";
    for (int i = 0; i < out->signature_count; i++)
        if (str_eq(out->signatures[i].name, name) &&
            memcmp(out->signatures[i].blob.data, blob.data, KEY_ID_BYTES) == 0)
            return false;
    out->signatures[out->signature_count].name = name;
    out->signatures[out->signature_count++].blob = blob;
    return true;
}

bool note_read(struct arena *arena, str_t note, struct note *out, const char **out_why)
{
    *out = (struct note){0};
    *out_why = "the note is longer than 256 KiB";
    if (note.len > NOTE_MAX)
        return false;
    if (!text_is_strict(note, out_why))
        return false;
    str_t rest = note, line[HEAD_LINES], next;
    *out_why = "the head has fewer than seven lines";
    for (int i = 0; i < HEAD_LINES; i++)
        if (!line_next(&rest, &line[i]) || line[i].len == 0)
            return false;
    out->text = str_from(note.data, note.len - rest.len);
    *out_why = "the head is longer than 4 KiB";
    if (out->text.len > HEAD_TEXT_MAX)
        return false;
    if (!head_read(arena, line, &out->head, out_why))
        return false;
    *out_why = "no empty line follows the seven lines of the head";
    if (!line_next(&rest, &next) || next.len != 0)
        return false;
    while (line_next(&rest, &next))
        if (!signature_read(arena, next, out, out_why))
            return false;
    *out_why = "nobody signed the head";
    return out->signature_count > 0;
}

static str_t key_id_of(str_t blob)
{
    return str_from(blob.data, KEY_ID_BYTES);
}

/* time_ms is set for a vote. */
static bool vote_verify(const struct note *note, const struct vkey *key, str_t blob,
                        const char **out_why)
{
    uint64_t time_ms = 0;
    *out_why = "a vote is malformed";
    if (!is_vote_blob(blob))
        return false;
    for (int i = 0; i < VOTE_TIME_BYTES; i++)
        time_ms = time_ms << 8 | (uint8_t)blob.data[KEY_ID_BYTES + i];
    *out_why = "a vote is older than the head, or its time is out of range";
    if (time_ms < note->head.time_ms || time_ms >= TIME_LIMIT)
        return false;
    struct arena *arena = arena_new(0);
    struct buf message;
    buf_init(&message, arena, HEAD_TEXT_MAX + 64);
    vote_message(&message, note->text, time_ms);
    bool valid = !message.overflow && sm2_verify(key->key, buf_str(&message),
                                                 str_cut(blob, KEY_ID_BYTES + VOTE_TIME_BYTES));
    arena_free(arena);
    *out_why = "a member's signature is wrong";
    return valid;
}

bool note_verify(const struct note *note, const struct vkeys *keys, const char **out_why)
{
    str_t name = note->signatures[0].name, blob = note->signatures[0].blob;
    *out_why = "the first signature is not the log's";
    if (note->signature_count == 0 || !str_eq(name, note->head.origin))
        return false;
    const struct vkey *key = vkeys_find(keys, name, key_id_of(blob));
    *out_why = "the log's key is not among the pinned keys";
    if (key == NULL || key->cosigner)
        return false;
    *out_why = "the log's signature is wrong";
    if (!is_log_blob(blob) || !sm2_verify(key->key, note->text, str_cut(blob, KEY_ID_BYTES)))
        return false;
    for (int i = 1; i < note->signature_count; i++) {
        blob = note->signatures[i].blob;
        key = vkeys_find(keys, note->signatures[i].name, key_id_of(blob));
        if (key == NULL)
            continue;
        *out_why = "a log's signature stands among the votes";
        if (!key->cosigner || !vote_verify(note, key, blob, out_why))
            return false;
    }
    return true;
}

bool note_verify_votes(const struct note *note, const struct members *members, int *out_votes,
                       const char **out_why)
{
    hash_t set;
    sm3(members->file, set.bytes);
    *out_why = "the head names another member list";
    if (!hash_is(&set, &note->head.set))
        return false;
    const struct vkey *last = NULL;
    for (int i = 1; i < note->signature_count; i++) {
        str_t blob = note->signatures[i].blob;
        const struct vkey *key =
            vkeys_find(&members->keys, note->signatures[i].name, key_id_of(blob));
        *out_why = "a signature line is of no member";
        if (key == NULL)
            return false;
        *out_why = "the votes are not in the order of the member list";
        if (last != NULL && key <= last)
            return false;
        if (!vote_verify(note, key, blob, out_why))
            return false;
        last = key;
    }
    *out_votes = note->signature_count - 1;
    *out_why = "there are fewer votes than the quorum";
    return *out_votes >= members->quorum;
}
