// SPDX-License-Identifier: Apache-2.0
// How specifications read: the most telling ones in one line, all of them in a table grouped by the norm.
import type { Schemas } from '../api/client';
import { pick, t } from '../i18n';
import { plainNumber } from './money';

type Spec = Schemas['Spec'];
type Norm = Schemas['Norm'];

export function specText(spec: Spec): string {
  if (spec.value === '' || spec.value === 'unknown') return t('app.unknown');
  const unit = spec.unit && spec.unit !== '1' ? ` ${spec.unit}` : '';
  return plainNumber(spec.value) + unit;
}

export function specLine(specs: Spec[]): string[] {
  const name = (code: string) => /(vcpu|cores?)$/.test(code);
  return specs
    .filter((s) => s.value !== '' && !/arch|hypervisor|family/.test(s.code))
    .slice(0, 5)
    .map((s) => (name(s.code) && !s.unit ? `${plainNumber(s.value)} vCPU` : specText(s)));
}

export interface SpecRow {
  group: string;
  code: string;
  name: string;
  value: string;
  unit: string;
}

/** Every field of the norm, what is missing said so, then what the norm does not know. */
export function specRows(specs: Spec[], norm: Norm | undefined): SpecRow[] {
  const byCode = new Map(specs.map((s) => [s.code, s]));
  const rows: SpecRow[] = [];
  let group = '';
  for (const field of norm?.fields ?? []) {
    const spec = byCode.get(field.code);
    byCode.delete(field.code);
    if (!spec && !field.required) continue;
    const name = pick(field.group_zh ?? '', field.group_en ?? '');
    rows.push({
      group: name === group ? '' : name,
      code: field.code,
      name: pick(field.name_zh, field.name_en),
      value: spec?.value ? plainNumber(spec.value) : t('app.unknown'),
      unit: spec?.unit ?? field.unit ?? '',
    });
    group = name;
  }
  for (const spec of byCode.values())
    rows.push({ group: '', code: spec.code, name: spec.code, value: plainNumber(spec.value), unit: spec.unit ?? '' });
  return rows;
}
