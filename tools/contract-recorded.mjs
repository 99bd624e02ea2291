// SPDX-License-Identifier: Apache-2.0
// @ts-check
// What tests recorded, one exchange a line {method, path, status, request, response, content_type}, against the
// schemas of the written contract: every reply fits, every accepted request was allowed, every promise was seen once.
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { resolve } from './contract-body.mjs';
import { operations, promisedCodes } from './contract.mjs';

/**
 * @typedef {{method: string, path: string, status: number, request: any, response: any, content_type: string,
 *   outbound?: boolean}} Exchange
 * @typedef {import('./contract.mjs').Spec} Spec @typedef {import('./contract.mjs').Operation} Operation
 * @typedef {import('./contract.mjs').Report} Report
 */

const formats = {
  'date-time': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/,
  date: /^\d{4}-\d\d-\d\d$/,
  decimal: /^-?\d+(\.\d+)?$/,
  email: /^[^@\s]+@[^@\s]+$/,
  uri: /^[a-z][a-z0-9+.-]*:/i,
  int32: true,
  int64: true,
  password: true,
};

/** @param {Spec[]} specs */
function validators(specs) {
  const { default: Ajv } = createRequire(join(dirname(fileURLToPath(import.meta.url)), '../tests/package.json'))('ajv/dist/2020.js');
  const ajv = new Ajv({ strict: false, allErrors: true, logger: false, formats, validateSchema: false });
  for (const spec of specs) ajv.addSchema(spec.doc, spec.file, undefined, true);
  const kept = new Map();
  return (/** @type {Spec} */ spec, /** @type {any} */ schema, /** @type {any} */ value) => {
    if (!kept.has(schema)) kept.set(schema, ajv.compile({ ...absolute(schema, spec.file) }));
    const check = kept.get(schema);
    if (check(value)) return '';
    return check.errors.slice(0, 3).map((/** @type {any} */ e) => `${e.instancePath || '/'} ${e.message}${e.params?.additionalProperty ? ` (${e.params.additionalProperty})` : ''}`).join('; ');
  };
}

/** References made absolute, so that a part of the document can be compiled by itself. @param {any} value @param {string} file @returns {any} */
function absolute(value, file) {
  if (Array.isArray(value)) return value.map((v) => absolute(v, file));
  if (!value || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([k, v]) => [k, k === '$ref' && typeof v === 'string' && v.startsWith('#') ? file + v : absolute(v, file)]),
  );
}

/** @param {any} content @param {string} type */
function schemaOf(content, type) {
  const bare = type.split(';')[0].trim();
  return content?.[bare]?.schema;
}

/** @param {Operation} operation @param {number} status */
function responseOf(operation, status) {
  const all = operation.op.responses ?? {};
  const found = all[status] ?? all[`${String(status)[0]}XX`] ?? all.default;
  return found && resolve(operation.spec.doc, found);
}

/** Finds the operation of a path as it was sent; where several templates fit, the one with fewer parameters. @param {Operation[]} all */
function finder(all) {
  const table = all
    .map((operation) => ({
      operation,
      parameters: operation.path.split('{').length,
      re: new RegExp('^' + operation.path.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{[^}]+\}/g, '[^/]+') + '$'),
    }))
    .sort((a, b) => a.parameters - b.parameters || b.operation.path.length - a.operation.path.length);
  return (/** @type {Exchange} */ e) =>
    table.find(({ operation: o, re }) => o.method === e.method && o.outbound === (e.outbound ?? false) && re.test(e.path))?.operation;
}

/** @param {Spec[]} specs @param {Exchange[]} exchanges @param {boolean} requireAll @param {Report} report */
export function checkRecorded(specs, exchanges, requireAll, report) {
  const validate = validators(specs);
  const all = operations(specs);
  const find = finder(all);
  const seen = new Set();
  for (const exchange of exchanges) {
    const operation = find(exchange);
    const where = `${exchange.method} ${exchange.path} ${exchange.status}`;
    if (!operation) {
      report(where, 'recorded-operation', 'no operation of the text');
      continue;
    }
    const response = responseOf(operation, exchange.status);
    if (!response) report(where, 'recorded-status', `${operation.name} does not promise ${exchange.status}`);
    else checkReply({ validate, operation, response, where, report }, exchange);
    checkRequest({ validate, operation, where, report }, exchange);
    if (exchange.status < 400) seen.add(operation.name);
    else if (exchange.response?.code) seen.add(`${operation.name} ${exchange.response.code}`);
  }
  if (!requireAll) return;
  for (const operation of all) {
    if (operation.outbound || operation.op['x-unrecorded']) continue;
    if (!seen.has(operation.name)) report(operation.name, 'never-seen', 'no test had it succeed');
    for (const code of promisedCodes(operation.spec, operation.op))
      if (!seen.has(`${operation.name} ${code}`)) report(operation.name, 'code-never-seen', `${code} is promised, no test met it`);
  }
}

/**
 * @param {{validate: ReturnType<typeof validators>, operation: Operation, response: any, where: string, report: Report}} scene
 * @param {Exchange} exchange
 */
function checkReply({ validate, operation, response, where, report }, exchange) {
  const type = exchange.content_type ?? '';
  if (!response.content) return;
  const schema = schemaOf(response.content, type);
  if (!schema) {
    if (!Object.keys(response.content).includes(type.split(';')[0].trim()))
      report(where, 'recorded-reply', `${type || 'no content type'} is not promised`);
    return;
  }
  const wrong = /json/.test(type) ? validate(operation.spec, schema, exchange.response) : '';
  if (wrong) report(where, 'recorded-reply', wrong);
  const code = exchange.response?.code;
  const general = [...common, ...(operation.spec.doc['x-general-codes'] ?? [])];
  if (exchange.status >= 400 && !general.includes(code) && !promisedCodes(operation.spec, operation.op).includes(code))
    report(where, 'recorded-code', `${code} is not among the x-codes of ${operation.name}`);
}

/** Codes that the edge gives for any operation; they are said once, not per operation. */
const common = [
  'unauthenticated', 'invalid_token', 'permission_denied', 'insufficient_scope', 'csrf_failed', 'not_found', 'method_not_allowed',
  'invalid_request', 'validation_failed', 'invalid_query', 'invalid_path', 'invalid_if_match', 'unsupported_media_type', 'body_too_large',
  'body_not_allowed', 'idempotency_key_missing', 'idempotency_key_invalid', 'idempotency_key_reused', 'idempotency_in_progress',
  'precondition_required', 'version_mismatch', 'concurrent_change', 'throttled', 'server_busy', 'server_stopping', 'storage_failed', 'disk_full',
  'database_unavailable',
];

/** A request that was accepted must be one that the text allows. @param {{validate: ReturnType<typeof validators>, operation: Operation, where: string, report: Report}} scene @param {Exchange} exchange */
function checkRequest({ validate, operation, where, report }, exchange) {
  if (exchange.status >= 400 || exchange.request === undefined || exchange.request === null || typeof exchange.request !== 'object') return;
  const schema = schemaOf(resolve(operation.spec.doc, operation.op.requestBody)?.content, 'application/json');
  const wrong = schema ? validate(operation.spec, schema, exchange.request) : '';
  if (wrong) report(where, 'recorded-request', `accepted, though the text forbids it: ${wrong}`);
}
