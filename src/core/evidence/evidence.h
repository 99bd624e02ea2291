/* SPDX-License-Identifier: Apache-2.0 */
/* The facts: every state change is told once, by an entry appended in its own transaction; entries
 * are numbered in commit order, hashed into one tree per log, and proven by signed heads. Byte
 * formats: lib/proof and docs/evidence.md. On SQLite the writer numbers entries inside the commit;
 * on PostgreSQL a sequencer moves them from evidence_pending in commit order. Signing is done by a
 * separate process and never waited for by a write. A database that lies behind its signed heads
 * can only go on in a new epoch: new trees under new origins, which the old ones stay beside. */
#ifndef SUANHE_EVIDENCE_H
#define SUANHE_EVIDENCE_H

#include "base/base.h"
#include "crypto/crypto.h"
#include "db/db.h"
#include "proof/proof.h"

/* Numbers are part of the leaf bytes and are never reused. */
enum fact_type {
    FACT_USER_REGISTER = 1,
    FACT_USER_LOGIN = 2,
    FACT_USER_PASSWORD = 3,
    FACT_USER_DISABLED = 4,
    FACT_ORG_CREATE = 5,
    FACT_MEMBER_CHANGE = 6,
    FACT_STORE_APPLY = 20,
    FACT_STORE_STATE = 21,
    FACT_STORE_CREDENTIALS = 22,
    FACT_PRODUCT_LIST = 30,
    FACT_PRODUCT_STATE = 31,
    FACT_PRODUCT_IMPORT = 32, /* one fact per imported store: digest and count */
    FACT_ORDER_CREATE = 40,
    FACT_ORDER_PAID = 41, /* parent, children and items move together */
    FACT_ORDER_STATUS = 42,
    FACT_ITEM_STATUS = 43,
    FACT_ORDER_REFUND = 44,
    FACT_TRADE_SETTLED = 45, /* in the trade log, refers to the finance entry */
    FACT_ORDER_SENT = 46,    /* the provider acknowledged */
    FACT_PAY_VOUCHER = 60,   /* finance: payment of an order */
    FACT_TOP_UP = 61,
    FACT_REFUND_DONE = 62,
    FACT_SETTLE_RESULT = 63,
    FACT_LOG_RESET = 90,
    FACT_KEY_ROTATE = 91,
};

struct fact_kind {
    int type;
    const char *name; /* "order.paid" */
    int log;          /* enum evidence_log */
    const char *kind; /* how a timeline shows it: business, payment, sync, evidence */
};
const struct fact_kind *fact_kind_of(int type); /* NULL when unknown */
const struct fact_kind *fact_kinds(int *out_count);

enum { FACT_AUDIENCE_MAX = 104, FACT_REFS_MAX = 8 };
struct fact {
    int type;
    const char *object_prefix; /* "ord" */
    ref_t object;
    ref_t root;      /* parent order, demand, store or user whose timeline shows it */
    ref_t owner_org; /* whose data key encrypts the payload; none: the platform's */
    str_t payload;   /* JSON object by the type's schema in spec/facts/ */
    ref_t audience[FACT_AUDIENCE_MAX]; /* organisations that hear of it */
    int audience_count;
    struct {
        int log;
        ref_t event_id;
    } refs[FACT_REFS_MAX];
    int ref_count;
    ref_t event_id; /* given beforehand (two facts that name each other), or none: made here */
};

/* Appends a fact to the open write transaction; it is gone when the transaction is. *out_event_id
 * may be NULL. */
err_t evidence_append(struct ctx *ctx, const struct fact *fact, ref_t *out_event_id);

/* ---- reading ---- */
struct event {
    int64_t position;
    ref_t event_id, object, root;
    int32_t type;
    int64_t log, epoch, log_index; /* the index counts within the epoch */
    utc_t at;
    str_t object_text; /* "ord_…" */
    int actor_kind;    /* 0 system, 1 user, 2 client */
    ref_t actor; /* user or client: who acted (operational copy beside the pseudonym in the leaf) */
    str_t audience; /* packed big-endian keys */
    str_t payload;  /* decrypted JSON; empty when erased; only where asked for */
};
err_t evidence_find_event(struct ctx *ctx, ref_t event_id, bool with_payload, struct event *out);
/* By positions, ascending; unknown ones are left out. */
err_t evidence_find_many(struct ctx *ctx, const int64_t *positions, size_t count, bool with_payload,
                         struct event **out, size_t *out_count);
/* Entries after a position, for followers. */
err_t evidence_after(struct ctx *ctx, int64_t position, int limit, struct event **out,
                     size_t *out_count);
bool evidence_heard_by(const struct event *event, ref_t org_id);

/* ---- life ---- */
struct evidence_options {
    str_t host;      /* of the origins, such as "op.example"; the first head fixes it for good */
    int interval_ms; /* between heads when someone waits; 0: 200 */
    int idle_interval_ms;     /* else; 0: 1000 */
    const char *signer_state; /* the signer's own state file */
    bool sign;                /* false: this instance does not sign */
};
/* Rebuilds the frontiers, checks them against the last signed head: fewer entries or another root
 * refuses to start
 * (`evidence_behind_head`). Registers as the database's participant. */
err_t evidence_open(struct ctx *ctx, const struct evidence_options *options, struct evidence **out);
/* Opens the next epoch of all logs, on a database that no instance works on, before evidence_open.
 * Its first entry in each log tells what the ended epoch had signed (by the signer's state file),
 * what of it is here, and who approved; later entries of the ended epoch than its last stored head
 * covers never get a receipt. `epoch_busy` while an instance is at work; `epoch_limit`. */
struct evidence_reset {
    str_t approved_by; /* 1 to 200 bytes */
    ref_t hears;       /* organisation that hears of it; none: nobody */
};
err_t evidence_open_epoch(struct ctx *ctx, const struct evidence_options *options,
                          const struct evidence_reset *reset, int64_t *out_epoch);
/* Starts the sequencer (PostgreSQL), the head maker and the signer process. */
err_t evidence_start(struct evidence *evidence);
/* Before the database is closed. */
void evidence_close(struct evidence *evidence);
/* fn runs after each commit that may have numbered entries (wake a follower); on any thread, with a
 * lock of ours held: it must not wait or call back. One only; NULL: none. */
void evidence_on_commit(struct evidence *evidence, void (*fn)(void *state), void *state);
/* The signer's own process: reads requests on fd, until it is closed. Called by main before any
 * thread is made. */
int evidence_signer_main(int fd, const char *data_dir, const char *kek_file,
                         const char *state_file);
/* fd: our end of its stream socket; it stays the caller's, who closes it after evidence_close. */
void evidence_use_signer(struct evidence *evidence, int fd);
/* Forks the signer's process; returns our end of its socket (a stream, closed on exec), or -1. It
 * ends when that is closed. The key ring must have been made before; no thread may run yet. */
int evidence_signer_spawn(const char *data_dir, const char *kek_file, const char *state_file);

/* The receipt of an event as `.evd` text. ERR_NOT_FOUND; `receipt_pending` (ERR_UPSTREAM with
 * retry_after) while no head covers it (asking hurries the next head); `epoch_closed` (ERR_GONE)
 * when its epoch ended before one did. */
err_t evidence_receipt(struct ctx *ctx, ref_t event_id, bool with_payload, str_t *out_text);
err_t evidence_checkpoint(struct ctx *ctx, int log, int64_t height,
                          str_t *out_note); /* 0: newest */
err_t evidence_consistency(struct ctx *ctx, int log, int64_t from, int64_t to, str_t *out_text);
err_t evidence_tile(struct ctx *ctx, int log, int level, int64_t index, int width,
                    str_t *out_bytes);
/* How far the signed heads reach, to say of many events whether they have a receipt. */
enum receipt_state { RECEIPT_PENDING, RECEIPT_RECORDED, RECEIPT_CLOSED };
struct evidence_reach {
    int64_t epoch, sizes[LOG_COUNT + 1];
    struct epoch_row *ended;
    size_t ended_count;
};
err_t evidence_reach_load(struct ctx *ctx, struct evidence_reach *out);
enum receipt_state evidence_receipt_state(const struct evidence_reach *reach,
                                          const struct event *event);
/* The platform's key lines, one per log and epoch, the newest epoch first. */
void evidence_keys(struct evidence *evidence, struct buf *out);

struct evidence_stats {
    int64_t entries[LOG_COUNT + 1], head_size[LOG_COUNT + 1], head_age_ms[LOG_COUNT + 1], pending;
};
void evidence_stats(struct evidence *evidence, struct evidence_stats *out);

/* Recomputes every tree, head and payload commitment and compares; prints what is wrong to report.
 * OK when sound. */
err_t evidence_fsck(struct ctx *ctx, struct buf *report);

#endif
