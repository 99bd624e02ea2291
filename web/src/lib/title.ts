// SPDX-License-Identifier: Apache-2.0
// The page's title: what the route is called, or what a page sets itself.
import { computed, ref, watchEffect } from 'vue';
import { t, type Key } from '../i18n';

const own = ref('');
const key = ref<Key>('nav.home');

export function routeTitle(next: Key): void {
  own.value = '';
  key.value = next;
}

export function setTitle(text: string): void {
  own.value = text;
}

export const title = computed(() => own.value || t(key.value));

export function startTitle(): void {
  watchEffect(() => {
    document.title = `${title.value} · ${t('app.name')}`;
  });
}
