// SPDX-License-Identifier: Apache-2.0
import { VueQueryPlugin } from '@tanstack/vue-query';
import { createApp } from 'vue';
import App from './App.vue';
import { setLocale } from './i18n';
import { startLive } from './lib/live';
import { queryClient } from './lib/query';
import { onSessionChange, session } from './lib/session';
import { startTitle } from './lib/title';
import { router } from './router';
import './styles/tokens.css';
import './styles/base.css';

// After a deployment an old page may miss its chunks: load the new one, once.
addEventListener('vite:preloadError', (event) => {
  if (sessionStorage.getItem('suanhe.reloaded')) return;
  sessionStorage.setItem('suanhe.reloaded', '1');
  event.preventDefault();
  location.reload();
});

let org = '';
onSessionChange(() => {
  const next = session.me?.org.org_id ?? '';
  if (org && !next) {
    queryClient.clear();
    const { meta, fullPath } = router.currentRoute.value;
    if (meta.auth) void router.replace({ path: '/login', query: { next: fullPath } });
  } else if (org && next !== org) void queryClient.resetQueries();
  org = next;
});

async function start(): Promise<void> {
  await setLocale(document.documentElement.lang === 'en' ? 'en' : 'zh');
  const app = createApp(App);
  app.use(router).use(VueQueryPlugin, { queryClient });
  startTitle();
  await router.isReady();
  app.mount('#app');
  startLive();
}
void start();
