// SPDX-License-Identifier: Apache-2.0
// @ts-check
// Breaks each rule of tidy once, in a small tree made for it, and expects exactly that rule: a check that cannot fail is none.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ruleNames, tidy } from './tidy.mjs';

const head = '/* SPDX-License-Identifier: Apache-2.0 */\n/* A file of the fixture. */\n';
const modules = [
  'lib/base', 'lib/crypto', 'lib/db', 'lib/http', 'core/event', 'core/ledger', 'core/catalog', 'core/order', 'core/match', 'api',
  'if2',
];

/** A tree that keeps every rule. @returns {Record<string, string>} */
function sound() {
  /** @type {Record<string, string>} */
  const files = {
    'src/MODULES': modules.join('\n') + '\n',
    'CMakeLists.txt': `layer(all FOLDERS ${modules.join(' ')} )\n`,
    'src/main.c': head + '#include "order/order.h"\nint main(void)\n{\n    return order_count();\n}\n',
    'src/lib/db/sqlite.c': head + '#include <sqlite3.h>\n#include "db/db.h"\n',
    'src/lib/base/json.c': head + '#include <jansson.h>\n#include "base/base.h"\n',
    'src/core/event/mover.c': head + '#include "event/event.h"\nconst char *move = "UPDATE %s SET state = $1 WHERE id = $2";\n',
    'src/core/order/order.c':
      head +
      '#include "order/order.h"\n' +
      'static const struct fsm order_fsm = {.name = "order", .table = "order_head"};\n' +
      'static const char *find = "SELECT id FROM order_head "\n                          "WHERE id = $1";\n' +
      '/* strcpy("in a comment"); goto nowhere; */\n' +
      'static const char *say = "strcpy(a, b); goto x; float";\n',
    'agent/main.c': head + '#include "http/http.h"\n#include "agent.h"\n',
    'agent/agent.h': head,
    'tests/unit/test_order.c': head + '#include "order/order.h"\n',
    'sql/0001_order.sql': '-- Orders.\nCREATE TABLE order_head (id KEY, state INT NOT NULL);\n',
    'tools/run.sh': '#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n',
  };
  for (const module of modules) {
    const name = module.split('/').at(-1) ?? '';
    files[`src/${module}/${name}.h`] = head + `int ${name}_count(void);\n`;
    files[`src/${module}/use_${name}.c`] = head + `#include "${name}/${name}.h"\n`;
  }
  return files;
}

const inOrder = (/** @type {string} */ code) => ({ 'src/core/order/new.c': head + code });
const body = (/** @type {number} */ lines) => Array.from({ length: lines }, (_, i) => `    step(${i});\n`).join('');

/** What breaks each rule, by the rule's name; several ways are several entries. @type {[string, Record<string, string>][]} */
const breaks = [
  ['foreign-header', inOrder('#include <sqlite3.h>\n')],
  ['foreign-header', inOrder('#include <openssl/evp.h>\n')],
  ['foreign-header', { 'src/api/new.c': head + '#include <curl/curl.h>\n' }],
  ['foreign-header', { 'src/lib/base/new.c': head + '#include <jansson.h>\n' }],
  ['foreign-header', { 'src/if2/new.c': head + '#include <roaring/roaring.h>\n' }],
  ['program-includes', { 'agent/new.c': head + '#include "order/order.h"\n' }],
  ['public-header', { 'src/lib/base/inner.h': head, 'src/core/order/new.c': head + '#include "base/inner.h"\n' }],
  ['core-http', inOrder('#include "http/http.h"\n')],
  ['edge-apart', { 'src/if2/new.c': head + '#include "api/api.h"\n' }],
  ['confined', { 'src/core/match/new.c': head + '#include "db/db.h"\n' }],
  ['module-order', { 'src/core/ledger/new.c': head + '#include "order/order.h"\n' }],
  ['module-order', { 'src/lib/base/new.c': head + '#include "db/db.h"\n' }],
  ['unreachable', { 'src/core/order/unused.h': head }],
  ['unreachable', { 'src/core/lost/lost.c': head }],
  ['edge-sql', { 'src/api/new.c': head + 'const char *sql = "SELECT id FROM order_head";\n' }],
  ['table-owner', { 'src/core/ledger/new.c': head + 'const char *sql = "SELECT id FROM " "order_head";\n' }],
  ['table-owner', inOrder('const char *sql = "SELECT name FROM sqlite_master";\n')],
  ['table-owner', { 'sql/0002_ledger.sql': 'CREATE TABLE order_tail (id KEY);\n' }],
  ['one-mover', inOrder('const char *sql = "UPDATE order_head SET version = version + 1, "\n    "state = $1 WHERE id = $2";\n')],
  ['migration-name', { 'sql/2_order.sql': '-- Nothing.\n' }],
  ['migration-name', { 'sql/0002_orders.sql': '-- Nothing.\n' }],
  ['banned-call', inOrder('void f(char *a)\n{\n    sprintf(a, "x");\n}\n')],
  ['banned-call', inOrder('#define COPY(a, b) strcpy(a, b)\n')],
  ['no-goto', inOrder('void f(void)\n{\n    goto out;\nout:\n    return;\n}\n')],
  ['money-float', { 'src/lib/base/money_x.c': head + 'double rate;\n' }],
  ['money-float', { 'src/core/catalog/price.c': head + 'float rate;\n' }],
  ['unfinished', inOrder('/* TO' + 'DO: later */\n')],
  ['file-size', inOrder('\n'.repeat(600))],
  ['function-size', inOrder(`void f(void)\n{\n${body(60)}}\n`)],
  ['parameters', inOrder('int f(struct ctx *ctx, int a, int b, int c, int d, int e, int (*f)(int, int), int g);\n')],
  ['line-width', inOrder(`int ${'x'.repeat(98)};\n`)],
  ['line-width', inOrder(`/* ${'x'.repeat(120)} */\n`)],
  ['licence', { 'src/core/order/new.c': '/* A file. */\n' }],
  ['licence', { 'tools/new.mjs': 'export {};\n' }],
  ['purpose', { 'src/core/order/new.c': '/* SPDX-License-Identifier: Apache-2.0 */\nint x;\n' }],
];

/** What must not be reported. @type {Record<string, string>[]} */
const harmless = [
  inOrder(`void f(void)\n{\n${body(50)}}\n`),
  inOrder('int f(struct ctx *ctx, int a, int b, int c, int d, int e, int f);\n'),
  inOrder(`int ${'x'.repeat(90)};\n`),
  inOrder('const char *sql = "UPDATE order_line SET state = $1";\n'),
  inOrder('void f(struct lock *lock)\n{\n    lock->system(1);\n}\n'),
  { 'src/lib/db/new.c': head + 'const char *sql = "SELECT name FROM sqlite_master";\n' },
];

/** @param {Record<string, string>} files @returns {{rules: string[], files: number}} */
function look(files) {
  const root = mkdtempSync(join(tmpdir(), 'tidy-'));
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    const result = tidy(root);
    return { rules: [...new Set(result.findings.map((f) => f.rule))], files: result.files };
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** @returns {number} exit status */
export function selfTest() {
  /** @type {string[]} */
  const wrong = [];
  const clean = look(sound()).rules;
  if (clean.length) wrong.push(`the sound tree breaks ${clean.join(', ')}`);
  if (look({ 'src/MODULES': 'lib/base\n' }).files !== 0) wrong.push('an empty tree has files');
  for (const [rule, change] of breaks) {
    const got = look({ ...sound(), ...change }).rules;
    if (got.length !== 1 || got[0] !== rule)
      wrong.push(`${rule} broken by ${Object.keys(change).join(', ')}: reported ${got.join(', ') || 'nothing'}`);
  }
  for (const change of harmless) {
    const got = look({ ...sound(), ...change }).rules;
    if (got.length) wrong.push(`${Object.values(change).at(-1)?.slice(head.length, head.length + 60)}: reported ${got.join(', ')}`);
  }
  for (const rule of ruleNames) if (!breaks.some(([name]) => name === rule)) wrong.push(`${rule} is never broken here`);
  for (const line of wrong) console.log(`tidy --self-test: ${line}`);
  console.log(`tidy --self-test: ${breaks.length + harmless.length} trees, ${wrong.length} wrong`);
  return wrong.length ? 1 : 0;
}
