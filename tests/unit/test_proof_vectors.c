/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fixtures/crypto-vectors.json is shared with the browser's verifier: what is valid here must
 * be valid there. `test_proof_vectors --write FILE` makes the file anew; without arguments every
 * vector is checked. */
#include "proof_samples.h"

static const char vectors_file[] = "tests/fixtures/crypto-vectors.json";

/* ---- making ---- */

static str_t hex_of(struct arena *arena, const void *data, size_t len)
{
    return hex_encode(arena, str_from(data, len));
}

static void write_sm3(struct jw *w, struct arena *arena)
{
    static const size_t lengths[] = {0, 1, 3, 55, 56, 57, 63, 64, 65, 119, 120, 128, 1000};
    uint8_t data[1000], digest[SM3_BYTES];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 + 'a');
    jw_key(w, "sm3");
    jw_array(w);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0] + 2; i++) {
        str_t text = i == 0 ? STR("abc")
                     : i == 1
                         ? STR("abcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcd")
                         : str_from(data, lengths[i - 2]);
        sm3(text, digest);
        jw_object(w);
        jw_put_text(w, "hex", hex_encode(arena, text));
        jw_put_text(w, "digest", hex_of(arena, digest, sizeof digest));
        jw_end_object(w);
    }
    jw_end_array(w);
}

static void put_sm2(struct jw *w, struct arena *arena, const char *name, str_t signature,
                    bool valid)
{
    jw_object(w);
    jw_put_text(w, "name", str_of(name));
    jw_put_text(w, "point", hex_encode(arena, from_hex(arena, SAMPLE_POINT)));
    jw_put_text(w, "message_hex", hex_encode(arena, STR("message digest")));
    jw_put_text(w, "signature_hex", hex_encode(arena, signature));
    jw_put_bool(w, "valid", valid);
    jw_end_object(w);
}

#define R "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
#define S "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
#define N "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123"
#define N_LESS_1 "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54122"

static void write_sm2(struct jw *w, struct arena *arena)
{
    static const struct {
        const char *name, *hex;
        bool valid;
    } fixed[] = {
        {"the example of GB/T 32918.5", "3046022100" R "022100" S, true},
        {"one bit of s",
         "3046022100" R "022100"
         "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1ab",
         false},
        {"r and s exchanged", "3046022100" S "022100" R, false},
        {"raw r and s", R S, false},
        {"a byte behind", "3046022100" R "022100" S "00", false},
        {"a byte behind inside", "3047022100" R "022100" S "00", false},
        {"an element behind inside", "3048022100" R "022100" S "0500", false},
        {"a long length where a short one fits", "308146022100" R "022100" S, false},
        {"an indefinite length", "3080022100" R "022100" S "0000", false},
        {"r with a needless zero", "304702220000" R "022100" S, false},
        {"r negative", "30450220" R "022100" S, false},
        {"s negative", "3045022100" R "0220" S, false},
        {"r is 0", "3026020100022100" S, false},
        {"s is 0", "3026022100" R "020100", false},
        {"r without bytes", "30250200022100" S, false},
        {"r is n", "3046022100" N "022100" S, false},
        {"s is n", "3046022100" R "022100" N, false},
        {"s is n-1", "3046022100" R "022100" N_LESS_1, false},
        {"r of 34 bytes", "304702220100" R "022100" S, false},
        {"a set for the sequence", "3146022100" R "022100" S, false},
        {"octets for r", "3046042100" R "022100" S, false},
        {"cut short",
         "3046022100" R "022100"
         "b1b6aa29",
         false},
        {"r only", "3023022100" R, false},
        {"empty", "", false},
    };
    jw_key(w, "sm2");
    jw_array(w);
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        put_sm2(w, arena, fixed[i].name, from_hex(arena, fixed[i].hex), fixed[i].valid);
    struct sm2_key *key = key_of_hex(arena, SAMPLE_D);
    for (int i = 0; i < 8; i++) {
        uint8_t signature[SM2_SIG_MAX];
        size_t len;
        sm2_sign(key, STR("message digest"), signature, &len);
        put_sm2(w, arena, "made by the C module", str_from(signature, len), true);
    }
    sm2_free(key);
    jw_end_array(w);
}

/* ---- receipts ---- */

struct maker {
    struct jw *w;
    struct sample *sample;
};

static void put_receipt(struct maker *maker, const char *name, str_t text, bool valid)
{
    struct jw *w = maker->w;
    jw_object(w);
    jw_put_text(w, "name", str_of(name));
    jw_put_text(w, "vkeys", maker->sample->vkeys_text);
    jw_put_text(w, "text", text);
    jw_put_bool(w, "valid", valid);
    jw_end_object(w);
}

/* The same with a member list pinned. */
static void put_voted(struct maker *maker, const char *name, str_t text, bool valid)
{
    struct jw *w = maker->w;
    jw_object(w);
    jw_put_text(w, "name", str_of(name));
    jw_put_text(w, "vkeys", maker->sample->vkeys_text);
    jw_put_text(w, "members", maker->sample->members_text);
    jw_put_text(w, "text", text);
    jw_put_bool(w, "valid", valid);
    jw_end_object(w);
}

static void put_edited(struct maker *maker, const char *name, str_t text, const char *from,
                       const char *to)
{
    put_receipt(maker, name, replaced(maker->sample->arena, text, from, to), false);
}

static str_t line_at(str_t text, int number)
{
    str_t line = {0};
    for (int i = 0; i <= number; i++)
        assert_true(str_next(&text, '\n', &line));
    return line;
}

static void write_valid(struct maker *maker)
{
    struct sample *sample = maker->sample;
    struct entry plain = sample_entry(sample, 5);
    str_t bytes = entry_bytes(sample, &plain);
    struct receipt *receipt = full_receipt(sample);
    put_receipt(maker, "golden: payload, actor signature, votes of unpinned members",
                receipt_text(sample, receipt), true);
    put_voted(maker, "golden with its members", receipt_text(sample, receipt), true);
    receipt->payload = receipt->salt = (str_t){0};
    put_receipt(maker, "without payload and salt", receipt_text(sample, receipt), true);
    put_receipt(maker, "one signature", receipt_text(sample, sample_receipt(sample, bytes, 5, 11)),
                true);
    put_receipt(maker, "a log of one entry",
                receipt_text(sample, sample_receipt(sample, bytes, 0, 1)), true);
    put_receipt(maker, "the last of 300",
                receipt_text(sample, sample_receipt(sample, bytes, 299, 300)), true);
    plain.type = 65535;
    plain.time_ms = SAMPLE_HEAD_TIME + 60000;
    plain.object_id = STR("算力订单-1");
    plain.ref_count = 0;
    bytes = entry_bytes(sample, &plain);
    put_receipt(maker, "unknown type, no references, late entry (a warning)",
                receipt_text(sample, sample_receipt(sample, bytes, 3, 4)), true);
    receipt = sample_receipt(sample, bytes, 3, 4);
    receipt->note.head.height = 1;
    receipt->note.head.prev = (hash_t){0};
    put_receipt(maker, "the first head", receipt_text(sample, receipt), true);
}

static void write_bad_lines(struct maker *maker)
{
    struct sample *sample = maker->sample;
    str_t good = receipt_text(sample, full_receipt(sample));
    put_receipt(maker, "empty", (str_t){0}, false);
    put_receipt(maker, "last line feed missing", str_from(good.data, good.len - 1), false);
    put_receipt(maker, "an empty line behind",
                str_printf(sample->arena, STR_FMT "\n", STR_ARG(good)), false);
    put_receipt(maker, "byte order mark",
                str_printf(sample->arena, "\xEF\xBB\xBF" STR_FMT, STR_ARG(good)), false);
    put_edited(maker, "carriage return", good, "evd-proof/v1 sm3\n", "evd-proof/v1 sm3\r\n");
    put_edited(maker, "another version", good, "evd-proof/v1 sm3", "evd-proof/v2 sm3");
    put_edited(maker, "another hash", good, "evd-proof/v1 sm3", "evd-proof/v1 sha256");
    put_edited(maker, "two spaces", good, "index 5", "index  5");
    put_edited(maker, "space behind", good, "index 5\n", "index 5 \n");
    put_edited(maker, "leading zero", good, "index 5", "index 05");
    put_edited(maker, "plus sign", good, "index 5", "index +5");
    put_edited(maker, "another index", good, "index 5", "index 4");
    put_edited(maker, "index beyond the tree", good, "index 5", "index 11");
    put_edited(maker, "index of 2^56", good, "index 5", "index 72057594037927936");
    put_edited(maker, "unknown line", good, "index 5", "hint 1\nindex 5");
    put_edited(maker, "index twice", good, "index 5\n", "index 5\nindex 5\n");
    put_edited(maker, "no index", good, "index 5\n", "");
    put_receipt(maker, "payload without salt", without_line(sample->arena, good, "salt "), false);
    put_receipt(maker, "salt without payload", without_line(sample->arena, good, "payload "),
                false);
    put_receipt(maker, "no entry", without_line(sample->arena, good, "extra "), false);
    str_t salt_line = line_at(good, 3);
    put_receipt(maker, "salt before payload",
                replaced(sample->arena, without_line(sample->arena, good, "salt "), "payload ",
                         str_printf(sample->arena, STR_FMT "\npayload ", STR_ARG(salt_line)).data),
                false);
    put_edited(maker, "empty time stamp", good, "index 5", "ts \nindex 5");
    put_edited(maker, "time stamp that is no token", good, "index 5", "ts MAA=\nindex 5");
    put_edited(maker, "head of eight lines", good, "\nheight 2\n", "\nheight 2\nnext 3\n");
    put_edited(maker, "another height", good, "\nheight 2\n", "\nheight 3\n");
    put_edited(maker, "another time", good, "\ntime 1795000000000", "\ntime 1795000000001");
    put_edited(maker, "another origin", good, SAMPLE_ORIGIN, "op.example/evidence/match");
    put_edited(maker, "a hyphen for the dash", good, "\n\xE2\x80\x94 ", "\n- ");
}

static void write_bad_fields(struct maker *maker)
{
    struct sample *sample = maker->sample;
    struct receipt *receipt = full_receipt(sample);
    receipt->salt = str_from(sample->salt, 31);
    put_receipt(maker, "salt of 31 bytes", receipt_text(sample, receipt), false);
    receipt->salt = str_from(sample->salt, 32);
    receipt->payload = STR("{\"amount_fen\":92345,\"order\":\"ord_0123456789ABC\"}");
    put_receipt(maker, "another payload", receipt_text(sample, receipt), false);
    receipt = full_receipt(sample);
    receipt->path_count--;
    put_receipt(maker, "a hash too few", receipt_text(sample, receipt), false);
    receipt->path_count += 2;
    put_receipt(maker, "a hash too many", receipt_text(sample, receipt), false);
    receipt = full_receipt(sample);
    hash_t kept = receipt->path[0];
    receipt->path[0] = receipt->path[1];
    receipt->path[1] = kept;
    put_receipt(maker, "path out of order", receipt_text(sample, receipt), false);
    receipt = full_receipt(sample);
    receipt->path[2].bytes[31] ^= 1;
    put_receipt(maker, "one bit of the path", receipt_text(sample, receipt), false);
    str_t text = receipt_text(sample, full_receipt(sample));
    char *loose = arena_copy(sample->arena, text.data, text.len);
    char *pad = memmem(loose, text.len, "=\n", 2);
    assert_non_null(pad);
    pad[-1] = pad[-1] == 'A' ? 'B' : (char)(pad[-1] + 1); /* bits that no byte carries */
    put_receipt(maker, "base64 with bits left over", str_from(loose, text.len), false);
}

static void put_headed(struct maker *maker, const char *name, struct head head)
{
    struct sample *sample = maker->sample;
    struct receipt *receipt = full_receipt(sample);
    receipt->note_text = note_of(sample, &head, false);
    put_receipt(maker, name, receipt_text(sample, receipt), false);
}

/* Every head here is properly signed by the log. */
static void write_bad_heads(struct maker *maker)
{
    struct head good = full_receipt(maker->sample)->note.head, head = good;
    head.origin = STR("op.example/evidence/ops");
    put_headed(maker, "head of another log", head);
    head = good;
    head.origin = STR("op.example/evidence/trade/0");
    put_headed(maker, "epoch 0", head);
    head.origin = STR("op.example/proof/trade");
    put_headed(maker, "origin of another form", head);
    head.origin = STR("/evidence/trade");
    put_headed(maker, "origin without host", head);
    head = good;
    head.height = 0;
    put_headed(maker, "height 0", head);
    head.height = 1;
    put_headed(maker, "first head with a previous one", head);
    head = good;
    head.prev = (hash_t){0};
    put_headed(maker, "later head without a previous one", head);
    head = good;
    head.size = 0;
    put_headed(maker, "size 0 with a root", head);
    head.root = tree_empty();
    put_headed(maker, "size 0", head);
    head = good;
    head.size = 5;
    put_headed(maker, "tree too small", head);
    head.size = (uint64_t)1 << 56;
    put_headed(maker, "size of 2^56", head);
    head = good;
    head.time_ms = (uint64_t)1 << 63;
    put_headed(maker, "time of 2^63", head);
    head = good;
    head.root.bytes[0] ^= 1;
    put_headed(maker, "another root", head);
}

static void put_entry(struct maker *maker, const char *name, str_t bytes)
{
    struct receipt *receipt = sample_receipt(maker->sample, bytes, 5, 11);
    put_receipt(maker, name, receipt_text(maker->sample, receipt), false);
}

static str_t with_byte(struct sample *sample, str_t bytes, size_t at, uint8_t value)
{
    char *copy = arena_copy(sample->arena, bytes.data, bytes.len);
    copy[at] = (char)value;
    return str_from(copy, bytes.len);
}

/* Every entry here stands properly in the tree. */
static void write_bad_entries(struct maker *maker)
{
    struct sample *sample = maker->sample;
    struct entry entry = sample_entry(sample, 5);
    str_t good = entry_bytes(sample, &entry);
    put_entry(maker, "entry without its name", with_byte(sample, good, 3, '2'));
    put_entry(maker, "entry of version 2", with_byte(sample, good, 4, 2));
    put_entry(maker, "entry of log 0", with_byte(sample, good, 5, 0));
    put_entry(maker, "entry of log 5", with_byte(sample, good, 5, 5));
    put_entry(maker, "entry of another log", with_byte(sample, good, 5, LOG_OPS));
    put_entry(maker, "reference to log 0", with_byte(sample, good, 122, 0));
    put_entry(maker, "reference to log 5", with_byte(sample, good, 122, 5));
    put_entry(maker, "more references than there are", with_byte(sample, good, 121, 200));
    put_entry(maker, "entry cut short", str_from(good.data, good.len - 1));
    put_entry(maker, "byte behind the entry", joined(sample->arena, good, STR("x")));
    entry.object_id = STR("ord\t1");
    put_entry(maker, "control byte in the object id", entry_bytes(sample, &entry));
    entry.object_id = STR("ord\xFF");
    put_entry(maker, "object id that is not UTF-8", entry_bytes(sample, &entry));
    char *text = arena_alloc(sample->arena, 256);
    memset(text, 'a', 256);
    entry.object_id = str_from(text, 256);
    put_entry(maker, "object id of 256 bytes", entry_bytes(sample, &entry));
    entry = sample_entry(sample, 5);
    entry.actor_sig = STR("0\x03\x02\x01\x01");
    put_entry(maker, "actor signature that is not DER", entry_bytes(sample, &entry));
}

/* The receipt with its votes replaced by `tail`. */
static str_t with_votes(struct sample *sample, str_t tail)
{
    struct receipt *receipt = full_receipt(sample);
    receipt->note_text = note_of(sample, &receipt->note.head, false);
    receipt->note_text =
        str_printf(sample->arena, STR_FMT STR_FMT, STR_ARG(receipt->note_text), STR_ARG(tail));
    return receipt_text(sample, receipt);
}

static str_t vote_of(struct sample *sample, const char *name, uint64_t time_ms,
                     const struct sm2_key *key)
{
    struct buf text, line;
    struct head head = full_receipt(sample)->note.head;
    buf_init(&text, sample->arena, 4096);
    buf_init(&line, sample->arena, 4096);
    head_write(&text, &head);
    vote_sign(&line, buf_str(&text), str_of(name), time_ms, key);
    return buf_str(&line);
}

static void write_signatures(struct maker *maker)
{
    struct sample *sample = maker->sample;
    uint64_t now = SAMPLE_HEAD_TIME;
    str_t first = vote_of(sample, sample->member_name[0], now, sample->member[0]);
    str_t second = vote_of(sample, sample->member_name[1], now, sample->member[1]);
    str_t old = vote_of(sample, sample->member_name[1], now - 1, sample->member[1]);
    str_t stranger = vote_of(sample, "zz.example/witness", now, sample->actor);
    str_t forged = vote_of(sample, sample->member_name[1], now, sample->member[1]);
    char *bent = arena_copy(sample->arena, forged.data, forged.len);
    char *at = bent + strlen("\xE2\x80\x94 provider.example/witness ") + 8;
    *at = *at == 'A' ? 'B' : 'A'; /* within the vote's time */
    forged = str_from(bent, forged.len);
    put_voted(maker, "votes at the head's own time",
              with_votes(sample, joined(sample->arena, first, second)), true);
    put_voted(maker, "one vote of two", with_votes(sample, first), false);
    put_voted(maker, "no votes", with_votes(sample, (str_t){0}), false);
    put_voted(maker, "one member twice", with_votes(sample, joined(sample->arena, first, first)),
              false);
    put_voted(maker, "votes out of order", with_votes(sample, joined(sample->arena, second, first)),
              false);
    put_voted(maker, "vote before the head", with_votes(sample, joined(sample->arena, first, old)),
              false);
    put_voted(maker, "vote with another time",
              with_votes(sample, joined(sample->arena, first, forged)), false);
    put_voted(
        maker, "a stranger's line beside a quorum",
        with_votes(sample, joined(sample->arena, joined(sample->arena, first, second), stranger)),
        false);
    put_receipt(maker, "a stranger's line without a member list", with_votes(sample, stranger),
                true);
    put_receipt(maker, "a stranger's malformed line",
                with_votes(sample, STR("\xE2\x80\x94 zz.example/witness AAAA\n")), false);
    struct receipt *receipt = full_receipt(sample);
    str_t alone = note_of(sample, &receipt->note.head, false), again = line_at(alone, 8);
    put_receipt(maker, "the log's line twice",
                with_votes(sample, joined(sample->arena, again, STR("\n"))), false);
    struct sm2_key *kept = sample->log;
    sample->log = sample->actor;
    receipt->note_text = note_of(sample, &receipt->note.head, false);
    sample->log = kept;
    put_receipt(maker, "signed by an unpinned key", receipt_text(sample, receipt), false);
    receipt->note_text = replaced(sample->arena, alone, "\xE2\x80\x94 op.example/evidence/trade",
                                  "\xE2\x80\x94 op.example/evidence/tradf");
    put_receipt(maker, "signed under another name", receipt_text(sample, receipt), false);
    receipt->note_text =
        str_from(alone.data,
                 (size_t)((const char *)memmem(alone.data, alone.len, "\n\n", 2) - alone.data) + 2);
    put_receipt(maker, "nobody signed", receipt_text(sample, receipt), false);
}

static void write_receipts(struct jw *w)
{
    struct maker maker = {w, sample_new()};
    jw_key(w, "receipts");
    jw_array(w);
    write_valid(&maker);
    write_bad_lines(&maker);
    write_bad_fields(&maker);
    write_bad_heads(&maker);
    write_bad_entries(&maker);
    write_signatures(&maker);
    jw_end_array(w);
    sample_free(maker.sample);
}

static int write_vectors(const char *path)
{
    struct arena *arena = arena_new(0);
    struct buf buf;
    struct jw w;
    buf_init(&buf, arena, 16 << 20);
    jw_init(&w, &buf);
    jw_object(&w);
    write_sm3(&w, arena);
    write_sm2(&w, arena);
    write_receipts(&w);
    jw_end_object(&w);
    buf_putc(&buf, '\n');
    FILE *file = fopen(path, "w");
    bool ok = file != NULL && fwrite(buf.data, 1, buf.len, file) == buf.len && fclose(file) == 0;
    arena_free(arena);
    return ok ? 0 : 1;
}

/* ---- checking ---- */

static const struct json *vectors(struct arena *arena, const char *key)
{
    struct buf buf;
    char piece[4096];
    const char *error = "";
    FILE *file = fopen(vectors_file, "r");
    assert_non_null(file);
    buf_init(&buf, arena, 16 << 20);
    for (size_t got; (got = fread(piece, 1, sizeof piece, file)) > 0;)
        buf_put(&buf, str_from(piece, got));
    fclose(file);
    const struct json *all = json_parse_text(arena, buf_str(&buf), &error);
    if (all == NULL)
        fail_msg("%s: %s", vectors_file, error);
    const struct json *list = json_get(all, key);
    assert_true(json_count(list) > 0);
    return list;
}

static void every_sm3_vector_holds(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    const struct json *list = vectors(arena, "sm3");
    for (size_t i = 0; i < json_count(list); i++) {
        str_t data;
        uint8_t digest[SM3_BYTES];
        assert_true(hex_decode(arena, json_get_text(json_at(list, i), "hex"), &data));
        sm3(data, digest);
        assert_true(str_eq(hex_of(arena, digest, 32), json_get_text(json_at(list, i), "digest")));
    }
    arena_free(arena);
}

static void every_sm2_vector_is_judged_as_stated(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    const struct json *list = vectors(arena, "sm2");
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *vector = json_at(list, i);
        str_t point, message, signature;
        assert_true(hex_decode(arena, json_get_text(vector, "point"), &point) &&
                    point.len == SM2_POINT_BYTES);
        assert_true(hex_decode(arena, json_get_text(vector, "message_hex"), &message));
        assert_true(hex_decode(arena, json_get_text(vector, "signature_hex"), &signature));
        struct sm2_key *key = sm2_from_point((const uint8_t *)point.data);
        assert_non_null(key);
        if (sm2_verify(key, message, signature) != json_bool(json_get(vector, "valid")))
            fail_msg("vector `" STR_FMT "`", STR_ARG(json_get_text(vector, "name")));
        sm2_free(key);
    }
    arena_free(arena);
}

static void every_receipt_vector_is_judged_as_stated(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    const struct json *list = vectors(arena, "receipts");
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *vector = json_at(list, i), *file = json_get(vector, "members");
        struct vkeys keys;
        struct members members;
        struct receipt_report report;
        const char *why = "";
        assert_true(vkeys_read(arena, json_get_text(vector, "vkeys"), &keys, &why));
        assert_true(members_read(arena, json_text(file), &members, &why));
        receipt_verify(arena, json_get_text(vector, "text"), &keys, file != NULL ? &members : NULL,
                       &report);
        if (report.valid != json_bool(json_get(vector, "valid")))
            fail_msg("vector `" STR_FMT "`: " STR_FMT, STR_ARG(json_get_text(vector, "name")),
                     STR_ARG(report.reason));
        if (getenv("VECTORS_SHOWN") != NULL) // NOLINT(concurrency-mt-unsafe): one thread
            printf(STR_FMT ": %s " STR_FMT "\n", STR_ARG(json_get_text(vector, "name")),
                   report.valid ? "valid" : "invalid:", STR_ARG(report.reason));
        vkeys_free(&keys);
        members_free(&members);
    }
    arena_free(arena);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--write") == 0)
        return write_vectors(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sm3_vector_holds),
        cmocka_unit_test(every_sm2_vector_is_judged_as_stated),
        cmocka_unit_test(every_receipt_vector_is_judged_as_stated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
