// SPDX-License-Identifier: Apache-2.0
// Every route with a body, from the server's own tables: whatever does not fit is refused with the exact code and the field named, and
// changes nothing.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Buyer, type Client, type Field, PASSWORD, type Provider, type Route, World, exchange, identity, newKey, product, refused, routes } from './world.js';

const MIB = 1 << 20;
const world = new World();
let buyer: Buyer;
let provider: Provider;
let draft: any;
let unpaid: any;
let sku = '';

/** A body that would be accepted, who sends it, where. */
interface Sample {
  client: () => Client;
  path: () => string;
  body: () => any;
}
const SAMPLES: Record<string, Sample> = {
  'POST /api/v1/register': {
    client: () => world.client(), path: () => '/api/v1/register', body: () => ({ email: 'new@example.org', password: PASSWORD, name: 'N', consent_version: '1' }),
  },
  'POST /api/v1/login': { client: () => world.client(), path: () => '/api/v1/login', body: () => ({ email: buyer.email, password: PASSWORD }) },
  'PATCH /api/v1/me': { client: () => buyer.client, path: () => '/api/v1/me', body: () => ({ name: 'N', locale: 'zh' }) },
  'POST /api/v1/me/password': {
    client: () => buyer.client, path: () => '/api/v1/me/password', body: () => ({ current_password: PASSWORD, new_password: 'quite another one 3' }),
  },
  'POST /api/v1/orgs': { client: () => buyer.client, path: () => '/api/v1/orgs', body: () => ({ name: 'Org', kind: 'consumer' }) },
  'PUT /api/v1/orgs/{}/members': {
    client: () => provider.client, path: () => `/api/v1/orgs/${provider.org}/members`, body: () => ({ email: buyer.email, roles: ['viewer'] }),
  },
  'POST /api/v1/stores': { client: () => provider.client, path: () => '/api/v1/stores', body: () => ({ ...world.application(), contact_phone: '1' }) },
  'PATCH /api/v1/stores/{}': { client: () => provider.client, path: () => `/api/v1/stores/${draft.store_id}`, body: () => ({ ...world.application(), contact_phone: '1' }) },
  'POST /api/v1/quotes': { client: () => buyer.client, path: () => '/api/v1/quotes', body: () => ({ lines: [{ sku_id: sku, quantity: 1 }] }) },
  'POST /api/v1/admin/products/{}/review': {
    client: () => world.operator, path: () => '/api/v1/admin/products/prd_0000000000001/review', body: () => ({ decision: 'approve', reason: 'r' }),
  },
  'PUT /api/v1/cart/lines/{}': { client: () => buyer.client, path: () => `/api/v1/cart/lines/${sku}`, body: () => ({ quantity: 1 }) },
  'POST /api/v1/orders': {
    client: () => buyer.client, path: () => '/api/v1/orders',
    body: () => ({
      quote_id: null, lines: [{ sku_id: sku, quantity: 1, config: {} }], expected_payable_fen: 10050, pay_from_balance: true, from_cart: false,
      cost_centre: 'c', purchase_order_no: 'p', note: 'n',
    }),
  },
  'POST /api/v1/orders/{}/pay': { client: () => buyer.client, path: () => `/api/v1/orders/${unpaid.order_id}/pay`, body: () => ({ expected_payable_fen: 10050 }) },
  'POST /api/v1/orders/{}/cancel': {
    client: () => buyer.client, path: () => `/api/v1/orders/${unpaid.order_id}/cancel`, body: () => ({ item_ids: [], reason: 'r' }),
  },
  'POST /api/v1/admin/stores/{}/review': {
    client: () => world.operator, path: () => `/api/v1/admin/stores/${draft.store_id}/review`, body: () => ({ decision: 'reject', reasons: ['r'] }),
  },
  'POST /api/v1/admin/credits': {
    client: () => world.operator, path: () => '/api/v1/admin/credits', body: () => ({ org_id: buyer.org, amount_fen: 1, bank_reference: 'b', note: 'n' }),
  },
  'PUT /if2/v1/products/{}': {
    client: () => provider.machine, path: () => '/if2/v1/products/new',
    body: () => {
      const made = product({
        description: 'd', usage_guide: 'g', tool_url: 'u', delivery_mode: 'm', sla_bp: 1,
        source: { provider: 'p', region: 'r', instance_type: 'i', licence: 'l' },
      });
      Object.assign(made.skus[0], { setup_fen: 1, tax_code: '1' });
      return made;
    },
  },
  'PATCH /if2/v1/products/{}/skus/{}/inventory': {
    client: () => provider.machine, path: () => '/if2/v1/products/vm-1/skus/m1/inventory',
    body: () => ({ available: 1, total: 1, as_of: '2027-01-01T00:00:00.000Z' }),
  },
  'PATCH /if2/v1/products/{}/skus/{}/price': {
    client: () => provider.machine, path: () => '/if2/v1/products/vm-1/skus/m1/price', body: () => ({ unit_price: '7', provider_version: 2 }),
  },
  'POST /if2/v1/product-batches': { client: () => provider.machine, path: () => '/if2/v1/product-batches', body: () => ({ products: [product()] }) },
  'POST /if2/v1/orders/{}/fulfilments': {
    client: () => provider.machine, path: () => `/if2/v1/orders/${unpaid.children[0].order_id}/fulfilments`,
    body: () => ({
      report_id: 'r', provider_sequence: 1,
      items: [{
        item_id: unpaid.children[0].items[0].item_id, instance_id: unpaid.children[0].items[0].instance_id, state: 'active',
        external_instance_id: 'e', tool_url: 't', units: [{ external_unit_id: 'u', state: 's', tool_url: 't' }],
        started_at: '2026-01-01T00:00:00.000Z', expires_at: '2027-01-01T00:00:00.000Z', error: { code: 'c', message: 'm' },
      }],
      command_ack: { change_id: 'c', result: 'done' },
    }),
  },
};

interface Mutation {
  what: string;
  body: any;
  pointer: string;
  code: string;
}
type Path = (string | number)[];
const NAMES_FAR = Number.MAX_SAFE_INTEGER;

function put(body: any, path: Path, value: unknown): any {
  const copy = structuredClone(body);
  const last = path[path.length - 1]!;
  const at = path.slice(0, -1).reduce((node: any, key) => node[key], copy);
  if (value === undefined) delete at[last];
  else at[last] = value;
  return copy;
}
const get = (body: any, path: Path) => path.reduce((node: any, key) => node?.[key], body);

const WRONG: Record<string, unknown[]> = {
  string: [7, true, {}, []], enum: [1, {}], integer: ['1', 1.5, true, []], money: ['1', 0.5, {}], price: [1, {}], boolean: ['true', 1],
  'date-time': [1, {}], ref: [1, []], array: [{}, 'x'], strings: [{}, 'x'], object: [[], 'x'], json: [],
};
const LIKE: Record<string, unknown[]> = {
  enum: ['', 'no_such_value', 'Approve'], price: ['1e3', '1.', '-1', '+1', ' 1', '1.00000000001', ''], 'date-time': ['yesterday', '2026-02-30T00:00:00Z', ''],
  ref: ['', 'xxx_0000000000001', 'ord0000000000001'],
};

/** What does not fit one field. */
function* ofField(field: Field, body: any, path: Path): Generator<Mutation> {
  const pointer = '/' + path.join('/');
  const say = (what: string, value: unknown, code: string, at = pointer) => ({ what: `${pointer} ${what}`, body: put(body, path, value), pointer: at, code });
  if (field.required) {
    yield say('missing', undefined, 'required');
    if (field.type !== 'json') yield say('null', null, 'required');
  }
  for (const wrong of WRONG[field.type] ?? []) yield say(`as ${JSON.stringify(wrong)}`, wrong, 'wrong_type');
  for (const wrong of LIKE[field.type] ?? []) yield say(`as ${JSON.stringify(wrong)}`, wrong, field.type === 'enum' ? 'not_in_list' : 'bad_format');
  const bounded = field.min !== 0 || field.max !== 0;
  if (field.type === 'string' && bounded) {
    yield say('too long by one', 'x'.repeat(field.max + 1), 'too_long');
    yield say('too long by one ideograph', '算'.repeat(field.max + 1), 'too_long');
    if (field.min > 0) yield say('too short by one', 'x'.repeat(field.min - 1), 'too_short');
    yield say('with a control character', 'x'.repeat(Math.max(field.min - 1, 0)) + '\u0007', 'control_character');
  }
  if ((field.type === 'integer' || field.type === 'money') && bounded) {
    if (field.min > -NAMES_FAR) yield say('too small by one', field.min - 1, 'out_of_range');
    if (field.max < NAMES_FAR) yield say('too large by one', field.max + 1, 'out_of_range');
  }
  if (field.type === 'price' && bounded) yield say('too large by the least', '99999999.0000000001', 'out_of_range');
  if (field.type === 'json' && field.max < MIB) yield say('too long', 'x'.repeat(field.max - 1), 'too_long');
  if (field.type === 'array' || field.type === 'strings') {
    const one = field.type === 'strings' ? 'viewer' : get(body, path)?.[0];
    if (field.min > 0) yield say('too few', Array(field.min - 1).fill(one), 'too_short');
    yield say('too many', Array(field.max + 1).fill(one), 'too_long');
    if (field.type === 'strings') {
      yield say('of a number', [1], 'wrong_type', `${pointer}/0`);
      yield say('of a text too long', ['x'.repeat(201)], 'too_long', `${pointer}/0`);
    } else {
      yield say('of a text', ['x'], 'wrong_type', `${pointer}/0`);
      yield* ofFields(field.fields!, body, [...path, 0]);
    }
  }
  if (field.type === 'object') yield* ofFields(field.fields!, body, path);
}
function* ofFields(fields: Field[], body: any, path: Path): Generator<Mutation> {
  const unknown = [...path, 'no_such_field'];
  yield { what: `/${unknown.join('/')} unknown`, body: put(body, unknown, 1), pointer: '/' + unknown.join('/'), code: 'unknown_field' };
  for (const field of fields) yield* ofField(field, body, [...path, field.name]);
}

const nameOf = (route: Route) => `${route.method} ${route.path.replace(/\{[^}]+\}/g, '{}')}`;
const withBody = routes().filter((r) => r.body !== null && !r.flags.includes('form'));

function headersOf(route: Route): Record<string, string> {
  return { 'idempotency-key': newKey(), ...(route.flags.includes('if_match') ? { 'if-match': '*' } : {}) };
}
/** The bytes as they are. */
function raw(route: Route, body: Buffer | string, over: { type?: string | null; chunked?: boolean; length?: number } = {}) {
  const sample = SAMPLES[nameOf(route)]!;
  const bytes = Buffer.from(body as string);
  const type = over.type === undefined ? 'application/json' : over.type;
  const head = [
    `${route.method} ${sample.path()} HTTP/1.1`, 'Host: localhost', ...identity(sample.client()), ...(type ? [`Content-Type: ${type}`] : []),
    ...Object.entries(headersOf(route)).map(([k, v]) => `${k}: ${v}`), ...(over.chunked ? ['Transfer-Encoding: chunked'] : [`Content-Length: ${over.length ?? bytes.length}`]),
  ];
  const sent = over.chunked ? Buffer.concat([Buffer.from(bytes.length.toString(16) + '\r\n'), bytes, Buffer.from('\r\n0\r\n\r\n')]) : bytes;
  return exchange(world, head, sent);
}

beforeAll(async () => {
  await world.start();
  buyer = await world.buyer();
  provider = await world.provider();
  draft = await provider.client.post('/api/v1/stores', world.application());
  sku = (await world.lists(provider, 'vm-1')).skus.m1!;
  unpaid = await world.buys(buyer, [{ sku_id: sku, quantity: 1 }], false);
});
afterAll(() => world.close());

it('has a sample for every route with a body, and no other', () => {
  expect(Object.keys(SAMPLES).sort()).toEqual(withBody.map(nameOf).sort());
});

for (const route of withBody) {
  const sample = SAMPLES[nameOf(route)];
  if (!sample) continue;
  describe(nameOf(route), () => {
    let before: Record<string, number>;
    beforeAll(async () => {
      before = await world.settled();
    });
    afterAll(async () => {
      let now = world.counts();
      if (JSON.stringify(now) !== JSON.stringify(before)) now = await world.settled();
      expect(now, 'nothing was written').toEqual(before);
    });

    it('names the field that does not fit', async () => {
      const body = sample.body();
      let count = 0;
      for (const mutation of ofFields(route.body!, body, [])) {
        const reply = await sample.client().send(route.method, sample.path(), mutation.body, { headers: headersOf(route) });
        const told = `${mutation.what}: ${reply.text}`;
        expect(`${reply.status} ${reply.json?.code}`, told).toBe('422 validation_failed');
        const found = reply.json.errors.some((e: any) => e.pointer === mutation.pointer && e.code === mutation.code);
        expect(found, `${mutation.pointer} ${mutation.code} is wanted: ${told}`).toBe(true);
        count++;
      }
      expect(count).toBeGreaterThan(1);
    });
    it('names all that is missing when there is no body', async () => {
      const required = route.body!.filter((f) => f.required).map((f) => `/${f.name}`);
      if (required.length === 0) return;
      for (const body of [undefined, {}]) {
        const reply = await sample.client().send(route.method, sample.path(), body, { headers: headersOf(route) });
        refused(reply, 422, 'validation_failed');
        expect(reply.json.errors.map((e: any) => e.pointer).sort()).toEqual(required.sort());
        expect(reply.json.errors.every((e: any) => e.code === 'required')).toBe(true);
      }
    });
    it('refuses what is no JSON object', async () => {
      const good = JSON.stringify(sample.body());
      const first = route.body![0]!.name;
      const bad: Record<string, string | Buffer> = {
        'a list': '[]', 'a text': '"x"', null: 'null', 'cut short': good.slice(0, -1), 'followed by more': good + '{}', 'a comma too many': good.slice(0, -1) + ',}',
        'a key twice': `{"${first}": 1, "${first}": 1}`,
        'bad UTF-8': Buffer.concat([Buffer.from(`{"${first}": "`), Buffer.from([0xc3, 0x28]), Buffer.from('"}')]),
        'a lone surrogate': `{"${first}": "\\ud800"}`, 'a NUL escaped': `{"${first}": "a\\u0000b"}`, 'a NUL': `{"${first}": "a\0b"}`,
        'too deep': `{"${first}": ${'['.repeat(32)}${']'.repeat(32)}}`, '2^53 + 1': `{"${first}": 9007199254740993}`, '-2^53 - 1': `{"${first}": -9007199254740993}`,
        'a number beyond all': `{"${first}": 1e999}`, 'a byte order mark': '\ufeff' + good,
      };
      for (const [what, body] of Object.entries(bad)) {
        const reply = await raw(route, body);
        expect(`${what} ${reply.status} ${reply.json?.code}`, reply.text).toBe(`${what} 400 invalid_request`);
      }
      if (route.body![0]!.type === 'json') return;
      const deep = await raw(route, `{"${first}": ${'['.repeat(31)}${']'.repeat(31)}}`);
      expect(deep.json.code, '32 levels are read').toBe('validation_failed');
    });
    it('refuses more than a MiB', async () => {
      refused(await raw(route, '{', { length: MIB + 1 }), 413, 'body_too_large'); // announced: refused before it comes
      refused(await raw(route, ' '.repeat(MIB + 1), { chunked: true }), 413, 'body_too_large');
    });
    it('takes no other type', async () => {
      const body = JSON.stringify(sample.body());
      for (const type of [null, 'text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/json; charset=gbk', 'json'])
        refused(await raw(route, body, { type }), 415, 'unsupported_media_type');
    });
    it('wants its key and its version', async () => {
      const { client, path, body } = sample;
      const bare = [`${route.method} ${path()} HTTP/1.1`, 'Host: localhost', ...identity(client()), 'Content-Type: application/json'];
      const text = JSON.stringify(body());
      const send = (...more: string[]) => exchange(world, [...bare, ...more, `Content-Length: ${Buffer.byteLength(text)}`], text);
      if (route.flags.includes('key_required')) {
        refused(await send(), 400, 'idempotency_key_missing');
        for (const key of ['a b', 'x'.repeat(201), 'a\\b']) refused(await send(`Idempotency-Key: ${key}`), 400, 'idempotency_key_invalid');
      }
      if (route.flags.includes('if_match')) {
        refused(await send(), 428, 'precondition_required');
        refused(await send('If-Match: "v999"'), 412, 'version_mismatch');
        refused(await send('If-Match: v1'), 400, 'invalid_if_match');
      }
    });
  });
}

describe('POST /oauth2/token', () => {
  const send = (form: string, over: { type?: string; basic?: string | null } = {}) => {
    const basic = over.basic === undefined ? Buffer.from(`${provider.clientId}:${provider.secret}`).toString('base64') : over.basic;
    return world.client().send('POST', '/oauth2/token', undefined, {
      raw: form,
      headers: { 'content-type': over.type ?? 'application/x-www-form-urlencoded', ...(basic === null ? {} : { authorization: `Basic ${basic}` }) },
    });
  };
  it('names what is missing or unbounded', async () => {
    refused(await send(''), 422, 'validation_failed', '/grant_type', 'required');
    refused(await send('grant_type='), 422, 'validation_failed', '/grant_type', 'too_short');
    refused(await send(`grant_type=${'x'.repeat(61)}`), 422, 'validation_failed', '/grant_type', 'too_long');
    refused(await send(`grant_type=client_credentials&scope=${'x'.repeat(501)}`), 422, 'validation_failed', '/scope', 'too_long');
  });
  it('refuses what is no form', async () => {
    refused(await send('grant_type=a&grant_type=b'), 400, 'invalid_request');
    refused(await send('grant_type=%zz'), 400, 'invalid_request');
    refused(await send('{"grant_type":"client_credentials"}', { type: 'application/json' }), 415, 'unsupported_media_type');
  });
  it('takes no wrong client', async () => {
    const bad = [null, 'AAAA', '%%%', Buffer.from(provider.clientId).toString('base64'), Buffer.from(`${provider.clientId}:x`).toString('base64')];
    for (const basic of [...bad, Buffer.from(`cli_0000000000001:${provider.secret}`).toString('base64')]) {
      const reply = await send('grant_type=client_credentials', { basic });
      expect(`${reply.status} ${reply.json.error} ${reply.json.code}`).toBe('401 invalid_client invalid_client');
      expect(reply.headers.get('www-authenticate')).toMatch(/^Basic/);
    }
  });
  it('takes no other grant and no scope that is not held', async () => {
    expect((await send('grant_type=password')).json.error).toBe('unsupported_grant_type');
    const reply = await send('grant_type=client_credentials&scope=if2.order.read+admin.read');
    expect(`${reply.status} ${reply.json.error}`).toBe('400 invalid_scope');
  });
});

describe('a route without a body', () => {
  it('takes none', async () => {
    const bodyless = routes().filter((r) => r.body === null && r.method !== 'GET');
    expect(bodyless.length).toBeGreaterThan(5);
    const before = await world.settled();
    for (const route of bodyless) {
      const path = route.path.replace(/\{[^}]+\}/g, 'none');
      refused(await buyer.client.send(route.method, path, { a: 1 }), 400, 'body_not_allowed');
    }
    expect(world.counts()).toEqual(before);
  });
});
