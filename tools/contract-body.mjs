// SPDX-License-Identifier: Apache-2.0
// @ts-check
// A request body of the written contract against the field table of its route: the same names, types, bounds and required
// members, whichever of the two one starts from. Reports field by field.

/** @typedef {import('./contract.mjs').Field} Field @typedef {import('./contract.mjs').Report} Report @typedef {any} Json */

/** Beyond this a bound cannot be written in JSON without loss, and counts as none. */
const unbounded = Number.MAX_SAFE_INTEGER;
const arrayMost = 1000;

/** What a reference leads to, or undefined. @param {Json} doc @param {Json} value @returns {Json} */
export function resolve(doc, value) {
  let at = value;
  for (let i = 0; i < 20 && at && typeof at.$ref === 'string'; i++) {
    const parts = at.$ref.slice(2).split('/').map((/** @type {string} */ p) => decodeURIComponent(p).replace(/~1/g, '/').replace(/~0/g, '~'));
    const rest = { ...at };
    delete rest.$ref;
    at = parts.reduce((/** @type {Json} */ node, /** @type {string} */ part) => node?.[part], doc);
    if (at && Object.keys(rest).length) at = { ...at, ...rest };
  }
  return at;
}

/** The schema without `null`, which stands for an absent member; allOf is merged. @param {Json} doc @param {Json} schema @returns {Json} */
function plain(doc, schema) {
  let s = resolve(doc, schema) ?? {};
  if (Array.isArray(s.allOf)) {
    const { allOf, ...own } = s;
    s = [...allOf.map((/** @type {Json} */ part) => plain(doc, part)), own].reduce(
      (a, b) => ({ ...a, ...b, properties: { ...a.properties, ...b.properties }, required: [...(a.required ?? []), ...(b.required ?? [])] }),
      {},
    );
  }
  for (const key of ['anyOf', 'oneOf']) {
    const some = s[key]?.filter((/** @type {Json} */ part) => part.type !== 'null');
    if (some?.length === 1) s = plain(doc, some[0]);
  }
  const type = Array.isArray(s.type) ? s.type.filter((/** @type {string} */ t) => t !== 'null') : s.type;
  return { ...s, type: Array.isArray(type) && type.length === 1 ? type[0] : type };
}

/**
 * @typedef {{doc: Json, report: Report, where: string}} Scene
 * @typedef {(scene: Scene, field: Field, s: Json) => void} Check
 */

/** @param {Scene} scene @param {string} what @param {number|undefined} said @param {number|undefined} kept */
function bound(scene, what, said, kept) {
  if ((said ?? null) !== (kept ?? null))
    scene.report(scene.where, 'field-bounds', `${what}: ${said ?? 'none'} in the text, ${kept ?? 'none'} in the server`);
}

/** @param {Scene} scene @param {Json} s @param {string} type @param {string} as */
function typed(scene, s, type, as) {
  if (s.type === type) return true;
  scene.report(scene.where, 'field-type', `${s.type ?? 'any'} in the text, ${as} in the server`);
  return false;
}

/** @param {Field} field */
const hasBounds = (field) => field.min !== 0 || field.max !== 0;

/** @type {Check} */
function integer(scene, field, s) {
  if (!typed(scene, s, 'integer', field.type)) return;
  const has = hasBounds(field);
  bound(scene, 'minimum', s.minimum, has && field.min > -unbounded ? field.min : undefined);
  const most = s.maximum > unbounded ? undefined : s.maximum;
  bound(scene, 'maximum', most, has && field.max < unbounded ? field.max : undefined);
}

/** @type {Check} */
function text(scene, field, s) {
  if (!typed(scene, s, 'string', field.type)) return;
  // A list of words in the text is narrower than the server's lengths; the handler knows the words.
  if (s.enum) {
    if (s.enum.some((/** @type {string} */ w) => w.length < field.min || (hasBounds(field) && w.length > field.max)))
      scene.report(scene.where, 'field-bounds', 'a word of the text does not fit the server');
    return;
  }
  bound(scene, 'minLength', s.minLength || undefined, field.min || undefined);
  bound(scene, 'maxLength', s.maxLength, hasBounds(field) ? field.max : undefined);
}

/** @param {(s: Json, field: Field) => boolean} holds @param {string} wanted @returns {Check} */
const string = (holds, wanted) => (scene, field, s) => {
  if (typed(scene, s, 'string', field.type) && !holds(s, field))
    scene.report(scene.where, 'field-type', `${wanted.replace('PREFIX', field.prefix ?? '')} is wanted in the text`);
};

/** @type {Check} */
function list(scene, field, s) {
  if (!typed(scene, s, 'array', field.type)) return;
  bound(scene, 'minItems', s.minItems || undefined, field.min || undefined);
  bound(scene, 'maxItems', s.maxItems, field.max || arrayMost);
  const items = plain(scene.doc, s.items);
  const inner = { ...scene, where: `${scene.where}[]` };
  if (field.type === 'strings') typed(inner, items, 'string', 'string');
  else if (typed(inner, items, 'object', 'object')) members(inner, field.fields ?? [], items);
}

/** @type {Record<string, Check>} */
const checks = {
  integer,
  money: integer,
  boolean: (scene, field, s) => void typed(scene, s, 'boolean', field.type),
  string: text,
  rate: string((s) => s.format === 'decimal' || Boolean(s.pattern), 'format: decimal or a pattern'),
  price: string((s) => s.format === 'decimal' || Boolean(s.pattern), 'format: decimal or a pattern'),
  'date-time': string((s) => s.format === 'date-time', 'format: date-time'),
  ref: string((s, field) => ['^[a-z0-9]+_', `^${field.prefix}_`].some((p) => s.pattern?.startsWith(p)), 'a pattern that begins with ^PREFIX_'),
  base64: string((s) => s.contentEncoding === 'base64', 'contentEncoding: base64'),
  enum: (scene, field, s) => {
    const said = (s.enum ?? []).filter((/** @type {Json} */ v) => v !== null).sort().join(' ');
    const kept = [...(field.values ?? [])].sort().join(' ');
    if (typed(scene, s, 'string', 'enum') && said !== kept)
      scene.report(scene.where, 'field-values', `[${said}] in the text, [${kept}] in the server`);
  },
  json: () => undefined,
  array: list,
  strings: list,
  object: (scene, field, s) => {
    if (typed(scene, s, 'object', 'object')) members(scene, field.fields ?? [], s);
  },
};

/** @param {Scene} scene @param {Field[]} fields @param {Json} s */
function members(scene, fields, s) {
  const properties = s.properties ?? {};
  if (s.additionalProperties !== false)
    scene.report(scene.where, 'body', 'the server refuses unknown members: additionalProperties: false');
  for (const name of Object.keys(properties))
    if (!fields.some((f) => f.name === name)) scene.report(`${scene.where}/${name}`, 'field-unknown', 'the text has it, the server refuses it');
  for (const field of fields) {
    const inner = { ...scene, where: `${scene.where}/${field.name}` };
    if (!Object.hasOwn(properties, field.name)) {
      scene.report(inner.where, 'field-missing', 'the server reads it, the text does not have it');
      continue;
    }
    const required = (s.required ?? []).includes(field.name);
    if (required !== field.required)
      scene.report(inner.where, 'field-required', `required ${required ? 'in the text' : 'by the server'} only`);
    const check = checks[field.type];
    if (check) check(inner, field, plain(scene.doc, properties[field.name]));
    else scene.report(inner.where, 'field-type', `the server calls it ${field.type}, which contract-body.mjs does not know`);
  }
}

/** @param {{doc: Json, op: Json, where: string, form: boolean}} place @param {Field[]|null} fields @param {Report} report */
export function compareBody(place, fields, report) {
  const written = resolve(place.doc, place.op.requestBody);
  if (!written && !fields) return;
  if (!written || !fields) {
    report(place.where, 'body', written ? 'the text has a body, the server refuses one' : 'the server reads a body, the text has none');
    return;
  }
  const type = place.form ? 'application/x-www-form-urlencoded' : place.op['x-merge-patch'] ? 'application/merge-patch+json' : 'application/json';
  const schema = written.content?.[type]?.schema;
  if (!schema) report(place.where, 'body', `no schema of ${type}`);
  else members({ doc: place.doc, report, where: place.where }, fields, plain(place.doc, schema));
}
