/* SPDX-License-Identifier: Apache-2.0 */
/* The signer: a process of its own with the head key and a file of what it signed last for each
 * origin. It signs a head only when it follows the last one: next height, prev of its text, and a
 * consistency proof that it verifies itself. The file is on disk before a signature leaves, so
 * neither a restored database nor a second platform gets a fork signed; asked again for the same
 * height, it gives the same note again. On the wire: u32 length, then fields of u32 length and
 * bytes; the first names the request or how it ended. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "evidence_internal.h"

enum { STATE_FILE_MAX = 1 << 20, SIGNER_AHEAD_MS = 5000 };

/* ---- wire ---- */
struct wire {
    str_t field[WIRE_FIELDS_MAX];
    int count;
};

static bool read_exact(int fd, void *out, size_t len)
{
    for (char *at = out; len > 0;) {
        ssize_t got = read(fd, at, len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += got;
        len -= (size_t)got;
    }
    return true;
}

static bool write_exact(int fd, str_t bytes)
{
    while (bytes.len > 0) {
        ssize_t put = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        bytes = str_cut(bytes, (size_t)put);
    }
    return true;
}

static uint64_t big_endian(str_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.len; i++)
        value = value << 8 | (uint8_t)bytes.data[i];
    return value;
}

static void wire_add(struct wire *wire, str_t field)
{
    ENSURE(wire->count < WIRE_FIELDS_MAX);
    wire->field[wire->count++] = field;
}

static void wire_add_number(struct arena *arena, struct wire *wire, uint64_t value)
{
    struct buf buf;
    buf_init(&buf, arena, 8);
    buf_put_u64(&buf, value);
    wire_add(wire, buf_str(&buf));
}

static bool wire_send(struct arena *arena, int fd, const struct wire *wire)
{
    struct buf body, all;
    buf_init(&body, arena, WIRE_MAX);
    for (int i = 0; i < wire->count; i++) {
        buf_put_u32(&body, (uint32_t)wire->field[i].len);
        buf_put(&body, wire->field[i]);
    }
    ENSURE(!body.overflow);
    buf_init(&all, arena, WIRE_MAX + 4);
    buf_put_u32(&all, (uint32_t)body.len);
    buf_put(&all, buf_str(&body));
    return write_exact(fd, buf_str(&all));
}

static bool wire_receive(struct arena *arena, int fd, struct wire *out)
{
    char head[4];
    if (!read_exact(fd, head, sizeof head))
        return false;
    size_t len = (size_t)big_endian(str_from(head, sizeof head));
    if (len > WIRE_MAX)
        return false;
    char *bytes = arena_alloc(arena, len + 1);
    if (!read_exact(fd, bytes, len))
        return false;
    *out = (struct wire){0};
    for (str_t rest = str_from(bytes, len); rest.len > 0;) {
        size_t field = rest.len < 4 ? SIZE_MAX : (size_t)big_endian(str_from(rest.data, 4));
        if (field > rest.len - 4 || rest.len < 4 || out->count == WIRE_FIELDS_MAX)
            return false;
        wire_add(out, str_from(rest.data + 4, field));
        rest = str_cut(rest, 4 + field);
    }
    return out->count > 0;
}

static str_t wire_field(const struct wire *wire, int index)
{
    return index < wire->count ? wire->field[index] : STR("");
}

/* ---- the platform's side ---- */
static bool call(struct ctx *ctx, int fd, const struct wire *request, struct wire *out)
{
    if (fd < 0 || !wire_send(ctx->arena, fd, request) || !wire_receive(ctx->arena, fd, out))
        return false;
    return true;
}

bool signer_state(struct ctx *ctx, int fd, str_t origin, str_t *out_note)
{
    struct wire request = {0}, answer;
    wire_add(&request, STR("state"));
    wire_add(&request, origin);
    if (!call(ctx, fd, &request, &answer))
        return false;
    *out_note = wire_field(&answer, 1);
    return str_is(answer.field[0], "ok");
}

bool signer_sign(struct ctx *ctx, int fd, const struct head *head, const hash_t *path, int count,
                 str_t *out_note, str_t *out_why)
{
    struct wire request = {0}, answer;
    wire_add(&request, STR("sign"));
    wire_add(&request, head->origin);
    wire_add_number(ctx->arena, &request, head->size);
    wire_add_number(ctx->arena, &request, head->height);
    wire_add_number(ctx->arena, &request, head->time_ms);
    wire_add(&request, str_from(head->root.bytes, HASH_BYTES));
    wire_add(&request, str_from(head->prev.bytes, HASH_BYTES));
    wire_add(&request, str_from(head->set.bytes, HASH_BYTES));
    wire_add(&request, str_from(path, (size_t)count * sizeof(hash_t)));
    *out_why = STR("the signer does not answer");
    if (!call(ctx, fd, &request, &answer))
        return false;
    *out_note = *out_why = wire_field(&answer, 1);
    return str_is(answer.field[0], "ok");
}

bool signer_adopt(struct ctx *ctx, int fd, str_t note, const hash_t *path, int count,
                  str_t *out_why)
{
    struct wire request = {0}, answer;
    wire_add(&request, STR("adopt"));
    wire_add(&request, note);
    wire_add(&request, str_from(path, (size_t)count * sizeof(hash_t)));
    *out_why = STR("the signer does not answer");
    if (!call(ctx, fd, &request, &answer))
        return false;
    *out_why = wire_field(&answer, 1);
    return str_is(answer.field[0], "ok");
}

/* ---- the state file: a line `origin base64(note)` each ---- */
static err_t read_file(struct ctx *ctx, const char *path, str_t *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *out = STR("");
    if (fd < 0 && errno == ENOENT)
        return OK;
    struct stat stat;
    if (fd < 0 || fstat(fd, &stat) != 0 || stat.st_size > STATE_FILE_MAX) {
        if (fd >= 0)
            close(fd);
        return refuse(ctx, ERR_INTERNAL, "signer_state_unreadable", "%s", path);
    }
    size_t len = (size_t)stat.st_size;
    char *bytes = arena_alloc(ctx->arena, len + 1);
    bool is_read = read_exact(fd, bytes, len);
    close(fd);
    if (!is_read)
        return refuse(ctx, ERR_INTERNAL, "signer_state_unreadable", "%s", path);
    *out = str_from(bytes, len);
    return OK;
}

err_t signer_file_read(struct ctx *ctx, const char *path, struct signer_note **out,
                       size_t *out_count)
{
    str_t rest, line;
    size_t capacity = 1;
    TRY(read_file(ctx, path, &rest));
    for (size_t i = 0; i < rest.len; i++)
        capacity += rest.data[i] == '\n';
    *out = NEW_ARRAY(ctx, struct signer_note, capacity);
    *out_count = 0;
    while (str_next(&rest, '\n', &line)) {
        struct signer_note *note = &(*out)[*out_count];
        str_t tail = line;
        if (line.len == 0)
            continue;
        if (!str_next(&tail, ' ', &note->origin) || !base64_decode(ctx->arena, tail, &note->note) ||
            *out_count == capacity)
            return refuse(ctx, ERR_INTERNAL, "signer_state_unreadable", "%s: a broken line", path);
        (*out_count)++;
    }
    return OK;
}

/* ---- the signer's side ---- */
struct signer {
    const char *data_dir, *kek_file, *state_file;
    struct keyring *keys;
    struct ctx keep; /* holds what the state file says */
    struct signer_note *notes;
    size_t count;
};

static void sync_folder(struct arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *folder =
        slash == NULL ? "." : str_z(arena, str_from(path, (size_t)(slash - path) + 1));
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

static bool write_file(struct ctx *ctx, const char *path, str_t text)
{
    const char *fresh = str_z(ctx->arena, str_printf(ctx->arena, "%s.new", path));
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool written = true;
    while (written && text.len > 0) {
        ssize_t put = write(fd, text.data, text.len);
        written = put > 0 || (put < 0 && errno == EINTR);
        text = str_cut(text, put > 0 ? (size_t)put : 0);
    }
    written = written && fsync(fd) == 0;
    written = close(fd) == 0 && written;
    if (!written || rename(fresh, path) != 0)
        return false;
    sync_folder(ctx->arena, path);
    return true;
}

static struct signer_note *signer_find(struct signer *signer, str_t origin)
{
    for (size_t i = 0; i < signer->count; i++)
        if (str_eq(signer->notes[i].origin, origin))
            return &signer->notes[i];
    return NULL;
}

/* Writes the file with this note in place of the origin's last one, then takes it over. */
static bool signer_keep(struct signer *signer, str_t origin, str_t note)
{
    struct ctx next;
    ctx_init(&next, NULL, clock_now());
    struct signer_note *notes = NEW_ARRAY(&next, struct signer_note, signer->count + 1);
    size_t count = 0;
    struct buf text;
    buf_init(&text, next.arena, STATE_FILE_MAX);
    for (size_t i = 0; i < signer->count; i++)
        if (!str_eq(signer->notes[i].origin, origin))
            notes[count++] = signer->notes[i];
    notes[count++] = (struct signer_note){origin, note};
    for (size_t i = 0; i < count; i++) {
        notes[i].origin = str_dup(next.arena, notes[i].origin);
        notes[i].note = str_dup(next.arena, notes[i].note);
        buf_put(&text, notes[i].origin);
        buf_putc(&text, ' ');
        buf_put(&text, base64_encode(next.arena, notes[i].note));
        buf_putc(&text, '\n');
    }
    if (text.overflow || !write_file(&next, signer->state_file, buf_str(&text))) {
        ctx_done(&next);
        return false;
    }
    ctx_done(&signer->keep);
    signer->keep = next;
    signer->notes = notes;
    signer->count = count;
    return true;
}

/* Why the tree of `size` and `root` does not follow the last one; NULL: it does. */
static const char *not_consistent(const struct note *last, uint64_t size, const hash_t *root,
                                  str_t proof)
{
    hash_t path[CONSISTENCY_MAX];
    int count = (int)(proof.len / sizeof(hash_t));
    if (proof.len % sizeof(hash_t) != 0 || proof.len > sizeof path)
        return "malformed proof";
    memcpy(path, proof.data, proof.len);
    if (size < last->head.size)
        return "fewer entries than the last signed head";
    if (last->head.size > 0 &&
        !tree_verify_consistency(last->head.size, size, &last->head.root, root, path, count))
        return "not consistent with the last signed head";
    return NULL;
}

static const char *not_next(const struct note *last, const struct head *head, str_t proof)
{
    static const hash_t zero;
    if (head->time_ms > (uint64_t)clock_now().ms + SIGNER_AHEAD_MS)
        return "time lies ahead";
    if (last == NULL) {
        bool first = head->height == 1 && memcmp(&head->prev, &zero, sizeof zero) == 0;
        return first ? NULL : "first height of an origin must be 1";
    }
    hash_t prev = head_text_hash(last->text);
    if (head->height != last->head.height + 1)
        return "height does not follow the last signed head";
    if (memcmp(&prev, &head->prev, sizeof prev) != 0)
        return "prev is not the last signed head";
    if (head->time_ms < last->head.time_ms)
        return "time falls";
    return not_consistent(last, head->size, &head->root, proof);
}

/* Once a later epoch of a log has begun, its older ones are over. */
static bool epoch_is_over(const struct signer *signer, str_t origin)
{
    str_t base, kept;
    int64_t epoch, kept_epoch;
    origin_split(origin, &base, &epoch);
    for (size_t i = 0; i < signer->count; i++) {
        origin_split(signer->notes[i].origin, &kept, &kept_epoch);
        if (str_eq(kept, base) && kept_epoch > epoch)
            return true;
    }
    return false;
}

static bool read_head(const struct wire *request, struct head *out)
{
    if (request->count != 9)
        return false;
    for (int i = 2; i < 8; i++)
        if (request->field[i].len != (i < 5 ? 8u : (unsigned)HASH_BYTES))
            return false;
    *out = (struct head){.origin = request->field[1],
                         .size = big_endian(request->field[2]),
                         .height = big_endian(request->field[3]),
                         .time_ms = big_endian(request->field[4])};
    memcpy(out->root.bytes, request->field[5].data, HASH_BYTES);
    memcpy(out->prev.bytes, request->field[6].data, HASH_BYTES);
    memcpy(out->set.bytes, request->field[7].data, HASH_BYTES);
    return true;
}

static const char *last_note(struct ctx *ctx, struct signer *signer, str_t origin,
                             struct note **out, struct signer_note **out_kept)
{
    const char *why = NULL;
    *out = NULL;
    *out_kept = signer_find(signer, origin);
    if (*out_kept == NULL)
        return NULL;
    *out = NEW(ctx, struct note);
    return note_read(ctx->arena, (*out_kept)->note, *out, &why) ? NULL
                                                                : "the state file is damaged";
}

static const char *handle_sign(struct ctx *ctx, struct signer *signer, const struct wire *request,
                               str_t *out_note)
{
    struct head head;
    struct note *last;
    struct signer_note *kept;
    if (!read_head(request, &head))
        return "malformed request";
    if (epoch_is_over(signer, head.origin))
        return "a later epoch of this log has begun";
    const char *why = last_note(ctx, signer, head.origin, &last, &kept);
    if (why != NULL)
        return why;
    if (last != NULL && head.height == last->head.height) {
        *out_note = kept->note;
        return NULL;
    }
    why = not_next(last, &head, request->field[8]);
    if (why != NULL)
        return why;
    struct buf note;
    buf_init(&note, ctx->arena, 8192);
    head_sign(&note, &head, keyring_sm2(signer->keys, "head"));
    if (note.overflow || !signer_keep(signer, head.origin, buf_str(&note)))
        return "the state file cannot be written";
    *out_note = buf_str(&note);
    return NULL;
}

/* A head signed by this key elsewhere (a twin of this signer): it must follow, and be newer than,
 * what is known. */
static const char *handle_adopt(struct ctx *ctx, struct signer *signer, const struct wire *request)
{
    struct note *note = NEW(ctx, struct note), *last;
    struct signer_note *kept;
    const char *why;
    uint8_t point[SM2_POINT_BYTES];
    struct buf line;
    struct vkeys *pinned = NEW(ctx, struct vkeys);
    if (request->count != 3 || !note_read(ctx->arena, request->field[1], note, &why))
        return "malformed note";
    buf_init(&line, ctx->arena, 1024);
    sm2_point(keyring_sm2(signer->keys, "head"), point);
    vkey_write(&line, note->head.origin, false, point);
    buf_putc(&line, '\n');
    if (!vkeys_read(ctx->arena, buf_str(&line), pinned, &why))
        return "malformed origin";
    bool valid = note_verify(note, pinned, &why);
    vkeys_free(pinned);
    if (!valid)
        return "the note is not signed by this key";
    if (epoch_is_over(signer, note->head.origin))
        return "a later epoch of this log has begun";
    const char *damaged = last_note(ctx, signer, note->head.origin, &last, &kept);
    if (damaged != NULL)
        return damaged;
    if (last != NULL && note->head.height <= last->head.height)
        return "not newer than the last signed head";
    const char *fork =
        last == NULL ? NULL
                     : not_consistent(last, note->head.size, &note->head.root, request->field[2]);
    if (fork != NULL)
        return fork;
    return signer_keep(signer, note->head.origin, request->field[1])
               ? NULL
               : "the state file cannot be written";
}

static const char *handle(struct ctx *ctx, struct signer *signer, const struct wire *request,
                          str_t *out_note)
{
    str_t verb = request->field[0];
    const char *message = NULL;
    if (str_is(verb, "state")) {
        struct signer_note *kept = signer_find(signer, wire_field(request, 1));
        *out_note = kept == NULL ? STR("") : kept->note;
        return NULL;
    }
    if (signer->keys == NULL)
        signer->keys = keyring_open(signer->data_dir, signer->kek_file, false, &message);
    if (signer->keys == NULL)
        return message == NULL ? "no key ring" : message;
    if (str_is(verb, "sign"))
        return handle_sign(ctx, signer, request, out_note);
    return str_is(verb, "adopt") ? handle_adopt(ctx, signer, request) : "unknown request";
}

static bool serve_one(struct signer *signer, int fd)
{
    struct ctx ctx;
    struct wire request, answer = {0};
    str_t note = STR("");
    ctx_init(&ctx, NULL, clock_now());
    bool more = wire_receive(ctx.arena, fd, &request);
    if (more) {
        const char *why = handle(&ctx, signer, &request, &note);
        wire_add(&answer, why == NULL ? STR("ok") : STR("refused"));
        wire_add(&answer, why == NULL ? note : str_of(why));
        more = wire_send(ctx.arena, fd, &answer);
    }
    ctx_done(&ctx);
    return more;
}

int evidence_signer_main(int fd, const char *data_dir, const char *kek_file, const char *state_file)
{
    struct signer signer = {.data_dir = data_dir, .kek_file = kek_file, .state_file = state_file};
    ctx_init(&signer.keep, NULL, clock_now());
    if (signer_file_read(&signer.keep, state_file, &signer.notes, &signer.count) != OK) {
        log_at(LOG_ERROR, "signer", "reason=%s detail=%s", signer.keep.problem.reason,
               signer.keep.problem.detail);
        ctx_done(&signer.keep);
        return 1;
    }
    while (serve_one(&signer, fd)) {
    }
    if (signer.keys != NULL)
        keyring_free(signer.keys);
    ctx_done(&signer.keep);
    return 0;
}

int evidence_signer_spawn(const char *data_dir, const char *kek_file, const char *state_file)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]);
        /* It must outlive the platform's last request, so it ends by the closed socket, not by the
         * terminal's signal. */
        signal(SIGINT, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
        _exit(evidence_signer_main(pair[1], data_dir, kek_file, state_file));
    }
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return -1;
    }
    return pair[0];
}
