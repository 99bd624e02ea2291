// SPDX-License-Identifier: Apache-2.0
// @ts-check
// Prints docs/states.md from the state machines in src/core as the compiler sees them, so that a picture cannot tell another
// story than the table. `states.mjs` writes the file, `states.mjs --check` fails when it is out of date.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** @typedef {{from: string, event: string, to: string, guard: string}} Rule */

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const pictureMost = 40;

/** The C files that define a machine, after the preprocessor. */
function machineTexts() {
  const core = join(root, 'src/core');
  return readdirSync(core)
    .flatMap((m) => readdirSync(join(core, m)).map((f) => join(core, m, f)))
    .filter((path) => path.endsWith('.c') && /struct (fsm|names) \w+\s*=/.test(readFileSync(path, 'utf8')))
    .map((path) =>
      execFileSync(
        process.env.CC ?? 'cc',
        ['-E', '-P', '-D_GNU_SOURCE', '-I', join(root, 'src/lib'), '-I', core, '-I', join(root, 'src'), path],
        { encoding: 'utf8', maxBuffer: 64 << 20 },
      ),
    );
}

/** @param {string} text @param {RegExp} re */
const all = (text, re) => [...text.matchAll(re)];

/** @param {string} text @param {string} member */
const memberOf = (text, member) => new RegExp(`\\.${member}\\s*=\\s*[&"]?([\\w -]+)`).exec(text)?.[1] ?? '';

function readMachines() {
  /** @type {Map<string, Map<string, string>>} enum constant to word, by the array's name */
  const arrays = new Map();
  /** @type {Map<string, string>} */
  const names = new Map();
  /** @type {Map<string, string[][]>} */
  const rules = new Map();
  const machines = [];
  for (const text of machineTexts()) {
    for (const [, name, body] of all(text, /char \*const (\w+)\[\w*\]\s*=\s*\{([\s\S]*?)\};/g))
      arrays.set(name, new Map(all(body, /\[(\w+)\]\s*=\s*"([^"]*)"/g).map(([, key, word]) => [key, word])));
    for (const [, name, array] of all(text, /struct names (\w+)\s*=\s*\{\s*\(?(\w+)\)?/g)) names.set(name, array);
    for (const [, name, body] of all(text, /struct fsm_rule (\w+)\[\w*\]\s*=\s*\{([\s\S]*?)\};/g))
      rules.set(name, all(body, /\{\s*(-1|\w+)\s*,\s*(\w+)\s*,\s*(\w+)\s*,\s*(\w+|\(\(void \*\)0\))\s*,?\s*\}/g).map((m) => m.slice(1)));
    for (const [, , body] of all(text, /struct fsm (\w+)\s*=\s*\{([\s\S]*?)\};/g)) machines.push(body);
  }
  const word = (/** @type {string} */ list, /** @type {string} */ key) => arrays.get(names.get(list) ?? '')?.get(key) ?? key;
  return machines.map((body) => {
    const [states, events] = [memberOf(body, 'states'), memberOf(body, 'events')];
    return {
      name: memberOf(body, 'name'),
      table: memberOf(body, 'table'),
      initial: word(states, memberOf(body, 'initial')),
      rules: (rules.get(memberOf(body, 'rules')) ?? []).map(([from, event, to, guard]) => ({
        from: from === '-1' ? '' : word(states, from),
        event: word(events, event),
        to: word(states, to),
        guard: /^\w+$/.test(guard) ? guard : '',
      })),
    };
  });
}

/** @param {Rule[]} rules @param {string} initial */
function picture(rules, initial) {
  const lines = rules.map((r) => `    ${r.from || '[*]'} --> ${r.to}: ${r.event}${r.guard ? ` (${r.guard})` : ''}`);
  const ends = [...new Set(rules.map((r) => r.to))].filter((s) => !rules.some((r) => r.from === s));
  return ['```mermaid', 'stateDiagram-v2', `    [*] --> ${initial}`, ...lines, ...ends.map((s) => `    ${s} --> [*]`), '```'].join('\n');
}

/** @param {Rule[]} rules */
function table(rules) {
  const from = [...new Set(rules.map((r) => r.from))];
  const rows = from.map((s) => `| ${s || '(birth)'} | ${[...new Set(rules.filter((r) => r.from === s).map((r) => (r.event === r.to ? r.to : `${r.event} → ${r.to}`)))].join(', ')} |`);
  return ['| in | may go |', '|---|---|', ...rows].join('\n');
}

const machines = readMachines().sort((a, b) => (a.name < b.name ? -1 : 1));
const text =
  '# States\n\nPrinted from the tables in `src/core` by `node tools/states.mjs`; not to be edited. Only `fsm_fire` (`src/core/event/mover.c`) moves a row,\nand only along these arrows.\n' +
  machines
    .map((m) => `\n## ${m.name}\n\nTable \`${m.table}\`, born as ${m.initial}.\n\n${m.rules.length < pictureMost ? picture(m.rules, m.initial) : table(m.rules)}\n`)
    .join('');
const path = join(root, 'docs/states.md');
if (machines.length === 0 || machines.some((m) => m.rules.length === 0)) {
  console.error(`states: a machine without rules: ${machines.find((m) => !m.rules.length)?.name ?? 'none found'}`);
  process.exit(1);
}
if (!process.argv.includes('--check')) writeFileSync(path, text);
else if (!existsSync(path) || readFileSync(path, 'utf8') !== text) {
  console.error('states: docs/states.md is out of date: node tools/states.mjs');
  process.exit(1);
}
console.log(`states: ${machines.length} machines`);
