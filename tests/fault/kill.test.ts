// SPDX-License-Identifier: Apache-2.0
// kill -9 of the platform at a random moment under load, again and again: nothing acknowledged is missing, nothing half done stays,
// receipts still verify, and the agent made nothing twice.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client, newKey, until } from '../lib/client.mjs';
import { Platform, bin } from '../lib/platform.mjs';
import { Story } from '../lib/story.mjs';

const rounds = Number(process.env.FAULT_ROUNDS ?? 10);

const seed = Number(process.env.FAULT_SEED ?? Date.now() % 1_000_000);
let state = seed;
const random = () => {
  state = (state * 1103515245 + 12345) % 2147483648;
  return state / 2147483648;
};

describe(`kill -9 under load (seed ${seed})`, () => {
  const dir = mkdtempSync(join(tmpdir(), 'suanhe-kill-'));
  const platform = new Platform({ dir });
  let story: Story;
  const acknowledged: { id: string; payable: number; key: string; body: string }[] = [];
  let sku = '';
  let payable = 0;

  beforeAll(async () => {
    await platform.init();
    await platform.start();
    story = new Story(platform, join(dir, 'out'));
    await story.step1();
    await story.step2();
    await story.step3();
    const page = await story.consumer.get('/api/v1/catalog/products?charge_mode=reserved&in_stock=true&sort=price&limit=50');
    for (const row of page.data) {
      const product = await story.consumer.get(`/api/v1/catalog/products/${row.product_id}`);
      const found = product.skus.find((s: { orderable: boolean; charge_mode: string; stock_available: number }) => s.orderable && s.charge_mode === 'reserved' && s.stock_available >= 50);
      if (found) {
        sku = found.sku_id;
        break;
      }
    }
    expect(sku).not.toBe('');
    const quote = await story.consumer.post('/api/v1/quotes', { lines: [{ sku_id: sku, quantity: 1 }] });
    payable = quote.payable_fen;
  }, 60_000);
  afterAll(async () => {
    await platform.close();
    rmSync(dir, { recursive: true, force: true });
  });

  /** Buys one after the other until the platform is gone. */
  async function buyer(client: Client) {
    for (;;) {
      const key = newKey();
      const body = JSON.stringify({ lines: [{ sku_id: sku, quantity: 1 }], expected_payable_fen: payable, pay_from_balance: true });
      try {
        const reply = await client.send('POST', '/api/v1/orders', undefined, { key, raw: body });
        if (reply.status === 201) acknowledged.push({ id: reply.json.order_id, payable, key, body });
        else if (reply.status !== 503) return reply;
      } catch {
        return undefined; // the connection broke: the outcome is unknown until asked
      }
    }
  }

  it(
    `loses nothing in ${rounds} rounds`,
    async () => {
      for (let round = 0; round < rounds; round++) {
        const buyers = Array.from({ length: 8 }, () => {
          const client = new Client(platform.url);
          Object.assign(client, { cookie: story.consumer.cookie, csrf: story.consumer.csrf, org: story.consumer.org });
          return buyer(client);
        });
        await new Promise((r) => setTimeout(r, 100 + random() * 700));
        await platform.stopServer('SIGKILL');
        await Promise.all(buyers);
        await platform.start();
      }
      expect(acknowledged.length).toBeGreaterThan(0);
      for (const order of acknowledged) {
        const now = await story.consumer.get(`/api/v1/orders/${order.id}`);
        expect(now.paid_fen).toBe(order.payable);
      }
      const last = acknowledged[acknowledged.length - 1]!;
      const again = await story.consumer.send('POST', '/api/v1/orders', undefined, { key: last.key, raw: last.body });
      expect(again.json.order_id).toBe(last.id);
    },
    600_000,
  );

  it('keeps books, orders and evidence sound, and the sum of all money right', async () => {
    const fsck = platform.run('fsck');
    expect(fsck.out + fsck.err).toContain('books: sound');
    expect(fsck.status).toBe(0);
    const balance = await story.consumer.get('/api/v1/balance');
    let paid = 0;
    let cursor = '';
    do {
      const page = await story.consumer.get(`/api/v1/orders?limit=200${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`);
      for (const order of page.data) paid += order.paid_fen - order.refunded_fen;
      cursor = page.next_cursor ?? '';
    } while (cursor);
    expect(balance.balance_fen).toBe(story.credited - paid);
  });

  it('still proves what was told before and after', async () => {
    const key = join(dir, 'key');
    writeFileSync(key, await (await fetch(`${platform.url}/evidence/v1/keys`)).text());
    for (const order of [acknowledged[0]!, acknowledged[acknowledged.length - 1]!]) {
      const timeline = await until(async () => {
        const page = await story.consumer.get(`/api/v1/orders/${order.id}/timeline`);
        return page.data.length > 0 && page;
      }, 'the timeline');
      const paid = timeline.data.find((e: { type: string }) => e.type === 'order.paid');
      const receipt = await until(async () => {
        const got = await story.consumer.send('GET', `/api/v1/evidence/receipts/${paid.event_id}?payload=true`);
        return got.status === 200 && got;
      }, 'the receipt');
      const file = join(dir, 'r.evd');
      writeFileSync(file, receipt.text);
      expect(spawnSync(bin('suanhe-verify'), ['receipt', '--key', key, file]).status).toBe(0);
    }
  });

  it('made every instance once at the agent', async () => {
    await until(async () => {
      const waiting = await story.operator.get('/api/v1/admin/deliveries?state=pending');
      return waiting.data.length === 0;
    }, 'all deliveries', 120_000);
    const rows = execFileSync('sqlite3', [join(dir, 'agent/journal.db'), 'SELECT COUNT(*), COUNT(DISTINCT id) FROM fake_resource'], { encoding: 'utf8' });
    const [all, distinct] = rows.trim().split('|').map(Number);
    expect(all).toBe(distinct);
    const items = execFileSync('sqlite3', [join(dir, 'agent/journal.db'), 'SELECT COUNT(*) FROM agent_item WHERE state = 3 AND instance_id NOT IN (SELECT id FROM fake_resource)'], { encoding: 'utf8' });
    expect(Number(items)).toBe(0);
  });
});

