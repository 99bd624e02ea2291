// SPDX-License-Identifier: Apache-2.0
// What a scheduling platform tells: products (R5) with every violation named, stock and prices, batches, fulfilment (R17).
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Buyer, type Provider, World, newKey, product, refused, sku, until } from './world.js';

const world = new World();
let one: Provider;
let other: Provider;
let buyer: Buyer;
beforeAll(async () => {
  await world.start();
  [one, other] = [await world.provider(), await world.provider()];
  buyer = await world.buyer();
});
afterAll(() => world.close());

let count = 0;
const fresh = () => `vm-${++count}`;
const put = (id: string, over: object = {}, who = one) => who.machine.send('PUT', `/if2/v1/products/${id}`, product(over));
const shown = (id: string) => world.client().get(`/api/v1/catalog/products/${id}`);
const vm = (over: object[] = []) => [{ code: 'vcpus', value: '8', unit: 'core' }, { code: 'memory', value: '32', unit: 'GiB' }, ...over];

describe('a product report', () => {
  it('creates, then changes, and is safe to repeat', async () => {
    const id = fresh();
    const first = await put(id);
    expect(first.status).toBe(201);
    expect(first.json).toMatchObject({ state: 'listed', provider_version: 1, violations: [] });
    expect(first.headers.get('etag')).toBe(`"v${first.json.version}"`);
    const again = await put(id);
    expect([again.status, again.json]).toEqual([200, first.json]);
    expect((await shown(first.json.product_id)).version).toBe(1);
    const later = await put(id, { provider_version: 5, name: 'Renamed' });
    expect(later.json).toMatchObject({ product_id: first.json.product_id, sku_ids: first.json.sku_ids, provider_version: 5 });
    expect(await shown(first.json.product_id)).toMatchObject({ name: 'Renamed', version: 2 });
  });
  it('that is older, or the same with other content, is refused', async () => {
    const id = fresh();
    await put(id, { provider_version: 3 });
    refused(await put(id, { provider_version: 2 }), 409, 'version_stale');
    refused(await put(id, { provider_version: 3, name: 'Other' }), 409, 'version_stale');
    expect((await put(id, { provider_version: 3 })).status).toBe(200);
  });
  it('with a new number and the same content makes no new version', async () => {
    const id = fresh();
    const { json } = await put(id);
    expect((await put(id, { provider_version: 2 })).json.provider_version).toBe(2);
    expect((await shown(json.product_id)).version).toBe(1);
  });
  it('that takes a SKU away ends its sale, and brings it back', async () => {
    const id = fresh();
    const { json } = await put(id, { skus: [sku('a'), sku('b')] });
    const b = json.sku_ids.find((s: any) => s.external_sku_id === 'b').sku_id;
    const buy = () => world.client().send('POST', '/api/v1/quotes', { lines: [{ sku_id: b, quantity: 1 }] });
    expect((await buy()).status).toBe(201);
    await put(id, { provider_version: 2, skus: [sku('a')] });
    refused(await buy(), 409, 'sku_not_listed');
    const back = await put(id, { provider_version: 3, skus: [sku('a'), sku('b')] });
    expect(back.json.sku_ids.find((s: any) => s.external_sku_id === 'b').sku_id).toBe(b);
    expect((await buy()).status).toBe(201);
  });
  it('after a price patch counts again', async () => {
    const id = fresh();
    const { json } = await put(id);
    await one.machine.ok('PATCH', `/if2/v1/products/${id}/skus/m1/price`, { unit_price: '7', provider_version: 2 });
    expect((await shown(json.product_id)).skus[0].unit_price).toBe('7');
    await put(id, { provider_version: 3 });
    expect((await shown(json.product_id)).skus[0].unit_price).toBe('100.5');
  });

  const VIOLATIONS: [string, object, string, string, string][] = [
    ['an unknown category', { category_code: 'iaas.nonsense' }, 'unknown_category', '/category_code', 'not_in_list'],
    ['an unknown version of the norm', { norm_version: 99 }, 'unknown_category', '/category_code', 'not_in_list'],
    ['a spec missing', { specs: vm().slice(0, 1) }, 'norm_violation', '/specs', 'missing_spec'],
    ['a spec the norm does not know', { specs: vm([{ code: 'colour', value: 'red' }]) }, 'norm_violation', '/specs/2/code', 'unknown_spec'],
    ['a spec twice', { specs: vm([{ code: 'vcpus', value: '8', unit: 'core' }]) }, 'norm_violation', '/specs/2/code', 'duplicate_spec'],
    ['a wrong unit', { specs: [{ code: 'vcpus', value: '8', unit: 'GiB' }, vm()[1]] }, 'norm_violation', '/specs/0/unit', 'wrong_unit'],
    ['no unit', { specs: [{ code: 'vcpus', value: '8' }, vm()[1]] }, 'norm_violation', '/specs/0/unit', 'wrong_unit'],
    ['a number too small', { specs: [{ code: 'vcpus', value: '0.09', unit: 'core' }, vm()[1]] }, 'norm_violation', '/specs/0/value', 'out_of_range'],
    ['a number too large', { specs: [{ code: 'vcpus', value: '2048.000001', unit: 'core' }, vm()[1]] }, 'norm_violation', '/specs/0/value', 'out_of_range'],
    ['a text for a number', { specs: [{ code: 'vcpus', value: 'eight', unit: 'core' }, vm()[1]] }, 'norm_violation', '/specs/0/value', 'wrong_type'],
    ['a value not listed', { specs: vm([{ code: 'arch', value: 'sparc' }]) }, 'norm_violation', '/specs/2/value', 'not_in_list'],
    ['fewer than none to buy', { skus: [sku('a', { min_qty: 5, max_qty: 4 })] }, 'validation_failed', '/skus/0/max_qty', 'out_of_range'],
    ['more available than there is', { skus: [sku('a', { inventory: { available: 2, total: 1, as_of: '2026-01-01T00:00:00Z' } })] }, 'validation_failed', '/skus/0/inventory/available', 'out_of_range'],
    ['a reserved SKU without term', { skus: [sku('a', { term: undefined })] }, 'validation_failed', '/skus/0/term', 'required'],
    ['a term that is none', { skus: [sku('a', { term: 'P1D' })] }, 'validation_failed', '/skus/0/term', 'bad_format'],
    ['a term of no months', { skus: [sku('a', { term: 'P0M' })] }, 'validation_failed', '/skus/0/term', 'bad_format'],
    ['an unknown region', { skus: [sku('a', { region_code: 'nowhere' })] }, 'validation_failed', '/skus/0/region_code', 'not_in_list'],
    ['a SKU twice', { skus: [sku('a'), sku('b'), sku('a')] }, 'validation_failed', '/skus/2/external_sku_id', 'duplicate_line'],
  ];
  for (const [what, over, code, pointer, fieldCode] of VIOLATIONS)
    it(`with ${what} is refused and kept nowhere`, async () => {
      const id = fresh();
      refused(await put(id, over), 422, code, pointer, fieldCode);
      refused(await one.machine.send('POST', `/if2/v1/products/${id}/delist`), 404, 'not_found');
      expect(world.sql(`SELECT COUNT(*) FROM catalog_product WHERE external_id = '${id}'`)).toBe('0');
    });
  it('has all its violations told at once', async () => {
    const reply = await put(fresh(), { specs: [{ code: 'vcpus', value: 'x', unit: 'core' }, { code: 'colour', value: 'red' }] });
    refused(reply, 422, 'norm_violation');
    expect(reply.json.errors.map((e: any) => e.code).sort()).toEqual(['missing_spec', 'unknown_spec', 'wrong_type']);
  });
  it('has a name that can be one', async () => {
    refused(await put('x'.repeat(65)), 422, 'validation_failed', '/external_product_id', 'too_long');
    expect((await put('x'.repeat(64))).status).toBe(201);
    expect((await put(encodeURIComponent('机/器'))).status).toBe(201);
    refused(await one.machine.send('POST', `/if2/v1/products/${encodeURIComponent('机/器')}x/delist`), 404, 'not_found');
    expect((await one.machine.post(`/if2/v1/products/${encodeURIComponent('机/器')}/delist`)).state).toBe('delisted');
  });
});

describe('a store whose listings are reviewed', () => {
  const review = (id: string, decision: string) => world.operator.send('POST', `/api/v1/admin/products/${id}/review`, { decision, reason: 'r' });
  it('sells what the operator approved, version by version', async () => {
    const who = await world.provider();
    world.write('UPDATE store_head SET auto_listing = 0 WHERE id = (SELECT MAX(id) FROM store_head)');
    const first = await put('v', {}, who);
    expect(first.json).toMatchObject({ state: 'reviewing', sku_ids: [] });
    const id = first.json.product_id;
    refused(await world.client().send('GET', `/api/v1/catalog/products/${id}`), 404, 'not_found');
    const { data } = await world.operator.get('/api/v1/admin/products');
    expect(data.map((p: any) => p.product_id)).toContain(id);
    expect((await review(id, 'reject')).json.state).toBe('rejected');
    expect((await put('v', { provider_version: 2, name: 'Better' }, who)).json.state).toBe('reviewing');
    expect((await review(id, 'approve')).json).toMatchObject({ state: 'listed', listed_version: 2, latest_version: 2 });
    refused(await review(id, 'approve'), 409, 'illegal_transition');
    await put('v', { provider_version: 3, name: 'Best' }, who);
    expect((await shown(id)).name).toBe('Better');
    expect((await review(id, 'approve')).status).toBe(200);
    expect((await shown(id)).name).toBe('Best');
    refused(await review('prd_0000000000001', 'approve'), 404, 'not_found');
  });
});

describe('delisting', () => {
  it('ends the sale, repeats well, and a new report lists again', async () => {
    const id = fresh();
    const { json } = await put(id);
    const delist = () => one.machine.send('POST', `/if2/v1/products/${id}/delist`);
    expect((await delist()).json.state).toBe('delisted');
    expect((await delist()).json.state).toBe('delisted');
    refused(await world.client().send('POST', '/api/v1/quotes', { lines: [{ sku_id: json.sku_ids[0].sku_id, quantity: 1 }] }), 409, 'sku_not_listed');
    expect((await put(id, { provider_version: 2 })).json.state).toBe('listed');
  });
});

describe('stock', () => {
  it('is taken by its time', async () => {
    const id = fresh();
    const { json } = await put(id);
    const patch = (body: object, ext = 'm1') => one.machine.send('PATCH', `/if2/v1/products/${id}/skus/${ext}/inventory`, body);
    const at = (ms: number) => new Date(Date.parse('2026-02-01T00:00:00Z') + ms).toISOString();
    expect((await patch({ available: 5, total: 10, as_of: at(0) })).json).toEqual({ available: 5, total: 10, as_of: at(0) });
    expect((await shown(json.product_id)).skus[0]).toMatchObject({ stock_available: 5, stock_total: 10 });
    expect((await patch({ available: 5, total: 10, as_of: at(0) })).status).toBe(200);
    refused(await patch({ available: 6, total: 10, as_of: at(0) }), 409, 'version_stale');
    refused(await patch({ available: 6, total: 10, as_of: at(-1) }), 409, 'version_stale');
    refused(await patch({ available: 11, total: 10, as_of: at(1) }), 422, 'validation_failed', '/available', 'out_of_range');
    refused(await patch({ available: 1, total: 1, as_of: at(1) }, 'none'), 404, 'not_found');
    expect((await shown(json.product_id)).skus[0].stock_available).toBe(5);
  });
});

describe('a price', () => {
  it('is taken by its version', async () => {
    const id = fresh();
    const { json } = await put(id, { provider_version: 4 });
    const patch = (body: object) => one.machine.send('PATCH', `/if2/v1/products/${id}/skus/m1/price`, body);
    refused(await patch({ unit_price: '9', provider_version: 4 }), 409, 'version_stale');
    refused(await patch({ unit_price: '9', provider_version: 3 }), 409, 'version_stale');
    expect((await patch({ unit_price: '9.99', provider_version: 5 })).json).toMatchObject({ unit_price: '9.99', provider_version: 5 });
    expect((await patch({ unit_price: '9.99', provider_version: 5 })).status).toBe(200);
    expect((await shown(json.product_id)).skus[0].unit_price).toBe('9.99');
    expect((await world.client().post('/api/v1/quotes', { lines: [{ sku_id: json.sku_ids[0].sku_id, quantity: 1 }] })).payable_fen).toBe(999);
  });
});

describe('a batch', () => {
  it('takes what is right and says what is not, row by row', async () => {
    const products = [
      { external_product_id: fresh(), ...product() }, { external_product_id: fresh(), ...product({ specs: [] }) }, { ...product() },
      { external_product_id: fresh(), ...product({ category_code: 'x' }) }, { external_product_id: fresh(), ...product() }, 7,
    ];
    const key = newKey();
    const send = () => one.machine.send('POST', '/if2/v1/product-batches', undefined, { key, raw: JSON.stringify({ products }) });
    const reply = await send();
    expect(reply.status).toBe(202);
    const at = reply.headers.get('location')!;
    expect(at).toBe(`/if2/v1/operations/${reply.json.operation_id}`);
    expect((await send()).text).toBe(reply.text);
    const done = await until(async () => {
      const now = await one.machine.get(at);
      return now.state === 'succeeded' && now;
    }, 'the batch');
    expect(done.progress).toEqual({ done: 6, total: 6 });
    expect(done.result.accepted).toBe(2);
    expect(done.result.rejected.map((r: any) => [r.index, r.code])).toEqual([[1, 'norm_violation'], [2, 'validation_failed'], [3, 'unknown_category'], [5, 'validation_failed']]);
    expect(done.result.rejected[1].pointer).toBe('/external_product_id');
  });
  it('holds 1 to 500 products', async () => {
    const send = (products: any) => one.machine.send('POST', '/if2/v1/product-batches', { products });
    refused(await send([]), 422, 'validation_failed', '/products', 'out_of_range');
    refused(await send(Array(501).fill({})), 422, 'validation_failed', '/products', 'out_of_range');
    refused(await send({}), 422, 'validation_failed', '/products', 'wrong_type');
    refused(await send('x'), 422, 'validation_failed', '/products', 'wrong_type');
    refused(await one.machine.send('GET', '/if2/v1/operations/opn_0000000000001'), 404, 'not_found');
  });
});

describe('a fulfilment report', () => {
  /** An order of two items that the provider knows. */
  async function order() {
    const listed = await world.lists(one, fresh(), { skus: [sku('a'), sku('b')] });
    const made = await world.buys(buyer, [{ sku_id: listed.skus.a!, quantity: 2 }, { sku_id: listed.skus.b!, quantity: 1 }]);
    const whole = await world.reaches(buyer, made.order_id, 'provisioning');
    const child = whole.children[0];
    const [a, b] = child.items;
    const item = (of: any, state: string, more: object = {}) => ({ item_id: of.item_id, instance_id: of.instance_id, state, ...more });
    return { id: whole.order_id as string, child, a, b, item };
  }
  const state = async (id: string) => (await buyer.client.get(`/api/v1/orders/${id}`)).children[0].items.map((i: any) => i.state);

  it('moves the items, the child and the parent, and tells units one by one', async () => {
    const { id, child, a, b, item } = await order();
    const first = await world.report(one, child, 1, [item(a, 'provisioning', { units: [{ external_unit_id: 'u1', state: 'up' }] }), item(b, 'active', { tool_url: 'http://t/b' })]);
    expect(first.json).toMatchObject({ order_id: child.order_id, state: 'provisioning' });
    expect(await state(id)).toEqual(['provisioning', 'active']);
    const units = [{ external_unit_id: 'u1', state: 'up', tool_url: 'http://t/1' }, { external_unit_id: 'u2', state: 'up' }];
    const times = { started_at: '2026-03-01T00:00:00.000Z', expires_at: '2026-04-01T00:00:00.000Z' };
    const second = await world.report(one, child, 2, [item(a, 'active', { units, external_instance_id: 'x', ...times })]);
    expect(second.json.state).toBe('completed');
    expect(second.headers.get('etag')).toBe(`"v${second.json.version}"`);
    const service = await buyer.client.get(`/api/v1/services/${a.instance_id}`);
    expect(service).toMatchObject({ state: 'active', quantity: 2, ...times });
    expect(service.units.map((u: any) => u.external_unit_id)).toEqual(['u1', 'u2']);
    expect(await one.machine.get(`/if2/v1/orders/${child.order_id}`)).toMatchObject({ state: 'completed', provider_sequence: 2, version: second.json.version });
    expect((await buyer.client.get('/api/v1/services?state=active')).data.map((s: any) => s.instance_id)).toContain(a.instance_id);
  });
  it('of a failure refunds that item', async () => {
    const { id, child, a, b, item } = await order();
    const before = (await buyer.client.get('/api/v1/balance')).balance_fen;
    await world.report(one, child, 1, [item(a, 'active'), item(b, 'failed', { error: { code: 'no_host', message: 'none left' } })]);
    const now = await buyer.client.get(`/api/v1/orders/${id}`);
    expect(now.children[0].items[1]).toMatchObject({ state: 'failed', error: 'no_host: none left', refund: { amount_fen: b.payable_fen, state: 'succeeded' } });
    expect((await buyer.client.get('/api/v1/balance')).balance_fen).toBe(before + b.payable_fen);
  });
  it('again gets the same answer; another under its number is refused', async () => {
    const { id, child, a, item } = await order();
    const one1 = await world.report(one, child, 1, [item(a, 'active')]);
    const again = await world.report(one, child, 1, [item(a, 'active')]);
    expect([again.status, again.json]).toEqual([200, one1.json]);
    refused(await world.report(one, child, 1, [item(a, 'failed')]), 409, 'sequence_conflict');
    refused(await world.report(one, child, 1, [item(a, 'active')], { report_id: 'another' }), 409, 'sequence_conflict');
    const gap = await world.report(one, child, 3, [item(a, 'active')]);
    refused(gap, 409, 'sequence_gap');
    expect(gap.json.expected).toBe(2);
    expect(await state(id)).toEqual(['active', 'pending']);
  });
  it('that breaks a rule is refused whole', async () => {
    const { id, child, a, b, item } = await order();
    const foreign = await order();
    refused(await world.report(one, child, 1, [item(b, 'active'), item(foreign.a, 'active')]), 422, 'validation_failed', '/items/1/item_id', 'not_in_list');
    refused(await world.report(one, child, 1, [item({ item_id: a.item_id, instance_id: b.instance_id }, 'active')]), 422, 'validation_failed', '/items/0/item_id', 'not_in_list');
    expect(await state(id)).toEqual(['pending', 'pending']);
    await world.report(one, child, 1, [item(a, 'active')]);
    for (const to of ['active', 'provisioning', 'failed', 'cancelled']) refused(await world.report(one, child, 2, [item(b, 'active'), item(a, to)]), 409, 'illegal_transition');
    refused(await world.report(one, child, 2, [item(b, 'released')]), 409, 'illegal_transition');
    expect(await state(id)).toEqual(['active', 'pending']);
    expect((await world.report(one, child, 2, [item(b, 'active')])).json.state).toBe('completed');
  });
  it('is of a paid order of the own store', async () => {
    const { child, a, item } = await order();
    refused(await world.report(other, child, 1, [item(a, 'active')]), 404, 'order_unknown');
    refused(await other.machine.send('GET', `/if2/v1/orders/${child.order_id}`), 404, 'order_unknown');
    for (const id of ['ord_0000000000001', 'ord', 'itm_0000000000001']) {
      refused(await world.report(one, { order_id: id }, 1, []), 404, 'order_unknown');
      refused(await one.machine.send('GET', `/if2/v1/orders/${id}`), 404, 'order_unknown');
    }
    const listed = await world.lists(one, fresh());
    const unpaid = await world.buys(buyer, [{ sku_id: listed.skus.m1!, quantity: 1 }], false);
    const waiting = unpaid.children[0];
    refused(await world.report(one, waiting, 1, [item(waiting.items[0], 'active')]), 409, 'illegal_transition');
    refused(await world.report(one, unpaid, 1, []), 404, 'order_unknown');
  });
  it('frees stock only as far as a later report does not contain it', async () => {
    const id = fresh();
    const listed = await world.lists(one, id);
    const left = async () => (await shown(listed.product)).skus[0].stock_available;
    const made = await world.buys(buyer, [{ sku_id: listed.skus.m1!, quantity: 10 }]);
    await world.reaches(buyer, made.order_id, 'provisioning');
    expect(await left()).toBe(990);
    const inventory = (available: number, as_of: Date) =>
      one.machine.ok('PATCH', `/if2/v1/products/${id}/skus/m1/inventory`, { available, total: 1000, as_of: as_of.toISOString() });
    await inventory(1000, new Date('2026-01-02T00:00:00Z'));
    expect(await left(), 'from before the order').toBe(990);
    await inventory(990, new Date(Date.now() + 1000));
    expect(await left(), 'contains the order').toBe(990);
  });
});
