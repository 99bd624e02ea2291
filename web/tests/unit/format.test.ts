// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Problem, sentence } from '../../src/api/problem';
import { setLocale, t } from '../../src/i18n';
import { en } from '../../src/i18n/en';
import { zh } from '../../src/i18n/zh';
import { factSentence } from '../../src/lib/facts';
import { staleKeys } from '../../src/lib/live';
import { count, percent, plainNumber, price, splitPrice, yuan } from '../../src/lib/money';
import { orderSteps } from '../../src/lib/steps';
import { term } from '../../src/lib/time';
import type { Schemas } from '../../src/api/client';

describe('amounts', () => {
  it('are shown to the fen with thousands separators', () => {
    expect(yuan(0)).toBe('¥0.00');
    expect(yuan(5)).toBe('¥0.05');
    expect(yuan(41765634)).toBe('¥417,656.34');
    expect(yuan(-100)).toBe('−¥1.00');
    expect(yuan(9_000_000_000_000_000)).toBe('¥90,000,000,000,000.00');
    expect(yuan(null)).toBe('–');
  });
  it('keep every digit of a unit price', () => {
    expect(splitPrice('435.8240712')).toEqual({ main: '435.82', rest: '40712' });
    expect(splitPrice('7.5')).toEqual({ main: '7.50', rest: '' });
    expect(splitPrice('1234567')).toEqual({ main: '1,234,567.00', rest: '' });
    expect(price('0.01951340')).toBe('¥0.0195134');
  });
  it('format counts, percents and plain numbers', () => {
    expect(count(88264)).toBe('88,264');
    expect(percent(9950)).toBe('99.5%');
    expect(percent(600)).toBe('6%');
    expect(percent(5)).toBe('0.05%');
    expect(plainNumber('1872')).toBe('1,872');
    expect(plainNumber('0.5')).toBe('0.5');
    expect(plainNumber('x86_64')).toBe('x86_64');
  });
});

describe('languages', () => {
  it('have no empty text', () => {
    for (const d of [zh, en]) for (const s of Object.values(d)) for (const v of Object.values(s)) expect(v).not.toBe('');
  });
  it('name the same parameters', () => {
    const names = (x: string) => [...new Set(x.match(/\{\w+\}/g) ?? [])].sort().join();
    for (const [section, texts] of Object.entries(zh))
      for (const [key, text] of Object.entries(texts))
        expect(names((en as unknown as Record<string, Record<string, string>>)[section]![key]!), `${section}.${key}`).toBe(names(text));
  });
  it('choose singular and plural in English', async () => {
    await setLocale('en');
    expect(t('catalog.count', { n: 1 })).toBe('1 product');
    expect(t('catalog.count', { n: '1,000' })).toBe('1,000 products');
    expect(term('P1M')).toBe('1 month');
    await setLocale('zh');
    expect(t('catalog.count', { n: 1 })).toBe('1 款产品');
    expect(term('P1Y')).toBe('1 年');
  });
});

describe('refusals', () => {
  it('have a sentence for every code of the contract', () => {
    const contract = readFileSync('../spec/openapi.yaml', 'utf8');
    const codes = [...contract.matchAll(/x-(?:general-)?codes: \[([^\]]*)\]/g)].flatMap((m) => m[1]!.split(',').map((c) => c.trim())).filter(Boolean);
    expect(codes.length).toBeGreaterThan(50);
    expect([...new Set(codes)].filter((c) => !(c in zh.error))).toEqual([]);
  });
  it('say what is missing', () => {
    const text = sentence(new Problem({ status: 409, code: 'insufficient_funds', missing_fen: 1230000 }));
    expect(text).toContain('¥12,300.00');
    expect(text).toContain('未扣款');
  });
  it('show the detail of a code without a sentence', () => {
    expect(sentence(new Problem({ status: 409, code: 'new_code', detail: 'something new' }))).toContain('something new');
  });
});

describe('facts', () => {
  it('become one sentence', () => {
    expect(factSentence({ type: 'order.paid', payload: { amount_fen: 785 } })).toBe('订单已支付：¥7.85');
    expect(factSentence({ type: 'item.status', payload: { state: 'completed' } })).toBe('服务方回报交付进度：已交付');
    expect(factSentence({ type: 'unheard.of', payload: null })).toBe('unheard.of');
  });
  it('make stale what they touch', () => {
    const keys = staleKeys({ type: 'order.paid', root_id: 'ord_1', object_id: 'ord_1' });
    expect(keys).toContainEqual(['order', 'ord_1']);
    expect(keys).toContainEqual(['balance']);
    expect(staleKeys({ type: 'user.login', root_id: 'usr_1', object_id: 'usr_1' })).not.toContainEqual(['orders']);
  });
});

describe('steps of an order', () => {
  const order = (state: string, paid: number, child: string, item: string): Schemas['Order'] =>
    ({
      state, paid_fen: paid, payable_fen: 100, created_at: '2026-11-24T08:00:00.000Z', paid_at: paid ? '2026-11-24T08:01:00.000Z' : null,
      children: [{ state: child, sync: { state: child === 'accepting' || child === 'pending_payment' ? 'none' : 'delivered' }, items: [{ state: item }] }],
    }) as unknown as Schemas['Order'];
  const states = (o: Schemas['Order']) => orderSteps(o).map((s) => s.state).join(' ');
  it('follow the order from submission to delivery', () => {
    expect(states(order('pending_payment', 0, 'pending_payment', 'pending'))).toBe('done now todo todo todo');
    expect(states(order('accepting', 100, 'accepting', 'pending'))).toBe('done done now todo todo');
    expect(states(order('provisioning', 100, 'provisioning', 'provisioning'))).toBe('done done done now todo');
    expect(states(order('completed', 100, 'completed', 'active'))).toBe('done done done done done');
  });
  it('mark where it ended', () => {
    expect(states(order('closed', 0, 'closed', 'cancelled'))).toBe('done ended todo todo todo');
    expect(states(order('failed', 100, 'failed', 'failed'))).toBe('done done done failed todo');
  });
});
