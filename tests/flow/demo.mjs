// SPDX-License-Identifier: Apache-2.0
// `make demo`: the five steps against a freshly started platform and agent; one line a step; exit 0 only if all held. Receipts and the
// platform's key line stay in build/demo.
import { rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { Platform } from '../lib/platform.mjs';
import { Story } from '../lib/story.mjs';

const out = resolve('build/demo');
rmSync(out, { recursive: true, force: true });
const platform = new Platform({ db: process.env.DEMO_DB });
let status = 0;
try {
  await platform.init();
  await platform.start();
  await new Story(platform, out).run((line) => console.log(line));
  rmSync(`${out}/flipped`, { force: true });
  console.log('demo: all five steps held');
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : error}`);
  console.error(platform.log.slice(-3000));
  console.error(platform.agentLog.slice(-2000));
  status = 1;
}
await platform.close();
process.exit(status);
