// SPDX-License-Identifier: Apache-2.0
// One platform with an operator, providers that listed something and buyers with money: what the API tests stand on.
import { execFileSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect } from 'vitest';
import { Client, newKey, until } from '../lib/client.mjs';
import { Platform, bin } from '../lib/platform.mjs';
import { uscc } from '../lib/uscc.mjs';
import { Side } from './side.js';

export const PASSWORD = 'correct horse battery 42';
export { Client, newKey, until, bin, uscc };

export interface Field {
  name: string;
  type: string;
  min: number;
  max: number;
  required: boolean;
  prefix?: string;
  values?: string[];
  fields?: Field[];
}
export interface Route {
  method: string;
  path: string;
  permission: string;
  flags: string[];
  body: Field[] | null;
}
export interface Provider {
  client: Client;
  org: string;
  store: any;
  clientId: string;
  secret: string;
  bearer: string;
  machine: Client;
}
export interface Buyer {
  client: Client;
  org: string;
  email: string;
}

export function routes(): Route[] {
  return JSON.parse(execFileSync(bin('suanhe'), ['routes'], { encoding: 'utf8', maxBuffer: 64 << 20 })).routes;
}

const nothing = { available: 1000, total: 1000, as_of: '2026-01-01T00:00:00.000Z' };
export function sku(id: string, over: object = {}) {
  return {
    external_sku_id: id, charge_mode: 'reserved', unit_price: '100.5', price_unit: 'month', term: 'P1M', rate_bp: 600, lead_h: 1,
    min_qty: 1, max_qty: 100, region_code: '640500', inventory: { ...nothing }, ...over,
  };
}
export function product(over: object = {}): any {
  return {
    provider_version: 1, name: 'Virtual machine 8', category_code: 'iaas.compute.vm', norm_version: 1,
    specs: [
      { code: 'vcpus', value: '8', unit: 'core' },
      { code: 'memory', value: '32', unit: 'GiB' },
    ],
    usage_mode: 'dedicated', skus: [sku('m1')], ...over,
  };
}

export function refused(reply: { status: number; json: any; headers: Headers }, status: number, code: string, pointer?: string, fieldCode?: string) {
  const told = `${reply.status} ${reply.json?.code} ${JSON.stringify(reply.json?.errors ?? reply.json?.detail ?? '')}`;
  expect(`${reply.status} ${reply.json?.code}`, told).toBe(`${status} ${code}`);
  expect(reply.headers.get('content-type')).toBe('application/problem+json');
  expect(reply.json.status).toBe(status);
  if (pointer === undefined) return;
  const found = (reply.json.errors ?? []).find((e: any) => e.pointer === pointer && (!fieldCode || e.code === fieldCode));
  expect(found, `${pointer} ${fieldCode ?? ''} in ${told}`).toBeTruthy();
}

/** An exchange byte by byte on a socket of its own. */
export function exchange(world: World, head: string[], body: Buffer | string = ''): Promise<{ status: number; head: string; text: string; json: any; headers: Headers }> {
  return new Promise((done, failed) => {
    const socket = connect(world.platform.port, '127.0.0.1');
    const parts: Buffer[] = [];
    let over = false;
    const finish = () => {
      if (over) return;
      over = true;
      socket.destroy();
      const all = Buffer.concat(parts).toString();
      const cut = all.indexOf('\r\n\r\n');
      if (cut < 0) return failed(new Error(`no reply: ${all.slice(0, 200)}`));
      const lines = all.slice(0, cut).split('\r\n');
      const headers = new Headers(lines.slice(1).map((l) => l.split(/:\s*/, 2) as [string, string]));
      const text = all.slice(cut + 4);
      done({ status: Number(lines[0]!.split(' ')[1]), head: all.slice(0, cut), text, json: text.startsWith('{') ? JSON.parse(text) : undefined, headers });
    };
    socket.on('data', (part) => {
      parts.push(part);
      const all = Buffer.concat(parts).toString('latin1');
      const cut = all.indexOf('\r\n\r\n');
      const length = /content-length: (\d+)/i.exec(all.slice(0, cut));
      if (cut >= 0 && length && all.length >= cut + 4 + Number(length[1])) finish();
    });
    socket.on('error', finish);
    socket.on('close', finish);
    socket.setTimeout(15000, finish);
    socket.write(`${head.join('\r\n')}\r\n\r\n`);
    socket.write(body);
  });
}

/** The headers with which a client is known. */
export function identity(client: Client): string[] {
  const lines = [];
  if (client.cookie) lines.push(`Cookie: ${client.cookie}`);
  if (client.csrf) lines.push(`X-CSRF-Token: ${client.csrf}`);
  if (client.org) lines.push(`X-Org: ${client.org}`);
  if (client.bearer) lines.push(`Authorization: Bearer ${client.bearer}`);
  return lines;
}

export class World {
  platform: Platform;
  operator!: Client;
  side = new Side();
  #count = 0;

  constructor() {
    this.platform = new Platform();
  }

  async start() {
    await this.platform.init();
    await this.platform.start();
    await this.side.start();
    this.operator = this.client();
    await this.operator.login(this.platform.operator.email, this.platform.operator.password);
    const me = await this.operator.get('/api/v1/me');
    this.operator.org = me.orgs.find((o: any) => o.kind === 'operator').org_id;
  }

  /** Also a test: the sanitizers had nothing to say, and books, orders and evidence agree. */
  async close(fsck = true) {
    const server = this.platform.server;
    await this.platform.stopServer();
    this.side.close();
    const checked = fsck ? this.platform.run('fsck') : { status: 0, out: '', err: '' };
    await this.platform.close();
    expect(this.platform.log, 'sanitizers').not.toMatch(/runtime error|Sanitizer/);
    expect(server?.exitCode).toBe(0);
    expect(checked.status, checked.out + checked.err).toBe(0);
  }

  client() {
    return new Client(this.platform.url);
  }

  async person(name = 'Person'): Promise<Buyer> {
    const client = this.client();
    const email = `p${++this.#count}@example.org`;
    const reply = await client.register(email, PASSWORD, name);
    return { client, org: reply.personal_org_id, email };
  }

  async buyer(fen = 100_000_000): Promise<Buyer> {
    const buyer = await this.person('Buyer');
    if (fen > 0) await this.credit(buyer.org, fen);
    return buyer;
  }

  credit(org: string, fen: number) {
    return this.operator.post('/api/v1/admin/credits', { org_id: org, amount_fen: fen, bank_reference: `T${++this.#count}` });
  }

  application(over: object = {}) {
    const n = ++this.#count;
    return {
      name: `Store ${n}`, uscc: uscc(200 + n), legal_name: `Legal ${n}`, description: 'd', contact_name: 'C', region_code: '640500',
      if2_base_url: `${this.side.url}/s${n}`, accepted_rules_version: '1', ...over,
    };
  }

  async seller(): Promise<{ client: Client; org: string }> {
    const { client } = await this.person('Seller');
    const org = await client.post('/api/v1/orgs', { name: 'Seller', kind: 'provider' });
    client.org = org.org_id;
    return { client, org: org.org_id };
  }

  /** A provider with an open store and a token. */
  async provider(): Promise<Provider> {
    const { client, org } = await this.seller();
    const applied = await client.post('/api/v1/stores', this.application());
    const at = `/api/v1/stores/${applied.store_id}`;
    await client.post(`${at}/submit`);
    await this.operator.post(`/api/v1/admin/stores/${applied.store_id}/review`, { decision: 'approve', reasons: [] });
    const made = await client.post(`${at}/credentials`);
    await client.post(`${at}/connect`);
    const store = await client.post(`${at}/open`);
    const provider = { client, org, store, clientId: made.client_id, secret: made.client_secret, bearer: made.if2_bearer, machine: this.client() };
    provider.machine.bearer = (await this.token(provider)).json.access_token;
    return provider;
  }

  async token(who: { clientId: string; secret: string }, form = 'grant_type=client_credentials') {
    return this.client().send('POST', '/oauth2/token', undefined, {
      raw: form,
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        authorization: 'Basic ' + Buffer.from(`${who.clientId}:${who.secret}`).toString('base64'),
      },
    });
  }

  /** Reports a product and gives its ids; the SKUs by their external ids. */
  async lists(provider: Provider, external: string, over: object = {}) {
    const reply = await provider.machine.ok('PUT', `/if2/v1/products/${external}`, product(over));
    const skus = Object.fromEntries(reply.sku_ids.map((s: any) => [s.external_sku_id, s.sku_id])) as Record<string, string>;
    return { product: reply.product_id as string, skus };
  }

  async price(lines: { sku_id: string; quantity: number }[]) {
    const quote = await this.client().post('/api/v1/quotes', { lines: lines.map(({ sku_id, quantity }) => ({ sku_id, quantity })) });
    return quote.payable_fen as number;
  }

  async buys(buyer: Buyer, lines: { sku_id: string; quantity: number; config?: any }[], pay = true) {
    return buyer.client.post('/api/v1/orders', { lines, expected_payable_fen: await this.price(lines), pay_from_balance: pay });
  }

  reaches(buyer: Buyer, id: string, state: string) {
    return until(async () => {
      const order = await buyer.client.get(`/api/v1/orders/${id}`);
      return order.state === state && order;
    }, `order ${id} to be ${state}`);
  }

  /** The fulfilment report (R17) of a child order. */
  report(provider: Provider, child: any, sequence: number, items: object[], over: object = {}) {
    return provider.machine.send('POST', `/if2/v1/orders/${child.order_id}/fulfilments`, {
      report_id: `r${sequence}`, provider_sequence: sequence, items, ...over,
    });
  }

  sql(statement: string) {
    return execFileSync('sqlite3', ['-readonly', join(this.platform.data, 'suanhe.db'), statement], { encoding: 'utf8' }).trim();
  }

  /** What only time would bring. */
  write(statement: string) {
    execFileSync('sqlite3', ['-cmd', '.timeout 10000', join(this.platform.data, 'suanhe.db'), statement], { encoding: 'utf8' });
  }

  #tables = '';
  /** How many rows each table has. */
  counts(): Record<string, number> {
    if (!this.#tables)
      this.#tables = this.sql("SELECT group_concat('SELECT ''' || name || ''', COUNT(*) FROM ' || name, ' UNION ALL ') FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'");
    const rows = this.sql(this.#tables).split('\n').map((l) => l.split('|'));
    const signed = /^evidence_(edge|head|tile)$/; // follow the entries some time later
    return Object.fromEntries(rows.filter(([name]) => !signed.test(name!)).map(([name, n]) => [name, Number(n)]));
  }
  /** The counts once nothing works in the background any more. */
  async settled() {
    let before = JSON.stringify(this.counts());
    for (let i = 0; i < 100; i++) {
      await new Promise((r) => setTimeout(r, 250));
      const now = JSON.stringify(this.counts());
      if (now === before) break;
      before = now;
    }
    return JSON.parse(before) as Record<string, number>;
  }
}

/** For exchanges that did not go through Client. */
export function record(line: object) {
  if (process.env.SUANHE_RECORD) appendFileSync(process.env.SUANHE_RECORD, JSON.stringify(line) + '\n');
}
