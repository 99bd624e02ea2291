// SPDX-License-Identifier: Apache-2.0
// Makes valid unified social credit codes (GB 32100 with the GB 11714 digit inside), written apart from the platform's own check.
const ALPHABET = '0123456789ABCDEFGHJKLMNPQRTUWXY';

/** @param {number} n */
export function uscc(n) {
  const organisation = ('A' + String(n).padStart(7, '0')).slice(0, 8);
  const weights = [3, 7, 9, 10, 5, 8, 4, 2];
  const value = (/** @type {string} */ c) => (c >= '0' && c <= '9' ? Number(c) : c.charCodeAt(0) - 55);
  let sum = 0;
  for (let i = 0; i < 8; i++) sum += value(/** @type {string} */ (organisation[i])) * /** @type {number} */ (weights[i]);
  const digit = 11 - (sum % 11);
  const ninth = digit === 10 ? 'X' : digit === 11 ? '0' : String(digit);
  const body = '91110000' + organisation + ninth;
  let total = 0;
  for (let i = 0; i < 17; i++) {
    let weight = 1;
    for (let k = 0; k < i; k++) weight = (weight * 3) % 31;
    total += ALPHABET.indexOf(/** @type {string} */ (body[i])) * weight;
  }
  return body + ALPHABET[(31 - (total % 31)) % 31];
}
