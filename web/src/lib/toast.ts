// SPDX-License-Identifier: Apache-2.0
// Short messages at the bottom left. Errors stay until they are closed.
import { reactive } from 'vue';

export interface Toast {
  id: number;
  text: string;
  bad: boolean;
  action: { label: string; run: () => void } | null;
}

export const toasts = reactive<Toast[]>([]);
let last = 0;

export function closeToast(id: number): void {
  const at = toasts.findIndex((x) => x.id === id);
  if (at >= 0) toasts.splice(at, 1);
}

export function toast(text: string, options: { bad?: boolean; action?: Toast['action'] } = {}): void {
  const id = ++last;
  toasts.push({ id, text, bad: options.bad ?? false, action: options.action ?? null });
  if (toasts.length > 3) toasts.shift();
  if (!options.bad) setTimeout(() => closeToast(id), options.action ? 8000 : 6000);
}
