// SPDX-License-Identifier: Apache-2.0
// Reads C as text: words, strings and comments told apart, strings that stand side by side joined, functions found by
// their braces. No compiler: what the preprocessor would hide is seen, which is what a style check wants.

/**
 * @typedef {{kind: 'comment'|'string'|'word'|'mark'|'directive', text: string, line: number}} Token
 * @typedef {{text: string, line: number}} Literal
 * @typedef {{name: string, line: number, lines: number, parameters: number, body: boolean, foreign: boolean}} Routine
 */

const patterns = [
  { kind: 'comment', re: /\/\*[\s\S]*?\*\/|\/\/[^\n]*/y },
  { kind: 'string', re: /"(?:[^"\\\n]|\\[\s\S])*"/y },
  { kind: 'mark', re: /'(?:[^'\\\n]|\\[\s\S])*'/y },
  { kind: 'word', re: /[A-Za-z_][A-Za-z0-9_]*/y },
  { kind: 'mark', re: /0[xX][0-9a-fA-F']+[uUlL]*|[0-9][0-9a-zA-Z_.]*/y },
  { kind: 'mark', re: /->|[^\s]/y },
];

/** @param {string} text @returns {Token[]} */
export function tokens(text) {
  /** @type {Token[]} */
  const out = [];
  let at = 0;
  let line = 1;
  let lineStart = true;
  while (at < text.length) {
    const c = text[at];
    if (c === '\n') {
      line++;
      lineStart = true;
      at++;
      continue;
    }
    if (/\s/.test(c)) {
      at++;
      continue;
    }
    /** @type {Token} */
    let token = { kind: 'mark', text: c, line };
    if (c === '#' && lineStart) {
      // A directive is one token, but for #define, whose body is code like any other.
      const rest = /#[^\n\\]*(?:\\\n[^\n\\]*|\\[^\n][^\n\\]*)*/y;
      const word = /#\s*define\s+\w+/y;
      word.lastIndex = at;
      rest.lastIndex = at;
      const found = word.exec(text) ?? rest.exec(text);
      token = { kind: 'directive', text: found ? found[0] : c, line };
    } else {
      for (const { kind, re } of patterns) {
        re.lastIndex = at;
        const found = re.exec(text);
        if (found) {
          token = { kind: /** @type {Token['kind']} */ (kind), text: found[0], line };
          break;
        }
      }
    }
    out.push(token);
    at += token.text.length;
    line += token.text.split('\n').length - 1;
    lineStart = false;
  }
  return out;
}

/**
 * String literals, those side by side joined to one text; a word between two (a macro such as PRId64, or a name of
 * columns) stays in the text as a word of its own.
 * @param {Token[]} list @returns {Literal[]}
 */
export function literals(list) {
  /** @type {Literal[]} */
  const out = [];
  const code = list.filter((t) => t.kind !== 'comment' && !(t.kind === 'mark' && t.text === '\\'));
  for (let i = 0; i < code.length; i++) {
    if (code[i].kind !== 'string') continue;
    const line = code[i].line;
    let text = code[i].text.slice(1, -1);
    for (;;) {
      const next = code[i + 1];
      if (next?.kind === 'string') {
        text += next.text.slice(1, -1);
        i += 1;
      } else if (next?.kind === 'word' && code[i + 2]?.kind === 'string') {
        text += ` ${next.text} ` + code[i + 2].text.slice(1, -1);
        i += 2;
      } else {
        break;
      }
    }
    out.push({ text, line });
  }
  return out;
}

const notFunctions = new Set(['if', 'for', 'while', 'switch', 'return', 'sizeof', 'defined', 'static_assert', '__attribute__']);

/** @param {Token[]} code @param {number} open @returns {number} index of the closing mark */
function closing(code, open) {
  const pairs = /** @type {Record<string, string>} */ ({ '(': ')', '{': '}' });
  let depth = 0;
  for (let i = open; i < code.length; i++) {
    if (code[i].text === code[open].text) depth++;
    else if (code[i].text === pairs[code[open].text] && --depth === 0) return i;
  }
  return code.length - 1;
}

/**
 * The parameters, not counting the `struct ctx *` that nearly every function takes first.
 * @param {Token[]} code @param {number} open @param {number} close
 */
function countParameters(code, open, close) {
  if (close === open + 1 || (close === open + 2 && code[open + 1].text === 'void')) return 0;
  let depth = 0;
  let commas = 0;
  for (let i = open; i < close; i++) {
    if (code[i].text === '(') depth++;
    else if (code[i].text === ')') depth--;
    else if (code[i].text === ',' && depth === 1) commas++;
  }
  const first = code.slice(open + 1, open + 5).map((t) => t.text);
  const context = first.includes('struct') && first.includes('ctx');
  return commas + (context ? 0 : 1);
}

/**
 * Functions that a file defines or declares at its outer level. `lines` counts from the line of the name to the last brace.
 * @param {Token[]} list @returns {Routine[]}
 */
export function functions(list) {
  /** @type {Routine[]} */
  const out = [];
  const code = list.filter((t) => t.kind !== 'comment' && t.kind !== 'directive');
  for (let i = 0; i < code.length; i++) {
    if (code[i].text === '{') {
      i = closing(code, i); // an initialiser or a struct: nothing of it is a function
      continue;
    }
    if (code[i].kind !== 'word' || code[i + 1]?.text !== '(' || notFunctions.has(code[i].text)) continue;
    const before = code[i - 1];
    const declared = before && (before.kind === 'word' ? !notFunctions.has(before.text) : before.text === '*');
    const close = closing(code, i + 1);
    if (declared) {
      let next = close + 1;
      while (code[next]?.text === '__attribute__') next = closing(code, next + 1) + 1;
      const body = code[next]?.text === '{';
      if (body || code[next]?.text === ';') {
        const end = body ? closing(code, next) : next;
        out.push({
          name: code[i].text,
          line: code[i].line,
          lines: code[end].line - code[i].line + 1,
          parameters: countParameters(code, i + 1, close),
          body,
          foreign: /^MHD_/.test(before.text), // a call-back whose parameters a library sets
        });
        i = end;
        continue;
      }
    }
    i = close;
  }
  return out;
}
