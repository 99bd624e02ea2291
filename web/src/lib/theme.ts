// SPDX-License-Identifier: Apache-2.0
import { ref } from 'vue';

export const dark = ref(document.documentElement.classList.contains('dark'));

export function toggleTheme(): void {
  dark.value = !dark.value;
  document.documentElement.classList.toggle('dark', dark.value);
  try {
    localStorage.setItem('suanhe.theme', dark.value ? 'dark' : 'light');
  } catch {
    /* private mode */
  }
}
