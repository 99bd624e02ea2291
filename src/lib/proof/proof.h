/* SPDX-License-Identifier: Apache-2.0 */
/* Pure verification, shared by every program: the Merkle tree with SM3 (RFC 6962 shape), entries,
 * heads, receipts. No database, no clock, no files. Formats: docs/evidence.md. */
#ifndef SUANHE_PROOF_H
#define SUANHE_PROOF_H

#include "base/base.h"
#include "crypto/crypto.h"

enum {
    HASH_BYTES = 32,
    INCLUSION_MAX = 56,
    CONSISTENCY_MAX = 63,
    TILE_HASHES = 256,
    TILE_LEVELS = 8
};
typedef struct hash {
    uint8_t bytes[HASH_BYTES];
} hash_t;

/* ---- tree ---- */
hash_t tree_leaf(str_t entry);
hash_t tree_node(const hash_t *left, const hash_t *right);
hash_t tree_empty(void);
/* The right edge of a tree: enough to append and to know the root. */
struct frontier {
    uint64_t size;
    hash_t sub[64]; /* sub[level] counts where bit `level` of size is set */
};
void frontier_append(struct frontier *frontier, const hash_t *leaf);
hash_t frontier_root(const struct frontier *frontier);
/* Reads node (level, index) of the full binary levels that lie complete in a tree of `size`; false:
 * cannot. */
typedef bool (*tree_read_fn)(void *state, int level, uint64_t index, hash_t *out);
/* Proofs from any reader of complete nodes. */
bool tree_inclusion(tree_read_fn read, void *state, uint64_t index, uint64_t size, hash_t *out_path,
                    int *out_count);
bool tree_consistency(tree_read_fn read, void *state, uint64_t from, uint64_t to, hash_t *out_path,
                      int *out_count);
bool tree_verify_inclusion(const hash_t *leaf, uint64_t index, uint64_t size, const hash_t *path,
                           int count, const hash_t *root);
bool tree_verify_consistency(uint64_t from, uint64_t to, const hash_t *old_root,
                             const hash_t *new_root, const hash_t *path, int count);

/* ---- entry ---- */
enum evidence_log { LOG_OPS = 1, LOG_TRADE = 2, LOG_FINANCE = 3, LOG_MATCH = 4, LOG_COUNT = 4 };
const char *evidence_log_word(int log); /* "ops", ... or NULL */
enum { ENTRY_REFS_MAX = 64, ENTRY_MAX = 65535 };
struct entry {
    int log;
    uint16_t type;
    uint64_t event_id, time_ms;
    hash_t actor, prev, payload_commit;
    int ref_count;
    struct {
        int log;
        uint64_t event_id;
    } refs[ENTRY_REFS_MAX];
    str_t object_id, actor_cert_id, actor_sig;
};
/* Appends the leaf bytes of `entry`. */
void entry_write(struct buf *buf, const struct entry *entry);
/* Strict; texts borrowed from bytes. false and why. */
bool entry_read(str_t bytes, struct entry *out, const char **out_why);
hash_t payload_commit(const uint8_t salt[32], str_t payload);

/* ---- keys, heads ---- */
struct vkey {
    str_t name;
    uint8_t id[4];
    struct sm2_key *key; /* public; freed by vkeys_free */
    bool cosigner;
};
enum { VKEYS_MAX = 64 };
struct vkeys {
    struct vkey key[VKEYS_MAX];
    int count;
};
void vkey_id(str_t name, bool cosigner, const uint8_t point[SM2_POINT_BYTES], uint8_t out_id[4]);
/* `name+8hex+base64` */
void vkey_write(struct buf *buf, str_t name, bool cosigner, const uint8_t point[SM2_POINT_BYTES]);
bool vkeys_read(struct arena *arena, str_t file, struct vkeys *out, const char **out_why);
void vkeys_free(struct vkeys *keys);

struct head {
    str_t origin;
    uint64_t size, height, time_ms;
    hash_t root, prev, set;
};
/* The seven text lines. */
void head_write(struct buf *buf, const struct head *head);
/* The text, empty line and the log's signature line made with `key`. */
void head_sign(struct buf *buf, const struct head *head, const struct sm2_key *key);
struct note {
    str_t text; /* lines 1-7 with their LFs */
    struct head head;
    int signature_count;
    struct {
        str_t name, blob;
    } signatures[64];
};
bool note_read(struct arena *arena, str_t note, struct note *out, const char **out_why);
/* The log's own signature is there, first, by a pinned key whose name is the origin, and valid; no
 * other line of a pinned key fails. */
bool note_verify(const struct note *note, const struct vkeys *keys, const char **out_why);

/* ---- receipts ---- */
struct receipt {
    str_t extra, payload, salt, ts; /* payload, salt, ts: data NULL when absent */
    uint64_t index;
    int path_count;
    hash_t path[INCLUSION_MAX];
    str_t note_text;
    struct note note;
    struct entry entry;
};
void receipt_write(struct buf *buf, const struct receipt *receipt);
bool receipt_read(struct arena *arena, str_t text, struct receipt *out, const char **out_why);

/* Members file for --members (empty file: quorum 0). */
struct members {
    str_t file;
    int quorum;
    struct vkeys keys;
};
bool members_read(struct arena *arena, str_t file, struct members *out, const char **out_why);
void members_free(struct members *members);
/* Appends a member's vote line over the text of a head. */
void vote_sign(struct buf *buf, str_t text, str_t name, uint64_t time_ms,
               const struct sm2_key *key);
/* The head names these members, every further line is a valid vote of one of them in the file's
 * order, and there are enough. out_votes gets their number. */
bool note_verify_votes(const struct note *note, const struct members *members, int *out_votes,
                       const char **out_why);

/* A consistency proof as text: one hash a line. out_path has room for CONSISTENCY_MAX. */
bool consistency_read(struct arena *arena, str_t text, hash_t *out_path, int *out_count,
                      const char **out_why);
void consistency_write(struct buf *buf, const hash_t *path, int count);

/* ---- time-stamp tokens (RFC 3161 with SM2 and SM3) ---- */
struct token {
    str_t imprint;  /* what was stamped: an SM3 */
    str_t gen_time; /* YYYYMMDDhhmmss[.f]Z */
    str_t content, issuer, serial, attributes, signature;
    str_t content_type, content_digest, certificates;
};
bool token_read(str_t der, struct token *out, const char **out_why);
/* The token is signed by the owner of this certificate (DER) and carries no other. */
bool token_verify(const struct token *token, str_t certificate, const char **out_why);
/* The public key of a certificate or of a SubjectPublicKeyInfo, both DER; NULL: not SM2. */
struct sm2_key *certificate_key(str_t der);
struct sm2_key *public_key_read(str_t der);

enum receipt_step_state { STEP_OK, STEP_FAILED, STEP_NOT_CHECKED, STEP_WARNING };
struct receipt_step {
    const char *name; /* format entry leaf root signature members ts payload actor time */
    enum receipt_step_state state;
    str_t detail;
};
struct receipt_report {
    struct receipt_step step[12];
    int count;
    bool valid;
    str_t reason; /* why invalid */
};
/* Verifies a whole receipt; members may be NULL. Never touches anything but its arguments. */
void receipt_verify(struct arena *arena, str_t text, const struct vkeys *keys,
                    const struct members *members, struct receipt_report *out);

/* The same with what else the reader trusts; each may be absent. */
struct receipt_pins {
    const struct vkeys *keys;
    const struct members *members;
    str_t tsa; /* the time-stamp authority's certificate, DER */
    const struct sm2_key *actor_key;
};
void receipt_verify_pinned(struct arena *arena, str_t text, const struct receipt_pins *pins,
                           struct receipt_report *out);
/* Takes the next receipt off a file that holds one receipt or a bundle; start with *state zeroed.
 * false at the end; *out_why is set when the file is not one. */
struct receipt_cursor {
    str_t rest;
    uint64_t left;
    bool started, bundle;
};
bool receipt_next(struct receipt_cursor *cursor, str_t file, str_t *out_receipt,
                  const char **out_why);
/* Printable ASCII stays, all else becomes \xNN. */
str_t proof_escape(struct arena *arena, str_t text);

#endif
