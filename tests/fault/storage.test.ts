// SPDX-License-Identifier: Apache-2.0
// The disk is full in the middle of a batch; the database is cut, damaged, newer, or an older copy than what was signed. Each says so
// clearly and touches nothing.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client, newKey, until } from '../lib/client.mjs';
import { Platform, bin } from '../lib/platform.mjs';
import { PASSWORD, Story } from '../lib/story.mjs';

const dir = mkdtempSync(join(tmpdir(), 'suanhe-storage-'));
const platform = new Platform({ dir });
const database = join(platform.data, 'suanhe.db');
const keep = join(dir, 'keep.db');
let story: Story;

/** Starts the server and waits for its end; what it said. */
const serveBriefly = () => spawnSync(bin('suanhe'), ['serve'], { env: platform.env(), encoding: 'utf8', timeout: 8000 });
const sound = () => {
  const fsck = platform.run('fsck');
  expect(fsck.status, fsck.out + fsck.err).toBe(0);
};
/** Puts the kept database back, whole. */
function putBack() {
  for (const part of ['-wal', '-shm']) rmSync(database + part, { force: true });
  copyFileSync(keep, database);
}

describe('storage that fails', () => {
  beforeAll(async () => {
    await platform.init();
    await platform.start();
    story = new Story(platform, join(dir, 'out'));
    await story.step1();
    await story.step2();
    await story.step3();
  }, 90_000);
  afterAll(async () => {
    await platform.close();
    rmSync(dir, { recursive: true, force: true });
  });

  it('refuses with a clear code while the disk is full, loses nothing, and goes on when there is room', async () => {
    await platform.stopServer();
    const blocks = 3000; // of 512 bytes: the write-ahead log meets the limit soon
    const limited = spawn('sh', ['-c', `trap '' XFSZ; ulimit -f ${blocks}; exec "${bin('suanhe')}" serve`], { env: platform.env(), stdio: ['ignore', 'ignore', 'pipe'] });
    limited.stderr.on('data', (d) => (platform.log += d));
    platform.server = limited;
    await platform.answers(`${platform.url}/healthz`, () => limited.exitCode !== null, () => platform.log);
    const done: string[] = [];
    let refusal: { status: number; json: { code?: string } } | undefined;
    for (let i = 0; i < 3000 && !refusal; i++) {
      const reply = await story.consumer.send('POST', '/api/v1/orgs', { name: `组织 ${i}`, kind: 'consumer' }, { key: newKey() });
      if (reply.status === 201) done.push(reply.json.org_id);
      else refusal = reply;
    }
    expect(refusal?.status).toBeGreaterThanOrEqual(500);
    expect(['storage_failed', 'disk_full']).toContain(refusal?.json.code);
    await platform.stopServer('SIGKILL');
    await platform.start();
    const me = await story.consumer.get('/api/v1/me');
    const ids = me.orgs.map((o: { org_id: string }) => o.org_id);
    for (const id of done) expect(ids).toContain(id);
    expect((await story.consumer.send('POST', '/api/v1/orgs', { name: '有空间了', kind: 'consumer' })).status).toBe(201);
    sound();
  }, 120_000);

  it('makes a consistent copy while running, and restores it', async () => {
    const copy = join(dir, 'copy.db');
    expect(platform.run('backup', copy).status).toBe(0);
    expect(platform.run('backup', copy).status).not.toBe(0); // never over an existing file
    const running = platform.run('restore', copy);
    expect(running.status).not.toBe(0); // a server holds the folder
    await platform.stopServer();
    sound();
    execFileSync('sqlite3', [database, 'PRAGMA wal_checkpoint(TRUNCATE)']);
    copyFileSync(database, keep);
  }, 60_000);

  it('refuses to start from a copy that is older than what was signed', async () => {
    const copy = join(dir, 'copy.db');
    await platform.start();
    await story.consumer.post('/api/v1/orgs', { name: '在备份之后', kind: 'consumer' });
    await new Promise((r) => setTimeout(r, 2500)); // a head is signed over it
    await platform.stopServer();
    execFileSync('sqlite3', [database, 'PRAGMA wal_checkpoint(TRUNCATE)']);
    copyFileSync(database, keep);
    for (const part of ['-wal', '-shm']) rmSync(database + part, { force: true });
    copyFileSync(copy, database);
    const tried = serveBriefly();
    const signedOn = /evidence|head|behind/.test(tried.stderr);
    expect(signedOn).toBe(true);
    putBack();
  }, 60_000);

  it('goes on with an older copy only in a new epoch, which keeps all receipts', async () => {
    const copy = join(dir, 'copy.db');
    const approved = ['--new-epoch', 'true', '--approved-by', '王五, 运营'];
    const written = (name: string, text: string) => {
      writeFileSync(join(dir, name), text);
      return join(dir, name);
    };
    const keys = async () => written('keys', await (await fetch(`${platform.url}/evidence/v1/keys`)).text());
    const valid = (receipt: string) => spawnSync(bin('suanhe-verify'), ['receipt', '--key', join(dir, 'keys'), receipt], { encoding: 'utf8' });
    const receiptOf = (event: string) =>
      until(async () => {
        const reply = await story.consumer.send('GET', `/api/v1/evidence/receipts/${event}?payload=true`);
        return reply.status === 200 && (reply.text as string);
      }, `the receipt of ${event}`);
    const newest = async (type: string) => (await story.consumer.get(`/api/v1/evidence/events?type=${type}&limit=1`)).data[0].event_id;

    await platform.start();
    const before = await newest('order.paid');
    const old = written('old.evd', await receiptOf(before));
    await story.step4();
    const lost = written('lost.evd', await receiptOf(await newest('order.refund')));
    await platform.stopServer();

    const digest = () => createHash('sha256').update(readFileSync(database)).digest('hex');
    execFileSync('sqlite3', [database, 'PRAGMA wal_checkpoint(TRUNCATE)']);
    const former = digest();
    const refused = platform.run('restore', copy);
    expect(refused.status).toBe(1);
    expect(refused.err).toContain('evidence_behind_head');
    expect(refused.err).toContain(`suanhe restore ${copy} --new-epoch true --approved-by`);
    expect(digest()).toBe(former); // untouched, and it still serves
    expect(platform.run('restore', copy, '--new-epoch', 'true').status).toBe(2); // somebody stands for it

    const restored = platform.run('restore', copy, ...approved);
    expect(restored.status, restored.out + restored.err).toBe(0);
    expect(restored.out).toContain('epoch 2');
    await platform.start();
    const lines = readFileSync(await keys(), 'utf8').trim().split('\n');
    expect(lines.filter((l) => /\/evidence\/\w+\/2\+/.test(l)).length).toBe(4);
    expect(lines.length).toBe(8);

    await story.consumer.login(story.email, PASSWORD);
    await story.operator.login(platform.operator.email, platform.operator.password);
    const resets = await story.operator.get('/api/v1/evidence/events?type=log.reset');
    expect(resets.data.map((e: { log: string }) => e.log).sort()).toEqual(['finance', 'match', 'ops', 'trade']);
    expect(resets.data[0].payload.approved_by).toBe('王五, 运营');
    expect(resets.data.find((e: { log: string }) => e.log === 'trade').payload.size).toBeGreaterThan(0);

    const bought = await story.step4();
    expect(bought).toContain('refunded');
    for (const receipt of [old, lost, written('again.evd', await receiptOf(before)), written('new.evd', await receiptOf(await newest('order.refund')))]) {
      const judged = valid(receipt);
      expect(judged.status, receipt + judged.stdout + judged.stderr).toBe(0);
    }
    expect(readFileSync(join(dir, 'new.evd'), 'utf8')).toContain('/evidence/trade/2\n');
    sound();
    await platform.stopServer();
    const later = platform.run('restore', copy); // the copy is of the ended epoch
    expect(later.status).toBe(1);
    execFileSync('sqlite3', [database, 'PRAGMA wal_checkpoint(TRUNCATE)']);
    copyFileSync(database, keep);
  }, 180_000);

  it.each([
    ['cut', () => truncateSync(database, Math.floor(statSync(database).size / 2 / 4096) * 4096 - 1000)],
    ['overwritten at its head', () => writeFileSync(database, Buffer.concat([Buffer.alloc(4096, 7), readFileSync(database).subarray(4096)]))],
  ])('says that a database is damaged when it was %s', (_name, damage) => {
    damage();
    const tried = serveBriefly();
    expect(tried.status).toBe(1);
    expect(tried.stderr).toContain('db_damaged');
    putBack();
  }, 30_000);

  it('names the version that wrote a newer database', () => {
    execFileSync('sqlite3', [database, "INSERT INTO db_migration SELECT '9999_future', digest, applied_at, '7.8.9' FROM db_migration LIMIT 1"]);
    const tried = serveBriefly();
    expect(tried.status).toBe(1);
    expect(tried.stderr).toContain('7.8.9');
    putBack();
  }, 30_000);

  it('goes on after all that', async () => {
    await platform.start();
    const nobody = new Client(platform.url);
    expect((await nobody.get('/api/v1/catalog/products?limit=1')).total).toBeGreaterThan(0);
    sound();
  }, 30_000);
});
