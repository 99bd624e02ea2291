// SPDX-License-Identifier: Apache-2.0
// Time-stamp tokens: CMS SignedData around a TSTInfo, one SM2 signer, no unsigned attributes. Read, not trusted: the page pins no
// time-stamp authority, so only the form and the imprint are checked.
import { hex, same, textOf, unhex, type Bytes } from './bytes';
import { Der } from './der';
import { isStrictSignature } from './sm2';

const SM3 = '2a811ccf55018311';
const SIGN = ['2a811ccf55018375', '2a811ccf5501822d01'];
const SIGNED: Record<string, number> = { '2a864886f70d010702': 3, '2a811ccf550601040202': 1 };
const TST = unhex('2a864886f70d0109100104');
const CONTENT_TYPE = '2a864886f70d010903';
const DIGEST = '2a864886f70d010904';

export interface Token {
  imprint: Bytes;
  time: string;
}

function algorithm(der: Der): string | null {
  const body = der.next(0x30);
  if (!body) return null;
  const inner = new Der(body);
  const oid = inner.next(6);
  if (!oid) return null;
  if (!inner.done) {
    const nothing = inner.next(5);
    if (!nothing || nothing.length || !inner.done) return null;
  }
  return hex(oid);
}

const isNumber = (bytes: Bytes | null, value: number) => bytes?.length === 1 && bytes[0] === value;

function readInfo(content: Bytes): Token | null {
  const outer = new Der(content);
  const body = outer.next(0x30);
  if (!body || !outer.done) return null;
  const der = new Der(body);
  if (!isNumber(der.next(2), 1) || !der.next(6)) return null;
  const imprint = der.next(0x30);
  if (!imprint || !der.next(2)) return null;
  const time = der.next(0x18);
  const stamped = new Der(imprint);
  if (!time || algorithm(stamped) !== SM3) return null;
  const digest = stamped.next(4);
  return digest?.length === 32 && stamped.done ? { imprint: digest, time: textOf(time) ?? '' } : null;
}

function attributesHold(list: Bytes): boolean {
  const der = new Der(list);
  let type = false;
  let digest = false;
  while (!der.done) {
    const body = der.next(0x30);
    if (!body) return false;
    const inner = new Der(body);
    const oid = inner.next(6);
    const values = inner.next(0x31);
    if (!oid || !values || !inner.done) return false;
    const value = new Der(values);
    if (hex(oid) === CONTENT_TYPE) {
      const v = value.next(6);
      if (type || !v || !value.done || !same(v, TST)) return false;
      type = true;
    } else if (hex(oid) === DIGEST) {
      const v = value.next(4);
      if (digest || v?.length !== 32 || !value.done) return false;
      digest = true;
    }
  }
  return type && digest;
}

function signerHolds(body: Bytes): boolean {
  const der = new Der(body);
  if (!isNumber(der.next(2), 1)) return false;
  const who = der.next(0x30);
  if (!who || algorithm(der) !== SM3) return false;
  const attributes = der.next(0xa0);
  const sign = algorithm(der);
  const signature = der.next(4);
  if (!attributes || !sign || !SIGN.includes(sign) || !signature || !der.done) return false;
  const name = new Der(who);
  return !!name.next(0x30) && !!name.next(2) && name.done && attributesHold(attributes) && isStrictSignature(signature);
}

function readSigned(content: Bytes, version: number): Token | null {
  const outer = new Der(content);
  const body = outer.next(0x30);
  if (!body || !outer.done) return null;
  const der = new Der(body);
  if (!isNumber(der.next(2), version)) return null;
  const digests = der.next(0x31);
  const encapsulated = der.next(0x30);
  if (!digests || !encapsulated) return null;
  const digest = new Der(digests);
  if (algorithm(digest) !== SM3 || !digest.done) return null;
  const cap = new Der(encapsulated);
  const type = cap.next(6);
  const explicit = cap.next(0xa0);
  if (!type || !same(type, TST) || !explicit || !cap.done) return null;
  const octets = new Der(explicit);
  const info = octets.next(4);
  if (!info || !octets.done) return null;
  der.next(0xa0);
  const signers = der.next(0x31);
  if (!signers || !der.done) return null;
  const each = new Der(signers);
  const signer = each.next(0x30);
  return signer && each.done && signerHolds(signer) ? readInfo(info) : null;
}

export function readToken(bytes: Bytes): Token | null {
  const outer = new Der(bytes);
  const body = outer.next(0x30);
  if (!body || !outer.done) return null;
  const der = new Der(body);
  const type = der.next(6);
  const content = der.next(0xa0);
  if (!type || !content || !der.done) return null;
  const version = SIGNED[hex(type)];
  return version ? readSigned(content, version) : null;
}
