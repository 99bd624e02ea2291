// SPDX-License-Identifier: Apache-2.0
// Starts a platform and an agent in a folder of their own on free ports, and stops them.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname ?? '.', '../..');
export const bin = (/** @type {string} */ name) => join(resolve(root, process.env.SUANHE_BIN_DIR ?? 'build/release/bin'), name);

export function freePort() {
  return new Promise((done, failed) => {
    const server = createServer();
    server.on('error', failed);
    server.listen(0, '127.0.0.1', () => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
      server.close(() => done(port));
    });
  });
}

/** @typedef {{name: string, store_id: string, base_url: string, client_id: string, client_secret: string, bearer: string}} Provider */

export class Platform {
  /** @param {{db?: string, dir?: string, demo?: boolean, binDir?: string}} [options] */
  constructor(options = {}) {
    this.dir = options.dir ?? mkdtempSync(join(tmpdir(), 'suanhe-'));
    this.ownDir = !options.dir;
    this.options = options;
    this.port = 0;
    this.agentPort = 0;
    this.operator = { email: '', password: '' };
    /** @type {Provider[]} */
    this.providers = [];
    /** @type {import('node:child_process').ChildProcess | undefined} */
    this.server = undefined;
    /** @type {import('node:child_process').ChildProcess | undefined} */
    this.agent = undefined;
    this.log = '';
    this.agentLog = '';
  }

  get url() {
    return `http://localhost:${this.port}`;
  }
  get data() {
    return join(this.dir, 'data');
  }
  env() {
    return {
      ...process.env,
      SUANHE_DATA_DIR: this.data,
      SUANHE_PORT: String(this.port),
      SUANHE_ALLOW_PLAIN_HTTP: '127.0.0.0/8',
      SUANHE_AGENT_URL: `http://127.0.0.1:${this.agentPort}`,
      SUANHE_DEMO: this.options.demo ? 'true' : 'false',
      ...(this.options.db ? { SUANHE_DB: this.options.db } : {}),
    };
  }

  /** Runs a `suanhe` command to its end. @param {string[]} args */
  run(...args) {
    const done = spawnSync(bin('suanhe'), args, { env: this.env(), encoding: 'utf8', maxBuffer: 1 << 28 });
    return { status: done.status, out: done.stdout, err: done.stderr };
  }

  async init() {
    this.port = await freePort();
    this.agentPort = await freePort();
    mkdirSync(this.dir, { recursive: true });
    const done = this.run('init');
    if (done.status !== 0) throw new Error(`init: ${done.err}`);
    const match = /operator account \(shown once\): (\S+)\s+(\S+)/.exec(done.out);
    if (match) this.operator = { email: match[1] ?? '', password: match[2] ?? '' };
    return done.out;
  }

  async start() {
    this.server = spawn(bin('suanhe'), ['serve'], { env: this.env(), stdio: ['ignore', 'inherit', 'pipe'] });
    this.server.stderr?.on('data', (d) => (this.log += d));
    await this.answers(`${this.url}/healthz`, () => this.server?.exitCode !== null, () => this.log);
  }

  /** @param {string} url @param {() => boolean} ended @param {() => string} log */
  async answers(url, ended, log) {
    for (let i = 0; i < 400; i++) {
      if (ended()) throw new Error(`it ended: ${log().slice(-2000)}`);
      try {
        if ((await fetch(url)).ok) return;
      } catch {
        // not yet
      }
      await new Promise((r) => setTimeout(r, 50));
    }
    throw new Error(`${url} does not answer: ${log().slice(-2000)}`);
  }

  /** The path under which the agent serves a provider. @param {string} code */
  agentUrl(code) {
    return `http://127.0.0.1:${this.agentPort}/p/${code}`;
  }

  get agentConfig() {
    return join(this.dir, 'agent.json');
  }
  writeAgentConfig(delayMs = 200) {
    const config = {
      listen: `127.0.0.1:${this.agentPort}`,
      platform: `http://127.0.0.1:${this.port}`,
      state_dir: join(this.dir, 'agent'),
      delay_ms: delayMs,
      providers: this.providers.map((p) => ({ ...p, backend: 'fake' })),
    };
    writeFileSync(this.agentConfig, JSON.stringify(config), { mode: 0o600 });
  }

  /** @param {Record<string, string>} [extra] */
  async startAgent(extra = {}) {
    const env = { ...process.env, ...extra };
    this.agent = spawn(bin('suanhe-agent'), ['serve', '--config', this.agentConfig], { env, stdio: ['ignore', 'inherit', 'pipe'] });
    this.agent.stderr?.on('data', (d) => (this.agentLog += d));
    await this.answers(`http://127.0.0.1:${this.agentPort}/healthz`, () => this.agent?.exitCode !== null, () => this.agentLog);
  }

  /** @param {string} code @param {any[]} products */
  reportProducts(code, products) {
    const file = join(this.dir, `products-${code}.jsonl`);
    writeFileSync(file, products.map((p) => JSON.stringify(p)).join('\n') + '\n');
    const args = ['report', '--config', this.agentConfig, '--provider', code, '--products', file];
    const done = spawnSync(bin('suanhe-agent'), args, { encoding: 'utf8' });
    if (done.status !== 0) throw new Error(`report of ${code}: ${done.stderr}`);
    return done.stdout;
  }

  /** @param {import('node:child_process').ChildProcess | undefined} child @param {NodeJS.Signals} signal */
  async end(child, signal) {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((done) => child.once('exit', done));
    child.kill(signal);
    await gone;
  }
  /** @param {NodeJS.Signals} [signal] */
  async stopServer(signal = 'SIGTERM') {
    await this.end(this.server, signal);
    this.server = undefined;
  }
  /** @param {NodeJS.Signals} [signal] */
  async stopAgent(signal = 'SIGTERM') {
    await this.end(this.agent, signal);
    this.agent = undefined;
  }
  async close() {
    await this.stopAgent();
    await this.stopServer();
    if (this.ownDir) rmSync(this.dir, { recursive: true, force: true });
  }
}

/** @param {string} path */
export const fixture = (path) => readFileSync(join(root, 'tests/fixtures', path), 'utf8');
