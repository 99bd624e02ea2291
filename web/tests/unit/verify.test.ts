// SPDX-License-Identifier: Apache-2.0
// @vitest-environment node
// The browser's verifier against the vectors that the C side is held to as well.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { base64, hex, unbase64, unhex, utf8 } from '../../src/verify/bytes';
import { readKeys, readMembers } from '../../src/verify/keys';
import { splitFile } from '../../src/verify/receipt';
import { isStrictSignature, readPoint, verifySm2 } from '../../src/verify/sm2';
import { sm3 } from '../../src/verify/sm3';
import { rootOf, verifyReceipt } from '../../src/verify/verify';

interface Vectors {
  sm3: { hex: string; digest: string }[];
  sm2: { name: string; point: string; message_hex: string; signature_hex: string; valid: boolean }[];
  receipts: { name: string; vkeys: string; members?: string; text: string; valid: boolean }[];
}
const vectors = JSON.parse(
  readFileSync(new URL('../../../tests/fixtures/crypto-vectors.json', import.meta.url), 'utf8'),
) as Vectors;

function judge(v: { vkeys: string; members?: string; text: string | Uint8Array }): boolean {
  const keys = readKeys(v.vkeys);
  const members = v.members === undefined ? undefined : readMembers(v.members);
  if (!keys || members === null) return false;
  return verifyReceipt(v.text, members ? { keys, members } : { keys }).valid;
}

describe('SM3', () => {
  it('gives the digests of the standard', () => {
    expect(hex(sm3(utf8('abc')))).toBe('66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0');
    expect(hex(sm3(utf8('abcd'.repeat(16))))).toBe('debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732');
    expect(hex(sm3())).toBe('1ab21d8355cfa17f8e61194831e81a8f22bec8c728fefb747ed035eb5082aa2b');
  });
  it.each(vectors.sm3.map((v) => [v.hex.length / 2, v] as const))('agrees on a message of %i bytes', (_n, v) => {
    expect(hex(sm3(unhex(v.hex)))).toBe(v.digest);
  });
});

describe('SM2', () => {
  it.each(vectors.sm2.map((v) => [v.name, v] as const))('judges rightly: %s', (_name, v) => {
    expect(verifySm2(unhex(v.point), unhex(v.message_hex), unhex(v.signature_hex))).toBe(v.valid);
  });
  it('refuses a point beside the curve', () => {
    const point = unhex(vectors.sm2[0]!.point);
    point[64]! ^= 1;
    expect(readPoint(point)).toBeNull();
  });
  it('refuses r + s = n', () => {
    const n = 0xfffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123n;
    const s = (n - 1n).toString(16);
    const sig = unhex('3026020101022100' + s);
    expect(isStrictSignature(sig)).toBe(true);
    expect(verifySm2(unhex(vectors.sm2[0]!.point), utf8('x'), sig)).toBe(false);
  });
});

describe('base64', () => {
  it('accepts only the canonical form', () => {
    for (const t of ['', 'AA==', 'AAA=', 'AAAA']) expect(base64(unbase64(t)!)).toBe(t);
    for (const t of ['A', 'AA', 'AB==', 'AAB=', 'A===', 'AA=A', 'AA==AA==', 'AA-_', ' AAA']) expect(unbase64(t)).toBeNull();
  });
});

describe('Merkle tree', () => {
  const leaves = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
  const mth = (l: Uint8Array[]): Uint8Array => {
    if (l.length === 1) return l[0]!;
    let k = 1;
    while (k * 2 < l.length) k *= 2;
    return sm3(new Uint8Array([1]), mth(l.slice(0, k)), mth(l.slice(k)));
  };
  const proof = (i: number, l: Uint8Array[]): Uint8Array[] => {
    if (l.length === 1) return [];
    let k = 1;
    while (k * 2 < l.length) k *= 2;
    return i < k ? [...proof(i, l.slice(0, k)), mth(l.slice(k))] : [...proof(i - k, l.slice(k)), mth(l.slice(0, k))];
  };
  it('leads every leaf to the golden root', () => {
    const hashed = leaves.map((l) => sm3(new Uint8Array([0]), unhex(l)));
    expect(hex(mth(hashed))).toBe('bc48ba7a709184b5f2a631e1adeb8dc2a0d4c018c1d6cc89b5664fe154c93b38');
    for (let n = 1; n <= 8; n++)
      for (let i = 0; i < n; i++) {
        const part = hashed.slice(0, n);
        expect(hex(rootOf(part[i]!, BigInt(i), BigInt(n), proof(i, part))!)).toBe(hex(mth(part)));
        expect(rootOf(part[i]!, BigInt(i), BigInt(n), [...proof(i, part), part[0]!])).toBeNull();
      }
  });
});

describe('receipts', () => {
  it.each(vectors.receipts.map((v) => [v.name, v] as const))('judges rightly: %s', (_name, v) => {
    expect(judge(v)).toBe(v.valid);
  });
  it('sees a change of any byte', { timeout: 60000 }, () => {
    const v = vectors.receipts.find((r) => r.name === 'golden with its members')!;
    const bytes = utf8(v.text);
    for (let i = 0; i < bytes.length; i += 5) {
      const changed = bytes.slice();
      changed[i]! ^= 1;
      expect(judge({ ...v, text: changed }), `byte ${i}`).toBe(false);
    }
  });
  it('stops at the failing step and leaves the later ones undone', () => {
    const v = vectors.receipts.find((r) => r.name === 'path out of order')!;
    const report = verifyReceipt(v.text, { keys: readKeys(v.vkeys)! });
    expect(report.steps.map((s) => s.state)).toEqual(['ok', 'ok', 'ok', 'failed', 'undone', 'undone']);
    expect(report.reason).toBe('another_root');
  });
  it('splits a bundle', () => {
    const one = vectors.receipts[0]!.text;
    expect(splitFile(`evd-bundle/v1 2\n${one}${one}`)).toEqual([one, one]);
    expect(splitFile(one)).toEqual([one]);
  });
});
