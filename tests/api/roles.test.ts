// SPDX-License-Identifier: Apache-2.0
// Every route for every role of every kind of organisation, for a machine and for nobody, against the table below, which was written
// apart from the server's. A route that is not in the table fails.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Buyer, Client, type Provider, type Route, World, newKey, record, refused, routes, until } from './world.js';

const ROLES = ['owner', 'admin', 'finance', 'operations', 'member', 'viewer', 'auditor'] as const;
const KINDS = ['consumer', 'provider', 'operator'] as const;
type Kind = (typeof KINDS)[number];
type Who = Partial<Record<Kind, readonly string[]>> | 'public' | { scope: string };

const everyone = { consumer: ROLES, provider: ROLES, operator: ROLES };
const managers = ['owner', 'admin'];
const buyers = { consumer: ['owner', 'admin', 'member'] };
const consumers = { consumer: ROLES };
const sellers = { provider: managers };
const providers = { provider: ROLES };
const reviewers = { operator: ['owner', 'admin', 'operations'] };
const readers = { operator: ROLES.filter((r) => r !== 'member') };
const operators = { operator: managers };

/** Parameters are written {}. */
const TABLE: Record<string, Who> = {
  'GET /healthz': 'public',
  'GET /metrics': 'public',
  'GET /.well-known/api-catalog': 'public',
  'POST /api/v1/register': 'public',
  'POST /api/v1/login': 'public',
  'POST /api/v1/logout': everyone,
  'GET /api/v1/me': everyone,
  'PATCH /api/v1/me': everyone,
  'POST /api/v1/me/password': everyone,
  'GET /api/v1/me/sessions': everyone,
  'DELETE /api/v1/me/sessions/{}': everyone,
  'POST /api/v1/orgs': everyone,
  'GET /api/v1/orgs/{}/members': everyone,
  'PUT /api/v1/orgs/{}/members': { consumer: managers, provider: managers, operator: managers },
  'DELETE /api/v1/orgs/{}/members/{}': { consumer: managers, provider: managers, operator: managers },
  'POST /api/v1/stores': sellers,
  'GET /api/v1/stores/mine': providers,
  'GET /api/v1/stores/{}': providers,
  'PATCH /api/v1/stores/{}': sellers,
  'POST /api/v1/stores/{}/submit': sellers,
  'POST /api/v1/stores/{}/open': sellers,
  'POST /api/v1/stores/{}/pause': sellers,
  'POST /api/v1/stores/{}/close': sellers,
  'POST /api/v1/stores/{}/credentials': sellers,
  'POST /api/v1/stores/{}/connect': sellers,
  'GET /api/v1/catalog/categories': 'public',
  'GET /api/v1/catalog/norms/{}': 'public',
  'GET /api/v1/catalog/regions': 'public',
  'GET /api/v1/catalog/stores': 'public',
  'GET /api/v1/catalog/stores/{}': 'public',
  'GET /api/v1/catalog/products': 'public',
  'GET /api/v1/catalog/products/{}': 'public',
  'POST /api/v1/quotes': 'public',
  'GET /api/v1/admin/products': reviewers,
  'POST /api/v1/admin/products/{}/review': reviewers,
  'GET /api/v1/cart': buyers,
  'PUT /api/v1/cart/lines/{}': buyers,
  'DELETE /api/v1/cart/lines/{}': buyers,
  'DELETE /api/v1/cart': buyers,
  'POST /api/v1/orders': buyers,
  'GET /api/v1/orders': consumers,
  'GET /api/v1/orders/{}': consumers,
  'GET /api/v1/orders/{}/timeline': consumers,
  'POST /api/v1/orders/{}/pay': { consumer: ['owner', 'admin', 'finance'] },
  'POST /api/v1/orders/{}/cancel': buyers,
  'GET /api/v1/services': consumers,
  'GET /api/v1/services/{}': consumers,
  'GET /api/v1/evidence/events': everyone,
  'GET /api/v1/evidence/receipts/{}': everyone,
  'GET /api/v1/events': everyone,
  'GET /evidence/v1/keys': 'public',
  'GET /evidence/v1/{}/checkpoint': 'public',
  'GET /evidence/v1/{}/proof/consistency': 'public',
  'GET /evidence/v1/{}/tile/{}/{}': 'public',
  'GET /evidence/v1/{}/tile/{}/{}/{}': 'public',
  'GET /evidence/v1/ops/tile/{}/{}/{}/{}': 'public',
  'GET /evidence/v1/trade/tile/{}/{}/{}/{}': 'public',
  'GET /evidence/v1/finance/tile/{}/{}/{}/{}': 'public',
  'GET /evidence/v1/match/tile/{}/{}/{}/{}': 'public',
  'GET /api/v1/admin/stores': reviewers,
  'POST /api/v1/admin/stores/{}/review': reviewers,
  'POST /api/v1/admin/credits': { operator: ['owner', 'finance'] },
  'GET /api/v1/admin/users': readers,
  'POST /api/v1/admin/users/{}/password-reset': operators,
  'POST /api/v1/admin/users/{}/disable': operators,
  'POST /api/v1/admin/users/{}/enable': operators,
  'GET /api/v1/admin/orgs': readers,
  'GET /api/v1/balance': consumers,
  'GET /api/v1/transactions': consumers,
  'GET /api/v1/admin/orders': readers,
  'GET /api/v1/admin/deliveries': readers,
  'POST /api/v1/admin/deliveries/{}/retry': reviewers,
  'POST /oauth2/token': 'public',
  'PUT /if2/v1/products/{}': { scope: 'if2.product.write' },
  'PATCH /if2/v1/products/{}/skus/{}/inventory': { scope: 'if2.product.write' },
  'PATCH /if2/v1/products/{}/skus/{}/price': { scope: 'if2.product.write' },
  'POST /if2/v1/products/{}/delist': { scope: 'if2.product.write' },
  'POST /if2/v1/product-batches': { scope: 'if2.product.write' },
  'GET /if2/v1/operations/{}': { scope: 'if2.product.write' },
  'POST /if2/v1/orders/{}/fulfilments': { scope: 'if2.order.write' },
  'GET /if2/v1/orders/{}': { scope: 'if2.order.read' },
};
const SCOPES = ['if2.product.write', 'if2.order.write', 'if2.order.read'];

const nameOf = (route: Route) => `${route.method} ${route.path.replace(/\{[^}]+\}/g, '{}')}`;
const all = routes();
const world = new World();
/** One person for each role, a member of an organisation of each kind. */
const person = new Map<string, Client>();
const orgs = {} as Record<Kind, string>;
let provider: Provider;

/** Calls a route so that it changes nothing even when it is allowed: with a body that lacks everything, or an id that is nobody's. */
async function probe(client: Client, route: Route): Promise<{ status: number; json: any; headers: Headers }> {
  const path = route.path.replace(/^\/api\/v1\/orgs\/\{[^}]+\}/, `/api/v1/orgs/${client.org || 'none'}`).replace(/\{[^}]+\}/g, 'none');
  if (route.flags.includes('stream')) return peek(client, path);
  const body = route.body && !route.flags.includes('form') ? {} : undefined;
  return client.send(route.method, path, body, { headers: { 'idempotency-key': newKey() } });
}

async function peek(client: Client, path: string) {
  const control = new AbortController();
  const headers = client.cookie ? { cookie: client.cookie, 'x-org': client.org } : undefined;
  const reply = await fetch(world.platform.url + path, { headers, signal: control.signal });
  const json: any = reply.status >= 400 ? await reply.json() : undefined;
  record({ method: 'GET', path, status: reply.status, response: json, content_type: reply.headers.get('content-type') });
  control.abort();
  return { status: reply.status, json, headers: reply.headers };
}

beforeAll(async () => {
  await world.start();
  provider = await world.provider();
  const founder = await world.person();
  orgs.operator = world.operator.org;
  for (const kind of ['consumer', 'provider'] as const)
    orgs[kind] = (await founder.client.post('/api/v1/orgs', { name: `The ${kind}`, kind })).org_id;
  for (const role of ROLES) {
    const { client, email } = await world.person(role);
    person.set(role, client);
    for (const kind of KINDS) {
      const by = kind === 'operator' ? world.operator : founder.client;
      await by.ok('PUT', `/api/v1/orgs/${orgs[kind]}/members`, { email, roles: [role] });
    }
  }
});
afterAll(() => world.close());

describe('the permission matrix', () => {
  it('names every route, and no route that is not there', () => {
    expect(Object.keys(TABLE).sort()).toEqual(all.map(nameOf).sort());
  });
  for (const route of all) {
    const who = TABLE[nameOf(route)];
    if (!who || nameOf(route) === 'POST /api/v1/logout') continue;

    if (who === 'public') {
      it(`${nameOf(route)} is open to all`, async () => {
        for (const client of [world.client(), person.get('auditor')!]) {
          const reply = await probe(client, route);
          expect([401, 403], JSON.stringify(reply.json)).not.toContain(reply.status);
        }
      });
      continue;
    }
    it(`${nameOf(route)} is for those who may`, async () => {
      const nobody = world.client();
      nobody.org = orgs.consumer;
      const unknown: any = await probe(nobody, route);
      refused(unknown, 401, 'unauthenticated');
      for (const kind of KINDS)
        for (const role of ROLES) {
          const client = person.get(role)!;
          client.org = orgs[kind];
          const reply: any = await probe(client, route);
          const where = `${kind} ${role}: ${JSON.stringify(reply.json)}`;
          if ('scope' in who) expect(`${reply.status} ${reply.json?.code}`, where).toBe('401 unauthenticated');
          else if (who[kind]?.includes(role)) {
            expect(reply.status, where).toBeLessThan(500);
            expect([401, 403], where).not.toContain(reply.status);
          } else expect(`${reply.status} ${reply.json?.code}`, where).toBe('403 permission_denied');
        }
      const machine: any = await probe(provider.machine, route);
      if ('scope' in who) expect([401, 403], JSON.stringify(machine.json)).not.toContain(machine.status);
      else refused(machine, 401, 'unauthenticated');
    });
  }
  it('POST /api/v1/logout is for everybody who is logged in', async () => {
    const route = all.find((r) => nameOf(r) === 'POST /api/v1/logout')!;
    refused((await probe(world.client(), route)) as any, 401, 'unauthenticated');
    refused((await probe(provider.machine, route)) as any, 401, 'unauthenticated');
    for (const [i, role] of ROLES.entries()) {
      const client = world.client();
      await client.login(`p${i + 3}@example.org`, 'correct horse battery 42');
      client.org = orgs[KINDS[i % 3]!];
      expect((await probe(client, route)).status, role).toBe(204);
    }
  });
  it('holds a machine to the scopes of its token', async () => {
    for (const scope of SCOPES) {
      const machine = world.client();
      machine.bearer = (await world.token(provider, `grant_type=client_credentials&scope=${scope}`)).json.access_token;
      for (const route of all) {
        const who = TABLE[nameOf(route)];
        if (typeof who !== 'object' || !('scope' in who)) continue;
        const reply: any = await probe(machine, route);
        if (who.scope === scope) expect([401, 403], nameOf(route)).not.toContain(reply.status);
        else refused(reply, 403, 'permission_denied');
      }
    }
  });
  it('tells in /me just what the matrix says', async () => {
    for (const kind of KINDS)
      for (const role of ROLES) {
        const client = person.get(role)!;
        client.org = orgs[kind];
        const { permissions } = await client.get('/api/v1/me');
        const expected = new Set(
          all.filter((r) => {
            const who = TABLE[nameOf(r)];
            return typeof who === 'object' && !('scope' in who) && who[kind]?.includes(role);
          }).map((r) => r.permission),
        );
        expect([...permissions].sort(), `${kind} ${role}`).toEqual([...expected].sort());
      }
  });
});

describe("another organisation's objects", () => {
  let rich: Buyer;
  let stranger: Buyer;
  let other: Provider;
  let order: any;
  let ids: Record<string, string>;
  let sku = '';

  beforeAll(async () => {
    rich = await world.buyer();
    stranger = await world.buyer();
    other = await world.provider();
    const listed = await world.lists(provider, 'vm-1');
    sku = listed.skus.m1!;
    const bought = await world.buys(rich, [{ sku_id: sku, quantity: 1 }]);
    order = await world.reaches(rich, bought.order_id, 'provisioning');
    const child = order.children[0];
    const item = child.items[0];
    const unpaid = await world.buys(rich, [{ sku_id: sku, quantity: 1 }], false);
    const done = await world.report(provider, child, 1, [{ item_id: item.item_id, instance_id: item.instance_id, state: 'active' }]);
    expect(done.status, done.text).toBe(200);
    await rich.client.ok('PUT', `/api/v1/cart/lines/${sku}`, { quantity: 3 });
    const timeline = await until(async () => {
      const page = await rich.client.get(`/api/v1/orders/${order.order_id}/timeline`);
      return page.data.length > 1 && page;
    }, 'the timeline');
    const batch = await provider.machine.post('/if2/v1/product-batches', { products: [] }).catch(() => undefined);
    expect(batch).toBeUndefined();
    const { operation_id: operation } = await provider.machine.ok('POST', '/if2/v1/product-batches', undefined, { raw: '{"products": [{}]}' });
    const sessions = await rich.client.get('/api/v1/me/sessions');
    const me = await rich.client.get('/api/v1/me');
    ids = {
      ord: order.order_id, child: child.order_id, unpaid: unpaid.order_id, ins: item.instance_id, evt: timeline.data[0].event_id,
      ses: sessions.data[0].session_id, org: rich.org, usr: me.user.user_id, sto: provider.store.store_id, opn: operation,
    };
  });

  interface Foreign {
    as: () => Client;
    path: (id: Record<string, string>) => string;
    body?: any;
  }
  const buyer = () => stranger.client;
  const seller = () => other.client;
  const machine = () => other.machine;
  const patch = { available: 1, total: 1, as_of: '2027-01-01T00:00:00.000Z' };
  const FOREIGN: Record<string, Foreign> = {
    'DELETE /api/v1/me/sessions/{}': { as: buyer, path: (i) => `/api/v1/me/sessions/${i.ses}` },
    'GET /api/v1/orgs/{}/members': { as: buyer, path: (i) => `/api/v1/orgs/${i.org}/members` },
    'PUT /api/v1/orgs/{}/members': { as: buyer, path: (i) => `/api/v1/orgs/${i.org}/members`, body: { email: 'p1@example.org', roles: ['owner'] } },
    'DELETE /api/v1/orgs/{}/members/{}': { as: buyer, path: (i) => `/api/v1/orgs/${i.org}/members/${i.usr}` },
    'GET /api/v1/orders/{}': { as: buyer, path: (i) => `/api/v1/orders/${i.ord}` },
    'GET /api/v1/orders/{}/timeline': { as: buyer, path: (i) => `/api/v1/orders/${i.ord}/timeline` },
    'POST /api/v1/orders/{}/pay': { as: buyer, path: (i) => `/api/v1/orders/${i.unpaid}/pay`, body: { expected_payable_fen: 1 } },
    'POST /api/v1/orders/{}/cancel': { as: buyer, path: (i) => `/api/v1/orders/${i.unpaid}/cancel`, body: {} },
    'GET /api/v1/services/{}': { as: buyer, path: (i) => `/api/v1/services/${i.ins}` },
    'GET /api/v1/evidence/receipts/{}': { as: buyer, path: (i) => `/api/v1/evidence/receipts/${i.evt}` },
    'PATCH /api/v1/stores/{}': { as: seller, path: (i) => `/api/v1/stores/${i.sto}`, body: { name: 'Mine' } },
    'POST /api/v1/stores/{}/submit': { as: seller, path: (i) => `/api/v1/stores/${i.sto}/submit` },
    'POST /api/v1/stores/{}/open': { as: seller, path: (i) => `/api/v1/stores/${i.sto}/open` },
    'POST /api/v1/stores/{}/pause': { as: seller, path: (i) => `/api/v1/stores/${i.sto}/pause` },
    'POST /api/v1/stores/{}/close': { as: seller, path: (i) => `/api/v1/stores/${i.sto}/close` },
    'POST /api/v1/stores/{}/credentials': { as: seller, path: (i) => `/api/v1/stores/${i.sto}/credentials` },
    'POST /api/v1/stores/{}/connect': { as: seller, path: (i) => `/api/v1/stores/${i.sto}/connect` },
    'PATCH /if2/v1/products/{}/skus/{}/inventory': { as: machine, path: () => '/if2/v1/products/vm-1/skus/m1/inventory', body: patch },
    'PATCH /if2/v1/products/{}/skus/{}/price': { as: machine, path: () => '/if2/v1/products/vm-1/skus/m1/price', body: { unit_price: '1', provider_version: 9 } },
    'POST /if2/v1/products/{}/delist': { as: machine, path: () => '/if2/v1/products/vm-1/delist' },
    'GET /if2/v1/operations/{}': { as: machine, path: (i) => `/if2/v1/operations/${i.opn}` },
    'POST /if2/v1/orders/{}/fulfilments': { as: machine, path: (i) => `/if2/v1/orders/${i.child}/fulfilments`, body: { report_id: 'x', provider_sequence: 2, items: [] } },
    'GET /if2/v1/orders/{}': { as: machine, path: (i) => `/if2/v1/orders/${i.child}` },
  };
  /** Why a route with an id has nobody's object. */
  const NOT_OWNED: Record<string, string> = {
    'PUT /api/v1/cart/lines/{}': 'a SKU is for all; carts are below',
    'DELETE /api/v1/cart/lines/{}': 'a SKU is for all; carts are below',
    'PUT /if2/v1/products/{}': 'the name is of the own store: below',
    'GET /api/v1/stores/{}': 'an open store shows its front: below',
  };

  for (const route of all) {
    const name = nameOf(route);
    const who = TABLE[name];
    if (!name.includes('{}') || who === 'public' || !who || 'operator' in who && !('consumer' in who)) continue;
    if (NOT_OWNED[name]) continue;
    it(`${name} knows none`, async () => {
      const foreign = FOREIGN[name];
      expect(foreign, 'a route with an id needs a line here').toBeTruthy();
      const { as, path, body } = foreign!;
      const none = Object.fromEntries(Object.entries(ids).map(([k, id]) => [k, id.slice(0, 4) + '0000000000001']));
      const absent = path(none) === path(ids) ? path(ids).replace('vm-1', 'vm-none') : path(none);
      const headers = { 'if-match': '*' };
      const theirs = await as().send(route.method, path(ids), body, { headers });
      const nobodys = await as().send(route.method, absent, body, { headers });
      refused(theirs, 404, name.startsWith('POST /if2/v1/orders') || name.startsWith('GET /if2/v1/orders') ? 'order_unknown' : 'not_found');
      const { request_id: a, instance: b, ...one } = theirs.json;
      const { request_id: c, instance: d, ...two } = nobodys.json;
      expect(one, 'what is not yours reads as what is not there').toEqual(two);
    });
  }
  it('changed nothing of it', async () => {
    expect((await rich.client.get('/api/v1/me')).user.name).toBe('Buyer');
    expect((await rich.client.get(`/api/v1/orders/${ids.unpaid}`)).state).toBe('pending_payment');
    expect((await provider.client.get(`/api/v1/stores/${ids.sto}`)).state).toBe('open');
    expect((await rich.client.get(`/api/v1/orders/${ids.ord}`)).state).toBe('completed');
    expect((await world.client().get(`/api/v1/catalog/products?store=${ids.sto}`)).data[0].stock_available).toBe(998);
  });
  it('is in no list', async () => {
    const lists = ['/api/v1/orders', '/api/v1/services', '/api/v1/transactions', '/api/v1/evidence/events', '/api/v1/cart', '/api/v1/me/sessions'];
    for (const path of lists) {
      expect((await rich.client.send('GET', path)).text, path).toMatch(new RegExp(Object.values(ids).join('|') + `|${sku}`));
      const seen = (await stranger.client.send('GET', path)).text;
      for (const id of [...Object.values(ids), sku]) expect(seen, path).not.toContain(id);
    }
    const mine = await other.client.send('GET', '/api/v1/stores/mine');
    expect(mine.text).not.toContain(ids.sto);
    expect(mine.json.data).toHaveLength(1);
    const heard = await other.client.send('GET', '/api/v1/evidence/events?limit=200');
    for (const id of Object.values(ids)) expect(heard.text).not.toContain(id);
  });
  it('leaves the cart of another alone', async () => {
    await stranger.client.ok('PUT', `/api/v1/cart/lines/${sku}`, { quantity: 7 });
    await stranger.client.ok('DELETE', '/api/v1/cart');
    expect((await rich.client.get('/api/v1/cart')).lines[0].quantity).toBe(3);
  });
  it('shows of a store only its front', async () => {
    const front = await other.client.get(`/api/v1/stores/${ids.sto}`);
    for (const secret of ['if2_base_url', 'contact_name', 'contact_phone', 'review_reasons', 'commission_bp']) expect(front).not.toHaveProperty(secret);
  });
  it('may have the same external name in another store', async () => {
    const mine = await world.lists(other, 'vm-1', { name: 'Of the other' });
    expect(mine.skus.m1).not.toBe(sku);
  });
  it('the seller of an order hears of it, but not who bought', async () => {
    const heard = await until(async () => {
      const page = await provider.client.send('GET', '/api/v1/evidence/events?limit=200');
      return page.text.includes(ids.child!) && page;
    }, 'the fact');
    expect(heard.text).not.toContain(rich.email);
    expect(heard.text).not.toContain(ids.usr);
  });
});
