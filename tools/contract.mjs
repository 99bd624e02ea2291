// SPDX-License-Identifier: Apache-2.0
// @ts-check
// The written contract (spec/openapi.yaml, spec/if2.yaml) against the server's route tables, both ways, and against what
// tests recorded. Nothing is generated, and the two texts cannot drift.
//   contract.mjs                                 lint of both texts, comparison with `suanhe routes`
//   contract.mjs --lint                          the texts alone
//   contract.mjs --recorded FILE [--require-all] recorded exchanges against the schemas; with the flag every operation
//                                                and every promised error code must have been seen
//   contract.mjs --self-test                     breaks each rule once
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compareBody, resolve } from './contract-body.mjs';
import { checkRecorded } from './contract-recorded.mjs';

/**
 * @typedef {{name: string, type: string, min: number, max: number, required: boolean, prefix?: string, values?: string[],
 *   fields?: Field[]}} Field
 * @typedef {{method: string, path: string, permission: string, tx: string, flags: string[], body: Field[]|null}} Route
 * @typedef {any} Json
 * @typedef {{file: string, doc: Json}} Spec
 * @typedef {{spec: Spec, name: string, method: string, path: string, item: Json, op: Json,
 *   outbound: boolean}} Operation
 * @typedef {{where: string, rule: string, text: string}} Finding
 * @typedef {(where: string, rule: string, text: string) => void} Report
 */

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const methods = ['get', 'put', 'post', 'delete', 'patch', 'head', 'options'];
export const ruleNames = [
  'version', 'operation-id', 'ref', 'x-permission', 'x-caller', 'refusals', 'codes', 'operation-missing', 'route-missing', 'permission',
  'key', 'if-match', 'body', 'field-missing', 'field-unknown', 'field-type', 'field-bounds', 'field-required', 'field-values',
  'recorded-operation', 'recorded-status', 'recorded-reply', 'recorded-request', 'recorded-code', 'never-seen', 'code-never-seen',
];

/** Parameter names are the author's own; only their places count. @param {string} path */
const shapeOf = (path) => path.replace(/\{[^}]+\}/g, '{}').replace(/(.)\/$/, '$1');

/** What others call at the platform (paths) and what the platform calls at others (webhooks). @param {Spec[]} specs @returns {Operation[]} */
export function operations(specs) {
  return specs.flatMap((spec) => [
    ...Object.entries(spec.doc.paths ?? {}).flatMap(([path, item]) => ofItem(spec, serverOf(spec, item) + path, item, false)),
    ...Object.entries(spec.doc.webhooks ?? {}).flatMap(([name, item]) => ofItem(spec, item['x-path'] ?? name, item, true)),
  ]);
}

/** @param {Spec} spec @param {Json} item */
function serverOf(spec, item) {
  const server = (item.servers ?? spec.doc.servers ?? [])[0]?.url ?? '';
  return server.replace(/^https?:\/\/[^/]*/, '').replace(/\/$/, '');
}

/** @param {Spec} spec @param {string} path @param {Json} item @param {boolean} outbound @returns {Operation[]} */
function ofItem(spec, path, item, outbound) {
  return methods
    .filter((m) => item[m])
    .map((m) => ({ spec, name: `${outbound ? 'outbound ' : ''}${m.toUpperCase()} ${path}`, method: m.toUpperCase(), path, item, op: item[m], outbound }));
}

/** Error codes that an operation promises beside the general ones. @param {Spec} spec @param {Json} op @returns {string[]} */
export function promisedCodes(spec, op) {
  const ofReplies = Object.values(op.responses ?? {}).flatMap((response) => resolve(spec.doc, response)?.['x-codes'] ?? []);
  return [...(op['x-codes'] ?? []), ...ofReplies];
}

/* ---- lint ---- */

/** @param {Json} value @param {(ref: string) => void} see */
function eachRef(value, see) {
  if (Array.isArray(value)) value.forEach((v) => eachRef(v, see));
  else if (value && typeof value === 'object')
    for (const [key, v] of Object.entries(value)) {
      if (key === '$ref' && typeof v === 'string') see(v);
      else eachRef(v, see);
    }
}

/** @param {Spec[]} specs @param {Report} report */
export function lint(specs, report) {
  const seen = new Set();
  for (const { file, doc } of specs) {
    if (!/^3\.1\.\d+$/.test(String(doc.openapi))) report(file, 'version', `openapi is ${doc.openapi}; 3.1.x is wanted`);
    eachRef(doc, (ref) => {
      if (!ref.startsWith('#/') || resolve(doc, { $ref: ref }) === undefined) report(file, 'ref', `${ref} leads nowhere`);
    });
  }
  for (const { spec, name, op, outbound } of operations(specs)) {
    const where = `${spec.file} ${name}`;
    if (!op.operationId || seen.has(op.operationId)) report(where, 'operation-id', `operationId ${op.operationId} is missing or twice there`);
    seen.add(op.operationId);
    const caller = spec.doc.webhooks ? (outbound ? 'platform' : 'provider') : undefined;
    if (op['x-caller'] !== caller) report(where, 'x-caller', `x-caller: ${caller} is wanted`);
    if (typeof op['x-permission'] !== 'string') report(where, 'x-permission', 'say who may call: x-permission');
    const statuses = Object.keys(op.responses ?? {});
    if (!statuses.some((s) => /^(4(\d\d|XX)|default)$/.test(s))) report(where, 'refusals', 'say how it refuses: a 4xx reply or default');
    for (const code of promisedCodes(spec, op))
      if (!/^[a-z][a-z0-9_]*$/.test(code)) report(where, 'codes', `${code} is no error code: snake_case`);
  }
}

/* ---- against the route tables ---- */

/** @param {Operation} operation @param {string} header */
function wantsHeader(operation, header) {
  return [...(operation.item.parameters ?? []), ...(operation.op.parameters ?? [])]
    .map((p) => resolve(operation.spec.doc, p))
    .some((p) => p?.in === 'header' && p.name.toLowerCase() === header && p.required === true);
}

/** @param {Operation} operation @param {Route} route @param {Report} report */
function compareOne(operation, route, report) {
  const where = operation.name;
  const said = operation.op['x-permission'];
  if (said !== route.permission) report(where, 'permission', `the text says ${said}, the server asks for ${route.permission}`);
  for (const [flag, header, rule] of [['key_required', 'idempotency-key', 'key'], ['if_match', 'if-match', 'if-match']])
    if (wantsHeader(operation, header) !== route.flags.includes(flag))
      report(where, rule, `${header} is required ${route.flags.includes(flag) ? 'by the server' : 'in the text'} only`);
  if (!route.flags.includes('raw_body'))
    compareBody({ doc: operation.spec.doc, op: operation.op, where, form: route.flags.includes('form') }, route.body, report);
}

/** @param {Spec[]} specs @param {Route[]} routes @param {Report} report */
export function compare(specs, routes, report) {
  const key = (/** @type {string} */ method, /** @type {string} */ path) => `${method} ${shapeOf(path)}`;
  const written = new Map(
    operations(specs).filter((o) => !o.outbound).map((o) => [key(o.method, o.path), o]),
  );
  const served = new Map(routes.map((r) => [key(r.method, r.path), r]));
  for (const [k, operation] of written) {
    const route = served.get(k);
    if (route) compareOne(operation, route, report);
    else report(operation.name, 'route-missing', 'the text has it, no route table does');
  }
  for (const [k, route] of served)
    if (!written.has(k) && !route.flags.includes('admin_socket'))
      report(`${route.method} ${route.path}`, 'operation-missing', 'a route table has it, spec/ does not');
}

/* ---- the program ---- */

/** @returns {Spec[]} */
function readSpecs() {
  const { parse } = createRequire(join(root, 'tests/package.json'))('yaml');
  return ['spec/openapi.yaml', 'spec/if2.yaml']
    .filter((file) => existsSync(join(root, file)))
    .map((file) => ({ file, doc: parse(readFileSync(join(root, file), 'utf8')) }));
}

/** @returns {Route[]} */
function readRoutes() {
  const program = process.env.SUANHE_BIN ?? join(root, 'build/release/bin/suanhe');
  return JSON.parse(execFileSync(program, ['routes'], { encoding: 'utf8', maxBuffer: 64 << 20 })).routes;
}

/** @param {Finding[]} findings @param {number} count what was looked at @param {string} what */
function finish(findings, count, what) {
  for (const f of findings) console.log(`${f.where} ${f.rule}: ${f.text}`);
  const broken = new Set(findings.map((f) => f.rule)).size;
  console.log(`contract: ${count} ${what}, ${ruleNames.length - broken} rules hold, ${broken} broken (${findings.length} places)`);
  return count === 0 || findings.length > 0 ? 1 : 0;
}

async function main() {
  const args = process.argv.slice(2);
  if (args.includes('--self-test')) {
    const { selfTest } = await import('./contract-self-test.mjs');
    return selfTest();
  }
  /** @type {Finding[]} */
  const findings = [];
  /** @type {Report} */
  const report = (where, rule, text) => void findings.push({ where, rule, text });
  const specs = readSpecs();
  const recorded = args.indexOf('--recorded');
  if (recorded >= 0) {
    const lines = readFileSync(args[recorded + 1], 'utf8').split('\n').filter(Boolean).map((l) => JSON.parse(l));
    checkRecorded(specs, lines, args.includes('--require-all'), report);
    return finish(findings, lines.length, 'recorded exchanges');
  }
  lint(specs, report);
  if (!args.includes('--lint')) compare(specs, readRoutes(), report);
  return finish(findings, operations(specs).length, 'operations');
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  main().then(
    (status) => process.exit(status),
    (error) => {
      console.error(`contract: ${error.message}`);
      process.exit(1);
    },
  );
