// SPDX-License-Identifier: Apache-2.0
// Where an order stands, as five steps.
import type { Schemas } from '../api/client';
import { t } from '../i18n';
import type { StepItem } from '../parts/StepsBar.vue';
import { yuan } from './money';
import { look } from './status';
import { shortTime } from './time';

type Order = Schemas['Order'];
const OVER = ['closed', 'cancelled', 'rejected', 'failed'];

export function orderSteps(o: Order): StepItem[] {
  const children = o.children;
  const items = children.flatMap((c) => c.items);
  const paid = o.paid_fen > 0 || (o.payable_fen === 0 && o.state !== 'pending_payment');
  const accepted = children.filter((c) => c.sync.state === 'delivered' || !['pending_payment', 'accepting', 'draft'].includes(c.state)).length;
  const active = items.filter((i) => i.state === 'active').length;
  const over = OVER.includes(o.state);
  const done = o.state === 'completed' || o.state === 'partially_completed';
  const none = t('order.not_yet');
  const failed = (step: number): boolean => over && step === (!paid ? 2 : accepted === 0 ? 3 : 4);
  const state = (step: number, isDone: boolean, before: boolean): StepItem['state'] =>
    failed(step) ? (o.state === 'closed' || o.state === 'cancelled' ? 'ended' : 'failed') : isDone ? 'done' : before && !over ? 'now' : 'todo';
  const note = (step: number, text: string, reached: boolean) => (failed(step) ? look(o.state).label : reached ? text : none);
  const all = children.length;
  const allAccepted = paid && accepted === all;
  return [
    { name: t('order.step1'), note: shortTime(o.created_at), state: 'done' },
    {
      name: paid ? t('order.step2') : over ? t('order.step2_none') : t('order.step2_wait'),
      note: note(2, o.paid_at ? `${shortTime(o.paid_at)} · ${yuan(o.paid_fen)}` : t('order.waiting_you'), true),
      state: state(2, paid, true),
    },
    { name: t('order.step3'), note: note(3, t('order.stores_n', { a: paid ? accepted : 0, b: all }), paid), state: state(3, allAccepted, paid) },
    { name: t('order.step4'), note: note(4, t('order.items_n', { a: active, b: items.length }), allAccepted), state: state(4, done, allAccepted) },
    { name: t('order.step5'), note: done ? look(o.state).label : none, state: done ? 'done' : 'todo' },
  ];
}
