// SPDX-License-Identifier: Apache-2.0
// `make bench`: measures the platform on this machine and prints one table, with the method beside each figure. Nothing here judges;
// the bars are shown for the reader. Filled databases stay under build/bench for the next run (BENCH_DIR); BENCH_ORDERS sets how many
// orders they hold, BENCH_SECONDS how long each load lasts, BENCH_RUNS how often, BENCH_ONLY=sqlite,pg,search,evidence,start what runs.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { cpus, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { freePort } from '../lib/platform.mjs';

const root = resolve(import.meta.dirname ?? '.', '../..');
const bin = resolve(root, process.env.SUANHE_BIN_DIR ?? 'build/release/bin');
const dir = resolve(root, process.env.BENCH_DIR ?? 'build/bench');
const orders = Number(process.env.BENCH_ORDERS ?? 1_000_000);
const seconds = Number(process.env.BENCH_SECONDS ?? 10);
const runs = Number(process.env.BENCH_RUNS ?? 3);
const only = (process.env.BENCH_ONLY ?? 'start,search,sqlite,evidence,pg').split(',');

const cluster = process.env.SUANHE_TEST_PG;

/** @type {string[][]} */
const table = [];
/** @param {string} what @param {string} figure @param {string} bar @param {string} method */
function row(what, figure, bar, method) {
  table.push([what, figure, bar, method]);
  process.stderr.write(`   ${what}: ${figure}\n`);
}
const say = (/** @type {string} */ text) => process.stderr.write(`== ${text}\n`);
const median = (/** @type {number[]} */ list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? 0;
const percentile = (/** @type {number[]} */ list, /** @type {number} */ p) =>
  [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor((list.length * p) / 100))] ?? 0;
const whole = (/** @type {number} */ n) => Math.round(n).toLocaleString('en-US');
const sleep = (/** @type {number} */ ms) => new Promise((done) => setTimeout(done, ms));

/** @param {string} program @param {string[]} args @param {Record<string, string>} [env] */
function run(program, args, env = {}) {
  const done = spawnSync(program, args, { env: { ...process.env, ...env }, encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'inherit'] });
  if (done.status !== 0) throw new Error(`${program} ${args[0]}: ${done.status ?? done.error}\n${done.stdout}`);
  return done.stdout;
}

/* ---- a data folder and the server on it ---- */
class Site {
  /** @param {string} name @param {string} [url] of its database */
  constructor(name, url) {
    this.folder = join(dir, name);
    this.url = url ?? `sqlite:${join(this.folder, 'suanhe.db')}`;
    this.port = 0;
    /** @type {import('node:child_process').ChildProcess | undefined} */
    this.server = undefined;
    this.agent = new Agent({ keepAlive: true });
  }
  get env() {
    return { SUANHE_DATA_DIR: this.folder, SUANHE_DB: this.url, SUANHE_PORT: String(this.port), SUANHE_DEMO: 'true',
      SUANHE_ALLOW_PLAIN_HTTP: '127.0.0.0/8', SUANHE_MARKET_DIR: join(root, 'data'), SUANHE_EVIDENCE_HOST: 'bench.local',
      SUANHE_AGENT_URL: 'http://127.0.0.1:9' };
  }
  init() {
    run(join(bin, 'suanhe'), ['init'], this.env);
  }
  /** Starts the server; ms until it answered a search. */
  async start() {
    this.port = Number(await freePort());
    const log = openSync(join(this.folder, 'log'), 'a');
    const began = performance.now();
    this.server = spawn(join(bin, 'suanhe'), ['serve'], { env: { ...process.env, ...this.env }, stdio: ['ignore', log, log] });
    process.once('exit', () => this.server?.kill());
    for (;;) {
      if (this.server.exitCode !== null || performance.now() - began > 60_000) throw new Error(`the server does not answer: see ${this.folder}/log`);
      const answer = await this.get('/api/v1/catalog/products?limit=20').catch(() => undefined);
      if (answer?.status === 200) return performance.now() - began;
      await sleep(2);
    }
  }
  async stop() {
    const server = this.server;
    if (!server) return;
    const gone = new Promise((done) => server.once('exit', done));
    server.kill('SIGTERM');
    await gone;
    this.server = undefined;
  }
  /** @param {string} method @param {string} path @param {Record<string, string>} headers @param {string} [body] @returns {Promise<{status: number, headers: import('node:http').IncomingHttpHeaders, text: string}>} */
  call(method, path, headers, body) {
    return new Promise((done, failed) => {
      const asked = request({ host: '127.0.0.1', port: this.port, method, path, headers, agent: this.agent }, (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (part) => (text += part));
        answer.on('end', () => done({ status: answer.statusCode ?? 0, headers: answer.headers, text }));
      });
      asked.on('error', failed);
      asked.end(body);
    });
  }
  get(/** @type {string} */ path, /** @type {Record<string, string>} */ headers = {}) {
    return this.call('GET', path, headers);
  }
  /** Resident MiB of the server with its signer. */
  memory() {
    const pid = this.server?.pid;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
    const of = (/** @type {string | number | undefined} */ p) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${p}/status`, 'utf8'))?.[1] ?? 0);
    return [pid, ...children].reduce((/** @type {number} */ sum, p) => sum + of(p), 0) / 1024;
  }
  /** @param {string} command @param {number} count */
  bench(command, count) {
    return run(join(bin, 'suanhe-bench'), [command, String(count), this.folder, this.url]);
  }
  /** @param {string} command @param {number} count orders or entries a second */
  rate(command, count) {
    return Number(this.bench(command, count).trim().split(' ')[1]);
  }
  /** wrk with 64 keep-alive connections. @param {string} what @param {string[]} files */
  load(what, files) {
    const env = { BENCH_RUN: String(Date.now()) };
    const args = ['-t', '1', '-c', '64', '-d', `${seconds}s`, '-s', join(root, 'tests/bench/wrk.lua'), `http://127.0.0.1:${this.port}/`, '--', what, ...files];
    const out = run('wrk', args, env);
    this.agent.destroy(); /* its connections went idle meanwhile */
    this.agent = new Agent({ keepAlive: true });
    const match = /RESULT (\d+) (\d+) (\d+) (\d+) (\d+)/.exec(out);
    if (!match) throw new Error(out);
    const [requests, us, errors, p50, p99] = match.slice(1).map(Number);
    if (errors) say(`${errors} of ${requests} were refused`);
    return { rate: (Number(requests) - Number(errors)) * 1e6 / Number(us), p50: Number(p50) / 1000, p99: Number(p99) / 1000 };
  }
  /** @param {string} what @param {string[]} files */
  loads(what, ...files) {
    const all = Array.from({ length: runs }, () => this.load(what, files));
    return { rate: median(all.map((a) => a.rate)), p50: median(all.map((a) => a.p50)), p99: median(all.map((a) => a.p99)) };
  }
}

/* ---- what people search for ---- */
function queries() {
  const words = ['GPU', 'A100', 'H100', 'H20', 'V100', 'T4', 'L40S', 'A10G', 'MI300X', '910B', 'Ascend', 'MLU370', 'NVIDIA A100', 'NVIDIA H200',
    'p4d.24xlarge', 'm6i', 'c7g.large', 'r6g.xlarge', 'Standard_E96', 'Standard_D16as_v5', 'n2-standard-8', 'e2-small', 'c2d-standard-112', 't3.micro',
    '云主机', '智算', '智算主机', '存储', '云存储', '软件', '容器', '人工智能', '通用计算', '智能计算', '主机 64', '张家口', '重庆', '贵安', '庆阳', '和林格尔',
    '8 vCPU', '16 vCPU 64 GiB', '96 vCPU', '512 GiB', 'x86_64', '云主机 c6i', '智算 A100', '重庆 云主机', '庆阳 GPU', 'g5.12xlarge'];
  const filters = ['', '&class=iaas', '&category=iaas.compute.accelerator', '&category=iaas.compute.vm&region=500000', '&region=130700,621000',
    '&charge_mode=on_demand', '&charge_mode=reserved&in_stock=true', '&accelerator=NVIDIA%20A100', '&vcpus_min=8&memory_min=32', '&price_max=10',
    '&sort=price', '&sort=price_desc&in_stock=true', '&sort=name', '&accelerator_count_min=4'];
  const list = words.map((w) => `/api/v1/catalog/products?limit=20&q=${encodeURIComponent(w)}`);
  list.push(...filters.map((f) => `/api/v1/catalog/products?limit=20${f}`));
  for (let i = 0; list.length < 200; i++)
    list.push(`/api/v1/catalog/products?limit=20&q=${encodeURIComponent(words[(i * 7) % words.length] ?? '')}${filters[1 + (i % (filters.length - 1))]}`);
  return list;
}

/* ---- the parts ---- */
async function start() {
  const site = new Site('fresh');
  say('first start ever, with the import of the demo market');
  rmSync(site.folder, { recursive: true, force: true });
  mkdirSync(site.folder, { recursive: true });
  const began = performance.now();
  site.init();
  await site.start();
  row('first start ever, market imported', `${((performance.now() - began) / 1000).toFixed(1)} s`, '10 s', '`suanhe init`, then `suanhe serve` until a search is answered');
  const cold = [];
  for (let i = 0; i < runs; i++) {
    await site.stop();
    cold.push(await site.start());
  }
  row('cold start', `${whole(median(cold))} ms`, '500 ms', `process start to the first answered search, market loaded; median of ${runs}`);
  await sleep(3000);
  row('memory, idle', `${whole(site.memory())} MiB`, '200 MiB', 'VmRSS of server and signer, 88,264 products, 3 s after the start');
  await site.stop();
}

async function search() {
  const site = new Site('fresh'), file = join(dir, 'queries.txt');
  writeFileSync(file, queries().join('\n') + '\n');
  await site.start();
  say(`searching, ${runs} x ${seconds} s`);
  const wrong = (await Promise.all(queries().map((q) => site.get(q)))).filter((a) => a.status !== 200).length;
  if (wrong) throw new Error(`${wrong} queries are refused`);
  const found = site.loads('search', file);
  row('catalogue search with facets', `${whole(found.rate)}/s`, '5,000/s', `wrk, 64 connections, 200 queries in turn (Chinese, models, filters), 88,264 products; median of ${runs}`);
  row('  p50 / p99', `${found.p50.toFixed(1)} / ${found.p99.toFixed(1)} ms`, 'p99 10 ms', 'the same');
  row('memory after searching', `${whole(site.memory())} MiB`, '', 'VmRSS of server and signer');
  await site.stop();
}

/** @param {Site} site */
async function filled(site) {
  const mark = join(site.folder, `filled-${orders}`);
  if (existsSync(mark) && spawnSync(join(bin, 'suanhe'), ['migrate'], { env: { ...process.env, ...site.env } }).status === 0) return;
  /* Half filled, or of another schema: made anew. */
  rmSync(site.folder, { recursive: true, force: true });
  if (cluster && !site.url.startsWith('sqlite:')) {
    const name = `bench_${orders}`;
    run('psql', ['-q', cluster, '-c', `DROP DATABASE IF EXISTS ${name}`, '-c', `CREATE DATABASE ${name}`]);
  }
  mkdirSync(site.folder, { recursive: true });
  site.init();
  say(`storing ${whole(orders)} orders (kept for the next run)`);
  process.stderr.write(`   ${site.bench('fill', orders)}`);
  say('letting the server sign what was stored');
  await site.start();
  for (let size = 0; size < orders; await sleep(500)) /* the second line of a checkpoint is its size */
    size = Number((await site.get('/evidence/v1/trade/checkpoint')).text.split('\n')[1] ?? 0);
  await site.stop();
  writeFileSync(mark, '');
}

/** The time from the answer to an order until its receipt is in hand. @param {Site} site @param {string[]} skus @param {string[]} sessions */
async function receipts(site, skus, sessions) {
  /** @type {number[]} */
  const waits = [];
  const one = async (/** @type {number} */ n) => {
    const [token, csrf] = (sessions[n] ?? '').split(' ');
    const login = { Cookie: `suanhe=${token}`, 'X-CSRF-Token': String(csrf) };
    for (let i = 0; i < 50; i++) {
      const [sku, fen] = (skus[(n * 50 + i) % skus.length] ?? '').split(' ');
      const body = `{"lines":[{"sku_id":"${sku}","quantity":1}],"expected_payable_fen":${fen},"pay_from_balance":true}`;
      const made = await site.call('POST', '/api/v1/orders', { ...login, 'Content-Type': 'application/json', 'Idempotency-Key': `r-${Date.now()}-${n}-${i}` }, body);
      if (made.status !== 201) throw new Error(`order: ${made.status} ${made.text}`);
      const began = performance.now();
      const receipt = await site.get(`/api/v1/evidence/receipts/${JSON.parse(made.text).last_event_id}`, { ...login, Prefer: 'wait=10' });
      if (receipt.status !== 200) throw new Error(`receipt: ${receipt.status} ${receipt.text}`);
      waits.push(performance.now() - began);
    }
  };
  await Promise.all([0, 1, 2, 3].map(one));
  return waits;
}

/** @param {string} name @param {Site} site @param {string} goal */
async function ordering(name, site, goal) {
  await filled(site);
  const file = join(dir, 'skus.txt'), sessions = join(dir, 'sessions.txt');
  const bare = site.rate('ceiling', Math.min(40000, orders));
  writeFileSync(file, site.bench('skus', 400));
  writeFileSync(sessions, site.bench('sessions', 1), { mode: 0o600 });
  if (name === 'SQLite') {
    const cold = await site.start();
    row(`cold start, ${whole(orders)} orders stored`, `${whole(cold)} ms`, '500 ms', 'process start to the first answered search');
  } else await site.start();
  say(`ordering on ${name}, ${runs} x ${seconds} s`);
  const made = site.loads('orders', file, sessions);
  const memory = site.memory();
  const waits = await receipts(site, readFileSync(file, 'utf8').trim().split('\n'), readFileSync(sessions, 'utf8').trim().split('\n'));
  await site.stop();
  const after = site.rate('ceiling', Math.min(40000, orders)), ceiling = (bare + after) / 2;
  const what = `${whole(orders)} orders stored`;
  row(`orders, durable, ${name}`, `${whole(made.rate)}/s`, goal, `wrk, 64 connections, POST /orders of one line paid from balance by 256 buyers, ${what}; median of ${runs}`);
  row('  p50 / p99', `${made.p50.toFixed(1)} / ${made.p99.toFixed(1)} ms`, 'p99 50 ms', 'the same');
  row('  bare ceiling', `${whole(ceiling)}/s`, '', 'the same rows, sizes and indexes into copies of the tables, same group commit, no HTTP; mean before and after');
  row('  share of the ceiling', `${whole(100 * made.rate / ceiling)} %`, '50 %', '');
  row('  memory after ordering', `${whole(memory)} MiB`, '', 'VmRSS of server and signer');
  row(`  receipt after the order, ${name}`, `${whole(percentile(waits, 50))} / ${whole(percentile(waits, 99))} ms`, 'p99 300 ms', `GET with Prefer: wait, p50 / p99 of ${waits.length}, 4 buyers at once`);
}

async function evidence() {
  const site = new Site('fresh');
  const rate = median(Array.from({ length: runs }, () => site.rate('evidence', 40000)));
  row('evidence entries', `${whole(rate)}/s`, '', `one fact of 400 bytes a write, sealed, hashed, durable, SQLite; median of ${runs}`);
}

function print() {
  const head = ['what', 'measured', 'bar', 'method'];
  const width = [0, 1, 2].map((c) => Math.max(...[head, ...table].map((r) => (r[c] ?? '').length)));
  const line = (/** @type {string[]} */ r) => r.map((cell, c) => (c < 3 ? cell.padEnd(width[c] ?? 0) : cell)).join('  ');
  const cpu = cpus();
  console.log(`\n${cpu.length} cores (${cpu[0]?.model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GiB; load and platform on the same machine; ${new Date().toISOString()}\n`);
  console.log(line(head));
  for (const r of table) console.log(line(r));
}

mkdirSync(dir, { recursive: true });
if (only.includes('start') || !existsSync(join(dir, 'fresh'))) await start();
if (only.includes('search')) await search();
if (only.includes('evidence')) await evidence();
if (only.includes('sqlite')) await ordering('SQLite', new Site(`sqlite-${orders}`), '5,000/s');
if (only.includes('pg') && cluster)
  await ordering('PostgreSQL', new Site(`pg-${orders}`, cluster.replace('/postgres?', `/bench_${orders}?`)), '1,000/s');
print();
