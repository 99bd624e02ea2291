// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Buyer, PASSWORD, World, refused } from './world.js';

const world = new World();
beforeAll(() => world.start());
afterAll(() => world.close());

describe('registering', () => {
  const body = { email: 'ada@example.org', password: PASSWORD, name: 'Ada', consent_version: '1' };

  it('opens an account, its personal organisation and a session', async () => {
    const client = world.client();
    const reply = await client.send('POST', '/api/v1/register', body);
    expect(reply.status).toBe(201);
    expect(reply.headers.getSetCookie()[0]).toMatch(/^suanhe=[^;]+; Path=\/; HttpOnly; SameSite=Lax; Max-Age=43200$/);
    const me = await client.get('/api/v1/me');
    expect(me.org).toMatchObject({ org_id: reply.json.personal_org_id, kind: 'consumer', roles: ['owner'] });
    expect(me.csrf_token).toBe(reply.json.csrf_token);
    expect(me.permissions).toContain('order.create');
    expect(me.permissions).not.toContain('store.manage');
  });
  it('refuses an address that is taken, in whatever case', async () => {
    refused(await world.client().send('POST', '/api/v1/register', { ...body, email: 'ADA@example.ORG' }), 409, 'email_taken');
  });
  it('does not tell quickly who has an account', async () => {
    const { email } = await world.person();
    const again = () => world.client().send('POST', '/api/v1/register', { ...body, email });
    for (let i = 0; i < 5; i++) refused(await again(), 409, 'email_taken');
    refused(await again(), 429, 'throttled');
  });
  for (const [why, password] of [
    ['a repeated character', 'aaaaaaaaaaaa'],
    ['a run', '1234567890'],
    ['a common word', 'password123'],
    ['the address', 'grace@example.org'],
  ])
    it(`refuses a password made of ${why}`, async () => {
      const reply = await world.client().send('POST', '/api/v1/register', { ...body, email: 'grace@example.org', password });
      refused(reply, 422, 'password_weak', '/password', 'password_weak');
    });
  for (const email of ['no-at.example.org', 'two@@example.org', 'ab@', '@b.c', 'a b@example.org', 'a@.example.org'])
    it(`refuses ${email} as an address`, async () => {
      refused(await world.client().send('POST', '/api/v1/register', { ...body, email }), 422, 'validation_failed', '/email', 'bad_format');
    });
});

describe('logging in', () => {
  it('refuses a wrong password and an unknown address alike', async () => {
    const { email } = await world.person();
    const wrong = await world.client().send('POST', '/api/v1/login', { email, password: 'something else 1' });
    const unknown = await world.client().send('POST', '/api/v1/login', { email: 'nobody@example.org', password: 'something else 1' });
    refused(wrong, 401, 'bad_credentials');
    refused(unknown, 401, 'bad_credentials');
    expect(unknown.json.detail).toBe(wrong.json.detail);
  });
  it('is throttled after five failures, says for how long, and recovers', async () => {
    const { email } = await world.person();
    const anybody = world.client();
    for (let i = 0; i < 5; i++)
      refused(await anybody.send('POST', '/api/v1/login', { email, password: `wrong number ${i}` }), 401, 'bad_credentials');
    const held = await anybody.send('POST', '/api/v1/login', { email, password: PASSWORD });
    refused(held, 429, 'throttled');
    const wait = Number(held.headers.get('retry-after'));
    expect(wait).toBeGreaterThan(0);
    expect(wait).toBeLessThanOrEqual(2);
    expect(held.json.retryable).toBe(true);
    const other = await world.person();
    await world.client().login(other.email, PASSWORD);
    await new Promise((r) => setTimeout(r, wait * 1000 + 100));
    await world.client().login(email, PASSWORD);
    refused(await anybody.send('POST', '/api/v1/login', { email, password: 'wrong again 1' }), 401, 'bad_credentials');
  });
  it('starts a new session beside a cookie that is old', async () => {
    const { email, client } = await world.person();
    await client.post('/api/v1/logout');
    client.csrf = '';
    await client.login(email, PASSWORD);
    expect((await client.get('/api/v1/me')).user.email).toBe(email);
  });
});

describe('a session', () => {
  let one: Buyer;
  beforeAll(async () => {
    one = await world.person('One');
  });

  it('is needed', async () => {
    const reply = await world.client().send('GET', '/api/v1/me');
    refused(reply, 401, 'unauthenticated');
    expect(reply.headers.get('www-authenticate')).toBeTruthy();
  });
  it('changes nothing without its CSRF token, or with that of another', async () => {
    const other = await world.person();
    const at = one.client;
    for (const csrf of ['', other.client.csrf, at.csrf.slice(0, -1)]) {
      const thief = world.client();
      Object.assign(thief, { cookie: at.cookie, csrf });
      refused(await thief.send('PATCH', '/api/v1/me', { name: 'Stolen' }), 403, 'csrf_failed');
    }
    expect((await at.get('/api/v1/me')).user.name).toBe('One');
  });
  it('changes nothing from another site', async () => {
    const headers = { 'sec-fetch-site': 'cross-site' };
    refused(await one.client.send('PATCH', '/api/v1/me', { name: 'Stolen' }, { headers }), 403, 'cross_site');
    expect((await one.client.send('PATCH', '/api/v1/me', { name: 'One' }, { headers: { 'sec-fetch-site': 'same-origin' } })).status).toBe(200);
  });
  it('does not act for an organisation that the user is no member of', async () => {
    const other = await world.person();
    for (const org of [other.org, 'org_0000000000001', 'org', other.org.replace('org', 'usr')])
      refused(await one.client.send('GET', '/api/v1/me', undefined, { headers: { 'x-org': org } }), 403, 'not_a_member');
  });
  it('does not count under the open interface', async () => {
    refused(await one.client.send('GET', '/if2/v1/orders/ord_0000000000001'), 401, 'unauthenticated');
  });
  it('is listed, and ends where it is told to', async () => {
    const second = world.client();
    await second.login(one.email, PASSWORD);
    const { data } = await one.client.get('/api/v1/me/sessions');
    expect(data).toHaveLength(2);
    const current = data.filter((s: any) => s.current);
    expect(current).toHaveLength(1);
    const other = data.find((s: any) => !s.current);
    const stranger = await world.person();
    refused(await stranger.client.send('DELETE', `/api/v1/me/sessions/${other.session_id}`), 404, 'not_found');
    expect((await one.client.send('DELETE', `/api/v1/me/sessions/${other.session_id}`)).status).toBe(204);
    refused(await second.send('GET', '/api/v1/me'), 401, 'unauthenticated');
    refused(await one.client.send('DELETE', `/api/v1/me/sessions/${other.session_id}`), 404, 'not_found');
  });
  it('ends by logging out', async () => {
    const again = world.client();
    await again.login(one.email, PASSWORD);
    const { cookie } = again;
    const reply = await again.send('POST', '/api/v1/logout');
    expect(reply.status).toBe(204);
    expect(reply.headers.getSetCookie()[0]).toMatch(/^suanhe=; .*Max-Age=0/);
    again.cookie = cookie;
    refused(await again.send('GET', '/api/v1/me'), 401, 'unauthenticated');
  });
});

describe('the profile', () => {
  it('changes name and language', async () => {
    const { client } = await world.person();
    expect(await client.ok('PATCH', '/api/v1/me', { name: '李雷', locale: 'en' })).toMatchObject({ name: '李雷', locale: 'en' });
    expect((await client.get('/api/v1/me')).user).toMatchObject({ name: '李雷', locale: 'en' });
    refused(await client.send('PATCH', '/api/v1/me', { locale: 'fr' }), 422, 'validation_failed', '/locale', 'not_in_list');
  });
  it('changes the password and ends the other sessions', async () => {
    const { client, email } = await world.person();
    const second = world.client();
    await second.login(email, PASSWORD);
    const next = 'another long phrase 7';
    refused(await client.send('POST', '/api/v1/me/password', { current_password: 'not this one', new_password: next }), 422, 'current_password_wrong');
    refused(await client.send('POST', '/api/v1/me/password', { current_password: PASSWORD, new_password: 'short' }), 422, 'password_weak', '/new_password');
    expect((await client.send('POST', '/api/v1/me/password', { current_password: PASSWORD, new_password: next })).status).toBe(204);
    refused(await second.send('GET', '/api/v1/me'), 401, 'unauthenticated');
    expect((await client.send('GET', '/api/v1/me')).status).toBe(200);
    refused(await world.client().send('POST', '/api/v1/login', { email, password: PASSWORD }), 401, 'bad_credentials');
    await world.client().login(email, next);
  });
});

describe('guessing the current password', () => {
  it('is throttled like logging in', async () => {
    const { client } = await world.person();
    const guess = () => client.send('POST', '/api/v1/me/password', { current_password: 'not this one', new_password: 'another long phrase 7' });
    for (let i = 0; i < 5; i++) refused(await guess(), 422, 'current_password_wrong');
    refused(await guess(), 429, 'throttled');
  });
});

describe('an organisation', () => {
  let owner: Buyer;
  let org = '';
  beforeAll(async () => {
    owner = await world.person('Owner');
    org = (await owner.client.post('/api/v1/orgs', { name: 'Team', kind: 'consumer' })).org_id;
  });
  const members = () => `/api/v1/orgs/${org}/members`;

  it('cannot be founded as an operator', async () => {
    refused(await owner.client.send('POST', '/api/v1/orgs', { name: 'Fake', kind: 'operator' }), 422, 'validation_failed', '/kind', 'not_in_list');
  });
  it('takes members with roles, and lets them go', async () => {
    const member = await world.person('Member');
    const put = await owner.client.ok('PUT', members(), { email: member.email, roles: ['member', 'viewer'] });
    expect(put).toMatchObject({ email: member.email, roles: ['member', 'viewer'] });
    member.client.org = org;
    expect((await member.client.get('/api/v1/me')).org.roles).toEqual(['member', 'viewer']);
    expect((await member.client.get(members())).data).toHaveLength(2);
    expect((await owner.client.send('DELETE', `${members()}/${put.user_id}`)).status).toBe(204);
    refused(await member.client.send('GET', '/api/v1/me'), 403, 'not_a_member');
    refused(await owner.client.send('DELETE', `${members()}/${put.user_id}`), 404, 'not_found');
  });
  it('refuses who is unknown and what is no role', async () => {
    refused(await owner.client.send('PUT', members(), { email: 'who@example.org', roles: ['member'] }), 422, 'validation_failed', '/email', 'user_unknown');
    refused(await owner.client.send('PUT', members(), { email: owner.email, roles: ['owner', 'king'] }), 422, 'validation_failed', '/roles/1', 'not_in_list');
  });
  it('keeps its last owner', async () => {
    refused(await owner.client.send('PUT', members(), { email: owner.email, roles: ['viewer'] }), 409, 'last_owner');
    const me = await owner.client.get('/api/v1/me');
    refused(await owner.client.send('DELETE', `${members()}/${me.user.user_id}`), 409, 'last_owner');
  });
  it('lets nobody grant or take more than they hold', async () => {
    const admin = await world.person('Admin');
    const friend = await world.person('Friend');
    await owner.client.ok('PUT', members(), { email: admin.email, roles: ['admin'] });
    admin.client.org = org;
    refused(await admin.client.send('PUT', members(), { email: friend.email, roles: ['owner'] }), 403, 'role_too_high');
    refused(await admin.client.send('PUT', members(), { email: friend.email, roles: ['finance'] }), 403, 'role_too_high');
    refused(await admin.client.send('PUT', members(), { email: owner.email, roles: ['viewer'] }), 403, 'role_too_high');
    const me = await owner.client.get('/api/v1/me');
    refused(await admin.client.send('DELETE', `${members()}/${me.user.user_id}`), 403, 'role_too_high');
    await admin.client.ok('PUT', members(), { email: friend.email, roles: ['member'] });
  });
  it('stays alone when it is personal', async () => {
    const friend = await world.person();
    refused(await owner.client.send('PUT', `/api/v1/orgs/${owner.org}/members`, { email: friend.email, roles: ['member'] }), 409, 'personal_org');
  });
});

describe('the database', () => {
  it('keeps its log when another program opens and closes it', async () => {
    const { client } = await world.person();
    world.write('UPDATE account_user SET version = version WHERE id = 1');
    expect(existsSync(join(world.platform.data, 'suanhe.db-wal'))).toBe(true);
    await client.ok('PATCH', '/api/v1/me', { name: 'Later' });
    expect((await client.get('/api/v1/me')).user.name).toBe('Later');
  });
});

describe('the operator', () => {
  it('finds people and organisations', async () => {
    const { email } = await world.person('Findable');
    const found = await world.operator.get(`/api/v1/admin/users?q=${encodeURIComponent(email)}`);
    expect(found.data.map((u: any) => u.email)).toEqual([email]);
    expect(found.next_cursor).toBeNull();
    expect((await world.operator.get('/api/v1/admin/orgs?q=Team')).data).toHaveLength(1);
    expect((await world.operator.get('/api/v1/admin/users?q=%25')).data).toHaveLength(0);
  });
  it('pages through people without gap or repetition', async () => {
    const seen: string[] = [];
    let cursor = '';
    do {
      const page = await world.operator.get(`/api/v1/admin/users?limit=3${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
      expect(page.data.length).toBeLessThanOrEqual(3);
      seen.push(...page.data.map((u: any) => u.user_id));
      cursor = page.next_cursor ?? '';
    } while (cursor);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.length).toBe(Number(world.sql('SELECT COUNT(*) FROM account_user')));
  });
  it('disables an account at once, and enables it again', async () => {
    const { client, email } = await world.person();
    const id = (await client.get('/api/v1/me')).user.user_id;
    expect((await world.operator.post(`/api/v1/admin/users/${id}/disable`)).state).toBe('disabled');
    refused(await client.send('GET', '/api/v1/me'), 401, 'unauthenticated');
    refused(await world.client().send('POST', '/api/v1/login', { email, password: PASSWORD }), 403, 'account_disabled');
    expect((await world.operator.post(`/api/v1/admin/users/${id}/enable`)).state).toBe('active');
    await world.client().login(email, PASSWORD);
  });
  it('does not lock itself out', async () => {
    const id = (await world.operator.get('/api/v1/me')).user.user_id;
    refused(await world.operator.send('POST', `/api/v1/admin/users/${id}/disable`), 409, 'own_account');
  });
  it('resets a password to one that works once told', async () => {
    const { client, email } = await world.person();
    const id = (await client.get('/api/v1/me')).user.user_id;
    const { temporary_password: password } = await world.operator.post(`/api/v1/admin/users/${id}/password-reset`);
    refused(await client.send('GET', '/api/v1/me'), 401, 'unauthenticated');
    await world.client().login(email, password);
    for (const path of ['password-reset', 'disable', 'enable'])
      refused(await world.operator.send('POST', `/api/v1/admin/users/usr_0000000000001/${path}`), 404, 'not_found');
  });
  it('books a transfer once', async () => {
    const { client, org } = await world.person();
    const body = { org_id: org, amount_fen: 12345, bank_reference: 'BANK-1', note: 'n' };
    expect((await world.operator.post('/api/v1/admin/credits', body)).balance_fen).toBe(12345);
    refused(await world.operator.send('POST', '/api/v1/admin/credits', body), 409, 'bank_reference_used');
    const { data } = await client.get('/api/v1/transactions');
    expect(data).toHaveLength(1);
    expect(data[0]).toMatchObject({ kind: 'top_up', amount_fen: 12345, balance_after_fen: 12345, note: 'n', order_id: null });
    expect((await client.get('/api/v1/balance')).balance_fen).toBe(12345);
  });
  it('books only for a buyer', async () => {
    const { org } = await world.seller();
    const body = { amount_fen: 1, bank_reference: 'BANK-2' };
    refused(await world.operator.send('POST', '/api/v1/admin/credits', { ...body, org_id: org }), 422, 'validation_failed', '/org_id', 'not_a_consumer');
    refused(await world.operator.send('POST', '/api/v1/admin/credits', { ...body, org_id: 'org_0000000000001' }), 422, 'validation_failed', '/org_id', 'not_in_list');
  });
});
