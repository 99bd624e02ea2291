// SPDX-License-Identifier: Apache-2.0
// One sentence for a fact, from its type and the fields of its payload that people understand.
import type { Schemas } from '../api/client';
import { t, word } from '../i18n';
import { yuan } from './money';
import { look, type Tone } from './status';
import type { IconName } from '../ui/icons';

type Fact = Schemas['Fact'];
const text = (v: unknown) => (typeof v === 'string' ? v : '');

export function factSentence(f: Pick<Fact, 'type' | 'payload'>): string {
  const base = word('fact', f.type) ?? f.type;
  const p = f.payload ?? {};
  const parts: string[] = [];
  const cause = text(p.cause);
  if (cause && f.type === 'order.status') parts.push(word('cause', cause) ?? cause);
  if (['order.status', 'item.status', 'store.state', 'product.state'].includes(f.type) && text(p.state)) parts.push(look(text(p.state)).label);
  const amount = p.amount_fen ?? (f.type.startsWith('order.') && f.type !== 'order.status' ? p.payable_fen : undefined);
  if (typeof amount === 'number') parts.push(yuan(amount));
  return parts.length ? `${base}：${parts.join(' · ')}` : base;
}

export function factDetail(f: Pick<Fact, 'payload'>): string {
  return text(f.payload?.detail);
}

export function factLook(f: Pick<Fact, 'type' | 'payload'>): { icon: IconName; tone: Tone } {
  const state = text(f.payload?.state);
  if (state && ['order.status', 'item.status', 'store.state', 'product.state'].includes(f.type)) return look(state);
  if (f.type === 'order.create') return { icon: 'circle-dashed', tone: 'mute' };
  return { icon: 'circle-check', tone: 'ok' };
}

export function actorText(f: Pick<Fact, 'actor'>): string {
  return f.actor.name || t(`actor.${f.actor.kind}`);
}
