// SPDX-License-Identifier: Apache-2.0
// An outside client of the platform: a person with a cookie, or nobody. Nothing here knows the platform's inside.
import { randomBytes } from 'node:crypto';
import { appendFileSync } from 'node:fs';

/** A refusal: status, stable code, the whole problem. */
export class Refused extends Error {
  /** @param {string} what @param {number} status @param {any} problem */
  constructor(what, status, problem) {
    super(`${what}: ${status} ${problem?.code ?? ''} ${problem?.detail ?? ''} ${JSON.stringify(problem?.errors ?? '')}`);
    this.status = status;
    this.problem = problem;
    this.code = problem?.code;
  }
}

export const newKey = () => randomBytes(12).toString('hex');

export class Client {
  /** @param {string} base */
  constructor(base) {
    this.base = base;
    this.cookie = '';
    this.csrf = '';
    this.org = '';
    this.bearer = '';
  }

  /**
   * @param {string} method @param {string} path @param {any} [body]
   * @param {{key?: string, headers?: Record<string, string>, raw?: string}} [options]
   */
  async send(method, path, body, options = {}) {
    /** @type {Record<string, string>} */
    const headers = { accept: 'application/json', ...options.headers };
    if (this.cookie) headers.cookie = this.cookie;
    if (this.csrf && method !== 'GET') headers['x-csrf-token'] = this.csrf;
    if (this.org) headers['x-org'] = this.org;
    if (this.bearer) headers.authorization = `Bearer ${this.bearer}`;
    if (method === 'POST' && !headers['idempotency-key']) headers['idempotency-key'] = options.key ?? newKey();
    const text = options.raw ?? (body === undefined ? undefined : JSON.stringify(body));
    if (text !== undefined && !headers['content-type']) headers['content-type'] = 'application/json';
    const reply = await fetch(this.base + path, { method, headers, body: text, redirect: 'manual' });
    for (const set of reply.headers.getSetCookie()) this.cookie = /** @type {string} */ (set.split(';')[0]);
    const type = reply.headers.get('content-type') ?? '';
    const answer = await reply.text();
    const json = type.includes('json') && answer ? JSON.parse(answer) : undefined;
    if (process.env.SUANHE_RECORD)
      appendFileSync(
        process.env.SUANHE_RECORD,
        JSON.stringify({ method, path: path.split('?')[0], status: reply.status, request: body, response: json, content_type: type }) + '\n',
      );
    return { status: reply.status, headers: reply.headers, text: answer, json };
  }

  /** Like send, but a refusal is thrown. @param {string} method @param {string} path @param {any} [body] @param {any} [options] */
  async ok(method, path, body, options) {
    const reply = await this.send(method, path, body, options);
    if (reply.status >= 400) throw new Refused(`${method} ${path}`, reply.status, reply.json);
    return reply.json ?? reply.text;
  }

  /** @param {string} path */
  get(path) {
    return this.ok('GET', path);
  }
  /** @param {string} path @param {any} [body] @param {any} [options] */
  post(path, body, options) {
    return this.ok('POST', path, body ?? undefined, options);
  }

  /** @param {string} email @param {string} password @param {string} name */
  async register(email, password, name) {
    const reply = await this.post('/api/v1/register', { email, password, name, consent_version: '1' });
    this.csrf = reply.csrf_token;
    return reply;
  }
  /** @param {string} email @param {string} password */
  async login(email, password) {
    const reply = await this.post('/api/v1/login', { email, password });
    this.csrf = reply.csrf_token;
    return reply;
  }
}

/** Asks again until the check gives something, or the time is over. @template T @param {() => Promise<T | undefined | false>} check @param {string} what @param {number} [ms] */
export async function until(check, what, ms = 20000) {
  const end = Date.now() + ms;
  for (;;) {
    const got = await check();
    if (got) return got;
    if (Date.now() > end) throw new Error(`waited ${ms} ms for ${what}`);
    await new Promise((r) => setTimeout(r, 60));
  }
}
