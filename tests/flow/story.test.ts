// SPDX-License-Identifier: Apache-2.0
// The whole story on every database there is.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { freshPostgres } from '../lib/postgres.mjs';
import { Platform } from '../lib/platform.mjs';
import { Story } from '../lib/story.mjs';

for (const kind of ['sqlite', 'postgresql'] as const) {
  const skip = kind === 'postgresql' && !process.env.SUANHE_TEST_PG;
  describe.skipIf(skip)(`the story on ${kind}`, () => {
    const dir = mkdtempSync(join(tmpdir(), 'suanhe-flow-'));
    const platform = new Platform({ dir, db: kind === 'postgresql' ? freshPostgres() : undefined });
    let story: Story;
    afterAll(async () => {
      await platform.close();
      rmSync(dir, { recursive: true, force: true });
    });

    it('starts', async () => {
      await platform.init();
      await platform.start();
      story = new Story(platform, join(dir, 'out'));
    });
    it('lets providers join', async () => expect(await story.step1()).toContain('3 providers'));
    it('lists what they report', async () => expect(await story.step2()).toContain('real products'));
    it('sells of two at once and delivers', async () => expect(await story.step3()).toContain('instances active'), 60_000);
    it('gives money back for what was not delivered', async () => expect(await story.step4()).toContain('refunded to the fen'), 60_000);
    it('proves every step offline', async () => expect(await story.step5()).toContain('verify offline'), 60_000);
  });
}
