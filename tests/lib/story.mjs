// SPDX-License-Identifier: Apache-2.0
// The story: three providers join, list, a consumer buys of two at once, cancels one, is refused one, and proves it all. Each step
// returns one line that says what was checked. The demo, the flow tests and the page walk all run it.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, until } from './client.mjs';
import { bin, fixture } from './platform.mjs';
import { uscc } from './uscc.mjs';

export const PASSWORD = 'correct horse battery 42';
/** @param {boolean} good @param {string} what */
function check(good, what) {
  if (!good) throw new Error(`not so: ${what}`);
}

export class Story {
  /** @param {import('./platform.mjs').Platform} platform @param {string} outDir */
  constructor(platform, outDir) {
    this.p = platform;
    this.out = outDir;
    this.operator = new Client(platform.url);
    this.consumer = new Client(platform.url);
    this.email = '';
    /** @type {any} */
    this.order = undefined;
    /** @type {{code: string, store: any, client: Client}[]} */
    this.stores = [];
    this.credited = 500_000_000;
    this.runId = Date.now().toString(36);
  }

  /** @param {{code: string, name: string, region: string}} who @param {number} n */
  async #joins(who, n) {
    const client = new Client(this.p.url);
    await client.register(`${who.code}-${this.runId}@provider.example`, PASSWORD, who.name);
    const org = await client.post('/api/v1/orgs', { name: who.name, kind: 'provider' });
    client.org = org.org_id;
    const good = uscc(n);
    const wrong = good.slice(0, 17) + (good[17] === '0' ? '1' : '0');
    const application = {
      name: who.name, legal_name: who.name + '有限公司', description: '演示', contact_name: '张三', region_code: who.region,
      if2_base_url: this.p.agentUrl(who.code), accepted_rules_version: '1',
    };
    const refused = await client.send('POST', '/api/v1/stores', { ...application, uscc: wrong });
    check(refused.status === 422 && JSON.stringify(refused.json).includes('18'), 'a wrong check digit is refused and position 18 named');
    const store = await client.post('/api/v1/stores', { ...application, uscc: good });
    await client.post(`/api/v1/stores/${store.store_id}/submit`);
    await this.operator.post(`/api/v1/admin/stores/${store.store_id}/review`, { decision: 'approve', reasons: [] });
    const credentials = await client.post(`/api/v1/stores/${store.store_id}/credentials`);
    this.p.providers.push({
      name: who.name, store_id: store.store_id, base_url: application.if2_base_url, client_id: credentials.client_id,
      client_secret: credentials.client_secret, bearer: credentials.if2_bearer,
    });
    this.stores.push({ code: who.code, store, client });
  }

  async step1() {
    await this.operator.login(this.p.operator.email, this.p.operator.password);
    const me = await this.operator.get('/api/v1/me');
    this.operator.org = me.orgs.find((/** @type {any} */ o) => o.kind === 'operator').org_id;
    const who = JSON.parse(fixture('story-providers.json'));
    for (let i = 0; i < who.length; i++) await this.#joins(who[i], 100 + i);
    this.p.writeAgentConfig();
    await this.p.startAgent();
    for (const { client, store } of this.stores) {
      const connected = await client.post(`/api/v1/stores/${store.store_id}/connect`);
      check(connected.state === 'connected', 'the connection test connects the store');
      const open = await client.post(`/api/v1/stores/${store.store_id}/open`);
      check(open.state === 'open', 'a connected store opens');
    }
    return `1 ${this.stores.length} providers joined: code checked, reviewed, credentials, connected, open`;
  }

  async step2() {
    let count = 0;
    for (const { code } of this.stores) {
      const products = fixture(`story-products-${code}.jsonl`).trim().split('\n').map((l) => JSON.parse(l));
      this.p.reportProducts(code, products);
      count += products.length;
    }
    const shopper = new Client(this.p.url);
    for (const { store } of this.stores) {
      const found = await until(async () => {
        const page = await shopper.get(`/api/v1/catalog/products?store=${store.store_id}`);
        return page.total > 0 && page;
      }, 'the reported products in the catalogue');
      check(found.facets.category.length > 0, 'facets are counted');
    }
    return `2 ${count} real products reported through R5 by ${this.stores.length} scheduling platforms and found in the catalogue`;
  }

  /** A SKU that can be bought now: reserved, of this store. @param {string} storeId @param {number} [skip] */
  async #sku(storeId, skip = 0) {
    const page = await this.consumer.get(`/api/v1/catalog/products?store=${storeId}&charge_mode=reserved&in_stock=true&sort=price&limit=20`);
    const product = await this.consumer.get(`/api/v1/catalog/products/${page.data[skip].product_id}`);
    const sku = product.skus.find((/** @type {any} */ s) => s.charge_mode === 'reserved' && s.orderable);
    check(!!sku, 'the product has a SKU to order');
    return { product, sku };
  }

  async #balance() {
    return (await this.consumer.get('/api/v1/balance')).balance_fen;
  }

  /** @param {any} lines @param {boolean} [pay] */
  async #buy(lines, pay = true) {
    const quote = await this.consumer.post('/api/v1/quotes', { lines: lines.map((/** @type {any} */ l) => ({ sku_id: l.sku_id, quantity: l.quantity })) });
    return this.consumer.post('/api/v1/orders', { lines, expected_payable_fen: quote.payable_fen, pay_from_balance: pay });
  }

  async step3() {
    this.email = `lab-${this.runId}@consumer.example`;
    const registered = await this.consumer.register(this.email, PASSWORD, '李四');
    const credit = { org_id: registered.personal_org_id, amount_fen: this.credited, bank_reference: `T-${this.runId}`, note: '' };
    await this.operator.post('/api/v1/admin/credits', credit);
    check((await this.#balance()) === this.credited, 'the credited balance is there');
    const lines = [];
    for (const { store } of this.stores.slice(0, 2)) {
      const { sku } = await this.#sku(store.store_id);
      await this.consumer.ok('PUT', `/api/v1/cart/lines/${sku.sku_id}`, { quantity: 2 });
      lines.push({ sku_id: sku.sku_id, quantity: 2 });
    }
    const cart = await this.consumer.get('/api/v1/cart');
    const quote = await this.consumer.post('/api/v1/quotes', { lines });
    check(cart.payable_fen === quote.payable_fen && quote.payable_fen > 0, 'cart and quote agree to the fen');
    this.order = await this.consumer.post('/api/v1/orders', {
      quote_id: quote.quote_id, expected_payable_fen: quote.payable_fen, pay_from_balance: true, from_cart: true,
    });
    check(this.order.children.length === 2, 'one parent, a child order for each of two providers');
    check((await this.#balance()) === this.credited - quote.payable_fen, 'the balance paid exactly the payable amount');
    check((await this.consumer.get('/api/v1/cart')).lines.length === 0, 'the cart is empty');
    const done = await this.#reaches(this.order.order_id, 'completed');
    const items = done.children.flatMap((/** @type {any} */ c) => c.items);
    check(items.every((/** @type {any} */ i) => i.state === 'active' && i.instance_state === 'active'), 'all items are active');
    const service = await this.consumer.get(`/api/v1/services/${items[0].instance_id}`);
    check(service.units.length === 2, 'two units are reported one by one');
    const tool = await fetch(service.tool_url);
    check(tool.ok, 'the tool entry opens');
    this.service = service;
    this.order = done;
    return `3 bought of two providers for ${quote.payable_fen} fen from balance, ${items.length} instances active, tool entry opens`;
  }

  /** @param {string} id @param {string} state */
  #reaches(id, state) {
    return until(async () => {
      const order = await this.consumer.get(`/api/v1/orders/${id}`);
      return order.state === state && order;
    }, `order ${id} to be ${state}`, 30000);
  }

  async step4() {
    const before = await this.#balance();
    const slow = await this.#sku(this.stores[0]?.store.store_id);
    const second = await this.#sku(this.stores[1]?.store.store_id);
    const order = await this.#buy([
      { sku_id: slow.sku.sku_id, quantity: 1, config: { fake: { delay_ms: 600000 } } },
      { sku_id: second.sku.sku_id, quantity: 1 },
    ]);
    const slowItem = order.children.flatMap((/** @type {any} */ c) => c.items).find((/** @type {any} */ i) => i.sku_id === slow.sku.sku_id);
    const otherItem = order.children.flatMap((/** @type {any} */ c) => c.items).find((/** @type {any} */ i) => i.sku_id === second.sku.sku_id);
    await this.consumer.post(`/api/v1/orders/${order.order_id}/cancel`, { item_ids: [slowItem.item_id], reason: '改变主意' });
    const done = await until(async () => {
      const now = await this.consumer.get(`/api/v1/orders/${order.order_id}`);
      const item = now.children.flatMap((/** @type {any} */ c) => c.items).find((/** @type {any} */ i) => i.item_id === slowItem.item_id);
      return item.state === 'cancelled' && now;
    }, 'the cancelled item', 30000);
    check(done.refunded_fen === slowItem.payable_fen, 'the refund is the item to the fen');
    check((await this.#balance()) === before - otherItem.payable_fen, 'the balance has it back');

    const middle = await this.#balance();
    const refusedSku = await this.#sku(this.stores[2]?.store.store_id);
    const refused = await this.#buy([{ sku_id: refusedSku.sku.sku_id, quantity: 1, config: { fake: { outcome: 'reject' } } }]);
    const rejected = await this.#reaches(refused.order_id, 'rejected');
    check(rejected.refunded_fen === rejected.paid_fen && (await this.#balance()) === middle, 'a refusal of the provider gives all back by itself');
    this.refusedOrder = rejected;
    const fsck = this.p.run('fsck');
    check(fsck.status === 0, `books, orders and evidence agree: ${fsck.out} ${fsck.err}`);
    return `4 one item cancelled before delivery and one order refused by its provider: both refunded to the fen, books sound`;
  }

  /** @param {string} eventId @param {string} name */
  async #receipt(eventId, name) {
    const reply = await until(async () => {
      const got = await this.consumer.send('GET', `/api/v1/evidence/receipts/${eventId}?payload=true`);
      return got.status === 200 && got;
    }, `the receipt of ${eventId}`);
    const file = join(this.out, name);
    writeFileSync(file, reply.text);
    return file;
  }

  /** @param {string} file */
  #verify(file) {
    return spawnSync(bin('suanhe-verify'), ['receipt', '--key', join(this.out, 'platform.vkey'), file], { encoding: 'utf8' });
  }

  async step5() {
    mkdirSync(this.out, { recursive: true });
    const keys = await fetch(`${this.p.url}/evidence/v1/keys`);
    writeFileSync(join(this.out, 'platform.vkey'), await keys.text());
    const timeline = await this.consumer.get(`/api/v1/orders/${this.order.order_id}/timeline?limit=200`);
    const types = timeline.data.map((/** @type {any} */ e) => e.type);
    for (const type of ['order.paid', 'pay.voucher', 'trade.settled']) check(types.includes(type), `the timeline tells ${type}`);
    const find = (/** @type {string} */ type) => timeline.data.find((/** @type {any} */ e) => e.type === type).event_id;
    const files = [await this.#receipt(find('order.paid'), 'order.evd'), await this.#receipt(find('pay.voucher'), 'payment.evd')];
    let flips = 0;
    for (const file of files) {
      const good = this.#verify(file);
      check(good.status === 0, `suanhe-verify accepts ${file}: ${good.stdout}${good.stderr}`);
      const bytes = readFileSync(file);
      for (let at = 0; at < bytes.length; at += Math.max(1, Math.floor(bytes.length / 40))) {
        const bad = Buffer.from(bytes);
        bad[at] = /** @type {number} */ (bad[at]) ^ 1;
        writeFileSync(join(this.out, 'flipped'), bad);
        check(this.#verify(join(this.out, 'flipped')).status === 1, `a receipt changed at byte ${at} is refused`);
        flips++;
      }
    }
    return `5 ${timeline.data.length} facts on the order's timeline; receipts of order and payment verify offline, ${flips} changed ones refused`;
  }

  /** @param {(line: string) => void} say */
  async run(say) {
    for (const step of [this.step1, this.step2, this.step3, this.step4, this.step5]) say(await step.call(this));
  }
}
