// SPDX-License-Identifier: Apache-2.0
// A refusal of the server as a typed error, and its sentence: what happened, why, what to do.
import { t, word } from '../i18n';
import { yuan } from '../lib/money';
import type { components } from './schema';

export type ProblemBody = components['schemas']['Problem'];

export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly requestId: string;
  readonly body: ProblemBody;
  constructor(body: ProblemBody, requestId = '') {
    super(body.code);
    this.status = body.status;
    this.code = body.code;
    this.requestId = body.request_id ?? requestId;
    this.body = body;
  }
}

export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem({ status: 0, code: 'network' });
}

export function sentence(error: unknown): string {
  const p = toProblem(error);
  const text = word('error', p.code);
  if (!text) return t('error.generic', { code: p.body.detail ?? p.code });
  return text.replace('{missing}', p.body.missing_fen === undefined ? '' : yuan(p.body.missing_fen));
}

/** The message for one field of a form, by its JSON pointer. */
export function fieldError(error: unknown, pointer: string): string {
  if (!(error instanceof Problem)) return '';
  const found = error.body.errors?.find((e) => e.pointer === pointer);
  if (!found) return '';
  return word('error', found.code ?? '') ?? found.detail ?? found.code ?? '';
}
