// SPDX-License-Identifier: Apache-2.0
// How specifications read: the most telling ones in one line, all of them in a table in the order of the norm.
import type { Schemas } from '../api/client';
import { pick, t, word } from '../i18n';
import { plainNumber } from './money';

type Spec = Schemas['Spec'];
type Norm = Schemas['Norm'];

export function unitText(unit: string | null | undefined): string {
  return unit ? (word('specunit', unit) ?? unit) : '';
}

export function valueText(value: string | undefined): string {
  if (!value) return t('app.unknown');
  return word('specval', value) ?? plainNumber(value);
}

export function specText(spec: Spec): string {
  const unit = unitText(spec.unit);
  return unit && spec.value ? `${valueText(spec.value)} ${unit}` : valueText(spec.value);
}

const minor = new Set(['arch', 'cpu_allocation', 'family', 'redundancy', 'online_access']);

/** At most five short texts: "4 vCPU", "14 GiB", "1 × NVIDIA T4". */
export function specLine(specs: Spec[]): string[] {
  const byCode = new Map(specs.map((s) => [s.code, s]));
  const out: string[] = [];
  const model = byCode.get('accelerator_model');
  const cards = byCode.get('accelerator_count');
  const each = byCode.get('accelerator_memory');
  if (model?.value) out.push(`${cards?.value ?? '1'} × ${model.value}${each?.value ? ` ${specText(each)}` : ''}`);
  for (const s of specs) {
    if (!s.value || s.code.startsWith('accelerator_') || minor.has(s.code)) continue;
    out.push(s.code === 'vcpus' ? `${plainNumber(s.value)} vCPU` : specText(s));
  }
  return out.slice(0, 5);
}

export interface SpecRow {
  group: string;
  code: string;
  name: string;
  value: string;
  unit: string;
}

/** Every field of the norm that is given or was required, then what the norm does not know. */
export function specRows(specs: Spec[], norm: Norm | undefined): SpecRow[] {
  const byCode = new Map(specs.map((s) => [s.code, s]));
  const rows: SpecRow[] = [];
  let group = '';
  for (const field of norm?.fields ?? []) {
    const spec = byCode.get(field.code);
    byCode.delete(field.code);
    const name = pick(field.group_zh ?? '', field.group_en ?? '');
    rows.push({
      group: name === group ? '' : name,
      code: field.code,
      name: pick(field.name_zh, field.name_en),
      value: valueText(spec?.value),
      unit: spec?.value ? unitText(spec.unit ?? field.unit) : '',
    });
    group = name;
  }
  for (const spec of byCode.values())
    rows.push({ group: '', code: spec.code, name: spec.code, value: valueText(spec.value), unit: unitText(spec.unit) });
  return rows;
}
