// SPDX-License-Identifier: Apache-2.0
// Writes .br and .gz beside every text file of web/dist and fails when the first load grows beyond its budget.
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const dist = join(dirname(fileURLToPath(import.meta.url)), '..', 'dist');
const FIRST_LOAD_MAX = 200 * 1024;
const PAGE_MAX = 15 * 1024;

/** @param {string} dir @returns {string[]} */
function walk(dir) {
  return readdirSync(dir).flatMap((name) => {
    const path = join(dir, name);
    return statSync(path).isDirectory() ? walk(path) : [path];
  });
}

/** @type {Record<string, number>} */
const sizes = {};
for (const file of walk(dist).filter((f) => /\.(html|js|css|svg|json|txt|webmanifest)$/.test(f))) {
  const raw = readFileSync(file);
  const br = brotliCompressSync(raw, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: raw.length },
  });
  writeFileSync(file + '.br', br);
  writeFileSync(file + '.gz', gzipSync(raw, { level: 9 }));
  sizes[file.slice(dist.length)] = br.length;
}

const html = readFileSync(join(dist, 'index.html'), 'utf8');
const first = ['/index.html', ...[...html.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map((m) => m[1] ?? '')].filter((p) => p in sizes);
const total = first.reduce((n, p) => n + (sizes[p] ?? 0), 0);
const all = Object.values(sizes).reduce((a, b) => a + b, 0);
console.log(`first load ${(total / 1024).toFixed(1)} KB, everything ${(all / 1024).toFixed(1)} KB (brotli)`);
const large = Object.entries(sizes).filter(([p, n]) => !first.includes(p) && n > PAGE_MAX);
for (const [path, size] of large) console.error(`${path}: ${(size / 1024).toFixed(1)} KB is more than a page may weigh`);
if (total > FIRST_LOAD_MAX || large.length > 0) process.exit(1);
