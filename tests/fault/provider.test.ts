// SPDX-License-Identifier: Apache-2.0
// The scheduling platform is absent, slow, answers twice, answers nonsense, or dies between its backend and its report: the order
// waits, is sent again, and ends the same on both sides.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client, until } from '../lib/client.mjs';
import { MockProvider, accept, broken, drop, nonsense } from '../lib/mock-provider.mjs';
import { Platform, fixture, freePort } from '../lib/platform.mjs';
import { PASSWORD, Story } from '../lib/story.mjs';
import { uscc } from '../lib/uscc.mjs';

const dir = mkdtempSync(join(tmpdir(), 'suanhe-provider-'));
const platform = new Platform({ dir });
const mock = new MockProvider();
let story: Story;
let mockStore = { store_id: '', client: new Client(''), token: '' };

/** A fourth store whose scheduling platform is the mock. */
async function mockJoins() {
  await mock.listen(await freePort());
  const client = new Client(platform.url);
  await client.register(`mock-${story.runId}@provider.example`, PASSWORD, '模拟');
  const org = await client.post('/api/v1/orgs', { name: '模拟算力', kind: 'provider' });
  client.org = org.org_id;
  const store = await client.post('/api/v1/stores', {
    name: '模拟算力', legal_name: '模拟算力有限公司', uscc: uscc(500), description: 'x', contact_name: 'x', region_code: '640500',
    if2_base_url: `http://127.0.0.1:${mock.port}/p/mock`, accepted_rules_version: '1',
  });
  await client.post(`/api/v1/stores/${store.store_id}/submit`);
  await story.operator.post(`/api/v1/admin/stores/${store.store_id}/review`, { decision: 'approve', reasons: [] });
  const credentials = await client.post(`/api/v1/stores/${store.store_id}/credentials`);
  await client.post(`/api/v1/stores/${store.store_id}/connect`);
  await client.post(`/api/v1/stores/${store.store_id}/open`);
  const basic = Buffer.from(`${credentials.client_id}:${credentials.client_secret}`).toString('base64');
  const reply = await fetch(`${platform.url}/oauth2/token`, {
    method: 'POST', headers: { authorization: `Basic ${basic}`, 'content-type': 'application/x-www-form-urlencoded' },
    body: 'grant_type=client_credentials',
  });
  const { access_token } = (await reply.json()) as { access_token: string };
  mockStore = { store_id: store.store_id, client, token: access_token };
  const { external_product_id, ...product } = JSON.parse(fixture('story-products-gpu-lab.jsonl').split('\n')[0]!);
  const put = await fetch(`${platform.url}/if2/v1/products/${external_product_id}`, {
    method: 'PUT', headers: { authorization: `Bearer ${access_token}`, 'content-type': 'application/json' }, body: JSON.stringify(product),
  });
  expect(put.status).toBe(201);
}

async function buyOf(storeId: string, quantity = 1) {
  const sku = await until(async () => {
    const page = await story.consumer.get(`/api/v1/catalog/products?store=${storeId}&limit=1`);
    if (!page.data[0]) return undefined;
    const product = await story.consumer.get(`/api/v1/catalog/products/${page.data[0].product_id}`);
    return product.skus.find((s: { charge_mode: string; orderable: boolean }) => s.charge_mode === 'reserved' && s.orderable);
  }, 'a SKU');
  const lines = [{ sku_id: sku.sku_id, quantity }];
  const quote = await story.consumer.post('/api/v1/quotes', { lines });
  return story.consumer.post('/api/v1/orders', { lines, expected_payable_fen: quote.payable_fen, pay_from_balance: true });
}

/** Tries a delivery again at once, as an operator would. */
async function hurry(orderId: string) {
  const order = await story.consumer.get(`/api/v1/orders/${orderId}`);
  const child = order.children[0].order_id;
  const list = await story.operator.get('/api/v1/admin/deliveries?limit=200');
  for (const delivery of list.data)
    if (delivery.order_id === child && delivery.state !== 'delivered') await story.operator.send('POST', `/api/v1/admin/deliveries/${delivery.delivery_id}/retry`);
}

const reaches = (id: string, state: string, ms = 30000) =>
  until(async () => {
    const order = await story.consumer.get(`/api/v1/orders/${id}`);
    return order.state === state && order;
  }, `order ${id} to be ${state}`, ms);

let reportNumber = 0;
async function report(order: { children: { order_id: string; items: { item_id: string; instance_id: string }[] }[] }, state: string, sequence: number) {
  const child = order.children[0]!;
  reportNumber++;
  const body = {
    report_id: `r${reportNumber}`, provider_sequence: sequence,
    items: child.items.map((i) => ({ item_id: i.item_id, instance_id: i.instance_id, state, external_instance_id: 'x', tool_url: 'https://tool.example/x' })),
  };
  const send = () =>
    fetch(`${platform.url}/if2/v1/orders/${child.order_id}/fulfilments`, {
      method: 'POST', headers: { authorization: `Bearer ${mockStore.token}`, 'content-type': 'application/json' }, body: JSON.stringify(body),
    });
  return { first: await send(), second: await send() };
}

describe('a scheduling platform that misbehaves', () => {
  beforeAll(async () => {
    await platform.init();
    await platform.start();
    story = new Story(platform, join(dir, 'out'));
    await story.step1();
    await story.step2();
    await story.step3();
    await mockJoins();
  }, 90_000);
  afterAll(async () => {
    await mock.close();
    await platform.close();
    rmSync(dir, { recursive: true, force: true });
  });

  it.each([
    ['is broken', broken],
    ['answers nonsense', nonsense],
    ['drops the connection', drop],
  ])('%s: the order waits, is sent again with the same content, and is delivered', async (_name, fault) => {
    mock.calls.length = 0;
    mock.script = [fault];
    const order = await buyOf(mockStore.store_id);
    await until(async () => {
      const now = await story.consumer.get(`/api/v1/orders/${order.order_id}`);
      return now.children[0].sync.state === 'retrying' && now;
    }, 'the delivery to be retried');
    expect((await story.consumer.get(`/api/v1/orders/${order.order_id}`)).state).toBe('accepting');
    mock.script = [accept];
    await hurry(order.order_id);
    await reaches(order.order_id, 'provisioning');
    const bodies = mock.calls.map((c) => JSON.stringify(c.body));
    expect(bodies.length).toBeGreaterThanOrEqual(2);
    expect(new Set(bodies).size).toBe(1);
    const { first, second } = await report(order, 'active', 1);
    expect([first.status, second.status]).toEqual([200, 200]);
    await reaches(order.order_id, 'completed');
  }, 60_000);

  it('is absent: nothing is lost and nothing is paid out', async () => {
    const { port } = mock;
    await mock.close();
    const order = await buyOf(mockStore.store_id);
    await until(async () => (await story.consumer.get(`/api/v1/orders/${order.order_id}`)).children[0].sync.attempts > 0, 'a try');
    const again = new MockProvider();
    again.script = [accept];
    await again.listen(port);
    await hurry(order.order_id);
    await reaches(order.order_id, 'provisioning');
    await again.close();
    await mock.server.listen(port, '127.0.0.1');
  }, 60_000);

  it('reports out of order: the gap is named, and later filled', async () => {
    mock.script = [accept];
    const order = await buyOf(mockStore.store_id);
    await reaches(order.order_id, 'provisioning');
    const early = await report(order, 'active', 2);
    expect(early.first.status).toBe(409);
    expect(await early.first.json()).toMatchObject({ code: 'sequence_gap', expected: 1 });
    expect((await report(order, 'provisioning', 1)).first.status).toBe(200);
    expect((await report(order, 'active', 2)).first.status).toBe(200);
    await reaches(order.order_id, 'completed');
  }, 60_000);

  it('fails what it accepted: the money is back and the order says failed', async () => {
    mock.script = [accept];
    const before = (await story.consumer.get('/api/v1/balance')).balance_fen;
    const order = await buyOf(mockStore.store_id);
    await reaches(order.order_id, 'provisioning');
    await report(order, 'failed', 1);
    const failed = await reaches(order.order_id, 'failed');
    expect(failed.refunded_fen).toBe(failed.paid_fen);
    expect((await story.consumer.get('/api/v1/balance')).balance_fen).toBe(before);
  }, 60_000);

  it('the agent is killed at each of its fault points and comes to one resource each time', async () => {
    const store = story.stores[0]!.store.store_id;
    for (let point = 1; point <= 6; point++) {
      await platform.stopAgent();
      await platform.startAgent({ AGENT_CRASH: String(point) });
      const order = await buyOf(store);
      await until(async () => platform.agent?.exitCode !== null || platform.agent?.signalCode !== null || (await story.consumer.get(`/api/v1/orders/${order.order_id}`)).state === 'completed', `fault point ${point}`, 20000);
      await platform.stopAgent('SIGKILL');
      await platform.startAgent();
      await hurry(order.order_id);
      const done = await reaches(order.order_id, 'completed', 40000);
      const instance = done.children[0].items[0].instance_id;
      expect(instance).toMatch(/^ins_/);
    }
    const sql = 'SELECT (SELECT COUNT(*) FROM fake_resource) || "|" || (SELECT COUNT(*) FROM agent_item WHERE state = 3)';
    const [resources, active] = execFileSync('sqlite3', [join(dir, 'agent/journal.db'), sql], { encoding: 'utf8' }).trim().split('|');
    expect(resources).toBe(active);
  }, 240_000);

  it('leaves books, orders and evidence sound', () => {
    const fsck = platform.run('fsck');
    expect(fsck.status, fsck.out + fsck.err).toBe(0);
  });
});
