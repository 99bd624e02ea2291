// SPDX-License-Identifier: Apache-2.0
// Writes assets.S and assets.c for the files of a built portal: node embed-assets.mjs DIST OUT
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { extname, join, relative } from 'node:path';

const [dist, out] = process.argv.slice(2);
const mimes = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain; charset=utf-8',
};

/** @param {string} dir @returns {string[]} */
function walk(dir) {
  return readdirSync(dir).flatMap((name) => {
    const path = join(dir, name);
    return statSync(path).isDirectory() ? walk(path) : [path];
  });
}

const files = walk(dist).filter((f) => !/\.(br|gz|map)$/.test(f) && !/(^|\/)\.[^/]*$/.test(f));
const entries = files.map((file) => ({ file, path: '/' + relative(dist, file).split('\\').join('/') }));
entries.sort((a, b) => (a.path < b.path ? -1 : 1));

let asm = '    .section .rodata\n';
let decl = '';
let rows = '';
entries.forEach(({ file, path }, i) => {
  /** @param {string} kind @param {string} source */
  const part = (kind, source) => {
    if (!existsSync(source)) return ['NULL', '0'];
    const name = `asset_${i}_${kind}`;
    asm += `    .global ${name}\n    .balign 16\n${name}:\n    .incbin "${source}"\n    .byte 0\n`;
    decl += `extern const uint8_t ${name}[];\n`;
    return [name, String(statSync(source).size)];
  };
  const mime = mimes[/** @type {keyof typeof mimes} */ (extname(file))];
  if (!mime) throw new Error(`no media type for ${path}`);
  const etag = createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 20);
  const raw = part('raw', file);
  const br = part('br', file + '.br');
  const gz = part('gz', file + '.gz');
  rows += `    {"${path}", "${mime}", "\\"${etag}\\"", ${path.startsWith('/assets/')}, ${raw[0]}, ${br[0]}, ${gz[0]}, ${raw[1]}, ${br[1]}, ${gz[1]}},\n`;
});
asm += '    .section .note.GNU-stack,"",@progbits\n';
writeFileSync(join(out, 'assets.S'), asm);
writeFileSync(
  join(out, 'assets.c'),
  `#include "http/http.h"\n${decl}extern const struct http_asset portal_assets[];\nextern const int portal_asset_count;\nconst struct http_asset portal_assets[] = {\n${rows}};\nconst int portal_asset_count = ${entries.length};\n`,
);
