// SPDX-License-Identifier: Apache-2.0
// One worker for all verifications of a page.
import type { Answer, Job } from './worker';

let worker: Worker | null = null;
let last = 0;
const waiting = new Map<number, (answer: Answer) => void>();

function started(): Worker {
  if (worker) return worker;
  worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
  worker.onmessage = ({ data }: MessageEvent<Answer>) => {
    waiting.get(data.id)?.(data);
    waiting.delete(data.id);
  };
  return worker;
}

export function verifyInWorker(job: Omit<Job, 'id'>): Promise<Answer> {
  return new Promise((resolve) => {
    const id = ++last;
    waiting.set(id, resolve);
    started().postMessage({ id, ...job });
  });
}
