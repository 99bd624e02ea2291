// SPDX-License-Identifier: Apache-2.0
// @ts-check
// The style guide as a program: who may include whom, who owns which table, what moves a state, what is banned, how large
// things may be. `node tools/tidy.mjs` looks at the whole tree and prints `path:line rule: what to do`.
// `--self-test` breaks each rule once in a small tree and expects exactly that rule. A rule enters STYLE.md with its check.
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { functions, literals, tokens } from './c-text.mjs';

/**
 * @typedef {{path: string, line: number, rule: string, text: string}} Finding
 * @typedef {{path: string, text: string, lines: string[], tokens: import('./c-text.mjs').Token[],
 *   literals: import('./c-text.mjs').Literal[], module: string}} Source
 * @typedef {{root: string, modules: string[], sources: Source[], sql: {path: string, text: string}[], texts: string[],
 *   stateful: Set<string>, report: (path: string, line: number, rule: string, text: string) => void}} Tree
 */

const limits = { fileLines: 600, functionLines: 60, parameters: 7, codeColumns: 100, commentColumns: 120 };
const programs = ['agent', 'verify'];

/** Foreign headers and the one place that may include each. */
const homes = [
  { header: /^(sqlite3|libpq-fe)\.h$/, home: /^src\/lib\/db\//, name: 'lib/db' },
  { header: /^(openssl\/.*|argon2\.h)$/, home: /^src\/lib\/crypto\//, name: 'lib/crypto' },
  { header: /^(microhttpd\.h|curl\/.*)$/, home: /^src\/lib\/http\//, name: 'lib/http' },
  { header: /^jansson\.h$/, home: /^src\/lib\/base\/json\.c$/, name: 'lib/base/json.c' },
  { header: /^roaring\/.*$/, home: /^src\/core\/catalog\//, name: 'core/catalog' },
  { header: /^zlib\.h$/, home: /^src\/core\/catalog\//, name: 'core/catalog' },
];

/** Modules that take plain values only, so that what they compute can be computed again. */
const confined = /** @type {Record<string, string[]>} */ ({
  'core/match_index': ['lib/base'],
  'core/match': ['lib/base', 'lib/crypto', 'core/match_index'],
});

const banned = /** @type {Record<string, string>} */ ({
  strcpy: 'str_dup or snprintf',
  strncpy: 'str_dup or snprintf',
  strcat: 'buf_puts',
  sprintf: 'snprintf, str_printf or buf_printf',
  vsprintf: 'vsnprintf',
  strtok: 'str_next',
  strtok_r: 'str_next',
  strtol: 'str_to_int',
  atoi: 'str_to_int',
  atol: 'str_to_int',
  atoll: 'str_to_int',
  atof: 'money_read or price_read',
  gets: 'fgets with a bound',
  localtime: 'utc_shanghai',
  localtime_r: 'utc_shanghai',
  gmtime: 'utc_write',
  rand: 'crypto_random',
  srand: 'crypto_random',
  system: 'posix_spawn with an argument list',
  alloca: 'arena_alloc',
});

const moneyFiles = [
  /^src\/lib\/base\/money[^/]*$/,
  /^src\/core\/(ledger|order|bill)\//,
  /^src\/core\/catalog\/[^/]*(price|quote|sku|money)[^/]*$/,
];

/** @param {string} root @param {string} folder @returns {string[]} */
function walk(root, folder) {
  const full = join(root, folder);
  if (!existsSync(full)) return [];
  return readdirSync(full)
    .sort()
    .flatMap((name) => {
      if (name === 'node_modules' || name === 'dist' || name === 'build' || name.startsWith('.')) return [];
      const path = `${folder}/${name}`;
      return statSync(join(root, path)).isDirectory() ? walk(root, path) : [path];
    });
}

/** The module a file belongs to: lib/base, core/order, api; main for src/*.c; else its first folder. @param {string} path */
function moduleOf(path) {
  const parts = path.split('/');
  if (parts[0] !== 'src') return parts[0];
  if (parts.length === 2) return 'main';
  return parts[1] === 'lib' || parts[1] === 'core' ? `${parts[1]}/${parts[2]}` : parts[1];
}

/** @param {string} text @param {number} at */
const lineAt = (text, at) => text.slice(0, at).split('\n').length;

/** @param {string} text */
const isSql = (text) => /^\s*(SELECT|INSERT|UPDATE|DELETE|WITH|CREATE|ALTER|DROP|TRUNCATE)\s/.test(text);

/** Tables that an SQL text names. @param {string} text */
function tablesIn(text) {
  const found = text.matchAll(/\b(?:FROM|JOIN|INTO|UPDATE|TABLE(?: IF (?:NOT )?EXISTS)?|TRUNCATE)\s+(?:ONLY\s+)?([a-z][a-z0-9_]*)/g);
  return [...found].map((m) => ({ name: m[1], at: m.index ?? 0 })).filter((t) => !['set', 'select'].includes(t.name));
}

/* ---- the rules: each looks at the tree and reports ---- */

/** @param {Tree} tree */
function checkIncludes(tree) {
  const order = [...tree.modules, 'main'];
  for (const source of tree.sources) {
    const own = source.module;
    for (const token of source.tokens) {
      const include = token.kind === 'directive' && /^#\s*include\s*(["<])([^">]+)[">]/.exec(token.text);
      if (!include) continue;
      const [, quote, name] = include;
      const report = (/** @type {string} */ rule, /** @type {string} */ text) =>
        tree.report(source.path, token.line, rule, text);
      if (quote === '<') {
        const home = homes.find((h) => h.header.test(name));
        if (home && !home.home.test(source.path) && source.module !== 'tests')
          report('foreign-header', `<${name}> has one home, ${home.name}: use what that module offers`);
        continue;
      }
      if (!name.includes('/')) continue;
      const [folder, header] = [dirname(name), basename(name)];
      const target = tree.modules.find((m) => m === folder || m === `lib/${folder}` || m === `core/${folder}`);
      if (!target || target === own) continue;
      if (source.module === 'tests') continue;
      if (programs.includes(own)) {
        if (!target.startsWith('lib/')) report('program-includes', `${own}/ stands beside src/ and uses src/lib only`);
        continue;
      }
      if (header !== `${basename(folder)}.h`)
        report('public-header', `"${name}" is internal to ${target}: include "${folder}/${basename(folder)}.h"`);
      if (own.startsWith('core/') && target === 'lib/http')
        report('core-http', 'core knows no HTTP: return an error or a value and let api or if2 speak');
      else if ((own === 'api' && target === 'if2') || (own === 'if2' && target === 'api'))
        report('edge-apart', 'api and if2 never include each other: what both need belongs to core');
      else if (confined[own] && !confined[own].includes(target))
        report('confined', `${own} takes plain values: it may include only ${confined[own].join(', ')}`);
      else if (order.indexOf(target) > order.indexOf(own))
        report('module-order', `${target} stands after ${own} in src/MODULES: write a fact, or move the code`);
    }
  }
}

/** @param {Tree} tree */
function checkModuleList(tree) {
  const cmake = existsSync(join(tree.root, 'CMakeLists.txt')) ? readFileSync(join(tree.root, 'CMakeLists.txt'), 'utf8') : '';
  const included = new Set();
  for (const source of tree.sources)
    for (const token of source.tokens) {
      const include = token.kind === 'directive' && /^#\s*include\s*"([^"]+)"/.exec(token.text);
      if (include) included.add(basename(include[1]));
    }
  for (const source of tree.sources) {
    if (!source.path.startsWith('src/')) continue;
    const folder = dirname(source.path).slice('src/'.length);
    const built = source.module === 'main' || new RegExp(`[\\s(]${folder}[\\s)]`).test(cmake);
    if (source.module !== 'main' && !tree.modules.includes(folder))
      tree.report(source.path, 1, 'unreachable', `the folder ${folder} is not in src/MODULES`);
    else if (source.path.endsWith('.c') && !built)
      tree.report(source.path, 1, 'unreachable', `no layer() of CMakeLists.txt builds ${folder}`);
    else if (source.path.endsWith('.h') && !included.has(basename(source.path)))
      tree.report(source.path, 1, 'unreachable', 'no file includes this header: delete it');
  }
}

/** @param {Tree} tree */
function checkSqlPlaces(tree) {
  for (const source of tree.sources) {
    const outside = ['api', 'if2', 'main'].includes(source.module);
    for (const literal of source.literals) {
      if (outside && /^\s*(SELECT|INSERT|UPDATE|DELETE)\s/.test(literal.text))
        tree.report(source.path, literal.line, 'edge-sql', 'SQL belongs to the module that owns the table: call a core function');
      else if (!outside && source.path.startsWith('src/') && isSql(literal.text)) checkOwner(tree, source, literal);
    }
  }
}

/** @param {Tree} tree @param {Source} source @param {import('./c-text.mjs').Literal} literal */
function checkOwner(tree, source, literal) {
  const own = basename(source.module);
  for (const table of tablesIn(literal.text)) {
    const owner = tree.modules.map((m) => basename(m)).find((m) => table.name.startsWith(`${m}_`));
    const system = own === 'db' && /^(sqlite_|pg_|db_)/.test(table.name);
    if (system || owner === own) continue;
    if (owner && owner !== own)
      tree.report(source.path, literal.line, 'table-owner', `${table.name} belongs to ${owner}: call a function of that module`);
    else if (!owner && /^(sqlite_|pg_)/.test(table.name))
      tree.report(source.path, literal.line, 'table-owner', `${table.name} is the database's own: only lib/db names it`);
  }
}

/** Tables whose `state` some struct fsm names. @param {Source[]} sources */
function statefulTables(sources) {
  const out = new Set();
  for (const source of sources)
    for (const m of source.text.matchAll(/struct fsm \w+\s*=\s*\{[^;]*?\.table\s*=\s*"([a-z0-9_]+)"/g)) out.add(m[1]);
  return out;
}

/** @param {Tree} tree */
function checkMover(tree) {
  for (const source of tree.sources) {
    if (!source.path.startsWith('src/') || /^src\/core\/event\/mover[^/]*\.c$/.test(source.path)) continue;
    for (const literal of source.literals) {
      const update = /\bUPDATE\s+([a-z0-9_%]+)\s+SET\s+([\s\S]*?)(?:\bWHERE\b|$)/.exec(literal.text);
      if (!update || !/(^|[\s,(])state\s*=/.test(update[2])) continue;
      if (tree.stateful.has(update[1]) || update[1].includes('%'))
        tree.report(source.path, literal.line, 'one-mover', `${update[1]}.state is moved by fsm_fire alone: add a rule to its table`);
    }
  }
}

/** @param {Tree} tree */
function checkMigrations(tree) {
  for (const { path, text } of tree.sql) {
    const name = basename(path);
    const match = /^(\d{4})_([a-z0-9]+)(_[a-z0-9_]+)?(\.sqlite|\.pg)?\.sql$/.exec(name);
    const known = match && (path.startsWith('agent/') || tree.modules.some((m) => basename(m) === match[2]));
    if (!match || !known) {
      tree.report(path, 1, 'migration-name', 'call it NNNN_<module>[_what].sql, with a module of src/MODULES');
      continue;
    }
    if (path.startsWith('agent/')) continue;
    const bare = text.replace(/--[^\n]*/g, (c) => ' '.repeat(c.length));
    for (const m of bare.matchAll(/\b(?:CREATE TABLE|INSERT INTO|UPDATE|ALTER TABLE|DELETE FROM)\s+([a-z][a-z0-9_]*)/g))
      if (!m[1].startsWith(`${match[2]}_`))
        tree.report(path, lineAt(bare, m.index ?? 0), 'table-owner', `${m[1]}: a table begins with its module's name, ${match[2]}_`);
  }
}

/** @param {Tree} tree */
function checkWords(tree) {
  const unfinished = /\b(TO-?DO|FIX-?ME|XXX|HACK)\b/;
  for (const source of tree.sources) {
    const code = source.tokens.filter((t) => t.kind !== 'comment');
    const money = moneyFiles.some((re) => re.test(source.path));
    code.forEach((token, i) => {
      if (token.kind !== 'word') return;
      const before = code[i - 1]?.text;
      if (Object.hasOwn(banned, token.text) && code[i + 1]?.text === '(' && before !== '.' && before !== '->')
        tree.report(source.path, token.line, 'banned-call', `${token.text}: use ${banned[token.text]}`);
      if (token.text === 'goto')
        tree.report(source.path, token.line, 'no-goto', 'arena and transaction undo by themselves: return');
      if (money && (token.text === 'float' || token.text === 'double'))
        tree.report(source.path, token.line, 'money-float', `${token.text}: money is money_t, rate_t or price_t`);
    });
    for (const token of source.tokens)
      if (token.kind === 'comment' && unfinished.test(token.text))
        tree.report(source.path, token.line, 'unfinished', 'finish it, or say what holds now');
  }
}

/** @param {Tree} tree */
function checkSizes(tree) {
  for (const source of tree.sources) {
    const count = source.lines.length - (source.lines.at(-1) === '' ? 1 : 0);
    if (count >= limits.fileLines)
      tree.report(source.path, count, 'file-size', `${count} lines; split it below ${limits.fileLines}`);
    for (const f of functions(source.tokens)) {
      if (f.body && f.lines >= limits.functionLines)
        tree.report(source.path, f.line, 'function-size', `${f.name} has ${f.lines} lines; below ${limits.functionLines}`);
      if (f.parameters >= limits.parameters && !f.foreign)
        tree.report(source.path, f.line, 'parameters', `${f.name} takes ${f.parameters} beside ctx; put them in a struct`);
    }
    const comments = new Set();
    for (const t of source.tokens)
      if (t.kind === 'comment') t.text.split('\n').forEach((_, i) => comments.add(t.line + i));
    for (const t of source.tokens) if (t.kind !== 'comment') comments.delete(t.line);
    source.lines.forEach((line, i) => {
      const most = comments.has(i + 1) ? limits.commentColumns : limits.codeColumns;
      const columns = [...line].length;
      if (columns > most) tree.report(source.path, i + 1, 'line-width', `${columns} columns; at most ${most} (make format)`);
    });
  }
}

/** @param {Tree} tree */
function checkHeads(tree) {
  for (const source of tree.sources) {
    if (source.lines[0] !== '/* SPDX-License-Identifier: Apache-2.0 */')
      tree.report(source.path, 1, 'licence', 'the first line is /* SPDX-License-Identifier: Apache-2.0 */');
    else if (!source.lines[1]?.startsWith('/*'))
      tree.report(source.path, 2, 'purpose', 'say in one to five lines what the file is for and what always holds');
  }
  for (const path of tree.texts) {
    const lines = readFileSync(join(tree.root, path), 'utf8').split('\n');
    if (!/\.(mjs|ts|sh)$/.test(path)) continue;
    if (!lines.slice(0, 2).some((l) => l.includes('SPDX-License-Identifier: Apache-2.0')))
      tree.report(path, 1, 'licence', 'one of the first two lines holds SPDX-License-Identifier: Apache-2.0');
    if (lines.length > limits.fileLines)
      tree.report(path, lines.length, 'file-size', `${lines.length} lines; split it below ${limits.fileLines}`);
  }
}

const rules = [
  checkIncludes, checkModuleList, checkSqlPlaces, checkMover, checkMigrations, checkWords, checkSizes, checkHeads,
];
/** Names of the rules, as they are reported and counted. */
export const ruleNames = [
  'foreign-header', 'program-includes', 'public-header', 'core-http', 'edge-apart', 'confined', 'module-order',
  'unreachable', 'edge-sql', 'table-owner', 'one-mover', 'migration-name', 'banned-call', 'no-goto', 'money-float',
  'unfinished', 'file-size', 'function-size', 'parameters', 'line-width', 'licence', 'purpose',
];

/** @param {string} root @returns {{findings: Finding[], files: number}} */
export function tidy(root) {
  /** @type {Finding[]} */
  const findings = [];
  const modules = readFileSync(join(root, 'src/MODULES'), 'utf8').split('\n').filter((l) => l && !l.startsWith('#'));
  const paths = ['src', ...programs, 'tests'].flatMap((folder) => walk(root, folder));
  const sources = paths
    .filter((p) => /\.[ch]$/.test(p))
    .map((path) => {
      const text = readFileSync(join(root, path), 'utf8');
      const list = tokens(text);
      return { path, text, lines: text.split('\n'), tokens: list, literals: literals(list), module: moduleOf(path) };
    });
  const sql = ['sql', 'agent/sql']
    .flatMap((folder) => walk(root, folder))
    .filter((p) => p.endsWith('.sql'))
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
  const texts = [...walk(root, 'tools'), ...walk(root, 'tests').filter((p) => p.endsWith('.ts'))];
  const report = (/** @type {string} */ path, /** @type {number} */ line, /** @type {string} */ rule, /** @type {string} */ text) => {
    findings.push({ path, line, rule, text });
  };
  const tree = { root, modules, sources, sql, texts, stateful: statefulTables(sources), report };
  for (const rule of rules) rule(tree);
  return { findings, files: sources.length + sql.length };
}

async function main() {
  if (process.argv.includes('--self-test')) {
    const { selfTest } = await import('./tidy-self-test.mjs');
    process.exit(selfTest());
  }
  const root = join(dirname(fileURLToPath(import.meta.url)), '..');
  const { findings, files } = tidy(root);
  for (const f of findings) console.log(`${f.path}:${f.line} ${f.rule}: ${f.text}`);
  if (files === 0) console.log('tidy looked at no files');
  const broken = new Set(findings.map((f) => f.rule)).size;
  console.log(`tidy: ${files} files, ${ruleNames.length - broken} rules hold, ${broken} broken (${findings.length} places)`);
  process.exit(files === 0 || findings.length > 0 ? 1 : 0);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) void main();
