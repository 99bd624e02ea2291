/* SPDX-License-Identifier: Apache-2.0 */
/* The verification of a receipt, step by step; the first failed step decides. */
#include <inttypes.h>
#include <string.h>

#include "proof_internal.h"

enum { CLOCK_TOLERANCE_MS = 5000 };

struct run {
    struct arena *arena;
    const struct receipt_pins *pins;
    struct receipt_report *report;
    struct receipt receipt;
    hash_t leaf;
};

static void say(struct run *run, const char *name, enum receipt_step_state state, str_t detail)
{
    struct receipt_report *report = run->report;
    ENSURE(report->count < (int)(sizeof report->step / sizeof report->step[0]));
    report->step[report->count++] = (struct receipt_step){name, state, detail};
    if (state == STEP_FAILED) {
        report->valid = false;
        report->reason = detail;
    }
}

static bool fail_step(struct run *run, const char *name, const char *why)
{
    say(run, name, STEP_FAILED, str_dup(run->arena, str_of(why)));
    return false;
}

static str_t hex(struct run *run, const hash_t *hash)
{
    return hex_encode(run->arena, str_from(hash->bytes, HASH_BYTES));
}

static bool step_format(struct run *run, str_t text)
{
    const char *why = "";
    struct receipt *receipt = &run->receipt;
    if (!receipt_read(run->arena, text, receipt, &why))
        return fail_step(run, "format", why);
    say(run, "format", STEP_OK,
        str_printf(run->arena,
                   "a receipt for index %" PRIu64 " with %d path hashes and %d signature lines",
                   receipt->index, receipt->path_count, receipt->note.signature_count));
    return true;
}

static bool step_entry(struct run *run)
{
    const struct entry *entry = &run->receipt.entry;
    if (origin_log(run->receipt.note.head.origin) != entry->log)
        return fail_step(run, "entry", "the entry is of another log than the head");
    str_t object = proof_escape(run->arena, entry->object_id);
    say(run, "entry", STEP_OK,
        str_printf(run->arena,
                   "log %s, type %u, event %" PRIu64 ", time %" PRIu64 ", object " STR_FMT
                   ", %d references",
                   evidence_log_word(entry->log), (unsigned)entry->type, entry->event_id,
                   entry->time_ms, STR_ARG(object), entry->ref_count));
    return true;
}

static bool step_tree(struct run *run)
{
    const struct receipt *receipt = &run->receipt;
    const struct head *head = &receipt->note.head;
    run->leaf = tree_leaf(receipt->extra);
    str_t leaf = hex(run, &run->leaf), root = hex(run, &head->root);
    say(run, "leaf", STEP_OK,
        str_printf(run->arena, "SM3 of the entry is " STR_FMT, STR_ARG(leaf)));
    if (receipt->index >= head->size)
        return fail_step(run, "root", "the index lies beyond the tree");
    if (!tree_verify_inclusion(&run->leaf, receipt->index, head->size, receipt->path,
                               receipt->path_count, &head->root))
        return fail_step(run, "root",
                         "the path from the leaf does not lead to the root of the head");
    say(run, "root", STEP_OK,
        str_printf(run->arena, "index %" PRIu64 " of %" PRIu64 " leads to the root " STR_FMT,
                   receipt->index, head->size, STR_ARG(root)));
    return true;
}

static bool step_signature(struct run *run)
{
    const struct note *note = &run->receipt.note;
    const char *why = "";
    if (run->pins->keys == NULL)
        return fail_step(run, "signature", "no key is pinned");
    if (!note_verify(note, run->pins->keys, &why))
        return fail_step(run, "signature", why);
    str_t origin = proof_escape(run->arena, note->head.origin);
    str_t id = hex_encode(run->arena, str_from(note->signatures[0].blob.data, KEY_ID_BYTES));
    say(run, "signature", STEP_OK,
        str_printf(run->arena, "head %" PRIu64 " is signed by " STR_FMT " with key " STR_FMT,
                   note->head.height, STR_ARG(origin), STR_ARG(id)));
    return true;
}

static str_t unpinned(struct run *run)
{
    const struct note *note = &run->receipt.note;
    struct buf buf;
    buf_init(&buf, run->arena, 1 << 20);
    buf_printf(&buf, "%d further signature lines, not counted without a member list",
               note->signature_count - 1);
    for (int i = 1; i < note->signature_count; i++) {
        buf_puts(&buf, i == 1 ? ": " : ", ");
        buf_put(&buf, proof_escape(run->arena, note->signatures[i].name));
    }
    return buf_str(&buf);
}

static bool step_members(struct run *run)
{
    const struct members *members = run->pins->members;
    const char *why = "";
    int votes = 0;
    if (members == NULL) {
        say(run, "members", STEP_NOT_CHECKED, unpinned(run));
        return true;
    }
    if (!note_verify_votes(&run->receipt.note, members, &votes, &why))
        return fail_step(run, "members", why);
    say(run, "members", STEP_OK,
        str_printf(run->arena, "%d valid votes of %d members, %d needed", votes,
                   members->keys.count, members->quorum));
    return true;
}

static bool step_ts(struct run *run)
{
    const struct receipt *receipt = &run->receipt;
    const char *why = "";
    struct token token;
    hash_t text;
    if (receipt->ts.data == NULL) {
        say(run, "ts", STEP_NOT_CHECKED, STR("there is no time stamp"));
        return true;
    }
    if (!token_read(receipt->ts, &token, &why))
        return fail_step(run, "ts", why);
    sm3(receipt->note.text, text.bytes);
    if (memcmp(token.imprint.data, text.bytes, HASH_BYTES) != 0)
        return fail_step(run, "ts", "the time stamp is of another text than this head");
    str_t time = proof_escape(run->arena, token.gen_time);
    if (run->pins->tsa.data == NULL) {
        say(run, "ts", STEP_NOT_CHECKED,
            str_printf(run->arena, "TSA not checked: the token says " STR_FMT, STR_ARG(time)));
        return true;
    }
    if (!token_verify(&token, run->pins->tsa, &why))
        return fail_step(run, "ts", why);
    say(run, "ts", STEP_OK,
        str_printf(run->arena, "the pinned authority saw this head at " STR_FMT, STR_ARG(time)));
    return true;
}

static bool step_payload(struct run *run)
{
    const struct receipt *receipt = &run->receipt;
    if (receipt->payload.data == NULL) {
        say(run, "payload", STEP_NOT_CHECKED, STR("the receipt does not show the payload"));
        return true;
    }
    hash_t commit = payload_commit((const uint8_t *)receipt->salt.data, receipt->payload);
    if (!hash_is(&commit, &receipt->entry.payload_commit))
        return fail_step(run, "payload", "the payload is not the one the entry commits to");
    str_t text = hex(run, &commit);
    say(run, "payload", STEP_OK,
        str_printf(run->arena, "%zu bytes with their salt give the commitment " STR_FMT,
                   receipt->payload.len, STR_ARG(text)));
    return true;
}

/* The actor signed from the first byte up to the length field of the signature. */
static bool step_actor(struct run *run)
{
    const struct entry *entry = &run->receipt.entry;
    if (entry->actor_sig.len == 0) {
        say(run, "actor", STEP_NOT_CHECKED, STR("the actor did not sign"));
        return true;
    }
    str_t certificate = proof_escape(run->arena, entry->actor_cert_id);
    if (run->pins->actor_key == NULL) {
        say(run, "actor", STEP_NOT_CHECKED,
            str_printf(run->arena, "not checked: signed with certificate " STR_FMT,
                       STR_ARG(certificate)));
        return true;
    }
    str_t signed_part =
        str_from(run->receipt.extra.data, run->receipt.extra.len - entry->actor_sig.len - 2);
    if (!sm2_verify(run->pins->actor_key, signed_part, entry->actor_sig))
        return fail_step(run, "actor", "the actor's signature is not of the pinned key");
    say(run, "actor", STEP_OK,
        str_printf(run->arena, "signed by the pinned key, certificate " STR_FMT,
                   STR_ARG(certificate)));
    return true;
}

static void step_time(struct run *run)
{
    uint64_t entry_ms = run->receipt.entry.time_ms, head_ms = run->receipt.note.head.time_ms;
    if (entry_ms > head_ms && entry_ms - head_ms > CLOCK_TOLERANCE_MS)
        say(run, "time", STEP_WARNING,
            str_printf(run->arena, "the entry's time %" PRIu64 " is after the head's time %" PRIu64,
                       entry_ms, head_ms));
    else
        say(run, "time", STEP_OK,
            str_printf(run->arena, "entry at %" PRIu64 " ms, head at %" PRIu64 " ms", entry_ms,
                       head_ms));
}

void receipt_verify_pinned(struct arena *arena, str_t text, const struct receipt_pins *pins,
                           struct receipt_report *out)
{
    *out = (struct receipt_report){.valid = true};
    struct run *run = arena_alloc(arena, sizeof *run); /* a note is too large for small stacks */
    run->arena = arena;
    run->pins = pins;
    run->report = out;
    if (step_format(run, text) && step_entry(run) && step_tree(run) && step_signature(run) &&
        step_members(run) && step_ts(run) && step_payload(run) && step_actor(run))
        step_time(run);
}

void receipt_verify(struct arena *arena, str_t text, const struct vkeys *keys,
                    const struct members *members, struct receipt_report *out)
{
    const struct receipt_pins pins = {.keys = keys, .members = members};
    receipt_verify_pinned(arena, text, &pins, out);
}
