// SPDX-License-Identifier: Apache-2.0
// What everybody can check: keys, heads, consistency and tiles in their written form, hashed here with openssl, apart from the
// platform; receipts and the live stream for those who took part.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Buyer, type Provider, World, bin, record, refused, until } from './world.js';

const LOGS = ['ops', 'trade', 'finance', 'match'];
const world = new World();
const dir = mkdtempSync(join(tmpdir(), 'suanhe-evidence-'));
let buyer: Buyer;
let seller: Provider;
let order: any;
const open = async (path: string) => world.client().send('GET', path);

beforeAll(async () => {
  await world.start();
  seller = await world.provider();
  buyer = await world.buyer();
  const listed = await world.lists(seller, 'vm');
  order = await world.buys(buyer, [{ sku_id: listed.skus.m1!, quantity: 1 }]);
  order = await world.reaches(buyer, order.order_id, 'provisioning');
  const { item_id, instance_id } = order.children[0].items[0];
  await world.report(seller, order.children[0], 1, [{ item_id, instance_id, state: 'active' }]);
  writeFileSync(join(dir, 'key'), (await open('/evidence/v1/keys')).text);
});
afterAll(async () => {
  rmSync(dir, { recursive: true, force: true });
  await world.close();
});

interface Head {
  origin: string;
  size: number;
  root: Buffer;
  text: string;
}
function read(text: string): Head {
  const [origin, size, root] = text.split('\n');
  return { origin: origin!, size: Number(size), root: Buffer.from(root!, 'base64'), text };
}
async function head(log: string, enough = 1): Promise<Head> {
  return until(async () => {
    const reply = await open(`/evidence/v1/${log}/checkpoint`);
    return reply.status === 200 && read(reply.text).size >= enough && read(reply.text);
  }, `a head of ${log}`);
}
const sm3 = (...parts: Buffer[]) => {
  try {
    return createHash('sm3').update(Buffer.concat(parts)).digest();
  } catch {
    return execFileSync('openssl', ['dgst', '-sm3', '-binary'], { input: Buffer.concat(parts) });
  }
};
const node = (a: Buffer, b: Buffer) => sm3(Buffer.from([1]), a, b);
/** RFC 9162: the root over leaf hashes. */
function root(leaves: Buffer[]): Buffer {
  if (leaves.length === 1) return leaves[0]!;
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return node(root(leaves.slice(0, k)), root(leaves.slice(k)));
}
async function leaves(log: string, size: number) {
  const reply = await fetch(`${world.platform.url}/evidence/v1/${log}/tile/0/000${size < 256 ? `.p/${size}` : ''}`);
  record({ method: 'GET', path: new URL(reply.url).pathname, status: reply.status, content_type: reply.headers.get('content-type') });
  expect(reply.status).toBe(200);
  expect(reply.headers.get('content-type')).toBe('application/octet-stream');
  expect(reply.headers.get('cache-control')).toContain('max-age=300');
  const bytes = Buffer.from(await reply.arrayBuffer());
  expect(bytes.length).toBe(size * 32);
  return Array.from({ length: size }, (_, i) => bytes.subarray(i * 32, i * 32 + 32));
}

describe('a key line', () => {
  it('stands for each log', async () => {
    const { text, headers } = await open('/evidence/v1/keys');
    expect(headers.get('content-type')).toBe('text/plain; charset=utf-8');
    for (const log of LOGS) expect(text).toMatch(new RegExp(`^[^ +]+/${log}\\+[0-9a-f]{8}\\+[A-Za-z0-9+/=]+$`, 'm'));
  });
});

describe('a head', () => {
  it('has the form of a signed note', async () => {
    for (const log of ['trade', 'ops', 'finance']) {
      const { text, origin, root: hash } = await head(log);
      expect(origin).toMatch(new RegExp(`/${log}$`));
      expect(hash).toHaveLength(32);
      expect(text).toMatch(/\n\n— \S+ [A-Za-z0-9+/]+=*\n$/);
      writeFileSync(join(dir, 'head'), text);
    }
  });
  it('is the root of the tiles', async () => {
    const { size, root: hash } = await head('trade', 3);
    expect(root(await leaves('trade', size)).equals(hash)).toBe(true);
  });
  it('is found by its height, and only those that are there', async () => {
    const first = await open('/evidence/v1/trade/checkpoint?height=1');
    expect(first.status).toBe(200);
    expect(first.headers.get('cache-control')).toContain('max-age=300');
    refused(await open('/evidence/v1/trade/checkpoint?height=999999'), 404, 'not_found');
    refused(await open('/evidence/v1/trade/checkpoint?height=0'), 422, 'validation_failed', '/query/height', 'out_of_range');
    refused(await open('/evidence/v1/trade/checkpoint?hight=1'), 422, 'validation_failed', '/query/hight', 'unknown_field');
    refused(await open('/evidence/v1/nonsense/checkpoint'), 404, 'not_found');
  });
});

describe('consistency', () => {
  it('of an older head with a newer one convinces suanhe-verify, and nothing else does', async () => {
    const before = await head('trade');
    const bought = await world.buys(buyer, [{ sku_id: order.children[0].items[0].sku_id, quantity: 1 }]);
    await world.reaches(buyer, bought.order_id, 'provisioning');
    const after = await head('trade', before.size + 1);
    const proof = await open(`/evidence/v1/trade/proof/consistency?from=${before.size}&to=${after.size}`);
    expect(proof.text).toMatch(/^([A-Za-z0-9+/]{43}=\n)*$/);
    const file = (name: string, text: string) => {
      writeFileSync(join(dir, name), text);
      return join(dir, name);
    };
    const verify = (older: string, newer: string, path: string) =>
      spawnSync(bin('suanhe-verify'), ['consistency', '--key', join(dir, 'key'), '--from', file('older', older), '--to', file('newer', newer), file('proof', path)], { encoding: 'utf8' });
    const good = verify(before.text, after.text, proof.text);
    expect(good.status, good.stdout + good.stderr).toBe(0);
    expect(verify(before.text, before.text, proof.text).status).not.toBe(0);
    expect(verify(before.text, after.text, proof.text.replace(/[A-Za-z]/, (c) => (c === 'A' ? 'B' : 'A'))).status).not.toBe(0);
    expect(verify(before.text, after.text.replace(/\n\d+\n/, `\n${after.size + 1}\n`), proof.text).status).not.toBe(0);
    expect(verify(before.text.replace(before.origin, 'other/trade'), after.text, proof.text).status).not.toBe(0);
  });
  it('knows its range', async () => {
    const { size } = await head('trade');
    const at = (from: number | string, to: number | string) => open(`/evidence/v1/trade/proof/consistency?from=${from}&to=${to}`);
    expect((await at(size, size)).text).toBe('');
    expect((await at(0, size)).status).toBe(200);
    refused(await at(2, 1), 400, 'range_invalid');
    refused(await at(1, 999999), 400, 'range_invalid');
    refused(await at(-1, 1), 422, 'validation_failed', '/query/from', 'out_of_range');
    refused(await at('x', 1), 422, 'validation_failed', '/query/from', 'wrong_type');
  });
});

describe('a tile', () => {
  it('is found only where it is', async () => {
    const { size } = await head('trade');
    for (const tile of ['0/000', `0/000.p/${size + 200}`, '0/000.p/0', '0/000.p/256', '0/001', '9/000', '0/x000', '0/0', '0/x000/000/000', '0/x00a/000', '0/000.p/01'])
      refused(await open(`/evidence/v1/trade/tile/${tile}`), 404, 'not_found');
    refused(await open('/evidence/v1/nonsense/tile/0/000.p/1'), 404, 'not_found');
    for (const log of LOGS) refused(await open(`/evidence/v1/${log}/tile/0/x001/x000/000`), 404, 'not_found');
  });
  it('of any width is the beginning of the widest', async () => {
    const { size } = await head('trade');
    const all = await leaves('trade', size);
    for (let width = 1; width < size; width++) expect(await leaves('trade', width)).toEqual(all.slice(0, width));
  });
});

describe('a receipt', () => {
  it('proves each fact of an order offline', async () => {
    const { data } = await buyer.client.get(`/api/v1/orders/${order.order_id}/timeline?limit=200`);
    expect(data.length).toBeGreaterThan(3);
    for (const fact of data) {
      const reply = await until(async () => {
        const got = await buyer.client.send('GET', `/api/v1/evidence/receipts/${fact.event_id}`, undefined, { headers: { prefer: 'wait=3' } });
        return got.status === 200 && got;
      }, `the receipt of ${fact.type}`);
      expect(reply.headers.get('content-disposition')).toBe(`attachment; filename="${fact.event_id}.evd"`);
      writeFileSync(join(dir, 'r.evd'), reply.text);
      const told = spawnSync(bin('suanhe-verify'), ['receipt', '--key', join(dir, 'key'), join(dir, 'r.evd')], { encoding: 'utf8' });
      expect(told.status, told.stdout + told.stderr).toBe(0);
    }
  });
  it('without its content keeps the content to itself', async () => {
    const { data } = await buyer.client.get(`/api/v1/orders/${order.order_id}/timeline`);
    const fact = data.find((e: any) => e.type === 'order.paid');
    const bare = await buyer.client.send('GET', `/api/v1/evidence/receipts/${fact.event_id}?payload=false`);
    const whole = await buyer.client.send('GET', `/api/v1/evidence/receipts/${fact.event_id}?payload=true`);
    expect(bare.text.length).toBeLessThan(whole.text.length);
    writeFileSync(join(dir, 'bare.evd'), bare.text);
    expect(spawnSync(bin('suanhe-verify'), ['receipt', '--key', join(dir, 'key'), join(dir, 'bare.evd')]).status).toBe(0);
    refused(await buyer.client.send('GET', `/api/v1/evidence/receipts/${fact.event_id}?payload=maybe`), 422, 'validation_failed', '/query/payload', 'not_in_list');
    refused(await buyer.client.send('GET', '/api/v1/evidence/receipts/evt_0000000000001'), 404, 'not_found');
  });
  it('is there for both sides of a trade', async () => {
    const { data } = await seller.client.get(`/api/v1/evidence/events?object=${order.children[0].order_id}&limit=200`);
    expect(data.length).toBeGreaterThan(0);
    const reply = await until(async () => {
      const got = await seller.client.send('GET', `/api/v1/evidence/receipts/${data[0].event_id}`);
      return got.status === 200 && got;
    }, 'the receipt');
    expect(reply.text.length).toBeGreaterThan(100);
  });
});

describe('the list of facts', () => {
  it('filters by type and object', async () => {
    const paid = await buyer.client.get('/api/v1/evidence/events?type=order.paid&limit=200');
    expect(paid.data.length).toBeGreaterThan(0);
    expect(new Set(paid.data.map((e: any) => e.type))).toEqual(new Set(['order.paid']));
    const about = await buyer.client.get(`/api/v1/evidence/events?object=${order.order_id}`);
    expect(new Set(about.data.map((e: any) => e.object_id))).toEqual(new Set([order.order_id]));
  });
  it('pages without gap or repetition', async () => {
    const whole = (await buyer.client.get('/api/v1/evidence/events?limit=200')).data.map((e: any) => e.event_id);
    const seen: string[] = [];
    let cursor = '';
    do {
      const page = await buyer.client.get(`/api/v1/evidence/events?limit=2${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
      seen.push(...page.data.map((e: any) => e.event_id));
      cursor = page.next_cursor ?? '';
    } while (cursor);
    expect(seen).toEqual(whole);
  });
});

describe('the live stream', () => {
  async function listen(headers: Record<string, string>, enough: (text: string) => boolean) {
    const control = new AbortController();
    const reply = await fetch(`${world.platform.url}/api/v1/events`, { headers: { cookie: buyer.client.cookie, ...headers }, signal: control.signal });
    expect(reply.headers.get('content-type')).toMatch(/^text\/event-stream/);
    record({ method: 'GET', path: '/api/v1/events', status: reply.status, content_type: reply.headers.get('content-type') });
    const timer = setTimeout(() => control.abort(), 10_000);
    let text = '';
    for await (const part of reply.body!) {
      text += Buffer.from(part).toString();
      if (enough(text)) break;
    }
    clearTimeout(timer);
    control.abort();
    return text;
  }
  it('tells own facts from where one left off, in order', async () => {
    const { data } = await buyer.client.get(`/api/v1/orders/${order.order_id}/timeline?limit=200`);
    const told = await listen({ 'last-event-id': '0' }, (text) => data.every((e: any) => text.includes(e.event_id)));
    const ids = [...told.matchAll(/^id: (\d+)$/gm)].map((m) => Number(m[1]));
    expect(ids).toEqual([...ids].sort((a, b) => a - b));
    for (const line of told.matchAll(/^data: (.*)$/gm)) expect(Object.keys(JSON.parse(line[1]!)).sort()).toEqual(['at', 'event_id', 'object_id', 'root_id', 'type']);
    const rest = await listen({ 'last-event-id': String(ids[1]) }, (text) => text.includes(`id: ${ids[2]}\n`));
    expect(rest).not.toContain(`id: ${ids[1]}\n`);
  });
  it('tells what happens now', async () => {
    const waiting = listen({}, (text) => text.includes('event: order.paid'));
    await new Promise((r) => setTimeout(r, 200));
    const bought = await world.buys(buyer, [{ sku_id: order.children[0].items[0].sku_id, quantity: 1 }]);
    expect(await waiting).toContain(bought.order_id);
  });
  it('takes no position that is none', async () => {
    refused(await buyer.client.send('GET', '/api/v1/events', undefined, { headers: { 'last-event-id': 'x' } }), 400, 'invalid_request');
  });
});
