/* SPDX-License-Identifier: Apache-2.0 */
/* Entries: the bytes that are hashed into leaves. They are stored and shown as they were written,
 * so a verifier never rebuilds them. */
#include <string.h>

#include "proof/proof.h"

enum { ENTRY_MAGIC_BYTES = 4, ENTRY_VERSION = 1, ENTRY_TEXT_MAX = 255, ENTRY_REF_BYTES = 9 };

static const char *const log_words[] = {
    [LOG_OPS] = "ops", [LOG_TRADE] = "trade", [LOG_FINANCE] = "finance", [LOG_MATCH] = "match"};
_Static_assert(sizeof log_words / sizeof log_words[0] == LOG_COUNT + 1, "a word a log");

const char *evidence_log_word(int log)
{
    return log >= LOG_OPS && log <= LOG_MATCH ? log_words[log] : NULL;
}

static void put_hash(struct buf *buf, const hash_t *hash)
{
    buf_put(buf, str_from(hash->bytes, HASH_BYTES));
}

static void put_text(struct buf *buf, str_t text)
{
    ENSURE(text.len <= UINT16_MAX);
    buf_put_u16(buf, (uint16_t)text.len);
    buf_put(buf, text);
}

void entry_write(struct buf *buf, const struct entry *entry)
{
    ENSURE(evidence_log_word(entry->log) != NULL);
    ENSURE(entry->ref_count >= 0 && entry->ref_count <= ENTRY_REFS_MAX);
    buf_puts(buf, "EVD1");
    buf_putc(buf, ENTRY_VERSION);
    buf_putc(buf, (char)entry->log);
    buf_put_u16(buf, entry->type);
    buf_put_u64(buf, entry->event_id);
    buf_put_u64(buf, entry->time_ms);
    put_hash(buf, &entry->actor);
    put_hash(buf, &entry->prev);
    put_hash(buf, &entry->payload_commit);
    buf_put_u16(buf, (uint16_t)entry->ref_count);
    for (int i = 0; i < entry->ref_count; i++) {
        buf_putc(buf, (char)entry->refs[i].log);
        buf_put_u64(buf, entry->refs[i].event_id);
    }
    put_text(buf, entry->object_id);
    put_text(buf, entry->actor_cert_id);
    put_text(buf, entry->actor_sig);
}

/* Reads from the front; after the first lack every read gives zeros and ok stays false. */
struct cursor {
    str_t rest;
    bool ok;
};

static str_t take(struct cursor *cursor, size_t bytes)
{
    if (!cursor->ok || cursor->rest.len < bytes) {
        cursor->ok = false;
        return (str_t){0};
    }
    str_t taken = str_from(cursor->rest.data, bytes);
    cursor->rest = str_cut(cursor->rest, bytes);
    return taken;
}

static uint64_t take_number(struct cursor *cursor, size_t bytes)
{
    str_t taken = take(cursor, bytes);
    uint64_t value = 0;
    for (size_t i = 0; i < taken.len; i++)
        value = value << 8 | (uint8_t)taken.data[i];
    return value;
}

static hash_t take_hash(struct cursor *cursor)
{
    hash_t hash = {0};
    str_t taken = take(cursor, HASH_BYTES);
    if (taken.len == HASH_BYTES)
        memcpy(hash.bytes, taken.data, HASH_BYTES);
    return hash;
}

static str_t take_text(struct cursor *cursor)
{
    return take(cursor, (size_t)take_number(cursor, 2));
}

static bool is_plain_text(str_t text)
{
    if (text.len > ENTRY_TEXT_MAX || !str_is_utf8(text))
        return false;
    for (size_t i = 0; i < text.len; i++)
        if ((uint8_t)text.data[i] < 0x20 || text.data[i] == 0x7f)
            return false;
    return true;
}

static bool read_refs(struct cursor *cursor, struct entry *out, const char **out_why)
{
    uint64_t count = take_number(cursor, 2);
    if (count > ENTRY_REFS_MAX) {
        *out_why = "the entry refers to too many others";
        return false;
    }
    out->ref_count = (int)count;
    for (int i = 0; i < out->ref_count; i++) {
        out->refs[i].log = (int)take_number(cursor, 1);
        out->refs[i].event_id = take_number(cursor, 8);
        if (cursor->ok && evidence_log_word(out->refs[i].log) == NULL) {
            *out_why = "a reference names no known log";
            return false;
        }
    }
    return true;
}

static const char *fault_of(const struct entry *entry, const struct cursor *cursor)
{
    if (!cursor->ok)
        return "the entry is cut short";
    if (cursor->rest.len > 0)
        return "bytes follow the entry";
    if (!is_plain_text(entry->object_id))
        return "the object id is not plain text of at most 255 bytes";
    if (!is_plain_text(entry->actor_cert_id))
        return "the actor's certificate id is not plain text of at most 255 bytes";
    if (entry->actor_sig.len > 0 && !sm2_signature_is_strict(entry->actor_sig))
        return "the actor's signature is not a strict DER SM2 signature";
    return NULL;
}

bool entry_read(str_t bytes, struct entry *out, const char **out_why)
{
    struct cursor cursor = {bytes, true};
    *out = (struct entry){0};
    if (bytes.len > ENTRY_MAX) {
        *out_why = "the entry is longer than 65535 bytes";
        return false;
    }
    if (!str_is(take(&cursor, ENTRY_MAGIC_BYTES), "EVD1")) {
        *out_why = "the entry does not begin with EVD1";
        return false;
    }
    if (take_number(&cursor, 1) != ENTRY_VERSION) {
        *out_why = "the entry has an unknown version";
        return false;
    }
    out->log = (int)take_number(&cursor, 1);
    if (evidence_log_word(out->log) == NULL) {
        *out_why = "the entry names no known log";
        return false;
    }
    out->type = (uint16_t)take_number(&cursor, 2);
    out->event_id = take_number(&cursor, 8);
    out->time_ms = take_number(&cursor, 8);
    out->actor = take_hash(&cursor);
    out->prev = take_hash(&cursor);
    out->payload_commit = take_hash(&cursor);
    if (!read_refs(&cursor, out, out_why))
        return false;
    out->object_id = take_text(&cursor);
    out->actor_cert_id = take_text(&cursor);
    out->actor_sig = take_text(&cursor);
    const char *fault = fault_of(out, &cursor);
    if (fault != NULL)
        *out_why = fault;
    return fault == NULL;
}

hash_t payload_commit(const uint8_t salt[32], str_t payload)
{
    hash_t hash;
    const str_t parts[] = {str_from(salt, 32), payload};
    sm3_parts(parts, 2, hash.bytes);
    return hash;
}
