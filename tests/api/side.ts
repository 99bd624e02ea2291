// SPDX-License-Identifier: Apache-2.0
// The other side of the open interface: a scheduling platform that answers as a test tells it, and remembers what came.
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Heard {
  method: string;
  path: string;
  bearer: string;
  body: any;
}
export interface Answer {
  status: number;
  body: any;
}

function read(request: IncomingMessage): Promise<string> {
  return new Promise((done) => {
    const parts: Buffer[] = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => done(Buffer.concat(parts).toString()));
  });
}

export class Side {
  heard: Heard[] = [];
  /** What an order (R16) and a change of its state (R8) get. */
  onOrder: (order: any) => Answer = (order) => ({ status: 201, body: { state: 'accepted', external_order_id: `x-${order.order_id}` } });
  onChange: (change: any) => Answer = () => ({ status: 202, body: { state: 'pending' } });
  health: (nonce: string) => Answer = (nonce) => ({ status: 200, body: { status: 'ok', nonce } });
  #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      void read(request).then((text) => {
        const body = text ? JSON.parse(text) : undefined;
        const path = request.url ?? '';
        const bearer = (request.headers.authorization ?? '').replace('Bearer ', '');
        this.heard.push({ method: request.method ?? '', path, bearer, body });
        const answer = this.#answer(path, String(request.headers['x-nonce'] ?? ''), body);
        response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body));
      });
    });
  }

  #answer(path: string, nonce: string, body: any): Answer {
    if (path.endsWith('/if2/v1/health')) return this.health(nonce);
    if (path.endsWith('/if2/v1/orders')) return this.onOrder(body);
    if (path.endsWith('/status-changes')) return this.onChange(body);
    return { status: 404, body: { code: 'order_unknown' } };
  }

  start(): Promise<void> {
    return new Promise((done) => this.#server.listen(0, '127.0.0.1', done));
  }
  get url() {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }
  orders(orderId: string) {
    return this.heard.filter((h) => h.path.endsWith('/if2/v1/orders') && h.body.order_id === orderId);
  }
  changes(orderId: string) {
    return this.heard.filter((h) => h.path.endsWith(`/if2/v1/orders/${orderId}/status-changes`));
  }
  close() {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
