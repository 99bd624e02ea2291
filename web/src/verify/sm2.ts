// SPDX-License-Identifier: Apache-2.0
// SM2 signatures (GB/T 32918), verifying only. All inputs are public, so constant time is not needed; no key is ever held here.
import { concat, toBig, unhex, utf8, type Bytes } from './bytes';
import { readSignature } from './der';
import { sm3 } from './sm3';

const P = 0xfffffffeffffffffffffffffffffffffffffffff00000000ffffffffffffffffn;
const N = 0xfffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123n;
const B = 0x28e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e93n;
const GX = 0x32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7n;
const GY = 0xbc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0n;
const A = P - 3n;
const curveBytes = unhex([A, B, GX, GY].map((x) => x.toString(16).padStart(64, '0')).join(''));
const userId = utf8('1234567812345678');

type Point = [bigint, bigint, bigint]; // Jacobian; z = 0 is infinity
const INFINITY: Point = [1n, 1n, 0n];

const mod = (x: bigint) => {
  const r = x % P;
  return r < 0n ? r + P : r;
};

function double([x, y, z]: Point): Point {
  if (z === 0n || y === 0n) return INFINITY;
  const z2 = mod(z * z);
  const m = mod(3n * (x - z2) * (x + z2));
  const y2 = mod(y * y);
  const s = mod(4n * x * y2);
  const x3 = mod(m * m - 2n * s);
  return [x3, mod(m * (s - x3) - 8n * y2 * y2), mod(2n * y * z)];
}

function add(p: Point, q: Point): Point {
  if (p[2] === 0n) return q;
  if (q[2] === 0n) return p;
  const z1 = mod(p[2] * p[2]);
  const z2 = mod(q[2] * q[2]);
  const u1 = mod(p[0] * z2);
  const h = mod(q[0] * z1 - u1);
  const s1 = mod(p[1] * z2 * q[2]);
  const r = mod(q[1] * z1 * p[2] - s1);
  if (h === 0n) return r === 0n ? double(p) : INFINITY;
  const h2 = mod(h * h);
  const h3 = mod(h2 * h);
  const v = mod(u1 * h2);
  const x3 = mod(r * r - h3 - 2n * v);
  return [x3, mod(r * (v - x3) - s1 * h3), mod(h * p[2] * q[2])];
}

function inverse(a: bigint): bigint {
  let [r0, r1, t0, t1] = [P, mod(a), 0n, 1n];
  while (r1 !== 0n) {
    const q = r0 / r1;
    [r0, r1] = [r1, r0 - q * r1];
    [t0, t1] = [t1, t0 - q * t1];
  }
  return mod(t0);
}

/** The x coordinate of a·G + b·Q in one pass over the bits of both (Shamir), or null at infinity. */
function sumX(a: bigint, b: bigint, q: Point): bigint | null {
  const g: Point = [GX, GY, 1n];
  const both = add(g, q);
  let r = INFINITY;
  for (let i = 255n; i >= 0n; i--) {
    r = double(r);
    const bits = Number(((a >> i) & 1n) | (((b >> i) & 1n) << 1n));
    if (bits === 1) r = add(r, g);
    else if (bits === 2) r = add(r, q);
    else if (bits === 3) r = add(r, both);
  }
  if (r[2] === 0n) return null;
  const zi = inverse(r[2]);
  return mod(r[0] * zi * zi);
}

/** A public key from its 65 uncompressed bytes, or null when the point is not one of the curve. */
export function readPoint(bytes: Bytes): Point | null {
  if (bytes.length !== 65 || bytes[0] !== 4) return null;
  const x = toBig(bytes.subarray(1, 33));
  const y = toBig(bytes.subarray(33));
  if (x >= P || y >= P || mod(y * y - x * x * x - A * x - B) !== 0n) return null;
  return [x, y, 1n];
}

/** Whether the strict DER signature is one of the message by the key, with the default user id. */
export function verifySm2(point: Bytes, message: Bytes, signature: Bytes): boolean {
  const key = readPoint(point);
  const rs = readSignature(signature);
  if (!key || !rs) return false;
  const [r, s] = rs;
  if (r >= N || s >= N) return false;
  const t = (r + s) % N;
  if (t === 0n) return false;
  const z = sm3(new Uint8Array([0, 128]), userId, curveBytes, point.subarray(1));
  const e = toBig(sm3(concat(z, message)));
  const x = sumX(s, t, key);
  return x !== null && (e + x) % N === r;
}

/** 1 ≤ r, s ≤ n−1 in the one DER form. */
export function isStrictSignature(signature: Bytes): boolean {
  const rs = readSignature(signature);
  return rs !== null && rs[0] < N && rs[1] < N;
}
