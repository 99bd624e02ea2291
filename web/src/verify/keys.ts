// SPDX-License-Identifier: Apache-2.0
// Pinned keys: one line `name+8 hex digits+base64` a key; the id binds name, use and point.
import { concat, hex, textOf, unbase64, utf8, type Bytes } from './bytes';
import { readPoint } from './sm2';
import { sm3 } from './sm3';

export interface VKey {
  name: string;
  id: string;
  cosigner: boolean;
  point: Bytes;
}

export interface Members {
  file: Bytes;
  quorum: number;
  keys: VKey[];
}

const LOG_USE = 'sm2-sm3';
const VOTE_USE = 'sm2-sm3-cosig';

function readKey(line: string): VKey | null {
  const first = line.indexOf('+');
  const second = line.indexOf('+', first + 1);
  if (first < 1 || second < 0) return null;
  const name = line.slice(0, first);
  const id = line.slice(first + 1, second);
  const blob = unbase64(line.slice(second + 1));
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u0020\u007f]/.test(name) || !/^[0-9a-f]{8}$/.test(id) || !blob || blob.length < 66 || blob[0] !== 0xff)
    return null;
  const use = textOf(blob.subarray(1, blob.length - 65));
  const point = blob.subarray(blob.length - 65);
  if ((use !== LOG_USE && use !== VOTE_USE) || !readPoint(point)) return null;
  const computed = hex(sm3(concat(utf8(name), new Uint8Array([10]), blob)).subarray(0, 4));
  return computed === id ? { name, id, cosigner: use === VOTE_USE, point } : null;
}

/** The keys of a key file, or null when a line is none or a key stands twice. */
export function readKeys(file: string): VKey[] | null {
  const keys: VKey[] = [];
  for (const line of file.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const key = readKey(line);
    if (!key || keys.length === 64 || findKey(keys, key.name, key.id)) return null;
    keys.push(key);
  }
  return keys.length ? keys : null;
}

export function findKey(keys: VKey[], name: string, id: string): VKey | undefined {
  return keys.find((k) => k.name === name && k.id === id);
}

/** A member file: empty, or `quorum q` and the members' keys in the order of their names. */
export function readMembers(file: string): Members | null {
  const bytes = utf8(file);
  if (file === '') return { file: bytes, quorum: 0, keys: [] };
  const lines = file.split('\n');
  const quorum = /^quorum (0|[1-9][0-9]{0,3})$/.exec(lines[0] ?? '');
  if (!quorum || lines.pop() !== '') return null;
  const keys: VKey[] = [];
  for (const line of lines.slice(1)) {
    const key = readKey(line);
    const last = keys[keys.length - 1];
    if (!key || !key.cosigner || (last && !(compare(last.name, key.name) < 0))) return null;
    keys.push(key);
  }
  const q = Number(quorum[1]);
  return q <= keys.length ? { file: bytes, quorum: q, keys } : null;
}

function compare(a: string, b: string): number {
  const x = utf8(a);
  const y = utf8(b);
  for (let i = 0; i < Math.min(x.length, y.length); i++) if (x[i] !== y[i]) return x[i]! - y[i]!;
  return x.length - y.length;
}

/** The fingerprint people compare: SM3 of the point, grouped. */
export function fingerprint(key: VKey): string {
  return (hex(sm3(key.point)).match(/.{4}/g) ?? []).slice(0, 8).join(' ');
}

