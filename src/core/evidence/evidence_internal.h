/* SPDX-License-Identifier: Apache-2.0 */
/* Private to core/evidence: drafts of facts, the right edge of each log, the state that main keeps
 * for us. */
#ifndef SUANHE_EVIDENCE_INTERNAL_H
#define SUANHE_EVIDENCE_INTERNAL_H

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>

#include "evidence/evidence.h"

/* ---- a fact before it has a number; also a row of evidence_pending ---- */
struct draft {
    struct draft *next;
    int64_t seq;
    int32_t log, type, actor_kind;
    ref_t event_id, root, object, owner_org, actor;
    str_t object_text, actor_hash, audience, refs /* packed {log(1) event_id(8)} */, commitment,
        payload;
    utc_t at;
};
struct draft_list { /* ctx->facts */
    struct draft *first, *last;
    int count;
};
enum { REF_PACKED_BYTES = 9, SALT_BYTES = 32 };

/* ---- tree.c: the open tiles of a log; it and what follows is of one epoch of the log ---- */
struct log_edge {
    uint64_t size;
    int64_t position;   /* every entry of this log up to here is counted */
    int64_t tile_first; /* position of the first entry of the open tile of level 0 */
    hash_t hash[TILE_LEVELS][TILE_HASHES];
};
static inline int edge_count(const struct log_edge *edge, int level)
{
    return (int)(edge->size >> (8 * level) & (TILE_HASHES - 1));
}
/* How many levels have just been filled: hash[0] .. hash[n - 1] hold a whole tile each until the
 * next append. */
int edge_append(struct log_edge *edge, const hash_t *leaf, int64_t position);
void edge_copy(struct log_edge *to, const struct log_edge *from);
str_t edge_pack(struct arena *arena, const struct log_edge *edge);
bool edge_unpack(str_t bytes, struct log_edge *edge); /* size is set already; false: wrong length */

/* Complete nodes of a log, from its full tiles (rows) and its edge. Needs an open transaction. */
struct tree_source {
    struct ctx *ctx;
    int log;
    int64_t epoch;
    const struct log_edge *edge;
    struct tile_cached *tiles;
    err_t error;
};
bool source_node(void *source, int level, uint64_t index, hash_t *out);
/* The root at an earlier size. */
err_t source_root(struct tree_source *source, uint64_t size, hash_t *out_root);
err_t source_consistency(struct tree_source *source, uint64_t from, uint64_t to, hash_t *out_path,
                         int *out_count);
/* The stored edge; a log without one has size 0. */
err_t edge_load(struct ctx *ctx, int log, int64_t epoch, struct log_edge *out);
err_t edge_store(struct ctx *ctx, int log, int64_t epoch, const struct log_edge *edge);
/* A whole tile row of the source's log; ERR_NOT_FOUND. */
err_t tile_load(const struct tree_source *source, int level, uint64_t n, str_t *out_hashes);

/* ---- heads ---- */
struct head_row {
    int32_t log;
    bool is_signed;
    int64_t height, size;
    utc_t at;
    str_t note;
};
/* The newest signed head. */
err_t head_newest(struct ctx *ctx, int log, int64_t epoch, struct head_row *out, bool *out_found);
struct head_known {
    uint64_t height, size; /* height 0: none yet */
    int64_t time_ms;
    hash_t root, text_hash;
};
bool head_of_note(struct arena *arena, str_t note, struct head_known *out);
hash_t head_text_hash(str_t text);

/* ---- epoch.c ---- */
enum { EPOCH_MAX = 16, ORIGIN_MAX = 300 };
static_assert(EPOCH_MAX * LOG_COUNT <= VKEYS_MAX, "the key lines of all epochs are one file");
struct epoch_row {
    int32_t log;
    int64_t epoch, first_position, closed_epoch, closed_size, covered_size;
};
err_t epoch_current(struct ctx *ctx, int64_t *out_epoch);
err_t epoch_rows(struct ctx *ctx, struct epoch_row **out, size_t *out_count);
void origin_write(char out[ORIGIN_MAX], str_t host, int log, int64_t epoch);
/* The origin of a log's first epoch, and the number behind it (1: none). */
void origin_split(str_t origin, str_t *out_base, int64_t *out_epoch);

/* ---- the state ---- */
struct object_leaf {
    int64_t object;
    int log; /* 0: free */
    hash_t leaf;
};
struct evidence {
    struct platform *platform;
    enum db_kind kind;
    uint8_t pseudonym[32];
    const struct sm2_key *head_key;
    char origin[LOG_COUNT + 1][ORIGIN_MAX];
    int interval_ms, idle_interval_ms;
    bool sign;

    pthread_mutex_t lock; /* guards what follows, up to the next comment */
    pthread_cond_t wake;
    int64_t epoch;
    struct log_edge committed[LOG_COUNT + 1];
    int64_t position, edge_stored[LOG_COUNT + 1];
    struct head_known heads[LOG_COUNT + 1];
    int64_t wanted_until_us;
    bool stopping, fact_told, leading;
    bool forked[LOG_COUNT + 1];
    int64_t pending;
    void (*on_commit)(void *state);
    void *on_commit_state;

    /* Of the one thread that numbers: SQLite's writer, PostgreSQL's sequencer. */
    struct log_edge working[LOG_COUNT + 1];
    bool touched[LOG_COUNT + 1];
    int64_t working_position;
    struct object_leaf *objects;
    size_t object_capacity;

    int64_t holder; /* this process, in the lease row */
    int signer_fd;
    pthread_t maker, sequencer;
    bool maker_runs, sequencer_runs;
};

/* ---- number.c ---- */
/* Numbers drafts into the working state and writes their rows; number_decided keeps or forgets that
 * state. */
err_t number_drafts(struct ctx *ctx, struct evidence *evidence, struct draft *const *drafts,
                    size_t count);
void number_decided(struct evidence *evidence, bool committed);
void number_take_part(struct evidence *evidence); /* registers with the database */
void *sequencer_main(void *evidence);             /* PostgreSQL */

/* ---- facts.c ---- */
/* A draft of the fact for a log, sealed, without a place in any list. */
struct draft *draft_make(struct ctx *ctx, const struct evidence *evidence, const struct fact *fact,
                         int log);

/* ---- life.c ---- */
/* The state before anything is loaded; evidence_close frees it. */
struct evidence *life_new(struct ctx *ctx, const struct evidence_options *options);
void life_set_origins(struct evidence *evidence, str_t host);
str_t life_host(const struct evidence *evidence);
/* Reads the state of all logs from the database into evidence->committed, position and heads. */
err_t life_load(struct ctx *ctx, struct evidence *evidence);
void life_hurry(struct evidence *evidence); /* somebody waits for a head */

/* ---- heads.c ---- */
void *maker_main(void *evidence);

/* ---- signer.c ---- */
enum { WIRE_FIELDS_MAX = 12, WIRE_MAX = 64 * 1024 };
/* What the signer last signed for an origin; *out_note empty: nothing. false: the signer does not
 * answer. */
bool signer_state(struct ctx *ctx, int fd, str_t origin, str_t *out_note);
/* Signs a head, or gives the note already signed at this height; *out_why says why it refuses. */
bool signer_sign(struct ctx *ctx, int fd, const struct head *head, const hash_t *path, int count,
                 str_t *out_note, str_t *out_why);
/* Hands over a signed head that the signer has not seen, with the proof from what it has. */
bool signer_adopt(struct ctx *ctx, int fd, str_t note, const hash_t *path, int count,
                  str_t *out_why);
/* The notes in a signer's state file; a missing file holds none. */
struct signer_note {
    str_t origin, note;
};
err_t signer_file_read(struct ctx *ctx, const char *path, struct signer_note **out,
                       size_t *out_count);

#endif
