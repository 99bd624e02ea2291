/* SPDX-License-Identifier: Apache-2.0 */
/* Shared inside the proof module: the strict text form of notes and receipts. */
#ifndef SUANHE_PROOF_INTERNAL_H
#define SUANHE_PROOF_INTERNAL_H

#include "proof/proof.h"

enum { SIGNATURES_MAX = 64, HEAD_TEXT_MAX = 4096, KEY_ID_BYTES = 4, VOTE_TIME_BYTES = 8 };

#define SIZE_LIMIT ((uint64_t)1 << 56) /* of indexes and sizes */
#define TIME_LIMIT ((uint64_t)1 << 63) /* of heights and times */

/* UTF-8, no mark in front, no control byte but LF, LF at the end (an empty text is refused). */
bool text_is_strict(str_t text, const char **out_why);
/* Takes a line with its LF off the front; false when there is none. */
bool line_next(str_t *rest, str_t *out_line);
/* The rest of a line behind `word` and one space; false when it begins otherwise. */
bool line_field(str_t line, const char *word, str_t *out_field);
/* ASCII decimal below limit, without sign and leading zero. */
bool number_read(str_t text, uint64_t limit, uint64_t *out);
bool hash_read(struct arena *arena, str_t text, hash_t *out);
void hash_write(struct buf *buf, const hash_t *hash);
bool hash_is(const hash_t *a, const hash_t *b);
bool hash_is_zero(const hash_t *hash);
/* The log that an origin names, or 0 when the origin is malformed. */
int origin_log(str_t origin);
/* Which pinned key a signature line is of; NULL: none. */
const struct vkey *vkeys_find(const struct vkeys *keys, str_t name, str_t key_id);
/* Reads one `name+8hex+base64`. */
bool vkey_read(struct arena *arena, str_t line, struct vkey *out, const char **out_why);
void vote_message(struct buf *buf, str_t text, uint64_t time_ms);

#endif
