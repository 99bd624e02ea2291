// SPDX-License-Identifier: Apache-2.0
// Fetches receipts. While no signed head covers a fact the server answers 202; then we ask again for a short while.
import { api, ok } from '../api/client';

export async function fetchReceipt(eventId: string, waiting: () => void, signal?: AbortSignal): Promise<string | null> {
  for (let i = 0; i < 15; i++) {
    const call = api.GET('/api/v1/evidence/receipts/{event_id}', {
      params: { path: { event_id: eventId }, query: { payload: true } },
      parseAs: 'text',
      signal,
    });
    const reply = await call;
    const text = await ok(Promise.resolve(reply));
    if (reply.response.status !== 202) return text as unknown as string;
    waiting();
    await new Promise((r) => setTimeout(r, 1000));
    if (signal?.aborted) return null;
  }
  return null;
}
