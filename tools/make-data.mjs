// SPDX-License-Identifier: Apache-2.0
// make-data.mjs SOURCE_DIR: turns offers.csv and storage.csv (one row per price) into data/market.txt, where each instance
// type and each region is said once, and copies regions.csv. `--check` turns the result back and compares row by row.
// market.txt, fields separated by tabs:
//   R provider region zones country city currency price_source price_date         (numbered from 0 in their order)
//   T provider type family arch cpu_allocation vcpus memory accelerator count accelerator_memory storage network spec_source
//   N price [spot reserved_1y reserved_3y]      price of the last T in region N, per hour
//   S kind class region_number price_per_gib_month
import { readFileSync, writeFileSync, copyFileSync } from 'node:fs';
import { join, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const data = join(dirname(fileURLToPath(import.meta.url)), '..', 'data');
const [source, mode] = process.argv.slice(2);
if (!source) {
  console.error('usage: make-data.mjs SOURCE_DIR [--check]');
  process.exit(2);
}

/** @param {string} text @returns {Record<string, string>[]} */
function csv(text) {
  const lines = text.split('\n').filter((line) => line !== '');
  const split = (/** @type {string} */ line) => {
    const out = [''];
    let quoted = false;
    for (const c of line) {
      if (c === '"') quoted = !quoted;
      else if (c === ',' && !quoted) out.push('');
      else out[out.length - 1] += c;
    }
    return out;
  };
  const names = split(lines[0] ?? '');
  return lines.slice(1).map((line) => Object.fromEntries(split(line).map((v, i) => [names[i], v])));
}

const REGION = ['provider', 'region', 'zones', 'country', 'city', 'currency', 'price_source', 'price_date'];
const TYPE = ['provider', 'instance_type', 'family', 'arch', 'cpu_allocation', 'vcpus', 'memory_gib', 'accelerator_name',
  'accelerator_count', 'accelerator_memory_gib', 'local_storage_gib', 'network_gbps', 'spec_source'];
const PRICE = ['price_per_hour', 'spot_price_per_hour', 'reserved_1y_per_hour', 'reserved_3y_per_hour'];
const join_ = (/** @type {Record<string, string>} */ row, /** @type {string[]} */ names) =>
  names.map((n) => row[n] ?? '').join('\t');

const offers = csv(readFileSync(join(source, 'offers.csv'), 'utf8'));
const storage = csv(readFileSync(join(source, 'storage.csv'), 'utf8'));

function make() {
  const out = ['# Compute offers: see README.md and LICENSE in this folder.'];
  const regions = new Map();
  const types = new Map();
  for (const row of [...offers, ...storage].sort((a, b) => (a.provider + a.region < b.provider + b.region ? -1 : 1))) {
    const key = `${row.provider}\t${row.region}`;
    if (!regions.has(key)) {
      regions.set(key, regions.size);
      out.push(`R\t${join_(row, REGION)}`);
    }
  }
  for (const row of offers) {
    const key = join_(row, TYPE);
    if (!types.has(key)) types.set(key, []);
    const prices = join_(row, PRICE).replace(/\t+$/, '');
    types.get(key).push(`${regions.get(`${row.provider}\t${row.region}`)}\t${prices}`);
  }
  for (const key of [...types.keys()].sort()) out.push(`T\t${key}`, ...types.get(key));
  for (const row of storage)
    out.push(`S\t${row.kind}\t${row.class}\t${regions.get(`${row.provider}\t${row.region}`)}\t${row.price_per_gib_month}`);
  writeFileSync(join(data, 'market.txt'), `${out.join('\n')}\n`);
  copyFileSync(join(source, 'regions.csv'), join(data, 'regions.csv'));
}

function check() {
  const regions = [];
  const seen = new Set();
  let type = '';
  for (const line of readFileSync(join(data, 'market.txt'), 'utf8').split('\n')) {
    const [kind, ...rest] = line.split('\t');
    if (kind === 'R') regions.push(rest);
    else if (kind === 'T') type = rest.join('\t');
    else if (/^\d/.test(kind ?? '')) {
      const r = regions[Number(kind)] ?? [];
      seen.add([type, ...r, ...rest, ...Array(4 - rest.length).fill('')].join('\t'));
    }
  }
  const missing = offers.filter((row) => !seen.has([join_(row, TYPE), join_(row, REGION), join_(row, PRICE)].join('\t')));
  console.log(`${offers.length} offers, ${seen.size} found again, ${missing.length} missing`);
  if (missing.length || seen.size !== offers.length) process.exit(1);
}

if (mode === '--check') check();
else make();
