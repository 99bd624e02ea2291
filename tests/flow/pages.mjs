// SPDX-License-Identifier: Apache-2.0
// `make pages`: the demo market with the story told in it, then every page of the portal is opened and looked at (web/tests/pages.mjs).
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { PASSWORD, Story } from '../lib/story.mjs';
import { Platform } from '../lib/platform.mjs';

const platform = new Platform({ demo: true });
let status = 1;
try {
  await platform.init();
  await platform.start();
  const story = new Story(platform, join(platform.dir, 'out'));
  await story.run((line) => console.log(line));
  const product = story.order.children[0].items[0];
  const data = {
    consumer: { email: story.email, password: PASSWORD },
    order_id: story.order.order_id,
    refused_order_id: story.refusedOrder.order_id,
    product_id: product.product_id,
    sku_id: product.sku_id,
    service_id: story.service.instance_id,
    receipt: join(platform.dir, 'out/order.evd'),
    vkey: join(platform.dir, 'out/platform.vkey'),
  };
  const file = join(platform.dir, 'story.json');
  writeFileSync(file, JSON.stringify(data));
  const env = { ...process.env, PAGES_URL: platform.url, PAGES_STORY: file, PAGES_OUT: resolve('build/pages') };
  status = spawnSync(process.execPath, ['tests/pages.mjs'], { cwd: 'web', env, stdio: 'inherit' }).status ?? 1;
} catch (error) {
  console.error(`pages: ${error instanceof Error ? error.message : error}`);
  console.error(platform.log.slice(-3000));
}
await platform.close();
process.exit(status);
