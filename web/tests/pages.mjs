// SPDX-License-Identifier: Apache-2.0
// Opens every route of the portal in both languages, both themes and two widths, and fails on a route nobody visited, an error on the
// console, a CSP report, an axe finding or sideways scroll. Screenshots go to build/pages.
//   PAGES_URL=http://127.0.0.1:8080 PAGES_STORY=story.json node tests/pages.mjs
// Story: {"consumer":{"email","password"},"order_id","product_id","service_id"}; ids that are missing are found or bought.
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const here = dirname(fileURLToPath(import.meta.url));
const base = process.env.PAGES_URL ?? 'http://127.0.0.1:8080';
const out = process.env.PAGES_OUT ?? join(here, '..', '..', 'build', 'pages');
const only = process.env.PAGES_ONLY ? new RegExp(process.env.PAGES_ONLY) : null;
const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
/** @type {{consumer?: {email: string, password: string}, order_id?: string, product_id?: string, service_id?: string}} */
const story = process.env.PAGES_STORY ? JSON.parse(readFileSync(process.env.PAGES_STORY, 'utf8')) : {};
mkdirSync(out, { recursive: true });

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
/** @type {string[]} */
const findings = [];
/** @param {string} where @param {string} what */
const found = (where, what) => {
  findings.push(`${where}: ${what}`);
  console.error(`${where}: ${what}`);
};

/** @param {number} ms */
const pause = (ms) => new Promise((r) => setTimeout(r, ms));

/** Logs in by the form, as a person does. @param {import('playwright-core').BrowserContext} context */
async function logIn(context) {
  const page = await context.newPage();
  await page.goto(`${base}/login`);
  await page.fill('#email', story.consumer?.email ?? '');
  await page.fill('#password', story.consumer?.password ?? '');
  await page.click('button[type=submit].full');
  await page.waitForURL(`${base}/`, { timeout: 15000 });
  return page;
}

/** Fills in what the story lacks and puts something into the cart. @param {import('playwright-core').Page} page */
async function prepare(page) {
  return page.evaluate(async (given) => {
    const me = await (await fetch('/api/v1/me')).json();
    /** @param {string} method @param {string} path @param {object=} body */
    const call = async (method, path, body) => {
      const headers = { 'Content-Type': 'application/json', 'X-CSRF-Token': me.csrf_token, 'Idempotency-Key': `pages-${Date.now()}-${Math.random()}` };
      const reply = await fetch(path, { method, headers: method === 'GET' ? {} : headers, ...(body ? { body: JSON.stringify(body) } : {}) });
      if (!reply.ok) throw new Error(`${method} ${path} ${reply.status} ${await reply.text()}`);
      return reply.status === 204 ? null : reply.json();
    };
    const have = { ...given };
    const list = await call('GET', '/api/v1/catalog/products?sort=price&in_stock=true&limit=20');
    have.product_id ??= list.data[0].product_id;
    const product = await call('GET', `/api/v1/catalog/products/${have.product_id}`);
    const sku = product.skus.find((/** @type {{orderable: boolean}} */ s) => s.orderable) ?? product.skus[0];
    if (!have.order_id) {
      const orders = await call('GET', '/api/v1/orders?limit=1');
      have.order_id = orders.data[0]?.order_id;
    }
    if (!have.order_id) {
      const lines = [{ sku_id: sku.sku_id, quantity: sku.min_qty }];
      const quote = await call('POST', '/api/v1/quotes', { lines });
      const order = await call('POST', '/api/v1/orders', { lines, expected_payable_fen: quote.payable_fen, pay_from_balance: true });
      have.order_id = order.order_id;
    }
    const unpaid = await call('GET', '/api/v1/orders?state=pending_payment&limit=1');
    have.unpaid_id = unpaid.data[0]?.order_id;
    if (!have.unpaid_id) {
      const lines = [{ sku_id: sku.sku_id, quantity: sku.min_qty }];
      const quote = await call('POST', '/api/v1/quotes', { lines });
      have.unpaid_id = (await call('POST', '/api/v1/orders', { lines, expected_payable_fen: quote.payable_fen, pay_from_balance: false })).order_id;
    }
    await call('PUT', `/api/v1/cart/lines/${sku.sku_id}`, { quantity: sku.min_qty });
    const other = list.data.find((/** @type {{store_id: string}} */ p) => p.store_id !== product.store_id);
    if (other) {
      const second = (await call('GET', `/api/v1/catalog/products/${other.product_id}`)).skus.find((/** @type {{orderable: boolean}} */ s) => s.orderable);
      if (second) await call('PUT', `/api/v1/cart/lines/${second.sku_id}`, { quantity: second.min_qty });
    }
    for (let i = 0; !have.service_id && i < 40; i++) {
      const services = await call('GET', '/api/v1/services?limit=1');
      have.service_id = services.data[0]?.instance_id;
      if (!have.service_id) await new Promise((r) => setTimeout(r, 500));
    }
    return { ...have, sku_id: sku.sku_id, quantity: sku.min_qty };
  }, { order_id: story.order_id, product_id: story.product_id, service_id: story.service_id });
}

const account = await browser.newContext();
const ids = await prepare(await logIn(account));
const loggedIn = await account.storageState();
await account.close();

/** @typedef {{name: string, route: string, path: string, anonymous?: boolean, width?: number, act?: (page: import('playwright-core').Page) => Promise<void>}} Visit */
/** @type {Visit[]} */
const visits = [
  { name: 'home', route: '/', path: '/' },
  { name: 'login', route: '/login', path: '/login', anonymous: true },
  { name: 'register', route: '/register', path: '/register', anonymous: true },
  { name: 'register-errors', route: '/register', path: '/register', anonymous: true, act: (p) => p.click('button[type=submit].full') },
  { name: 'catalog', route: '/catalog', path: '/catalog' },
  { name: 'catalog-filtered', route: '/catalog', path: '/catalog?q=A100&category=iaas.compute.accelerator&charge_mode=reserved&in_stock=true&sort=price', anonymous: true },
  { name: 'catalog-none', route: '/catalog', path: '/catalog?q=zzzzqq&in_stock=true' },
  { name: 'catalog-sheet', route: '/catalog', path: '/catalog', width: 360, act: (p) => p.click('.tools .btn') },
  { name: 'product', route: '/products/:id', path: `/products/${ids.product_id}` },
  { name: 'cart', route: '/cart', path: '/cart' },
  { name: 'checkout', route: '/checkout', path: `/checkout?sku=${ids.sku_id}&qty=${ids.quantity}` },
  { name: 'orders', route: '/orders', path: '/orders' },
  { name: 'order', route: '/orders/:id', path: `/orders/${ids.order_id}` },
  {
    name: 'order-receipt',
    route: '/orders/:id',
    path: `/orders/${ids.order_id}`,
    act: async (p) => {
      await p.click('.tl button.ev');
      await p.waitForSelector('.rep', { timeout: 20000 });
      if (!(await p.$('.rep:not(.no)'))) throw new Error('the receipt was not found valid');
    },
  },
  { name: 'order-unpaid', route: '/orders/:id', path: `/orders/${ids.unpaid_id}` },
  { name: 'order-pay', route: '/orders/:id', path: `/orders/${ids.unpaid_id}`, act: (p) => p.click('.ph .btn.p') },
  { name: 'order-cancel', route: '/orders/:id', path: `/orders/${ids.unpaid_id}`, act: (p) => p.click('.ph .btn:not(.p)') },
  { name: 'services', route: '/services', path: '/services' },
  { name: 'service', route: '/services/:id', path: `/services/${ids.service_id}` },
  { name: 'balance', route: '/balance', path: '/balance' },
  { name: 'transactions', route: '/transactions', path: '/transactions' },
  { name: 'evidence', route: '/evidence', path: '/evidence' },
  { name: 'account', route: '/account', path: '/account' },
  { name: 'account-menu', route: '/account', path: '/account', act: (p) => p.click('.whob') },
  { name: 'verify', route: '/verify', path: '/verify' },
  { name: 'forbidden', route: '/403', path: '/403' },
  { name: 'not-found', route: '/:path(.*)*', path: '/no/such/page' },
];
const routes = [...readFileSync(join(here, '..', 'src', 'router.ts'), 'utf8').matchAll(/\{ path: '([^']+)', name/g)].map((m) => m[1] ?? '');
for (const route of routes) if (!visits.some((v) => v.route === route)) found(route, 'no visit for this route');

/** @param {import('playwright-core').Page} page */
async function settled(page) {
  await page.waitForSelector('main', { state: 'attached' });
  await page.waitForFunction(() => !document.querySelector('.skel, [aria-busy=true]') && !!document.querySelector('h1, h2'), null, { timeout: 15000 });
  await pause(260); // transitions of 240 ms
}

/** @param {import('playwright-core').Page} page @param {Visit} visit @param {string} where */
async function check(page, visit, where) {
  await page.goto(base + visit.path, { waitUntil: 'load' });
  await settled(page);
  if (visit.act) {
    await visit.act(page);
    await settled(page);
  }
  const scroll = await page.evaluate(() => {
    const limit = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= limit) return '';
    const wide = [...document.querySelectorAll('main *')].filter((e) => e.getBoundingClientRect().right > limit + 1);
    return wide.slice(0, 3).map((e) => `${e.tagName.toLowerCase()}.${e.getAttribute('class') ?? ''}`).join(', ') || 'the page';
  });
  if (scroll) found(where, `scrolls sideways: ${scroll}`);
  const title = await page.title();
  if (!title.includes(' · ')) found(where, `title "${title}"`);
  const axe = await page.evaluate(async () => {
    // @ts-expect-error axe stands on the page
    const result = await window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] });
    return result.violations.map((/** @type {any} */ v) => `axe ${v.id}: ${v.nodes.slice(0, 3).map((/** @type {any} */ n) => `${n.target} ${n.failureSummary?.split('\n')[1] ?? ''}`).join(' | ')}`);
  });
  for (const violation of axe) found(where, violation);
  await page.screenshot({ path: join(out, `${where}.png`), fullPage: true });
}

let pages = 0;
/** @param {{locale: string, theme: string, width: number}} look */
async function walk({ locale, theme, width }) {
  for (const anonymous of [false, true]) {
    const context = await browser.newContext({
      viewport: { width, height: width < 500 ? 780 : 900 },
      ...(anonymous ? {} : { storageState: loggedIn }),
      reducedMotion: 'reduce',
    });
    await context.addInitScript(axeSource);
    await context.addInitScript(
      ([l, t]) => {
        localStorage.setItem('suanhe.locale', l ?? '');
        localStorage.setItem('suanhe.theme', t ?? '');
        document.addEventListener('securitypolicyviolation', (e) => console.error(`CSP ${e.violatedDirective} ${e.blockedURI} ${e.sample}`));
      },
      [locale, theme],
    );
    const page = await context.newPage();
    let where = '';
    page.on('console', (m) => m.type() === 'error' && found(where, `console: ${m.text()} ${m.location().url}`));
    page.on('pageerror', (e) => found(where, `error: ${e.message}`));
    for (const visit of visits) {
      if ((visit.anonymous ?? false) !== anonymous || (visit.width && visit.width !== width) || (only && !only.test(visit.name))) continue;
      where = `${visit.name}-${locale}-${theme}-${width}`;
      try {
        await check(page, visit, where);
      } catch (e) {
        found(where, String(e).split('\n').slice(0, 2).join(' '));
        await page.screenshot({ path: join(out, `${where}.png`) }).catch(() => undefined);
      }
      pages++;
    }
    await context.close();
  }
}

/** @type {{locale: string, theme: string, width: number}[]} */
const looks = [];
for (const width of [360, 1440]) for (const theme of ['light', 'dark']) for (const locale of ['zh', 'en']) looks.push({ locale, theme, width });
const wanted = process.env.PAGES_LOOKS ? looks.filter((l) => new RegExp(process.env.PAGES_LOOKS ?? '').test(`${l.locale}-${l.theme}-${l.width}`)) : looks;
const half = wanted.filter((_, i) => i % 2 === 0);
const rest = wanted.filter((_, i) => i % 2 === 1);
await Promise.all([half, rest].map(async (part) => {
  for (const look of part) await walk(look);
}));
await browser.close();
console.log(`${pages} pages, ${findings.length} findings`);
process.exitCode = findings.length ? 1 : 0;
