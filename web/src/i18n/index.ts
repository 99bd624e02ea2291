// SPDX-License-Identifier: Apache-2.0
// Texts in two languages. The Chinese dictionary is the type: a missing or surplus key of the English one does not compile.
import { ref, shallowRef } from 'vue';
import { zh } from './zh';

export type Dictionary = typeof zh;
type Section = keyof Dictionary & string;
export type Key = { [S in Section]: `${S}.${keyof Dictionary[S] & string}` }[Section];
export type Locale = 'zh' | 'en';
type Params = Record<string, string | number>;

const dictionary = shallowRef<Dictionary>(zh);
export const locale = ref<Locale>('zh');

function fill(text: string, params?: Params): string {
  if (!params) return text;
  const forms = text.split(' | ');
  const form = forms.length > 1 && Number(String(params.n).replaceAll(',', '')) === 1 ? forms[0]! : forms[forms.length - 1]!;
  return form.replace(/\{(\w+)\}/g, (all, name: string) => (name in params ? String(params[name]) : all));
}

/** `a | b` in a text: one, many, chosen by n. */
export function t(key: Key, params?: Params): string {
  const dot = key.indexOf('.');
  const section = dictionary.value[key.slice(0, dot) as Section] as Record<string, string>;
  return fill(section[key.slice(dot + 1)] ?? key, params);
}

/** The word for a value of the server, or null when the dictionary has none. */
export function word(section: Section, value: string): string | null {
  const words = dictionary.value[section] as Record<string, string>;
  return Object.hasOwn(words, value) ? words[value]! : null;
}

export function pick(zhText: string, enText: string): string {
  return locale.value === 'en' ? enText || zhText : zhText || enText;
}

export async function setLocale(next: Locale): Promise<void> {
  dictionary.value = next === 'en' ? (await import('./en')).en : zh;
  locale.value = next;
  document.documentElement.lang = next === 'en' ? 'en' : 'zh-CN';
  try {
    localStorage.setItem('suanhe.locale', next);
  } catch {
    /* private mode: the choice lives as long as the page */
  }
}
