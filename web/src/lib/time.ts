// SPDX-License-Identifier: Apache-2.0
import { locale, t } from '../i18n';

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const two = (n: number) => String(n).padStart(2, '0');

export function clock(at: Date, seconds = false): string {
  return `${two(at.getHours())}:${two(at.getMinutes())}${seconds ? ':' + two(at.getSeconds()) : ''}`;
}

export function day(at: Date): string {
  if (locale.value === 'en') return `${at.getDate()} ${months[at.getMonth()]} ${at.getFullYear()}`;
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

export function isToday(at: Date): boolean {
  return at.toDateString() === new Date().toDateString();
}

export function dateTime(text: string, seconds = false): string {
  const at = new Date(text);
  return `${day(at)}${locale.value === 'en' ? ', ' : ' '}${clock(at, seconds)}`;
}

/** Only the clock for today, otherwise day and clock. */
export function shortTime(text: string): string {
  const at = new Date(text);
  return isToday(at) ? clock(at) : dateTime(text);
}

/** An ISO 8601 duration of one unit in words. */
export function term(iso: string | null | undefined): string {
  const m = /^P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?(?:T(\d+)H)?$/.exec(iso ?? '');
  if (!m) return iso || t('term.none');
  const parts: string[] = [];
  const put = (n: string | undefined, key: 'term.years' | 'term.months' | 'term.days' | 'term.hours') => {
    if (n) parts.push(t(key, { n }));
  };
  put(m[1], 'term.years');
  put(m[2], 'term.months');
  put(m[3], 'term.days');
  put(m[4], 'term.hours');
  return parts.join(' ');
}

export function hours(n: number | null): string {
  if (n === null) return t('app.unknown');
  return n === 0 ? t('catalog.instant') : t('catalog.hours', { n });
}
