/* SPDX-License-Identifier: Apache-2.0 */
/* Time-stamp tokens: a CMS SignedData around a TSTInfo, one signer, SM2 with SM3. What is not
 * signed (versions, algorithm names, certificates) is held to one form, so that no byte of a token
 * can be changed unseen. */
#include <string.h>

#include "proof_internal.h"

enum { INTEGER = 0x02, BITS = 0x03, OCTETS = 0x04, NOTHING = 0x05, OID = 0x06 };
enum { GENERAL_TIME = 0x18, SEQUENCE = 0x30, SET = 0x31, TAG_0 = 0xA0 };

#define OID_SM3 "\x2A\x81\x1C\xCF\x55\x01\x83\x11"
#define OID_SM2_SM3 "\x2A\x81\x1C\xCF\x55\x01\x83\x75"
#define OID_SM2_SIGN "\x2A\x81\x1C\xCF\x55\x01\x82\x2D\x01"
#define OID_SM2_CURVE "\x2A\x81\x1C\xCF\x55\x01\x82\x2D"
#define OID_EC_KEY "\x2A\x86\x48\xCE\x3D\x02\x01"
#define OID_SIGNED "\x2A\x86\x48\x86\xF7\x0D\x01\x07\x02"
#define OID_SIGNED_GM "\x2A\x81\x1C\xCF\x55\x06\x01\x04\x02\x02"
#define OID_TST_INFO "\x2A\x86\x48\x86\xF7\x0D\x01\x09\x10\x01\x04"
#define OID_CONTENT_TYPE "\x2A\x86\x48\x86\xF7\x0D\x01\x09\x03"
#define OID_MESSAGE_DIGEST "\x2A\x86\x48\x86\xF7\x0D\x01\x09\x04"

/* The algorithm's name, its parameters absent or NULL. */
static bool take_algorithm(struct der *der, str_t *out_oid)
{
    str_t sequence, nothing;
    if (!der_next(der, SEQUENCE, &sequence))
        return false;
    struct der inner = {sequence};
    if (!der_next(&inner, OID, out_oid))
        return false;
    return der_done(&inner) ||
           (der_next(&inner, NOTHING, &nothing) && nothing.len == 0 && der_done(&inner));
}

static bool take_sm3(struct der *der)
{
    str_t oid;
    return take_algorithm(der, &oid) && str_eq(oid, STR(OID_SM3));
}

/* The whole element, header included. */
static bool take_raw(struct der *der, int tag, str_t *out_raw)
{
    str_t before = der->rest, content;
    if (!der_next(der, tag, &content))
        return false;
    *out_raw = str_from(before.data, before.len - der->rest.len);
    return true;
}

static bool is_number(str_t integer, int value)
{
    return integer.len == 1 && (uint8_t)integer.data[0] == value;
}

static bool read_info(struct token *out)
{
    struct der outer = {out->content};
    str_t sequence, version, policy, imprint, serial;
    if (!der_next(&outer, SEQUENCE, &sequence) || !der_done(&outer))
        return false;
    struct der inner = {sequence};
    if (!der_next(&inner, INTEGER, &version) || !is_number(version, 1) ||
        !der_next(&inner, OID, &policy) || !der_next(&inner, SEQUENCE, &imprint) ||
        !der_next(&inner, INTEGER, &serial) || !der_next(&inner, GENERAL_TIME, &out->gen_time))
        return false;
    struct der stamped = {imprint};
    return take_sm3(&stamped) && der_next(&stamped, OCTETS, &out->imprint) && der_done(&stamped) &&
           out->imprint.len == SM3_BYTES;
}

/* An Attribute with one value: its value when it has this tag. */
static bool read_attribute(struct der *der, str_t *out_oid, str_t *out_values)
{
    str_t sequence;
    if (!der_next(der, SEQUENCE, &sequence))
        return false;
    struct der inner = {sequence};
    return der_next(&inner, OID, out_oid) && der_next(&inner, SET, out_values) && der_done(&inner);
}

static bool one_value(str_t values, int tag, str_t *in_out)
{
    struct der der = {values};
    bool first = in_out->data == NULL;
    return first && der_next(&der, tag, in_out) && der_done(&der);
}

static bool read_attributes(struct token *out)
{
    struct der raw = {out->attributes};
    str_t list, oid, values;
    if (!der_next(&raw, TAG_0, &list))
        return false;
    struct der der = {list};
    while (!der_done(&der)) {
        if (!read_attribute(&der, &oid, &values))
            return false;
        if (str_eq(oid, STR(OID_CONTENT_TYPE)) && !one_value(values, OID, &out->content_type))
            return false;
        if (str_eq(oid, STR(OID_MESSAGE_DIGEST)) &&
            !one_value(values, OCTETS, &out->content_digest))
            return false;
    }
    return str_eq(out->content_type, STR(OID_TST_INFO)) && out->content_digest.len == SM3_BYTES;
}

static bool read_signer(str_t signer, struct token *out)
{
    struct der der = {signer};
    str_t version, who, algorithm;
    if (!der_next(&der, INTEGER, &version) || !is_number(version, 1) ||
        !der_next(&der, SEQUENCE, &who) || !take_sm3(&der) ||
        !take_raw(&der, TAG_0, &out->attributes) || !take_algorithm(&der, &algorithm) ||
        !der_next(&der, OCTETS, &out->signature) ||
        !der_done(&der)) /* unsigned attributes would stand here */
        return false;
    struct der name = {who};
    return take_raw(&name, SEQUENCE, &out->issuer) && take_raw(&name, INTEGER, &out->serial) &&
           der_done(&name) && read_attributes(out) &&
           (str_eq(algorithm, STR(OID_SM2_SM3)) || str_eq(algorithm, STR(OID_SM2_SIGN))) &&
           sm2_signature_is_strict(out->signature);
}

static bool read_content(str_t encapsulated, struct token *out)
{
    struct der der = {encapsulated};
    str_t type, explicit_part;
    if (!der_next(&der, OID, &type) || !str_eq(type, STR(OID_TST_INFO)) ||
        !der_next(&der, TAG_0, &explicit_part) || !der_done(&der))
        return false;
    struct der inner = {explicit_part};
    return der_next(&inner, OCTETS, &out->content) && der_done(&inner) && read_info(out);
}

static bool read_signed(str_t content, int version, struct token *out)
{
    struct der outer = {content};
    str_t sequence, number, digests, encapsulated, signers, signer;
    if (!der_next(&outer, SEQUENCE, &sequence) || !der_done(&outer))
        return false;
    struct der inner = {sequence};
    if (!der_next(&inner, INTEGER, &number) || !is_number(number, version) ||
        !der_next(&inner, SET, &digests) || !der_next(&inner, SEQUENCE, &encapsulated) ||
        !read_content(encapsulated, out))
        return false;
    struct der digest = {digests};
    if (!take_sm3(&digest) || !der_done(&digest))
        return false;
    if (!der_next(&inner, TAG_0, &out->certificates))
        out->certificates = (str_t){0};
    if (!der_next(&inner, SET, &signers) || !der_done(&inner))
        return false;
    struct der each = {signers};
    return der_next(&each, SEQUENCE, &signer) && der_done(&each) && read_signer(signer, out);
}

bool token_read(str_t bytes, struct token *out, const char **out_why)
{
    *out = (struct token){0};
    *out_why = "the time stamp is not a token of one SM2 signer";
    struct der outer = {bytes};
    str_t sequence, type, content;
    if (!der_next(&outer, SEQUENCE, &sequence) || !der_done(&outer))
        return false;
    struct der inner = {sequence};
    if (!der_next(&inner, OID, &type) || !der_next(&inner, TAG_0, &content) || !der_done(&inner))
        return false;
    if (str_eq(type, STR(OID_SIGNED)))
        return read_signed(content, 3, out);
    return str_eq(type, STR(OID_SIGNED_GM)) && read_signed(content, 1, out);
}

/* The content of a certificate's signed part: what is needed of it. */
static bool certificate_read(str_t bytes, str_t *out_serial, str_t *out_issuer, str_t *out_key)
{
    struct der outer = {bytes};
    str_t certificate, signed_part, skipped;
    if (!der_next(&outer, SEQUENCE, &certificate) || !der_done(&outer))
        return false;
    struct der middle = {certificate};
    if (!der_next(&middle, SEQUENCE, &signed_part))
        return false;
    struct der der = {signed_part};
    der_next(&der, TAG_0, &skipped); /* the version may be left out */
    return take_raw(&der, INTEGER, out_serial) && der_next(&der, SEQUENCE, &skipped) &&
           take_raw(&der, SEQUENCE, out_issuer) && der_next(&der, SEQUENCE, &skipped) &&
           der_next(&der, SEQUENCE, &skipped) && take_raw(&der, SEQUENCE, out_key);
}

struct sm2_key *public_key_read(str_t bytes)
{
    struct der outer = {bytes};
    str_t sequence, algorithm, bits, kind, curve;
    if (!der_next(&outer, SEQUENCE, &sequence) || !der_done(&outer))
        return NULL;
    struct der inner = {sequence};
    if (!der_next(&inner, SEQUENCE, &algorithm) || !der_next(&inner, BITS, &bits) ||
        !der_done(&inner))
        return NULL;
    struct der names = {algorithm};
    if (!der_next(&names, OID, &kind) || !der_next(&names, OID, &curve) || !der_done(&names) ||
        !str_eq(kind, STR(OID_EC_KEY)) || !str_eq(curve, STR(OID_SM2_CURVE)))
        return NULL;
    if (bits.len != 1 + SM2_POINT_BYTES || bits.data[0] != 0)
        return NULL;
    return sm2_from_point((const uint8_t *)bits.data + 1);
}

struct sm2_key *certificate_key(str_t bytes)
{
    str_t serial, issuer, key;
    return certificate_read(bytes, &serial, &issuer, &key) ? public_key_read(key) : NULL;
}

/* Signed is the SET of the attributes, which stands in the token under another tag. */
static bool attributes_verify(const struct token *token, const struct sm2_key *key)
{
    struct arena *arena = arena_new(0);
    char *set = arena_copy(arena, token->attributes.data, token->attributes.len);
    set[0] = SET;
    bool valid = sm2_verify(key, str_from(set, token->attributes.len), token->signature);
    arena_free(arena);
    return valid;
}

bool token_verify(const struct token *token, str_t certificate, const char **out_why)
{
    str_t serial, issuer, key_bytes;
    uint8_t digest[SM3_BYTES];
    *out_why = "the time-stamp authority's certificate is not of an SM2 key";
    if (!certificate_read(certificate, &serial, &issuer, &key_bytes))
        return false;
    *out_why = "the token was made by another than the pinned authority";
    if (!str_eq(serial, token->serial) || !str_eq(issuer, token->issuer))
        return false;
    *out_why = "the token carries another certificate than the pinned one";
    if (token->certificates.len > 0 && !str_eq(token->certificates, certificate))
        return false;
    sm3(token->content, digest);
    *out_why = "the token's content is not what was signed";
    if (!str_eq(str_from(digest, sizeof digest), token->content_digest))
        return false;
    struct sm2_key *key = public_key_read(key_bytes);
    *out_why = "the token's signature is wrong";
    bool valid = key != NULL && attributes_verify(token, key);
    sm2_free(key);
    return valid;
}
