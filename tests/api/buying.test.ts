// SPDX-License-Identifier: Apache-2.0
// Quotes, cart, orders, payment and cancel, with every refusal that the contract names; replays; ETags and pages.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Buyer, type Provider, World, newKey, refused, sku, until } from './world.js';

const world = new World();
let seller: Provider;
let second: Provider;
/** SKUs by name: see beforeAll. */
const skus: Record<string, string> = {};
let delisted = '';

beforeAll(async () => {
  await world.start();
  [seller, second] = [await world.provider(), await world.provider()];
  const few = { available: 3, total: 3, as_of: '2026-01-01T00:00:00.000Z' };
  const listed = await world.lists(seller, 'vm', {
    skus: [
      sku('month'), sku('few', { inventory: few }), sku('some', { min_qty: 2, max_qty: 5 }), sku('hour', { charge_mode: 'on_demand', price_unit: 'hour', term: undefined }),
      sku('odd', { unit_price: '3.335', rate_bp: 1300 }), sku('setup', { setup_fen: 777 }), sku('dear', { unit_price: '99999999', max_qty: 1_000_000, inventory: { available: 1e9, total: 1e9, as_of: '2026-01-01T00:00:00.000Z' } }), sku('free', { unit_price: '0' }),
    ],
  });
  Object.assign(skus, listed.skus);
  skus.other = (await world.lists(second, 'vm')).skus.m1!;
  const gone = await world.lists(seller, 'gone');
  delisted = gone.skus.m1!;
  await seller.machine.post('/if2/v1/products/gone/delist');
});
afterAll(() => world.close());

const NOBODYS = 'sku_0000000000001';
const line = (name: string, quantity = 1) => ({ sku_id: skus[name] ?? name, quantity });
const stock = async (name: string) => {
  const { data } = await world.client().get(`/api/v1/catalog/products?store=${seller.store.store_id}`);
  const { skus: all } = await world.client().get(`/api/v1/catalog/products/${data[0].product_id}`);
  return all.find((s: any) => s.sku_id === skus[name]).stock_available as number;
};
const quote = (...lines: object[]) => world.client().send('POST', '/api/v1/quotes', { lines });
const submit = (buyer: Buyer, body: object, options: object = {}) => buyer.client.send('POST', '/api/v1/orders', { pay_from_balance: true, ...body }, options);
const balance = async (buyer: Buyer) => (await buyer.client.get('/api/v1/balance')).balance_fen as number;
/** Half a fen goes up; the line is the rounded unit times the quantity. */
const fen = (price: number, quantity: number) => Math.floor(price * 100 + 0.5 + 1e-9) * quantity;

describe('a quote', () => {
  it('counts to the fen', async () => {
    const { status, json } = await quote(line('month', 3), line('odd', 7), line('setup', 2));
    expect(status).toBe(201);
    expect(json.quote_id).toBeNull();
    expect(json.lines[0]).toMatchObject({ unit_rounded_fen: 10050, list_fen: fen(100.5, 3), discount_fen: 0, payable_fen: 30150, rate_bp: 600 });
    expect(json.lines[1]).toMatchObject({ unit_price: '3.335', unit_rounded_fen: 334, payable_fen: 334 * 7, rate_bp: 1300 });
    expect(json.lines[2].payable_fen).toBe(2 * 10050 + 2 * 777);
    expect(json.payable_fen).toBe(json.lines.reduce((sum: number, l: any) => sum + l.payable_fen, 0));
    expect(json.tax_fen).toBe(json.lines.reduce((sum: number, l: any) => sum + l.tax_fen, 0));
    for (const l of json.lines) expect(l.tax_fen).toBe(Math.round(l.payable_fen - l.payable_fen / (1 + l.rate_bp / 10000)));
    expect(Date.parse(json.valid_until)).toBeGreaterThan(Date.now());
  });
  it('is kept for who is logged in', async () => {
    const buyer = await world.buyer(0);
    expect((await buyer.client.post('/api/v1/quotes', { lines: [line('month')] })).quote_id).toMatch(/^quo_/);
  });
  it('refuses what cannot be bought', async () => {
    refused(await quote(line(NOBODYS)), 409, 'sku_not_listed');
    refused(await quote(line(delisted)), 409, 'sku_not_listed');
    refused(await quote(line('month', 101)), 422, 'quantity_out_of_bounds', '/lines/0/quantity', 'out_of_range');
    refused(await quote(line('month'), line('some', 1)), 422, 'quantity_out_of_bounds', '/lines/1/quantity', 'out_of_range');
    refused(await quote(line('some', 6)), 422, 'quantity_out_of_bounds', '/lines/0/quantity', 'out_of_range');
    refused(await quote(line('few', 4)), 409, 'out_of_stock');
    refused(await quote(line('hour')), 409, 'postpaid_not_offered');
    refused(await quote(line('dear', 1_000_000)), 422, 'amount_too_large');
  });
});

describe('the cart', () => {
  it('puts in, changes, takes out and adds up', async () => {
    const { client } = await world.buyer(0);
    expect(await client.get('/api/v1/cart')).toEqual({ lines: [], payable_fen: 0 });
    await client.ok('PUT', `/api/v1/cart/lines/${skus.month}`, { quantity: 2 });
    await client.ok('PUT', `/api/v1/cart/lines/${skus.odd}`, { quantity: 3 });
    const cart = await client.ok('PUT', `/api/v1/cart/lines/${skus.month}`, { quantity: 5 });
    expect(cart.lines.map((l: any) => [l.sku_id, l.quantity, l.payable_fen, l.problem])).toEqual([[skus.month, 5, 50250, null], [skus.odd, 3, 1002, null]]);
    expect(cart.payable_fen).toBe(51252);
    expect((await client.ok('PUT', `/api/v1/cart/lines/${skus.odd}`, { quantity: 0 })).lines).toHaveLength(1);
    expect((await client.ok('DELETE', `/api/v1/cart/lines/${skus.month}`)).lines).toHaveLength(0);
    await client.ok('PUT', `/api/v1/cart/lines/${skus.month}`, { quantity: 1 });
    expect((await client.ok('DELETE', '/api/v1/cart')).lines).toHaveLength(0);
  });
  it('keeps what cannot be bought now, says why, and does not count it', async () => {
    const { client } = await world.buyer(0);
    await client.ok('PUT', `/api/v1/cart/lines/${skus.month}`, { quantity: 1 });
    await client.ok('PUT', `/api/v1/cart/lines/${skus.few}`, { quantity: 50 });
    await client.ok('PUT', `/api/v1/cart/lines/${delisted}`, { quantity: 1 });
    const cart = await client.ok('PUT', `/api/v1/cart/lines/${skus.some}`, { quantity: 9 });
    expect(cart.lines.map((l: any) => l.problem)).toEqual([null, 'out_of_stock', 'sku_not_listed', 'out_of_range']);
    expect(cart.payable_fen).toBe(10050);
  });
  it('takes no SKU that is not there', async () => {
    const { client } = await world.buyer(0);
    for (const id of [NOBODYS, 'sku', 'prd_0000000000001']) refused(await client.send('PUT', `/api/v1/cart/lines/${id}`, { quantity: 1 }), 404, 'not_found');
  });
  it('holds fifty lines', async () => {
    const { client } = await world.buyer(0);
    const many: string[] = [];
    for (let n = 0; n < 3; n++) many.push(...Object.values((await world.lists(second, `many${n}`, { skus: Array.from({ length: 17 }, (_, i) => sku(`s${i}`)) })).skus));
    for (const id of many.slice(0, 50)) await client.ok('PUT', `/api/v1/cart/lines/${id}`, { quantity: 1 });
    refused(await client.send('PUT', `/api/v1/cart/lines/${many[50]}`, { quantity: 1 }), 409, 'cart_full');
    await client.ok('PUT', `/api/v1/cart/lines/${many[0]}`, { quantity: 2 });
  });
});

describe('an order', () => {
  let buyer: Buyer;
  beforeAll(async () => {
    buyer = await world.buyer();
  });

  it('has a child for each store, frozen prices, and is paid from the balance', async () => {
    const before = await balance(buyer);
    const lines = [line('month', 2), line('other', 1), line('odd', 3)];
    const payable = await world.price(lines);
    const reply = await submit(buyer, { lines, expected_payable_fen: payable, cost_centre: 'CC', purchase_order_no: 'PO', note: '备注' });
    expect(reply.status).toBe(201);
    const order = reply.json;
    expect(reply.headers.get('location')).toBe(`/api/v1/orders/${order.order_id}`);
    expect(order).toMatchObject({ state: 'accepting', payable_fen: payable, paid_fen: payable, refunded_fen: 0, cost_centre: 'CC', purchase_order_no: 'PO', note: '备注' });
    expect(order.children).toHaveLength(2);
    expect(order.children.reduce((sum: number, c: any) => sum + c.payable_fen, 0)).toBe(payable);
    expect(order.payments[0]).toMatchObject({ amount_fen: payable, channel: 'balance', state: 'succeeded' });
    expect(await balance(buyer)).toBe(before - payable);
    const sent = await until(async () => world.side.orders(order.children[0].order_id)[0], 'R16');
    const child = order.children[0];
    expect(sent.body).toMatchObject({ order_id: child.order_id, sequence: 1, order_type: 'new', payable_fen: child.payable_fen, paid_fen: child.payable_fen, currency: 'CNY' });
    expect(JSON.stringify(sent.body)).not.toContain(buyer.email);
    expect(sent.body.buyer.sub).not.toMatch(/^usr_/);
  });
  it('can be made of a quote, and empties the cart', async () => {
    await buyer.client.ok('PUT', `/api/v1/cart/lines/${skus.month}`, { quantity: 1 });
    const made = await buyer.client.post('/api/v1/quotes', { lines: [line('month')] });
    const reply = await submit(buyer, { quote_id: made.quote_id, expected_payable_fen: made.payable_fen, from_cart: true });
    expect(reply.status).toBe(201);
    expect((await buyer.client.get('/api/v1/cart')).lines).toEqual([]);
  });
  it('of a quote keeps the price that was quoted', async () => {
    const listed = await world.lists(second, 'dearer');
    const made = await buyer.client.post('/api/v1/quotes', { lines: [{ sku_id: listed.skus.m1, quantity: 1 }] });
    await second.machine.ok('PATCH', '/if2/v1/products/dearer/skus/m1/price', { unit_price: '200', provider_version: 2 });
    expect((await submit(buyer, { lines: [{ sku_id: listed.skus.m1, quantity: 1 }], expected_payable_fen: 10050 })).json).toMatchObject({ code: 'price_changed', actual_fen: 20000 });
    const reply = await submit(buyer, { quote_id: made.quote_id, expected_payable_fen: 10050 });
    expect(reply.status, reply.text).toBe(201);
    expect(reply.json.payable_fen).toBe(10050);
  });
  it('refuses a quote that is over', async () => {
    const made = await buyer.client.post('/api/v1/quotes', { lines: [line('month')] });
    world.write('UPDATE catalog_quote SET valid_until = 1 WHERE id = (SELECT MAX(id) FROM catalog_quote)');
    refused(await submit(buyer, { quote_id: made.quote_id, expected_payable_fen: 10050 }), 409, 'quote_expired');
  });
  it('refuses another’s quote and one that is not there', async () => {
    const stranger = await world.buyer();
    const made = await stranger.client.post('/api/v1/quotes', { lines: [line('month')] });
    for (const id of [made.quote_id, 'quo_0000000000001']) refused(await submit(buyer, { quote_id: id, expected_payable_fen: 10050 }), 404, 'not_found');
  });
  it('refuses a price that is no longer right, and says both', async () => {
    const reply = await submit(buyer, { lines: [line('month')], expected_payable_fen: 10049 });
    refused(reply, 409, 'price_changed');
    expect(reply.json).toMatchObject({ expected_fen: 10049, actual_fen: 10050 });
  });
  it('refuses more than there is, and takes nothing', async () => {
    const before = [await balance(buyer), await stock('few')];
    refused(await submit(buyer, { lines: [line('month'), line('few', 4)], expected_payable_fen: 50250 }), 409, 'out_of_stock');
    expect([await balance(buyer), await stock('few')]).toEqual(before);
  });
  it('refuses what is not on offer', async () => {
    refused(await submit(buyer, { lines: [line(NOBODYS)], expected_payable_fen: 1 }), 409, 'sku_not_listed');
    refused(await submit(buyer, { lines: [line(delisted)], expected_payable_fen: 10050 }), 409, 'sku_not_listed');
    refused(await submit(buyer, { lines: [line('hour')], expected_payable_fen: 10050 }), 409, 'postpaid_not_offered');
    refused(await submit(buyer, { lines: [line('some', 1)], expected_payable_fen: 10050 }), 422, 'quantity_out_of_bounds', '/lines/0/quantity');
    const id = second.store.store_id;
    await second.client.post(`/api/v1/stores/${id}/pause`);
    refused(await submit(buyer, { lines: [line('other')], expected_payable_fen: 10050 }), 409, 'store_not_open');
    await second.client.post(`/api/v1/stores/${id}/open`);
  });
  it('refuses lines that make no order', async () => {
    refused(await submit(buyer, { expected_payable_fen: 1 }), 422, 'validation_failed', '/lines', 'required');
    refused(await submit(buyer, { lines: [line('month'), line('odd'), line('month')], expected_payable_fen: 1 }), 422, 'validation_failed', '/lines/2/sku_id', 'duplicate_line');
    const made = await buyer.client.post('/api/v1/quotes', { lines: [line('month')] });
    refused(await submit(buyer, { quote_id: made.quote_id, lines: [line('month')], expected_payable_fen: 10050 }), 422, 'validation_failed', '/lines', 'required');
  });
  it('refuses without the money, says how much is missing, and takes nothing', async () => {
    const poor = await world.buyer(10000);
    const before = await stock('few');
    const reply = await submit(poor, { lines: [line('few')], expected_payable_fen: 10050 });
    refused(reply, 409, 'insufficient_funds');
    expect(reply.json.missing_fen).toBe(50);
    expect([await balance(poor), await stock('few')]).toEqual([10000, before]);
    expect((await poor.client.get('/api/v1/orders')).data).toEqual([]);
  });
  it('that costs nothing needs no money', async () => {
    const poor = await world.buyer(0);
    const reply = await submit(poor, { lines: [line('free')], expected_payable_fen: 0, pay_from_balance: false });
    expect(reply.json, reply.text).toMatchObject({ state: 'accepting', payable_fen: 0, paid_fen: 0 });
  });
});

describe('paying later', () => {
  it('takes the money once', async () => {
    const buyer = await world.buyer(15000);
    const order = await world.buys(buyer, [line('month')], false);
    expect(order).toMatchObject({ state: 'pending_payment', paid_fen: 0, actions: ['pay', 'cancel'] });
    const pay = (expected: number) => buyer.client.send('POST', `/api/v1/orders/${order.order_id}/pay`, { expected_payable_fen: expected });
    refused(await pay(10049), 409, 'price_changed');
    expect(await balance(buyer)).toBe(15000);
    expect((await pay(10050)).json).toMatchObject({ state: 'accepting', paid_fen: 10050 });
    refused(await pay(10050), 409, 'illegal_transition');
    expect(await balance(buyer)).toBe(4950);
    refused(await buyer.client.send('POST', `/api/v1/orders/${order.children[0].order_id}/pay`, { expected_payable_fen: 10050 }), 404, 'not_found');
  });
  it('refuses without the money', async () => {
    const poor = await world.buyer(100);
    const order = await world.buys(poor, [line('month')], false);
    const reply = await poor.client.send('POST', `/api/v1/orders/${order.order_id}/pay`, { expected_payable_fen: 10050 });
    refused(reply, 409, 'insufficient_funds');
    expect(reply.json.missing_fen).toBe(9950);
    expect((await poor.client.get(`/api/v1/orders/${order.order_id}`)).state).toBe('pending_payment');
  });
});

describe('cancelling', () => {
  const cancel = (buyer: Buyer, id: string, body: object = {}) => buyer.client.send('POST', `/api/v1/orders/${id}/cancel`, body);

  it('before payment closes the whole and gives the stock back', async () => {
    const buyer = await world.buyer();
    const before = await stock('few');
    const order = await world.buys(buyer, [line('few', 2)], false);
    expect(await stock('few')).toBe(before - 2);
    refused(await cancel(buyer, order.order_id, { item_ids: [order.children[0].items[0].item_id] }), 409, 'cancel_whole_order');
    refused(await cancel(buyer, order.children[0].order_id), 409, 'cancel_whole_order');
    const reply = await cancel(buyer, order.order_id, { reason: 'r' });
    expect(`${reply.status} ${reply.json.state}`).toBe('200 closed');
    expect(await stock('few')).toBe(before);
    refused(await cancel(buyer, order.order_id), 409, 'illegal_transition');
    refused(await buyer.client.send('POST', `/api/v1/orders/${order.order_id}/pay`, { expected_payable_fen: 20100 }), 409, 'illegal_transition');
  });
  it('one item refunds just that one, when the provider agrees', async () => {
    const buyer = await world.buyer();
    const before = await balance(buyer);
    const made = await world.buys(buyer, [line('month', 2), line('odd')]);
    const order = await world.reaches(buyer, made.order_id, 'provisioning');
    const items = order.children[0].items;
    const item = items.find((i: any) => i.sku_id === skus.month);
    const other = items.find((i: any) => i.sku_id === skus.odd);
    const reply = await cancel(buyer, order.order_id, { item_ids: [item.item_id], reason: '改变主意' });
    expect(reply.status).toBe(202);
    refused(await cancel(buyer, order.order_id, { item_ids: [other.item_id] }), 409, 'illegal_transition');
    const change = await until(async () => world.side.changes(order.children[0].order_id)[0], 'R8');
    expect(change.body).toMatchObject({ command: 'cancel', sequence: 2, reason_code: 'buyer', items: [{ item_id: item.item_id, instance_id: item.instance_id }] });
    const told = await world.report(seller, order.children[0], 1, [], { command_ack: { change_id: change.body.change_id, result: 'done' } });
    expect(told.status, told.text).toBe(200);
    const now = await buyer.client.get(`/api/v1/orders/${order.order_id}`);
    expect(now.refunded_fen).toBe(item.payable_fen);
    expect(now.children[0].items.find((i: any) => i.item_id === item.item_id)).toMatchObject({ state: 'cancelled', refund: { amount_fen: item.payable_fen, reason: 'cancelled' } });
    expect(await balance(buyer)).toBe(before - other.payable_fen);
    await world.report(seller, order.children[0], 2, [{ item_id: other.item_id, instance_id: other.instance_id, state: 'active' }]);
    expect((await buyer.client.get(`/api/v1/orders/${order.order_id}`)).state).toBe('completed');
    refused(await cancel(buyer, order.order_id), 409, 'illegal_transition');
  });
  it('that the provider refuses leaves the item as it was', async () => {
    const buyer = await world.buyer();
    const made = await world.buys(buyer, [line('month')]);
    const order = await world.reaches(buyer, made.order_id, 'provisioning');
    world.side.onChange = () => ({ status: 409, body: { code: 'illegal_transition' } });
    expect((await cancel(buyer, order.order_id)).status).toBe(202);
    await world.reaches(buyer, order.order_id, 'provisioning');
    world.side.onChange = () => ({ status: 202, body: { state: 'pending' } });
    expect((await buyer.client.get(`/api/v1/orders/${order.order_id}`)).refunded_fen).toBe(0);
  });
  it('names only items of the order', async () => {
    const buyer = await world.buyer();
    const one = await world.buys(buyer, [line('month')], false);
    const two = await world.buys(buyer, [line('month')], false);
    refused(await cancel(buyer, one.order_id, { item_ids: [two.children[0].items[0].item_id] }), 422, 'validation_failed', '/item_ids/0', 'not_in_list');
    refused(await cancel(buyer, one.order_id, { item_ids: ['itm'] }), 422, 'validation_failed', '/item_ids/0', 'bad_format');
    refused(await cancel(buyer, 'ord_0000000000001'), 404, 'not_found');
  });
  it('follows by itself when the provider refuses the order', async () => {
    const buyer = await world.buyer();
    const before = [await balance(buyer), await stock('few')];
    const { onOrder } = world.side;
    world.side.onOrder = () => ({ status: 409, body: { code: 'capacity_exhausted', detail: 'full' } });
    const order = await world.buys(buyer, [line('few')]);
    const done = await world.reaches(buyer, order.order_id, 'rejected');
    world.side.onOrder = onOrder;
    expect(done).toMatchObject({ paid_fen: 10050, refunded_fen: 10050, actions: [] });
    expect([await balance(buyer), await stock('few')]).toEqual(before);
    const kinds = (await buyer.client.get('/api/v1/transactions')).data.map((t: any) => [t.kind, t.amount_fen]);
    expect(kinds.slice(0, 2)).toEqual([['refund', 10050], ['payment', -10050]]);
  });
});

describe('a key', () => {
  it('gives the first reply again, byte by byte', async () => {
    const buyer = await world.buyer();
    const key = newKey();
    const body = { lines: [line('month')], expected_payable_fen: 10050 };
    const first = await submit(buyer, body, { key });
    const before = await balance(buyer);
    const again = await submit(buyer, body, { key });
    expect([again.status, again.text]).toEqual([201, first.text]);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(first.headers.get('idempotent-replayed')).toBeNull();
    for (const name of ['etag', 'location', 'content-type']) expect(again.headers.get(name)).toBe(first.headers.get(name));
    expect(await balance(buyer)).toBe(before);
    refused(await submit(buyer, { ...body, note: 'other' }, { key }), 422, 'idempotency_key_reused');
    expect((await buyer.client.get('/api/v1/orders')).data).toHaveLength(1);
  });
  it('is of one caller and one route', async () => {
    const [one, two] = [await world.buyer(), await world.buyer()];
    const key = newKey();
    const body = { lines: [line('month')], expected_payable_fen: 10050 };
    const ids = [(await submit(one, body, { key })).json.order_id, (await submit(two, body, { key })).json.order_id];
    expect(ids[0]).not.toBe(ids[1]);
    expect((await one.client.send('POST', `/api/v1/orders/${ids[0]}/cancel`, {}, { key })).status).toBe(202);
  });
  it('is free again after a refusal', async () => {
    const buyer = await world.buyer(0);
    const key = newKey();
    const body = { lines: [line('month')], expected_payable_fen: 10050 };
    refused(await submit(buyer, body, { key }), 409, 'insufficient_funds');
    await world.credit(buyer.org, 10050);
    expect((await submit(buyer, body, { key })).status).toBe(201);
  });
  it('buys once when many come at once', async () => {
    const buyer = await world.buyer();
    const key = newKey();
    const body = { lines: [line('month')], expected_payable_fen: 10050 };
    const replies = await Promise.all(Array.from({ length: 8 }, () => submit(buyer, body, { key })));
    const made = replies.filter((r) => r.status === 201);
    expect(made.length).toBeGreaterThan(0);
    expect(new Set(made.map((r) => r.text)).size).toBe(1);
    for (const reply of replies.filter((r) => r.status !== 201)) {
      refused(reply, 409, 'idempotency_in_progress');
      expect(reply.headers.get('retry-after')).toBe('1');
      expect(reply.json.retryable).toBe(true);
    }
    expect((await buyer.client.get('/api/v1/orders')).data).toHaveLength(1);
    expect(await balance(buyer)).toBe(100_000_000 - 10050);
  });
});

describe('the last one', () => {
  it('is sold once, however many want it', async () => {
    const listed = await world.lists(second, 'last', { skus: [sku('m1', { inventory: { available: 2, total: 2, as_of: '2026-01-01T00:00:00.000Z' } })] });
    const buyers = await Promise.all(Array.from({ length: 6 }, () => world.buyer(20000)));
    const replies = await Promise.all(buyers.map((b) => submit(b, { lines: [{ sku_id: listed.skus.m1, quantity: 1 }], expected_payable_fen: 10050 })));
    expect(replies.map((r) => r.status).sort()).toEqual([201, 201, 409, 409, 409, 409]);
    for (const reply of replies.filter((r) => r.status === 409)) refused(reply, 409, 'out_of_stock');
    const left = await Promise.all(buyers.map(balance));
    expect(left.reduce((a, b) => a + b)).toBe(6 * 20000 - 2 * 10050);
  });
});

describe('reading', () => {
  let buyer: Buyer;
  const ids: string[] = [];
  beforeAll(async () => {
    buyer = await world.buyer();
    for (let i = 0; i < 7; i++) ids.push((await world.buys(buyer, [line(i % 2 ? 'month' : 'odd')], i > 2)).order_id);
    ids.reverse();
  });

  it('an order that did not change costs nothing', async () => {
    const at = `/api/v1/orders/${ids[6]}`;
    const reply = await buyer.client.send('GET', at);
    const etag = reply.headers.get('etag')!;
    expect(etag).toBe(`"v${reply.json.version}"`);
    for (const tag of [etag, '*', `"v99", ${etag}`, `W/${etag}`]) {
      const same = await buyer.client.send('GET', at, undefined, { headers: { 'if-none-match': tag } });
      expect(`${same.status} ${same.text} ${same.headers.get('etag')}`, tag).toBe(`304  ${etag}`);
    }
    expect((await buyer.client.send('GET', at, undefined, { headers: { 'if-none-match': '"v0"' } })).status).toBe(200);
    await buyer.client.post(`${at}/cancel`, {});
    const later = await buyer.client.send('GET', at, undefined, { headers: { 'if-none-match': etag } });
    expect(later.status).toBe(200);
    expect(later.json.version).toBeGreaterThan(reply.json.version);
  });
  it('a link of a child shows the whole', async () => {
    const order = await buyer.client.get(`/api/v1/orders/${ids[0]}`);
    expect((await buyer.client.get(`/api/v1/orders/${order.children[0].order_id}`)).order_id).toBe(ids[0]);
  });
  for (const limit of [1, 3, 7, 200])
    it(`pages of ${limit} hold every order once, newest first`, async () => {
      const seen: string[] = [];
      let cursor = '';
      do {
        const page = await buyer.client.get(`/api/v1/orders?limit=${limit}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
        expect(page.data.length).toBeLessThanOrEqual(limit);
        seen.push(...page.data.map((o: any) => o.order_id));
        cursor = page.next_cursor ?? '';
      } while (cursor);
      expect(seen).toEqual(ids);
    });
  it('filters by state, number and time', async () => {
    expect((await buyer.client.get('/api/v1/orders?state=pending_payment')).data.map((o: any) => o.order_id)).toEqual(ids.slice(4, 6));
    const { order_no: no } = await buyer.client.get(`/api/v1/orders/${ids[2]}`);
    expect((await buyer.client.get(`/api/v1/orders?q=${no}`)).data.map((o: any) => o.order_id)).toEqual([ids[2]]);
    expect((await buyer.client.get('/api/v1/orders?created_gte=2099-01-01T00:00:00Z')).data).toEqual([]);
  });
  for (const path of ['/orders', '/services', '/transactions', '/evidence/events', `/orders/{}/timeline`]) {
    const at = () => `/api/v1${path.replace('{}', ids[0]!)}`;
    it(`${path} knows its bounds`, async () => {
      for (const limit of ['0', '201', '-1']) refused(await buyer.client.send('GET', `${at()}?limit=${limit}`), 422, 'validation_failed', '/query/limit', 'out_of_range');
      for (const limit of ['x', '1.5', '']) refused(await buyer.client.send('GET', `${at()}?limit=${limit}`), 422, 'validation_failed', '/query/limit', 'wrong_type');
      refused(await buyer.client.send('GET', `${at()}?cursor=AAAA`), 422, 'validation_failed', '/query/cursor', 'bad_format');
      refused(await buyer.client.send('GET', `${at()}?wat=1`), 422, 'validation_failed', '/query/wat', 'unknown_field');
      expect((await buyer.client.send('GET', `${at()}?limit=200`)).status).toBe(200);
    });
  }
  it('refuses a cursor of another list', async () => {
    const { next_cursor: cursor } = await buyer.client.get('/api/v1/orders?limit=1');
    for (const path of ['/orders?state=accepting', '/transactions?limit=1', '/services?limit=1', '/evidence/events?limit=1'])
      refused(await buyer.client.send('GET', `/api/v1${path}&cursor=${encodeURIComponent(cursor)}`), 422, 'validation_failed', '/query/cursor', 'bad_format');
  });
  it('refuses filters that are none', async () => {
    for (const [query, pointer] of [['orders?state=x', 'state'], ['orders?created_gte=x', 'created_gte'], ['services?state=x', 'state'], ['evidence/events?type=x', 'type'], ['evidence/events?object=x', 'object']])
      refused(await buyer.client.send('GET', `/api/v1/${query}`), 422, 'validation_failed', `/query/${pointer}`);
    refused(await buyer.client.send('GET', `/api/v1/orders?q=${'x'.repeat(101)}`), 422, 'validation_failed', '/query/q', 'too_long');
  });
  it('the balance adds up line by line', async () => {
    const { data } = await buyer.client.get('/api/v1/transactions?limit=200');
    let after = await balance(buyer);
    for (const tx of data) {
      expect(tx.balance_after_fen).toBe(after);
      after -= tx.amount_fen;
    }
    expect(after).toBe(0);
    const { frozen_fen: frozen } = await buyer.client.get('/api/v1/balance');
    const orders = (await buyer.client.get('/api/v1/orders')).data;
    expect(frozen).toBe(orders.reduce((sum: number, o: any) => sum + o.paid_fen - o.refunded_fen, 0));
  });
});

describe('the operator', () => {
  it('sees all orders and deliveries, and none that is not there', async () => {
    const page = await world.operator.get('/api/v1/admin/orders?limit=200');
    expect(page.data.length).toBe(Number(world.sql('SELECT COUNT(*) FROM order_head WHERE kind = 1')));
    const delivered = await world.operator.get('/api/v1/admin/deliveries?state=delivered&limit=1');
    expect(delivered.data[0].state).toBe('delivered');
    refused(await world.operator.send('POST', `/api/v1/admin/deliveries/${delivered.data[0].delivery_id}/retry`), 409, 'illegal_transition');
    refused(await world.operator.send('POST', '/api/v1/admin/deliveries/dlv_0000000000001/retry'), 404, 'not_found');
    refused(await world.operator.send('GET', '/api/v1/admin/deliveries?state=x'), 422, 'validation_failed', '/query/state', 'not_in_list');
    refused(await world.operator.send('GET', '/api/v1/admin/orders?state=x'), 422, 'validation_failed', '/query/state', 'not_in_list');
  });
  it('sends again at once what waits for a retry', async () => {
    const buyer = await world.buyer();
    const { onOrder } = world.side;
    world.side.onOrder = () => ({ status: 503, body: {} });
    const order = await world.buys(buyer, [line('month')]);
    const waiting = await until(async () => {
      const page = await world.operator.get('/api/v1/admin/deliveries?state=retry_wait');
      return page.data.find((d: any) => d.order_id === order.children[0].order_id);
    }, 'the failed delivery');
    expect(waiting).toMatchObject({ state: 'retry_wait', attempts: 1, last_error: 'HTTP 503' });
    expect((await buyer.client.get(`/api/v1/orders/${order.order_id}`)).children[0].sync).toMatchObject({ state: 'retrying', attempts: 1, last_error: 'HTTP 503' });
    world.side.onOrder = onOrder;
    await world.operator.post(`/api/v1/admin/deliveries/${waiting.delivery_id}/retry`);
    await world.reaches(buyer, order.order_id, 'provisioning');
    expect(world.side.orders(order.children[0].order_id)).toHaveLength(2);
  });
});
