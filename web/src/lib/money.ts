// SPDX-License-Identifier: Apache-2.0
// Amounts are shown by moving digits as text; nothing here computes with fractions.

export function group(digits: string): string {
  return digits.replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

/** An integer of fen as ¥1,234.56; with a minus sign in front of the currency. */
export function yuan(fen: number | string | null | undefined): string {
  if (fen === null || fen === undefined) return '–';
  const text = String(fen);
  const negative = text.startsWith('-');
  const digits = (negative ? text.slice(1) : text).padStart(3, '0');
  return `${negative ? '−' : ''}¥${group(digits.slice(0, -2))}.${digits.slice(-2)}`;
}

/** A decimal string split after fen: the rest is shown smaller. Missing places are filled, none is dropped. */
export function splitPrice(price: string): { main: string; rest: string } {
  const [whole = '0', fraction = ''] = price.split('.');
  return { main: `${group(whole)}.${fraction.slice(0, 2).padEnd(2, '0')}`, rest: fraction.slice(2).replace(/0+$/, '') };
}

export function price(text: string): string {
  const { main, rest } = splitPrice(text);
  return `¥${main}${rest}`;
}

export function count(n: number): string {
  return group(String(n));
}

/** Hundredths of a percent: 9950 is 99.5 %. */
export function percent(bp: number): string {
  const digits = String(bp).padStart(3, '0');
  const fraction = digits.slice(-2).replace(/0+$/, '');
  return `${digits.slice(0, -2)}${fraction ? '.' + fraction : ''}%`;
}

/** A number that came as text, with thousands separators; anything else stays as it is. */
export function plainNumber(text: string): string {
  const m = /^(\d+)(\.\d+)?$/.exec(text);
  return m ? group(m[1]!) + (m[2] ?? '') : text;
}

export function sumFen(values: (number | null | undefined)[]): number {
  return values.reduce<number>((n, v) => n + (v ?? 0), 0);
}
