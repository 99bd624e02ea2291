// SPDX-License-Identifier: Apache-2.0
// Every page of the portal. `auth` pages lead to the log-in first; `console` pages stand beside the account rail.
import { createRouter, createWebHistory, type RouteRecordRaw } from 'vue-router';
import type { Key } from './i18n';
import { ensureSession, loggedIn, may, session } from './lib/session';
import { routeTitle } from './lib/title';

declare module 'vue-router' {
  interface RouteMeta {
    title: Key;
    auth?: boolean;
    console?: boolean;
    permission?: string;
  }
}

const account = (permission: string) => ({ auth: true, console: true, permission });

export const routes: RouteRecordRaw[] = [
  { path: '/', name: 'home', component: () => import('./pages/HomePage.vue'), meta: { title: 'nav.home' } },
  { path: '/login', name: 'login', component: () => import('./pages/LoginPage.vue'), meta: { title: 'nav.login' } },
  { path: '/register', name: 'register', component: () => import('./pages/RegisterPage.vue'), meta: { title: 'nav.register' } },
  { path: '/catalog', name: 'catalog', component: () => import('./pages/CatalogPage.vue'), meta: { title: 'nav.catalog' } },
  { path: '/products/:id', name: 'product', component: () => import('./pages/ProductPage.vue'), meta: { title: 'nav.product' } },
  { path: '/cart', name: 'cart', component: () => import('./pages/CartPage.vue'), meta: { title: 'nav.cart', auth: true, permission: 'order.create' } },
  { path: '/checkout', name: 'checkout', component: () => import('./pages/CheckoutPage.vue'), meta: { title: 'nav.checkout', auth: true, permission: 'order.create' } },
  { path: '/orders', name: 'orders', component: () => import('./pages/OrdersPage.vue'), meta: { title: 'nav.orders', ...account('order.read') } },
  { path: '/orders/:id', name: 'order', component: () => import('./pages/OrderPage.vue'), meta: { title: 'nav.order', ...account('order.read') } },
  { path: '/services', name: 'services', component: () => import('./pages/ServicesPage.vue'), meta: { title: 'nav.services', ...account('service.read') } },
  { path: '/services/:id', name: 'service', component: () => import('./pages/ServicePage.vue'), meta: { title: 'nav.service', ...account('service.read') } },
  { path: '/balance', name: 'balance', component: () => import('./pages/BalancePage.vue'), meta: { title: 'nav.balance', ...account('balance.read') } },
  { path: '/transactions', name: 'transactions', component: () => import('./pages/TransactionsPage.vue'), meta: { title: 'nav.transactions', ...account('balance.read') } },
  { path: '/evidence', name: 'evidence', component: () => import('./pages/EvidencePage.vue'), meta: { title: 'nav.evidence', ...account('evidence.read') } },
  { path: '/account', name: 'account', component: () => import('./pages/AccountPage.vue'), meta: { title: 'nav.account', auth: true, console: true } },
  { path: '/verify', name: 'verify', component: () => import('./pages/VerifyPage.vue'), meta: { title: 'nav.verify' } },
  { path: '/403', name: 'forbidden', component: () => import('./pages/ForbiddenPage.vue'), meta: { title: 'nav.forbidden' } },
  { path: '/:path(.*)*', name: 'not_found', component: () => import('./pages/NotFoundPage.vue'), meta: { title: 'nav.not_found' } },
];

export const router = createRouter({
  history: createWebHistory(),
  routes,
  scrollBehavior: (to, from, saved) => saved ?? (to.path === from.path ? false : { top: 0 }),
});

router.beforeEach(async (to) => {
  await ensureSession();
  if (session.down || !to.meta.auth) return true;
  if (!loggedIn.value) return { path: '/login', query: { next: to.fullPath } };
  if (to.meta.permission && !may(to.meta.permission)) return { path: '/403', query: { from: to.fullPath } };
  return true;
});
router.afterEach((to, from) => {
  if (to.path !== from.path || to.name !== from.name) routeTitle(to.meta.title);
});
