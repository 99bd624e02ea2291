/* SPDX-License-Identifier: Apache-2.0 */
/* Time-stamp tokens and a certificate, written element by element, for tests of their reader. */
#ifndef SUANHE_TOKEN_SAMPLES_H
#define SUANHE_TOKEN_SAMPLES_H

#include "proof_samples.h"

static inline str_t tlv(struct arena *arena, int tag, str_t content)
{
    struct buf buf;
    buf_init(&buf, arena, content.len + 8);
    buf_putc(&buf, (char)tag);
    if (content.len >= 256) {
        buf_putc(&buf, (char)0x82);
        buf_putc(&buf, (char)(content.len >> 8));
    } else if (content.len >= 128) {
        buf_putc(&buf, (char)0x81);
    }
    buf_putc(&buf, (char)content.len);
    buf_put(&buf, content);
    return buf_str(&buf);
}

/* One element around several. */
static inline str_t group(struct arena *arena, int tag, const str_t *parts, int count)
{
    str_t all = {0};
    for (int i = 0; i < count; i++)
        all = joined(arena, all, parts[i]);
    return tlv(arena, tag, all);
}
#define GROUP(arena, tag, ...)                      \
    group(arena, tag, (const str_t[]){__VA_ARGS__}, \
          sizeof((const str_t[]){__VA_ARGS__}) / sizeof(str_t))

static inline str_t oid(struct arena *arena, const char *hex)
{
    return tlv(arena, 0x06, from_hex(arena, hex));
}

static inline str_t sm3_algorithm(struct arena *arena)
{
    return tlv(arena, 0x30, oid(arena, "2a811ccf55018311"));
}

static inline str_t sign_algorithm(struct arena *arena)
{
    return tlv(arena, 0x30, oid(arena, "2a811ccf55018375"));
}

static inline str_t name_of(struct arena *arena, const char *common_name)
{
    str_t pair = GROUP(arena, 0x30, oid(arena, "550403"), tlv(arena, 0x0c, str_of(common_name)));
    return tlv(arena, 0x30, tlv(arena, 0x31, pair));
}

static inline str_t public_key_der(struct arena *arena, const struct sm2_key *key)
{
    uint8_t bits[1 + SM2_POINT_BYTES] = {0};
    sm2_point(key, bits + 1);
    str_t kind = GROUP(arena, 0x30, oid(arena, "2a8648ce3d0201"), oid(arena, "2a811ccf5501822d"));
    return GROUP(arena, 0x30, kind, tlv(arena, 0x03, str_from(bits, sizeof bits)));
}

static inline str_t signature_by(struct arena *arena, const struct sm2_key *key, str_t message)
{
    uint8_t *bytes = arena_alloc(arena, SM2_SIG_MAX);
    size_t len;
    sm2_sign(key, message, bytes, &len);
    return str_from(bytes, len);
}

/* A certificate that its owner signed, for time stamps. */
static inline str_t sample_certificate(struct arena *arena, const struct sm2_key *key,
                                       const char *serial_hex)
{
    str_t usage = GROUP(arena, 0x30, oid(arena, "551d25"), tlv(arena, 0x01, STR("\xFF")),
                        tlv(arena, 0x04, tlv(arena, 0x30, oid(arena, "2b06010505070308"))));
    str_t body = GROUP(arena, 0x30, tlv(arena, 0xA0, tlv(arena, 0x02, STR("\x02"))),
                       tlv(arena, 0x02, from_hex(arena, serial_hex)), sign_algorithm(arena),
                       name_of(arena, "Sample TSA"),
                       GROUP(arena, 0x30, tlv(arena, 0x17, STR("260101000000Z")),
                             tlv(arena, 0x17, STR("360101000000Z"))),
                       name_of(arena, "Sample TSA"), public_key_der(arena, key),
                       tlv(arena, 0xA3, tlv(arena, 0x30, usage)));
    str_t bits = joined(arena, str_from("\0", 1), signature_by(arena, key, body));
    return GROUP(arena, 0x30, body, sign_algorithm(arena), tlv(arena, 0x03, bits));
}

static inline str_t attribute(struct arena *arena, const char *oid_hex, str_t value)
{
    return GROUP(arena, 0x30, oid(arena, oid_hex), tlv(arena, 0x31, value));
}

/* What can be made otherwise in a token; zeros: a good one. */
struct token_wish {
    bool without_certificate, unsigned_attribute, two_signers, wrong_digest, rfc_version_1;
    str_t other_certificate;
};

/* stamped by the owner of `certificate`, whose serial is 0102030405. */
static inline str_t sample_token(struct arena *arena, const struct sm2_key *key, str_t certificate,
                                 str_t stamped, const struct token_wish *wish)
{
    uint8_t imprint[SM3_BYTES], digest[SM3_BYTES];
    sm3(stamped, imprint);
    str_t info =
        GROUP(arena, 0x30, tlv(arena, 0x02, STR("\x01")), oid(arena, "2a0304"),
              GROUP(arena, 0x30, sm3_algorithm(arena), tlv(arena, 0x04, str_from(imprint, 32))),
              tlv(arena, 0x02, STR("\x2A")), tlv(arena, 0x18, STR("20261124153000.123Z")));
    sm3(info, digest);
    digest[0] ^= wish->wrong_digest;
    str_t attributes = GROUP(
        arena, 0xA0, attribute(arena, "2a864886f70d010903", oid(arena, "2a864886f70d0109100104")),
        attribute(arena, "2a864886f70d010904", tlv(arena, 0x04, str_from(digest, 32))));
    char *as_set = arena_copy(arena, attributes.data, attributes.len);
    as_set[0] = 0x31;
    str_t issuer = GROUP(arena, 0x30, name_of(arena, "Sample TSA"),
                         tlv(arena, 0x02, from_hex(arena, "0102030405")));
    str_t signature = tlv(arena, 0x04, signature_by(arena, key, str_from(as_set, attributes.len)));
    str_t extra = wish->unsigned_attribute
                      ? tlv(arena, 0xA1, attribute(arena, "2a0305", tlv(arena, 0x05, (str_t){0})))
                      : (str_t){0};
    str_t signer = GROUP(arena, 0x30, tlv(arena, 0x02, STR("\x01")), issuer, sm3_algorithm(arena),
                         attributes, sign_algorithm(arena), signature, extra);
    str_t carried = wish->other_certificate.len > 0 ? wish->other_certificate : certificate;
    str_t content = GROUP(arena, 0x30, oid(arena, "2a864886f70d0109100104"),
                          tlv(arena, 0xA0, tlv(arena, 0x04, info)));
    str_t body =
        GROUP(arena, 0x30, tlv(arena, 0x02, wish->rfc_version_1 ? STR("\x01") : STR("\x03")),
              tlv(arena, 0x31, sm3_algorithm(arena)), content,
              wish->without_certificate ? (str_t){0} : tlv(arena, 0xA0, carried),
              tlv(arena, 0x31, wish->two_signers ? joined(arena, signer, signer) : signer));
    return GROUP(arena, 0x30, oid(arena, "2a864886f70d010702"), tlv(arena, 0xA0, body));
}

#endif
