// SPDX-License-Identifier: Apache-2.0
// Reads receipts. The text form is strict: there is one way to write each receipt, so every changed byte is seen.
import { hex, textOf, unbase64, utf8, type Bytes } from './bytes';
import { isStrictSignature } from './sm2';
import { sm3 } from './sm3';

export class Malformed extends Error {}

export interface Entry {
  log: number;
  type: number;
  eventId: bigint;
  timeMs: bigint;
  commit: Bytes;
  refs: { log: number; eventId: bigint }[];
  objectId: string;
  certId: string;
  actorSig: Bytes;
}

export interface SignatureLine {
  name: string;
  keyId: string;
  blob: Bytes;
}

export interface Head {
  text: Bytes;
  origin: string;
  log: number;
  size: bigint;
  root: Bytes;
  height: bigint;
  timeMs: bigint;
  set: Bytes;
}

export interface Receipt {
  extra: Bytes;
  payload: Bytes | null;
  salt: Bytes | null;
  ts: Bytes | null;
  index: bigint;
  path: Bytes[];
  head: Head;
  signatures: SignatureLine[];
  entry: Entry;
}

export const logWords = ['', 'ops', 'trade', 'finance', 'match'];
const SIZE_LIMIT = 1n << 56n;
const TIME_LIMIT = 1n << 63n;
const DASH = '\u2014 ';

function fail(why: string): never {
  throw new Malformed(why);
}

function number(text: string, limit: bigint, why: string): bigint {
  if (!/^(0|[1-9][0-9]{0,19})$/.test(text)) fail(why);
  const value = BigInt(text);
  return value < limit ? value : fail(why);
}

function hash(text: string, why: string): Bytes {
  const bytes = text.length === 44 ? unbase64(text) : null;
  return bytes?.length === 32 ? bytes : fail(why);
}

function word(line: string, name: string, why: string): string {
  return line.startsWith(name + ' ') ? line.slice(name.length + 1) : fail(why);
}

/** The number of the log an origin names, or 0 when the origin is malformed. */
export function originLog(origin: string): number {
  const m = /^([A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\])(?::([1-9][0-9]{0,4}))?\/evidence\/([a-z]+)(?:\/([1-9][0-9]*))?$/.exec(origin);
  if (!m || (m[2] && Number(m[2]) > 65535) || (m[4] && (m[4].length > 20 || BigInt(m[4]) >= SIZE_LIMIT))) return 0;
  return Math.max(0, logWords.indexOf(m[3]!));
}

function readEntry(bytes: Bytes): Entry {
  if (bytes.length > 65535) fail('entry_malformed');
  let at = 0;
  const take = (n: number): Bytes => {
    if (at + n > bytes.length) fail('entry_malformed');
    at += n;
    return bytes.subarray(at - n, at);
  };
  const big = (n: number) => BigInt('0x' + hex(take(n)));
  const num = (n: number) => Number(big(n));
  const text = (): string => {
    const raw = take(num(2));
    const t = raw.length <= 255 ? textOf(raw) : null;
    // eslint-disable-next-line no-control-regex
    return t === null || /[\u0000-\u001f\u007f]/.test(t) ? fail('entry_malformed') : t;
  };
  if (textOf(take(4)) !== 'EVD1' || num(1) !== 1) fail('entry_malformed');
  const log = num(1);
  if (!logWords[log]) fail('entry_malformed');
  const type = num(2);
  const eventId = big(8);
  const timeMs = big(8);
  take(64);
  const commit = take(32);
  const refs = Array.from({ length: num(2) }, () => {
    const ref = { log: num(1), eventId: big(8) };
    return logWords[ref.log] ? ref : fail('entry_malformed');
  });
  const objectId = text();
  const certId = text();
  const actorSig = take(num(2));
  if (at !== bytes.length || (actorSig.length && !isStrictSignature(actorSig))) fail('entry_malformed');
  return { log, type, eventId, timeMs, commit, refs, objectId, certId, actorSig };
}

const emptyRoot = sm3();
const isZero = (b: Bytes) => b.every((x) => x === 0);

function readHead(lines: string[]): Head {
  const text = utf8(lines.map((l) => l + '\n').join(''));
  if (lines.length !== 7 || lines.some((l) => l === '') || text.length > 4096) fail('head_malformed');
  const [origin, size, root, height, prev, time, set] = lines as [string, string, string, string, string, string, string];
  const bad = 'head_malformed';
  const head: Head = {
    text,
    origin,
    log: originLog(origin) || fail(bad),
    size: number(size, SIZE_LIMIT, bad),
    root: hash(root, bad),
    height: number(word(height, 'height', bad), TIME_LIMIT, bad),
    timeMs: number(word(time, 'time', bad), TIME_LIMIT, bad),
    set: hash(word(set, 'set', bad), bad),
  };
  const first = isZero(hash(word(prev, 'prev', bad), bad));
  if (head.height === 0n || (head.height === 1n) !== first) fail(bad);
  if (head.size === 0n && hex(head.root) !== hex(emptyRoot)) fail(bad);
  return head;
}

const isLogBlob = (b: Bytes) => b.length > 4 && isStrictSignature(b.subarray(4));
export const isVoteBlob = (b: Bytes) => b.length > 12 && isStrictSignature(b.subarray(12));

function readSignatures(lines: string[]): SignatureLine[] {
  const bad = 'signature_malformed';
  if (lines.length > 64) fail(bad);
  const out: SignatureLine[] = [];
  for (const line of lines) {
    if (!line.startsWith(DASH)) fail(bad);
    const rest = line.slice(DASH.length);
    const space = rest.indexOf(' ');
    const name = rest.slice(0, Math.max(0, space));
    const blob = unbase64(rest.slice(space + 1));
    if (!name || name.includes('+') || !blob) fail(bad);
    if (!isLogBlob(blob) && (out.length === 0 || !isVoteBlob(blob))) fail(bad);
    const keyId = hex(blob.subarray(0, 4));
    if (out.some((s) => s.name === name && s.keyId === keyId)) fail('key_twice');
    out.push({ name, keyId, blob });
  }
  return out.length ? out : fail('nobody_signed');
}

/** The lines of a strict text; throws Malformed. */
function strictLines(bytes: Bytes): string[] {
  if (bytes.length > 4 << 20 || bytes.length === 0) fail('not_a_receipt');
  const text = textOf(bytes);
  // eslint-disable-next-line no-control-regex
  if (text === null || text.startsWith('\ufeff') || /[\u0000-\u0009\u000b-\u001f]/.test(text)) fail('not_strict_text');
  const lines = text.split('\n');
  if (lines.pop() !== '') fail('not_strict_text');
  return lines;
}

export function readReceipt(bytes: Bytes): Receipt {
  const lines = strictLines(bytes);
  let at = 0;
  if (lines[at++] !== 'evd-proof/v1 sm3') fail('not_a_receipt');
  const field = (name: string): Bytes | null => {
    const line = lines[at] ?? '';
    if (!line.startsWith(name + ' ')) return null;
    const value = unbase64(line.slice(name.length + 1));
    if (!value || value.length === 0) fail('line_malformed');
    at++;
    return value;
  };
  const extra = field('extra') ?? fail('line_malformed');
  const payload = field('payload');
  const salt = field('salt');
  const ts = field('ts');
  if ((payload === null) !== (salt === null) || (salt && salt.length !== 32)) fail('salt_malformed');
  if ((payload && payload.length > 1 << 20) || (ts && ts.length > 65536)) fail('line_malformed');
  const index = number(word(lines[at++] ?? '', 'index', 'line_malformed'), SIZE_LIMIT, 'line_malformed');
  const path: Bytes[] = [];
  while (lines[at] !== undefined && lines[at] !== '') path.push(hash(lines[at++]!, 'path_malformed'));
  if (lines[at++] !== '' || path.length > 56) fail('path_malformed');
  const head = readHead(lines.slice(at, at + 7));
  if (lines[at + 7] !== '') fail('head_malformed');
  const signatures = readSignatures(lines.slice(at + 8));
  return { extra, payload, salt, ts, index, path, head, signatures, entry: readEntry(extra) };
}

/** The receipts of a file: one, or those of a bundle. */
export function splitFile(text: string): string[] {
  const m = /^evd-bundle\/v1 ([1-9][0-9]{0,8})\n/.exec(text);
  if (!m) return [text];
  const parts = text.slice(m[0].length).split(/^(?=evd-proof\/v1 sm3\n)/m);
  return parts.length === Number(m[1]) ? parts : [text];
}
