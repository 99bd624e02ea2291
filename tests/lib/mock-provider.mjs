// SPDX-License-Identifier: Apache-2.0
// A scheduling platform that misbehaves on demand. A mock, since a real one cannot be told to answer nonsense.
import { createServer } from 'node:http';

export class MockProvider {
  constructor() {
    /** what the next answers to orders and changes are: a function per call, or the last one for ever @type {((call: {path: string, body: any}) => {status: number, body?: any, raw?: string, delayMs?: number, drop?: boolean})[]} */
    this.script = [];
    /** @type {{method: string, path: string, body: any}[]} */
    this.calls = [];
    this.server = createServer((request, response) => {
      let text = '';
      request.on('data', (d) => (text += d));
      request.on('end', () => this.#answer(request, response, text));
    });
    this.port = 0;
  }

  /** @param {import('node:http').IncomingMessage} request @param {import('node:http').ServerResponse} response @param {string} text */
  #answer(request, response, text) {
    const path = request.url ?? '';
    if (path.endsWith('/health')) {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ status: 'ok', nonce: request.headers['x-nonce'] }));
      return;
    }
    const body = text ? JSON.parse(text) : undefined;
    this.calls.push({ method: request.method ?? '', path, body });
    const next = this.script.length > 1 ? this.script.shift() : this.script[0];
    const answer = next ? next({ path, body }) : { status: 503 };
    if (answer.drop) {
      request.socket.destroy();
      return;
    }
    setTimeout(() => {
      response.statusCode = answer.status;
      response.setHeader('content-type', answer.raw === undefined ? 'application/json' : 'text/html');
      response.end(answer.raw ?? JSON.stringify(answer.body ?? {}));
    }, answer.delayMs ?? 0);
  }

  /** @param {number} port */
  listen(port) {
    this.port = port;
    return new Promise((done) => this.server.listen(port, '127.0.0.1', () => done(undefined)));
  }
  close() {
    this.server.closeAllConnections();
    return new Promise((done) => this.server.close(() => done(undefined)));
  }
}

export const accept = () => ({ status: 201, body: { state: 'accepted', external_order_id: 'mock-1' } });
export const nonsense = () => ({ status: 200, raw: '<html>maintenance</html>' });
export const broken = () => ({ status: 500, body: { code: 'internal' } });
export const drop = () => ({ status: 0, drop: true });
