// SPDX-License-Identifier: Apache-2.0
// SM3 (GB/T 32905) over a whole message.
import { concat, type Bytes } from './bytes';

const rotl = (x: number, n: number) => (x << (n & 31)) | (x >>> ((32 - n) & 31));
const start = [
  0x7380166f, 0x4914b2b9, 0x172442d7, 0xda8a0600, 0xa96f30bc, 0x163138aa, 0xe38dee4d, 0xb0fb0e4e,
];

function padded(message: Bytes): Bytes {
  const out = new Uint8Array((((message.length + 8) >> 6) + 1) << 6);
  out.set(message);
  out[message.length] = 0x80;
  const view = new DataView(out.buffer);
  view.setUint32(out.length - 8, Math.floor(message.length / 0x20000000));
  view.setUint32(out.length - 4, (message.length << 3) >>> 0);
  return out;
}

function block(v: Int32Array, view: DataView, at: number, w: Int32Array): void {
  for (let j = 0; j < 16; j++) w[j] = view.getInt32(at + 4 * j);
  for (let j = 16; j < 68; j++) {
    const x = w[j - 16]! ^ w[j - 9]! ^ rotl(w[j - 3]!, 15);
    w[j] = x ^ rotl(x, 15) ^ rotl(x, 23) ^ rotl(w[j - 13]!, 7) ^ w[j - 6]!;
  }
  let [a, b, c, d, e, f, g, h] = v as unknown as [
    number, number, number, number, number, number, number, number,
  ];
  for (let j = 0; j < 64; j++) {
    const early = j < 16;
    const a12 = rotl(a, 12);
    const ss1 = rotl((a12 + e + rotl(early ? 0x79cc4519 : 0x7a879d8a, j)) | 0, 7);
    const tt1 = ((early ? a ^ b ^ c : (a & b) | (a & c) | (b & c)) + d + (ss1 ^ a12) + (w[j]! ^ w[j + 4]!)) | 0;
    const tt2 = ((early ? e ^ f ^ g : (e & f) | (~e & g)) + h + ss1 + w[j]!) | 0;
    d = c;
    c = rotl(b, 9);
    b = a;
    a = tt1;
    h = g;
    g = rotl(f, 19);
    f = e;
    e = tt2 ^ rotl(tt2, 9) ^ rotl(tt2, 17);
  }
  [a, b, c, d, e, f, g, h].forEach((x, i) => (v[i] = v[i]! ^ x));
}

export function sm3(...parts: Bytes[]): Bytes {
  const data = padded(concat(...parts));
  const view = new DataView(data.buffer);
  const v = Int32Array.from(start);
  const w = new Int32Array(68);
  for (let at = 0; at < data.length; at += 64) block(v, view, at, w);
  const out = new Uint8Array(32);
  const o = new DataView(out.buffer);
  v.forEach((x, i) => o.setInt32(4 * i, x));
  return out;
}
