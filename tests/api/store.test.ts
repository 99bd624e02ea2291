// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Client, World, refused, uscc } from './world.js';

const world = new World();
let seller: Client;
beforeAll(async () => {
  await world.start();
  seller = (await world.seller()).client;
});
afterAll(() => world.close());

const at = (store: any) => `/api/v1/stores/${store.store_id}`;
const apply = (over: object = {}) => seller.post('/api/v1/stores', world.application(over));
const review = (store: any, decision: string, reasons: string[] = []) =>
  world.operator.send('POST', `/api/v1/admin/stores/${store.store_id}/review`, { decision, reasons });
const move = (store: any, what: string) => seller.send('POST', `${at(store)}/${what}`);

/** A store brought to a state. */
async function inState(state: string) {
  const store = await apply();
  const steps: Record<string, (() => Promise<any>)[]> = {
    draft: [], submitted: [() => move(store, 'submit')],
    changes_requested: [() => move(store, 'submit'), () => review(store, 'request_changes', ['more'])],
    rejected: [() => move(store, 'submit'), () => review(store, 'reject', ['no'])],
    approved: [() => move(store, 'submit'), () => review(store, 'approve')],
  };
  steps.connected = [...steps.approved!, () => move(store, 'credentials'), () => move(store, 'connect')];
  steps.open = [...steps.connected, () => move(store, 'open')];
  steps.paused = [...steps.open, () => move(store, 'pause')];
  steps.closed = [() => move(store, 'close')];
  for (const step of steps[state]!) expect((await step()).status).toBeLessThan(300);
  return store;
}

describe('an application', () => {
  it('is kept as it was told', async () => {
    const body = world.application({ description: 'Zeile\nzwei', contact_phone: '+86 1' });
    const reply = await seller.send('POST', '/api/v1/stores', body);
    expect(reply.status).toBe(201);
    expect(reply.json).toMatchObject({ ...body, state: 'draft', version: 1, review_reasons: [] });
    expect(reply.headers.get('etag')).toBe('"v1"');
    expect(await seller.get(at(reply.json))).toEqual(reply.json);
    expect((await seller.get('/api/v1/stores/mine')).data.map((s: any) => s.store_id)).toContain(reply.json.store_id);
  });
  const good = uscc(7);
  for (let position = 1; position <= 18; position++)
    it(`has the wrong character of its code named at position ${position}`, async () => {
      const bad = good.slice(0, position - 1) + '?' + good.slice(position);
      const reply = await seller.send('POST', '/api/v1/stores', world.application({ uscc: bad }));
      refused(reply, 422, 'uscc_invalid', '/uscc', 'uscc_invalid');
      expect(reply.json.errors[0].detail).toMatch(new RegExp(`^position ${position}:`));
    });
  for (const [position, i] of [[17, 16], [18, 17]] as const)
    it(`is told the right check character at position ${position}`, async () => {
      const other = good[i] === '0' ? '1' : '0';
      const reply = await seller.send('POST', '/api/v1/stores', world.application({ uscc: good.slice(0, i) + other + good.slice(i + 1) }));
      refused(reply, 422, 'uscc_invalid', '/uscc');
      expect(reply.json.errors[0].detail).toBe(`position ${position}: expected ${good[i]}`);
    });
  it('is refused any other change of one digit', async () => {
    for (let i = 0; i < 17; i++) {
      const bad = good.slice(0, i) + (good[i] === '2' ? '3' : '2') + good.slice(i + 1);
      refused(await seller.send('POST', '/api/v1/stores', world.application({ uscc: bad })), 422, 'uscc_invalid', '/uscc');
    }
    refused(await seller.send('POST', '/api/v1/stores', world.application({ uscc: good.slice(0, 17) })), 422, 'uscc_invalid', '/uscc');
  });
  it('names an address that can be called, and a region', async () => {
    for (const url of ['ftp://example.org', 'http:///path', 'http://a b', 'http://user@example.org', 'http://example.org/?q', 'http://example.org/', 'nonsense'])
      refused(await seller.send('POST', '/api/v1/stores', world.application({ if2_base_url: url })), 422, 'validation_failed', '/if2_base_url', 'bad_format');
    refused(await seller.send('POST', '/api/v1/stores', world.application({ region_code: 'a b' })), 422, 'validation_failed', '/region_code', 'bad_format');
  });
});

describe('changing a draft', () => {
  it('needs the version that was seen', async () => {
    const store = await apply();
    refused(await seller.send('PATCH', at(store), { name: 'Later' }), 428, 'precondition_required');
    refused(await seller.send('PATCH', at(store), { name: 'Later' }, { headers: { 'if-match': '"v2"' } }), 412, 'version_mismatch');
    refused(await seller.send('PATCH', at(store), { name: 'Later' }, { headers: { 'if-match': 'W/"v1"' } }), 412, 'version_mismatch');
    const reply = await seller.send('PATCH', at(store), { name: 'Later' }, { headers: { 'if-match': '"v1"' } });
    expect(reply.status).toBe(200);
    expect(reply.json).toMatchObject({ name: 'Later', uscc: store.uscc, version: 2 });
    expect(reply.headers.get('etag')).toBe('"v2"');
    refused(await seller.send('PATCH', at(store), { name: 'Again' }, { headers: { 'if-match': '"v1"' } }), 412, 'version_mismatch');
    expect((await seller.send('PATCH', at(store), { description: '' }, { headers: { 'if-match': '*' } })).json.description).toBe('');
  });
  it('is checked like an application', async () => {
    const store = await apply();
    refused(await seller.send('PATCH', at(store), { uscc: '1' }, { headers: { 'if-match': '*' } }), 422, 'uscc_invalid', '/uscc');
  });
  it('ends with the handing in, until it is sent back', async () => {
    const store = await inState('submitted');
    const patch = () => seller.send('PATCH', at(store), { name: 'Other' }, { headers: { 'if-match': '*' } });
    refused(await patch(), 409, 'illegal_transition');
    const back = await review(store, 'request_changes', ['the address', 'the name']);
    expect(back.json).toMatchObject({ state: 'changes_requested', review_reasons: ['the address', 'the name'] });
    expect((await patch()).status).toBe(200);
    expect((await move(store, 'submit')).json.state).toBe('submitted');
    expect((await review(store, 'approve')).json.state).toBe('approved');
    refused(await patch(), 409, 'illegal_transition');
  });
});

describe('a review', () => {
  it('says why it does not approve, and changes nothing without', async () => {
    const store = await inState('submitted');
    for (const decision of ['request_changes', 'reject']) {
      refused(await review(store, decision), 422, 'validation_failed', '/reasons', 'required');
      expect((await seller.get(at(store))).state).toBe('submitted');
    }
  });
  it('is listed by state', async () => {
    const store = await inState('submitted');
    const ids = (page: any) => page.data.map((s: any) => s.store_id);
    expect(ids(await world.operator.get('/api/v1/admin/stores?state=submitted'))).toContain(store.store_id);
    expect(ids(await world.operator.get('/api/v1/admin/stores?state=open'))).not.toContain(store.store_id);
    refused(await world.operator.send('GET', '/api/v1/admin/stores?state=nonsense'), 422, 'validation_failed', '/query/state', 'not_in_list');
    refused(await world.operator.send('GET', '/api/v1/admin/stores?stat=open'), 422, 'validation_failed', '/query/stat', 'unknown_field');
  });
  it('is of a store that is there', async () => {
    refused(await review({ store_id: 'sto_0000000000001' }, 'approve'), 404, 'not_found');
  });
});

describe('the moves of a store', () => {
  const MOVES = ['submit', 'open', 'pause', 'close', 'credentials', 'connect', 'approve', 'request_changes', 'reject'];
  const LEGAL: Record<string, Record<string, string>> = {
    draft: { submit: 'submitted', close: 'closed' },
    submitted: { approve: 'approved', request_changes: 'changes_requested', reject: 'rejected' },
    changes_requested: { submit: 'submitted', close: 'closed' },
    rejected: {},
    approved: { credentials: 'approved', close: 'closed' },
    connected: { open: 'open', close: 'closed', credentials: 'connected', connect: 'connected' },
    open: { pause: 'paused', close: 'closed', credentials: 'open', connect: 'open' },
    paused: { open: 'open', close: 'closed', credentials: 'paused', connect: 'paused' },
    closed: {},
  };
  for (const [state, legal] of Object.entries(LEGAL))
    it(`from ${state} lead only to ${[...new Set(Object.values(legal))].join(', ') || 'nowhere'}`, async () => {
      for (const what of MOVES.filter((m) => !(m in legal))) {
        const store = await inState(state);
        const reply = ['approve', 'request_changes', 'reject'].includes(what) ? await review(store, what, ['r']) : await move(store, what);
        const code = state === 'approved' && what === 'connect' ? 'store_no_credentials' : 'illegal_transition';
        refused(reply, 409, code);
        expect((await seller.get(at(store))).state).toBe(state);
      }
      for (const [what, then] of Object.entries(legal)) {
        const store = await inState(state);
        const reply = ['approve', 'request_changes', 'reject'].includes(what) ? await review(store, what, ['r']) : await move(store, what);
        expect(reply.status, `${what}: ${reply.text}`).toBeLessThan(300);
        expect((await seller.get(at(store))).state, what).toBe(then);
      }
    });
});

describe('the connection test', () => {
  it('refuses what does not answer rightly, and says what came', async () => {
    const store = await inState('approved');
    await move(store, 'credentials');
    const { health } = world.side;
    const wrong: [string, () => any][] = [
      ['503', () => ({ status: 503, body: {} })],
      ['ok', () => ({ status: 200, body: { status: 'bad' } })],
      ['nonce', () => ({ status: 200, body: { status: 'ok', nonce: 'another' } })],
    ];
    for (const [word, answer] of wrong) {
      world.side.health = answer;
      const reply = await move(store, 'connect');
      refused(reply, 409, 'connect_failed');
      expect(reply.json.detail).toContain(word);
    }
    world.side.health = health;
    expect((await move(store, 'connect')).json.state).toBe('connected');
  });
  it('refuses a host where nobody is', async () => {
    const lost = await apply({ if2_base_url: 'http://127.0.0.1:9' });
    await move(lost, 'submit');
    await review(lost, 'approve');
    await move(lost, 'credentials');
    refused(await move(lost, 'connect'), 409, 'connect_failed');
  });
});

describe('credentials', () => {
  it('are rotated: the old ones go on for a day, the bearer that we send is the newest', async () => {
    const store = await inState('open');
    const one = (await move(store, 'credentials')).json;
    const two = await move(store, 'credentials');
    expect(two.status).toBe(201);
    expect(two.headers.get('cache-control')).toBe('no-store');
    expect(two.json.client_secret).not.toBe(one.client_secret);
    for (const made of [one, two.json]) {
      const reply = await world.token({ clientId: made.client_id, secret: made.client_secret });
      expect(reply.json).toMatchObject({ token_type: 'Bearer', expires_in: 600, scope: 'if2.product.write if2.order.write if2.order.read' });
    }
    const mixed = await world.token({ clientId: one.client_id, secret: two.json.client_secret });
    expect(mixed.json.error).toBe('invalid_client');
    await move(store, 'connect');
    expect(world.side.heard.at(-1)).toMatchObject({ bearer: two.json.if2_bearer });
    expect(Number(world.sql(`SELECT COUNT(*) FROM account_client WHERE expires_at > 0`))).toBeGreaterThan(0);
    for (const secret of [one.client_secret, two.json.client_secret, two.json.if2_bearer])
      expect(world.sql(`SELECT COUNT(*) FROM http_reply WHERE instr(body, '${secret}') > 0`)).toBe('0');
  });
  it('are a token’s whole right: without it, or with another, nothing goes', async () => {
    const machine = world.client();
    machine.bearer = 'nonsense';
    refused(await machine.send('GET', '/if2/v1/orders/ord_0000000000001'), 401, 'invalid_token');
    refused(await world.client().send('GET', '/if2/v1/orders/ord_0000000000001', undefined, { headers: { authorization: 'Basic eDp5' } }), 401, 'invalid_token');
  });
});
