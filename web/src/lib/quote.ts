// SPDX-License-Identifier: Apache-2.0
// The price calculator: asks the server a moment after the last change and drops the answer of an older question.
import { onScopeDispose, ref, watch, type Ref } from 'vue';
import { api, ok, type Schemas } from '../api/client';

export type QuoteLines = { sku_id: string; quantity: number }[];

export function useQuote(lines: Ref<QuoteLines>, waitMs = 250) {
  const quote = ref<Schemas['Quote'] | null>(null);
  const error = ref<unknown>(null);
  const busy = ref(false);
  let timer: ReturnType<typeof setTimeout> | undefined;
  let running: AbortController | null = null;

  async function ask(): Promise<void> {
    running?.abort();
    if (!lines.value.length) {
      quote.value = null;
      busy.value = false;
      return;
    }
    const mine = (running = new AbortController());
    busy.value = true;
    try {
      const answer = await ok(api.POST('/api/v1/quotes', { body: { lines: lines.value }, signal: mine.signal }));
      if (mine !== running) return;
      quote.value = answer;
      error.value = null;
    } catch (e) {
      if (mine !== running) return;
      quote.value = null;
      error.value = e;
    }
    busy.value = false;
  }
  watch(
    () => JSON.stringify(lines.value),
    (_now, before) => {
      clearTimeout(timer);
      busy.value = lines.value.length > 0;
      timer = setTimeout(() => void ask(), before === undefined ? 0 : waitMs);
    },
    { immediate: true },
  );
  onScopeDispose(() => {
    clearTimeout(timer);
    running?.abort();
    running = null;
  });
  return { quote, error, busy, ask };
}
