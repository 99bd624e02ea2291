// SPDX-License-Identifier: Apache-2.0
// Strict DER: minimal lengths, definite forms, nothing behind. What is not allowed yields null.
import { toBig, type Bytes } from './bytes';

export class Der {
  private at = 0;
  constructor(private readonly bytes: Bytes) {}

  get done(): boolean {
    return this.at === this.bytes.length;
  }

  /** The content of the next element when it has this tag; otherwise null and nothing is consumed. */
  next(tag: number): Bytes | null {
    const b = this.bytes;
    let at = this.at;
    if (b[at++] !== tag) return null;
    let len = b[at++] ?? -1;
    if (len > 127) {
      const count = len & 127;
      if (count < 1 || count > 3 || at + count > b.length || b[at] === 0) return null;
      len = 0;
      for (let i = 0; i < count; i++) len = len * 256 + b[at++]!;
      if (len < 128) return null;
    }
    if (len < 0 || at + len > b.length) return null;
    this.at = at + len;
    return b.subarray(at, at + len);
  }

  /** The next element with its header. */
  raw(tag: number): Bytes | null {
    const from = this.at;
    return this.next(tag) ? this.bytes.subarray(from, this.at) : null;
  }
}

function positive(content: Bytes | null): bigint | null {
  if (!content || content.length === 0 || content.length > 33 || content[0]! > 127) return null;
  if (content[0] === 0 && (content.length === 1 || content[1]! < 128)) return null;
  return toBig(content);
}

/** SM2Signature ::= SEQUENCE { r INTEGER, s INTEGER }, both positive. */
export function readSignature(bytes: Bytes): [bigint, bigint] | null {
  const outer = new Der(bytes);
  const body = outer.next(0x30);
  if (!body || !outer.done) return null;
  const inner = new Der(body);
  const r = positive(inner.next(2));
  const s = positive(inner.next(2));
  return r !== null && s !== null && inner.done ? [r, s] : null;
}
