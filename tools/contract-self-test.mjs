// SPDX-License-Identifier: Apache-2.0
// @ts-check
// Breaks each rule of contract once, in a contract of two operations, and expects exactly that rule.
import { checkRecorded } from './contract-recorded.mjs';
import { compare, lint, ruleNames } from './contract.mjs';

/** @typedef {any} Json @typedef {{spec: Json, routes: Json[], recorded: Json[]}} World */

/** @returns {World} */
function sound() {
  const problem = { description: 'Refused', content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } } };
  const order = {
    type: 'object', required: ['order_id', 'state'],
    properties: { order_id: { type: 'string', pattern: '^ord_' }, state: { type: 'string', enum: ['open', 'closed'] } },
  };
  const create = {
    type: 'object', additionalProperties: false, required: ['sku_id', 'quantity', 'kind'],
    properties: {
      sku_id: { $ref: '#/components/schemas/SkuId' },
      quantity: { type: 'integer', minimum: 1, maximum: 100 },
      kind: { type: 'string', enum: ['new', 'trial'] },
      note: { type: ['string', 'null'], maxLength: 200 },
      lines: { type: 'array', minItems: 1, maxItems: 50, items: { type: 'object', additionalProperties: false, properties: { price: { type: 'string', format: 'decimal' } } } },
    },
  };
  const spec = {
    openapi: '3.1.0', servers: [{ url: '/api' }],
    paths: {
      '/orders': {
        post: {
          operationId: 'create_order', 'x-permission': 'order.create', 'x-caller': 'provider', 'x-codes': ['out_of_stock'],
          parameters: [{ name: 'Idempotency-Key', in: 'header', required: true, schema: { type: 'string' } }],
          requestBody: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Create' } } } },
          responses: { 201: { description: 'Made', content: { 'application/json': { schema: { $ref: '#/components/schemas/Order' } } } }, default: problem },
        },
      },
      '/orders/{order_id}': {
        get: {
          operationId: 'get_order', 'x-permission': 'public', 'x-caller': 'provider',
          responses: { 200: { description: 'It', content: { 'application/json': { schema: { $ref: '#/components/schemas/Order' } } } }, 404: problem },
        },
      },
    },
    webhooks: { hear: { 'x-path': '/hear', post: { operationId: 'hear', 'x-permission': 'if2_bearer', 'x-caller': 'platform', responses: { 200: { description: 'Heard' }, 404: problem } } } },
    components: { schemas: { Order: order, Create: create, SkuId: { type: 'string', pattern: '^sku_[0-9a-z]{13}$' }, Problem: { type: 'object', required: ['code'], properties: { code: { type: 'string' } } } } },
  };
  const none = { min: 0, max: 0, required: false };
  const routes = [
    {
      method: 'POST', path: '/api/orders', permission: 'order.create', tx: 'write', flags: ['key_required'],
      body: [
        { name: 'sku_id', type: 'ref', prefix: 'sku', ...none, required: true },
        { name: 'quantity', type: 'integer', min: 1, max: 100, required: true },
        { name: 'kind', type: 'enum', values: ['new', 'trial'], ...none, required: true },
        { name: 'note', type: 'string', min: 0, max: 200, required: false },
        { name: 'lines', type: 'array', min: 1, max: 50, required: false, fields: [{ name: 'price', type: 'price', ...none }] },
      ],
    },
    { method: 'GET', path: '/api/orders/{id}', permission: 'public', tx: 'read', flags: ['public'], body: null },
  ];
  const json = 'application/json; charset=utf-8';
  const recorded = [
    { method: 'POST', path: '/api/orders', status: 201, content_type: json, request: { sku_id: 'sku_0000000000001', quantity: 1, kind: 'new' }, response: { order_id: 'ord_1', state: 'open' } },
    { method: 'POST', path: '/api/orders', status: 409, content_type: 'application/problem+json', request: {}, response: { code: 'out_of_stock' } },
    { method: 'GET', path: '/api/orders/ord_1', status: 200, content_type: json, request: null, response: { order_id: 'ord_1', state: 'closed' } },
  ];
  return { spec, routes, recorded };
}

const post = (/** @type {World} */ w) => w.spec.paths['/orders'].post;
const create = (/** @type {World} */ w) => w.spec.components.schemas.Create;

/** @type {[string, (world: World) => void][]} */
const breaks = [
  ['version', (w) => void (w.spec.openapi = '3.0.3')],
  ['operation-id', (w) => void (w.spec.paths['/orders/{order_id}'].get.operationId = 'create_order')],
  ['operation-id', (w) => void delete post(w).operationId],
  ['ref', (w) => void (w.spec.components.extra = { $ref: '#/components/schemas/Nothing' })],
  ['x-permission', (w) => void delete w.spec.webhooks.hear.post['x-permission']],
  ['x-caller', (w) => void delete post(w)['x-caller']],
  ['x-caller', (w) => void (w.spec.webhooks.hear.post['x-caller'] = 'provider')],
  ['refusals', (w) => void delete w.spec.webhooks.hear.post.responses[404]],
  ['codes', (w) => void (w.spec.webhooks.hear.post['x-codes'] = ['Out of stock'])],
  ['operation-missing', (w) => void w.routes.push({ ...w.routes[1], path: '/api/carts' })],
  ['operation-missing', (w) => void w.routes.push({ ...w.routes[1], method: 'DELETE' })],
  ['route-missing', (w) => void w.routes.pop()],
  ['permission', (w) => void (post(w)['x-permission'] = 'order.read')],
  ['permission', (w) => void (w.routes[1].permission = 'order.read')],
  ['key', (w) => void (w.routes[0].flags = [])],
  ['key', (w) => void (post(w).parameters[0].required = false)],
  ['if-match', (w) => void w.routes[1].flags.push('if_match')],
  ['body', (w) => void (w.routes[0].body = null)],
  ['body', (w) => void (w.routes[1].body = [])],
  ['body', (w) => void delete create(w).additionalProperties],
  ['field-missing', (w) => void delete create(w).properties.note],
  ['field-unknown', (w) => void w.routes[0].body.splice(3, 1)],
  ['field-type', (w) => void (create(w).properties.quantity = { type: 'string' })],
  ['field-type', (w) => void (w.routes[0].body[0].prefix = 'prd')],
  ['field-type', (w) => void (create(w).properties.lines.items.properties.price = { type: 'number' })],
  ['field-bounds', (w) => void (create(w).properties.quantity.maximum = 99)],
  ['field-bounds', (w) => void (w.routes[0].body[3].max = 201)],
  ['field-bounds', (w) => void (w.routes[0].body[4].min = 0)],
  ['field-required', (w) => void create(w).required.push('note')],
  ['field-required', (w) => void (w.routes[0].body[0].required = false)],
  ['field-values', (w) => void create(w).properties.kind.enum.pop()],
  ['recorded-operation', (w) => void w.recorded.push({ ...w.recorded[2], path: '/api/bills' })],
  ['recorded-status', (w) => void w.recorded.push({ ...w.recorded[2], status: 204 })],
  ['recorded-reply', (w) => void (w.recorded[2].response.state = 'lost')],
  ['recorded-reply', (w) => void (w.recorded[2].content_type = 'text/html')],
  ['recorded-request', (w) => void (w.recorded[0].request.quantity = 101)],
  ['recorded-code', (w) => void w.recorded.push({ ...w.recorded[1], response: { code: 'bad_mood' } })],
  ['never-seen', (w) => void w.recorded.pop()],
  ['code-never-seen', (w) => void w.recorded.splice(1, 1)],
];

/** @param {World} world @returns {string[]} */
function look({ spec, routes, recorded }) {
  /** @type {Set<string>} */
  const rules = new Set();
  const report = (/** @type {string} */ _where, /** @type {string} */ rule) => void rules.add(rule);
  const specs = [{ file: 'fixture', doc: spec }];
  lint(specs, report);
  compare(specs, routes, report);
  // A damaged text cannot be compiled, and its recorded exchanges say nothing more.
  if (!rules.size) checkRecorded(specs, recorded, true, report);
  return [...rules];
}

/** @returns {number} exit status */
export function selfTest() {
  const wrong = [];
  const clean = look(sound());
  if (clean.length) wrong.push(`the sound contract breaks ${clean.join(', ')}`);
  for (const [rule, damage] of breaks) {
    const world = sound();
    damage(world);
    const got = look(world);
    if (got.length !== 1 || got[0] !== rule) wrong.push(`${rule} (${damage}): reported ${got.join(', ') || 'nothing'}`);
  }
  for (const rule of ruleNames) if (!breaks.some(([name]) => name === rule)) wrong.push(`${rule} is never broken here`);
  for (const line of wrong) console.log(`contract --self-test: ${line}`);
  console.log(`contract --self-test: ${breaks.length} damages, ${wrong.length} wrong`);
  return wrong.length ? 1 : 0;
}
