// SPDX-License-Identifier: Apache-2.0
// The typed client of the portal API. Organisation, CSRF token and idempotency key are put on by one middleware.
import createClient, { type Middleware } from 'openapi-fetch';
import { Problem, type ProblemBody } from './problem';
import type { components, paths } from './schema';

export type Schemas = components['schemas'];

/** Headers are the middleware's business, so calls need not name them. */
type FreeHeaders<O> = O extends { parameters: infer P }
  ? Omit<O, 'parameters'> & { parameters: Omit<P, 'header'> & { header?: Record<string, string> } }
  : O;
type Paths = { [P in keyof paths]: { [M in keyof paths[P]]: FreeHeaders<paths[P][M]> } };

export const credentials = { csrf: '', org: '' };
export const onUnauthenticated: { run: () => void } = { run: () => undefined };

/** Random without a secure context: crypto.randomUUID is absent on plain http. */
export function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}

const headers: Middleware = {
  onRequest({ request }) {
    if (credentials.org && !request.headers.has('X-Org')) request.headers.set('X-Org', credentials.org);
    if (request.method !== 'GET') {
      if (credentials.csrf) request.headers.set('X-CSRF-Token', credentials.csrf);
      if (request.method === 'POST' && !request.headers.has('Idempotency-Key')) request.headers.set('Idempotency-Key', randomKey());
    }
    return request;
  },
};

export const api = createClient<Paths>({ baseUrl: '' });
api.use(headers);

interface Reply<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

function isProblem(x: unknown): x is ProblemBody {
  return typeof x === 'object' && x !== null && 'code' in x;
}

/** The data of a reply, or a Problem thrown. */
export async function ok<T>(call: Promise<Reply<T>>): Promise<T> {
  let reply: Reply<T>;
  try {
    reply = await call;
  } catch (e) {
    if (e instanceof DOMException && e.name === 'AbortError') throw e;
    throw new Problem({ status: 0, code: 'network' });
  }
  if (reply.response.ok) return reply.data as T;
  const { status } = reply.response;
  const id = reply.response.headers.get('X-Request-Id') ?? '';
  if (status === 401 && credentials.csrf) onUnauthenticated.run();
  if (isProblem(reply.error)) throw new Problem({ ...reply.error, status }, id);
  throw new Problem({ status, code: status >= 502 ? 'unavailable' : status === 404 ? 'not_found' : 'internal' }, id);
}
