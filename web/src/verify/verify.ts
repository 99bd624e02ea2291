// SPDX-License-Identifier: Apache-2.0
// Checks a receipt step by step and says what was compared with what. A failed step ends the run; the later ones stay undone.
import { hex, same, textOf, utf8, type Bytes } from './bytes';
import { findKey, type Members, type VKey } from './keys';
import { isVoteBlob, logWords, Malformed, readReceipt, type Receipt } from './receipt';
import { verifySm2 } from './sm2';
import { sm3 } from './sm3';
import { readToken } from './token';

export type StepName = 'parse' | 'content' | 'leaf' | 'path' | 'signature' | 'witness';
export type StepState = 'ok' | 'failed' | 'skipped' | 'undone';
export const stepNames: StepName[] = ['parse', 'content', 'leaf', 'path', 'signature', 'witness'];

export interface Step {
  name: StepName;
  state: StepState;
  /** Why it failed or was skipped: a key of the dictionary. */
  why?: string;
  /** Values that were compared or found; the names are keys of the dictionary. */
  facts: { name: string; value: string }[];
}

export interface Report {
  valid: boolean;
  reason: string | null;
  warning: string | null;
  steps: Step[];
  eventId: string;
  objectId: string;
  type: number;
  log: string;
  timeMs: number;
  payload: string | null;
  tookMs: number;
}

export interface Pins {
  keys: VKey[];
  members?: Members;
}

class Refused extends Error {}
const zero = new Uint8Array([0]);
const one = new Uint8Array([1]);
const node = (l: Bytes, r: Bytes) => sm3(one, l, r);

/** RFC 9162 2.1.3.2 with SM3: the root the path leads to, or null. */
export function rootOf(leaf: Bytes, index: bigint, size: bigint, path: Bytes[]): Bytes | null {
  if (index >= size) return null;
  let fn = index;
  let sn = size - 1n;
  let h = leaf;
  for (const p of path) {
    if (sn === 0n) return null;
    if ((fn & 1n) === 1n || fn === sn) {
      h = node(p, h);
      while ((fn & 1n) === 0n && fn !== 0n) {
        fn >>= 1n;
        sn >>= 1n;
      }
    } else {
      h = node(h, p);
    }
    fn >>= 1n;
    sn >>= 1n;
  }
  return sn === 0n ? h : null;
}

type Say = (name: string, value: string) => void;
type Check = (r: Receipt, pins: Pins, say: Say) => StepState;

const parse: Check = (r, _pins, say) => {
  if (r.head.log !== r.entry.log) throw new Refused('another_log');
  say('log', logWords[r.entry.log]!);
  say('object', r.entry.objectId);
  say('index', `${r.index} / ${r.head.size}`);
  return 'ok';
};

const content: Check = (r, _pins, say) => {
  if (!r.payload || !r.salt) return 'skipped';
  const commit = sm3(r.salt, r.payload);
  say('computed', hex(commit));
  say('committed', hex(r.entry.commit));
  if (!same(commit, r.entry.commit)) throw new Refused('another_payload');
  return 'ok';
};

const leaf: Check = (r, _pins, say) => {
  say('entry_bytes', String(r.extra.length));
  say('leaf', hex(sm3(zero, r.extra)));
  return 'ok';
};

const path: Check = (r, _pins, say) => {
  const root = rootOf(sm3(zero, r.extra), r.index, r.head.size, r.path);
  say('path_steps', String(r.path.length));
  if (root) say('computed', hex(root));
  say('head_root', hex(r.head.root));
  if (!root || !same(root, r.head.root)) throw new Refused('another_root');
  return 'ok';
};

function voteTime(blob: Bytes): bigint {
  return BigInt('0x' + hex(blob.subarray(4, 12)));
}

function voteHolds(r: Receipt, key: VKey, blob: Bytes): boolean {
  if (!isVoteBlob(blob)) return false;
  const time = voteTime(blob);
  if (time < r.head.timeMs || time >= 1n << 63n) return false;
  const text = new Uint8Array([...utf8(`sm-cosignature/v1\ntime ${time}\n`), ...r.head.text]);
  return verifySm2(key.point, text, blob.subarray(12));
}

const signature: Check = (r, pins, say) => {
  const first = r.signatures[0]!;
  say('origin', r.head.origin);
  say('key_id', first.keyId);
  say('height', String(r.head.height));
  say('head_time', new Date(Number(r.head.timeMs)).toISOString());
  if (first.name !== r.head.origin) throw new Refused('not_the_log');
  const key = findKey(pins.keys, first.name, first.keyId);
  if (!key || key.cosigner) throw new Refused('key_not_pinned');
  if (!verifySm2(key.point, r.head.text, first.blob.subarray(4))) throw new Refused('signature_wrong');
  for (const line of r.signatures.slice(1)) {
    const other = findKey(pins.keys, line.name, line.keyId);
    if (other && (!other.cosigner || !voteHolds(r, other, line.blob))) throw new Refused('vote_wrong');
  }
  return 'ok';
};

function countVotes(r: Receipt, members: Members): void {
  if (!same(sm3(members.file), r.head.set)) throw new Refused('another_set');
  let last = -1;
  for (const line of r.signatures.slice(1)) {
    const at = members.keys.findIndex((k) => k.name === line.name && k.id === line.keyId);
    if (at < 0) throw new Refused('not_a_member');
    if (at <= last) throw new Refused('votes_out_of_order');
    if (!voteHolds(r, members.keys[at]!, line.blob)) throw new Refused('vote_wrong');
    last = at;
  }
  if (r.signatures.length - 1 < members.quorum) throw new Refused('quorum_missed');
}

const witness: Check = (r, pins, say) => {
  const others = r.signatures.slice(1);
  say('votes', String(others.length));
  if (pins.members) {
    say('quorum', String(pins.members.quorum));
    countVotes(r, pins.members);
  }
  if (r.ts) {
    const token = readToken(r.ts);
    if (!token) throw new Refused('token_malformed');
    if (!same(token.imprint, sm3(r.head.text))) throw new Refused('token_of_another');
    say('stamped', token.time);
  }
  return pins.members ? 'ok' : 'skipped';
};

const checks: Record<StepName, Check> = { parse, content, leaf, path, signature, witness };

function run(receipt: Receipt, pins: Pins): Pick<Report, 'valid' | 'reason' | 'steps'> {
  const steps: Step[] = stepNames.map((name) => ({ name, state: 'undone', facts: [] }));
  for (const step of steps) {
    const say: Say = (name, value) => step.facts.push({ name, value });
    try {
      step.state = checks[step.name](receipt, pins, say);
    } catch (e) {
      if (!(e instanceof Refused)) throw e;
      step.state = 'failed';
      step.why = e.message;
      return { valid: false, reason: e.message, steps };
    }
  }
  return { valid: true, reason: null, steps };
}

function malformed(why: string): Report {
  const steps: Step[] = stepNames.map((name, i) =>
    i === 0 ? { name, state: 'failed', why, facts: [] } : { name, state: 'undone', facts: [] },
  );
  return {
    valid: false, reason: why, warning: null, steps, eventId: '', objectId: '', type: 0, log: '', timeMs: 0, payload: null, tookMs: 0,
  };
}

export function verifyReceipt(text: string | Bytes, pins: Pins): Report {
  let receipt: Receipt;
  try {
    receipt = readReceipt(typeof text === 'string' ? utf8(text) : text);
  } catch (e) {
    if (e instanceof Malformed) return malformed(e.message);
    throw e;
  }
  const { entry, head } = receipt;
  return {
    ...run(receipt, pins),
    warning: entry.timeMs > head.timeMs + 5000n ? 'time_late' : null,
    eventId: String(entry.eventId),
    objectId: entry.objectId,
    type: entry.type,
    log: logWords[entry.log]!,
    timeMs: Number(entry.timeMs),
    payload: receipt.payload ? textOf(receipt.payload) : null,
    tookMs: 0,
  };
}
