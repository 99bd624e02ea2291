// SPDX-License-Identifier: Apache-2.0
// The platform's keys pinned on this device. They are read once; a later change of what the platform publishes is shown, not taken over.
const KEY = 'suanhe.keys';

export function pinnedKeys(): string {
  try {
    return localStorage.getItem(KEY) ?? '';
  } catch {
    return '';
  }
}

export function pinKeys(text: string): void {
  try {
    localStorage.setItem(KEY, text.trim() ? text.trim() + '\n' : '');
  } catch {
    /* private mode: pinned for as long as the page is open */
  }
}

export async function publishedKeys(): Promise<string> {
  const reply = await fetch('/evidence/v1/keys');
  if (!reply.ok) throw new Error(String(reply.status));
  return reply.text();
}

/** The pinned keys; on first use those of the platform are read and pinned. */
export async function keysForUse(): Promise<{ keys: string; first: boolean }> {
  const pinned = pinnedKeys();
  if (pinned) return { keys: pinned, first: false };
  const keys = await publishedKeys();
  pinKeys(keys);
  return { keys, first: true };
}
