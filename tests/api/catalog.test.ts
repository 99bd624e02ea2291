// SPDX-License-Identifier: Apache-2.0
// The search against brute force: every filter, its facets, sorting and paging, over products that differ in all that can be asked.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client, type Provider, World, refused, sku, until } from './world.js';

const world = new World();
const anybody = () => world.client();
let sellers: Provider[];
/** What was reported, as the search should see it. */
interface Row {
  id: string;
  name: string;
  category: string;
  class: string;
  store: string;
  region: string;
  modes: string[];
  accelerator: string;
  cards: number;
  vcpus: number;
  memory: number;
  hour: number;
  stock: number;
  lead: number;
}
const rows: Row[] = [];
const REGIONS = ['640500', 'CN-GUIAN', '440200'];
const MODELS = ['NVIDIA A100', 'Huawei Ascend 910B'];

async function report(seller: Provider, n: number) {
  const cards = n % 3 === 0 ? 1 + (n % 4) : 0;
  const vcpus = [0.5, 2, 4, 8, 16, 64][n % 6]!;
  const memory = [1.5, 8, 16, 32, 256][n % 5]!;
  const region = REGIONS[n % 3]!;
  const stock = n % 7 === 0 ? 0 : n * 3;
  const inventory = { available: stock, total: 1000, as_of: '2026-01-01T00:00:00.000Z' };
  const price = 0.1 + ((n * 37) % 23);
  const month = sku('m1', { unit_price: (price * 730).toFixed(2), region_code: region, lead_h: n % 5, inventory });
  const hour = sku('od', { charge_mode: 'on_demand', unit_price: (price * 1.5).toFixed(4), price_unit: 'hour', term: undefined, region_code: region, lead_h: n % 4, inventory });
  const name = `${n % 2 ? '高性能' : 'Standard'} ${cards ? '智算卡' : '云主机'} ${String.fromCharCode(97 + ((n * 7) % 26))}${n}`;
  const specs = [{ code: 'vcpus', value: String(vcpus), unit: 'core' }, { code: 'memory', value: String(memory), unit: 'GiB' }];
  if (cards) specs.push({ code: 'accelerator_model', value: MODELS[n % 2]!, unit: '' }, { code: 'accelerator_count', value: String(cards), unit: 'card' });
  const category = cards ? 'iaas.compute.accelerator' : 'iaas.compute.vm';
  const skus = n % 4 === 1 ? [month, hour] : n % 4 === 2 ? [hour] : [month];
  const listed = await world.lists(seller, `p${n}`, { name, category_code: category, specs, skus });
  rows.push({
    id: listed.product, name, category, class: 'iaas', store: seller.store.store_id, region, modes: skus.map((s) => s.charge_mode),
    accelerator: cards ? MODELS[n % 2]! : '', cards, vcpus, memory, stock,
    hour: Math.min(...skus.map((s) => Number(s.unit_price) / (s.price_unit === 'hour' ? 1 : 730))), lead: Math.min(...skus.map((s) => s.lead_h)),
  });
}

beforeAll(async () => {
  await world.start();
  sellers = [await world.provider(), await world.provider()];
  for (let n = 1; n <= 60; n++) await report(sellers[n % 2]!, n);
  await until(async () => (await anybody().get('/api/v1/catalog/products?limit=1')).total === 60, 'all in the index');
});
afterAll(() => world.close());

async function pages(query: string, limit = 7) {
  const found: any[] = [];
  let cursor = '';
  let first: any;
  do {
    const page = await anybody().get(`/api/v1/catalog/products?limit=${limit}${query && '&' + query}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    first ??= page;
    expect(page.data.length).toBeLessThanOrEqual(limit);
    expect(page.total).toBe(first.total);
    found.push(...page.data);
    cursor = page.next_cursor ?? '';
  } while (cursor);
  return { found, first };
}

type Test = (row: Row) => boolean;
const FACETS: Record<string, (row: Row) => string[]> = {
  category: (r) => [r.category], class: (r) => [r.class], store: (r) => [r.store], region: (r) => [r.region],
  accelerator: (r) => (r.accelerator ? [r.accelerator] : []), charge_mode: (r) => r.modes,
};
/** The facets that are asked for, and everything else. */
interface Asked {
  facets?: Record<string, string[]>;
  rest?: Test;
  query?: string;
}

async function compare({ facets = {}, rest = () => true, query = '' }: Asked) {
  const all = [...Object.entries(facets).map(([f, v]) => `${f}=${v.map(encodeURIComponent).join(',')}`), query].filter(Boolean).join('&');
  const { found, first } = await pages(all);
  const fits = (row: Row, but?: string) => rest(row) && Object.entries(facets).every(([f, v]) => f === but || FACETS[f]!(row).some((x) => v.includes(x)));
  const expected = rows.filter((r) => fits(r));
  expect(found.map((p) => p.product_id).sort(), all).toEqual(expected.map((r) => r.id).sort());
  expect(first.total).toBe(expected.length);
  for (const [facet, values] of Object.entries(FACETS)) {
    const counts: Record<string, number> = {};
    for (const row of rows.filter((r) => fits(r, facet))) for (const value of values(row)) counts[value] = (counts[value] ?? 0) + 1;
    const told = Object.fromEntries(first.facets[facet].filter((v: any) => v.count > 0).map((v: any) => [v.value, v.count]));
    expect(told, `${all}: facet ${facet}`).toEqual(counts);
  }
}

describe('a filter', () => {
  it('of nothing finds all', () => compare({}));
  it('of a category', () => compare({ facets: { category: ['iaas.compute.accelerator'] } }));
  it('of a class', () => compare({ facets: { class: ['iaas'] } }));
  it('of stores', async () => {
    await compare({ facets: { store: [sellers[0]!.store.store_id] } });
    await compare({ facets: { store: sellers.map((s) => s.store.store_id) } });
  });
  it('of regions', () => compare({ facets: { region: ['640500', '440200'] } }));
  it('of accelerators', () => compare({ facets: { accelerator: ['NVIDIA A100'] } }));
  it('of charge modes', async () => {
    await compare({ facets: { charge_mode: ['on_demand'] } });
    await compare({ facets: { charge_mode: ['on_demand', 'reserved'] } });
  });
  it('of what nobody has', () => compare({ facets: { region: ['nowhere'], accelerator: ['NVIDIA A100'] } }));
  it('of vCPUs', async () => {
    await compare({ query: 'vcpus_min=2&vcpus_max=16', rest: (r) => r.vcpus >= 2 && r.vcpus <= 16 });
    await compare({ query: 'vcpus_min=0.5&vcpus_max=0.5', rest: (r) => r.vcpus === 0.5 });
  });
  it('of memory', () => compare({ query: 'memory_min=1.5&memory_max=16', rest: (r) => r.memory >= 1.5 && r.memory <= 16 }));
  it('of the number of cards', () => compare({ query: 'accelerator_count_min=2', rest: (r) => r.cards >= 2 }));
  it('of the price', () => compare({ query: 'price_max=7.5', rest: (r) => r.hour <= 7.5 }));
  it('of what is in stock', () => compare({ query: 'in_stock=true', rest: (r) => r.stock > 0 }));
  it('of words, Chinese and Latin', async () => {
    await compare({ query: `q=${encodeURIComponent('智算')}`, rest: (r) => r.name.includes('智算') });
    await compare({ query: 'q=standard', rest: (r) => r.name.includes('Standard') });
    await compare({ query: 'q=STAND', rest: (r) => r.name.includes('Standard') });
    await compare({ query: `q=${encodeURIComponent('高性能 云主机')}`, rest: (r) => r.name.includes('高性能') && r.name.includes('云主机') });
    await compare({ query: 'q=nothinglikethis', rest: () => false });
  });
  it('of many things at once', () =>
    compare({
      facets: { category: ['iaas.compute.vm', 'iaas.compute.accelerator'], region: ['640500', 'CN-GUIAN'], charge_mode: ['reserved'], store: [sellers[1]!.store.store_id] },
      query: 'vcpus_min=2&in_stock=true&price_max=20', rest: (r) => r.vcpus >= 2 && r.stock > 0 && r.hour <= 20,
    }));
  for (const [query, pointer, code] of [
    ['vcpus_min=x', '/query/vcpus_min', 'bad_format'], ['memory_max=-1', '/query/memory_max', 'bad_format'], ['price_max=1e9', '/query/price_max', 'bad_format'],
    ['accelerator_count_min=1.5', '/query/accelerator_count_min', 'wrong_type'], ['accelerator_count_min=-1', '/query/accelerator_count_min', 'out_of_range'],
    ['sort=best', '/query/sort', 'not_in_list'], ['in_stock=yes', '/query/in_stock', 'not_in_list'], ['limit=0', '/query/limit', 'out_of_range'],
    ['limit=51', '/query/limit', 'out_of_range'], ['limit=x', '/query/limit', 'wrong_type'], ['colour=red', '/query/colour', 'unknown_field'],
    [`q=${'x'.repeat(101)}`, '/query/q', 'too_long'], ['cursor=nonsense', '/query/cursor', 'bad_format'],
  ] as const)
    it(`refuses ${query.slice(0, 30)}`, async () => {
      refused(await anybody().send('GET', `/api/v1/catalog/products?${query}`), 422, 'validation_failed', pointer, code);
    });
  it('stands once', async () => {
    refused(await anybody().send('GET', '/api/v1/catalog/products?q=a&q=b'), 400, 'duplicate_parameter');
    refused(await anybody().send('GET', '/api/v1/catalog/products?q=%ff'), 400, 'invalid_query');
  });
});

describe('sorting', () => {
  const ORDERS: Record<string, (p: any) => number> = {
    price: (p) => Number(p.price_hour), price_desc: (p) => -Number(p.price_hour), lead: (p) => p.lead_h, relevance: (p) => Number(p.price_hour),
  };
  for (const [sort, key] of Object.entries(ORDERS))
    it(`by ${sort} holds over all pages`, async () => {
      const { found } = await pages(`sort=${sort}`);
      expect(found).toHaveLength(60);
      expect(new Set(found.map((p) => p.product_id)).size).toBe(60);
      const keys = found.map(key);
      expect(keys).toEqual([...keys].sort((a, b) => a - b));
    });
  it('by name holds over all pages', async () => {
    const { found } = await pages('sort=name');
    expect(found).toHaveLength(60);
    const names = found.map((p) => Buffer.from(p.name));
    for (let i = 1; i < names.length; i++) expect(Buffer.compare(names[i - 1]!, names[i]!)).toBeLessThanOrEqual(0);
  });
  it('tells prices and lead times as reported', async () => {
    const { found } = await pages('');
    for (const p of found) {
      const row = rows.find((r) => r.id === p.product_id)!;
      expect(Math.abs(Number(p.price_hour) - row.hour)).toBeLessThan(1e-6);
      expect(p).toMatchObject({ name: row.name, lead_h: row.lead, stock_available: row.stock, region_code: row.region, category: row.category });
    }
  });
});

describe('a cursor', () => {
  it('belongs to its list, its filter and its order', async () => {
    const { next_cursor: cursor } = await anybody().get('/api/v1/catalog/products?sort=price&limit=5');
    const with_ = (query: string) => anybody().send('GET', `/api/v1/catalog/products?${query}&cursor=${encodeURIComponent(cursor)}`);
    expect((await with_('sort=price&limit=9')).status).toBe(200);
    for (const query of ['sort=price_desc', 'sort=price&in_stock=true', 'limit=5']) refused(await with_(query), 422, 'validation_failed', '/query/cursor', 'bad_format');
    const flipped = (cursor[3] === 'A' ? 'B' : 'A') + cursor.slice(1);
    refused(await anybody().send('GET', `/api/v1/catalog/products?sort=price&cursor=${flipped}`), 422, 'validation_failed', '/query/cursor', 'bad_format');
  });
});

describe('a closed door', () => {
  const seen = async (client: Client, id: string) => (await client.get(`/api/v1/catalog/products?store=${id}`)).total;
  it('hides a store and all its products, until it opens again', async () => {
    const seller = await world.provider();
    const listed = await world.lists(seller, 'hidden', { name: 'Hiddenthing' });
    const id = seller.store.store_id;
    await until(async () => (await seen(anybody(), id)) === 1, 'it in the index');
    await seller.client.post(`/api/v1/stores/${id}/pause`);
    await until(async () => (await seen(anybody(), id)) === 0, 'it out of the index');
    expect((await anybody().get('/api/v1/catalog/products?q=hiddenthing')).total).toBe(0);
    expect((await anybody().get('/api/v1/catalog/stores')).data.map((s: any) => s.store_id)).not.toContain(id);
    refused(await anybody().send('GET', `/api/v1/catalog/stores/${id}`), 404, 'not_found');
    refused(await anybody().send('POST', '/api/v1/quotes', { lines: [{ sku_id: listed.skus.m1, quantity: 1 }] }), 409, 'store_not_open');
    const page = await anybody().send('GET', `/api/v1/catalog/products/${listed.product}`);
    if (page.status === 200) expect(page.json.skus[0]).toMatchObject({ orderable: false, orderable_reason: 'store_not_open' });
    await seller.client.post(`/api/v1/stores/${id}/open`);
    await until(async () => (await seen(anybody(), id)) === 1, 'it back in the index');
    await seller.client.post(`/api/v1/stores/${id}/close`);
    await until(async () => (await seen(anybody(), id)) === 0, 'it gone');
    refused(await seller.machine.send('PUT', '/if2/v1/products/hidden', { ...(await import('./world.js')).product(), provider_version: 2 }), 403, 'store_not_open');
  });
});

describe('the dictionaries', () => {
  it('count products by category', async () => {
    const { data } = await anybody().get('/api/v1/catalog/categories');
    for (const category of data) expect(category.product_count, category.code).toBe(rows.filter((r) => r.category === category.code).length);
    expect(new Set(data.map((c: any) => c.class))).toEqual(new Set(['iaas', 'paas', 'saas']));
  });
  it('have a norm for each category, by version', async () => {
    const { data } = await anybody().get('/api/v1/catalog/categories');
    for (const { code } of data) {
      const norm = await anybody().get(`/api/v1/catalog/norms/${code}`);
      expect(norm.fields.length).toBeGreaterThan(0);
      expect(await anybody().get(`/api/v1/catalog/norms/${code}?version=1`)).toEqual(norm);
    }
    refused(await anybody().send('GET', '/api/v1/catalog/norms/iaas.compute.vm?version=99'), 404, 'not_found');
    refused(await anybody().send('GET', '/api/v1/catalog/norms/nonsense'), 404, 'not_found');
  });
  it('know the regions and the open stores', async () => {
    const regions = (await anybody().get('/api/v1/catalog/regions')).data.map((r: any) => r.region_code);
    for (const region of REGIONS) expect(regions).toContain(region);
    const { data } = await anybody().get('/api/v1/catalog/stores');
    for (const seller of sellers)
      expect(data.find((s: any) => s.store_id === seller.store.store_id).product_count).toBe(rows.filter((r) => r.store === seller.store.store_id).length);
    const one = await anybody().get(`/api/v1/catalog/stores/${sellers[0]!.store.store_id}`);
    expect(one).toMatchObject({ state: 'open', uscc: sellers[0]!.store.uscc });
    for (const secret of ['if2_base_url', 'contact_name', 'contact_phone']) expect(one).not.toHaveProperty(secret);
  });
});

describe('a product', () => {
  it('is shown whole, also in an older version', async () => {
    const seller = sellers[0]!;
    const one = await world.lists(seller, 'versions', { name: 'First name', description: 'one' });
    await world.lists(seller, 'versions', { name: 'Second name', description: 'two', provider_version: 2 });
    const now = await anybody().get(`/api/v1/catalog/products/${one.product}`);
    expect(now).toMatchObject({ name: 'Second name', description: 'two', version: 2, latest_version: 2, state: 'listed' });
    expect(now.skus[0]).toMatchObject({ charge_mode: 'reserved', unit_price: '100.5', price_unit: 'month', term: 'P1M', orderable: true, orderable_reason: null });
    const then = await anybody().get(`/api/v1/catalog/products/${one.product}?version=1`);
    expect(then).toMatchObject({ name: 'First name', description: 'one', version: 1, latest_version: 2 });
    refused(await anybody().send('GET', `/api/v1/catalog/products/${one.product}?version=3`), 404, 'not_found');
    refused(await anybody().send('GET', `/api/v1/catalog/products/${one.product}?version=0`), 422, 'validation_failed', '/query/version', 'out_of_range');
    for (const id of ['prd_0000000000001', 'prd', 'sku_0000000000001']) refused(await anybody().send('GET', `/api/v1/catalog/products/${id}`), 404, 'not_found');
    await seller.machine.post('/if2/v1/products/versions/delist');
  });
});
