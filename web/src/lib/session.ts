// SPDX-License-Identifier: Apache-2.0
// Who is logged in. The cookie is invisible to scripts, so a flag remembers that asking is worth while: a visitor who never logged
// in sends no request that must fail.
import { computed, reactive } from 'vue';
import { api, credentials, ok, onUnauthenticated, type Schemas } from '../api/client';
import { Problem } from '../api/problem';

export type Me = Schemas['Me'];
export const session = reactive<{ me: Me | null; asked: boolean; down: boolean }>({ me: null, asked: false, down: false });
export const loggedIn = computed(() => session.me !== null);
const listeners: (() => void)[] = [];

function store(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    /* private mode */
  }
}

function stored(key: string): string {
  try {
    return localStorage.getItem(key) ?? '';
  } catch {
    return '';
  }
}

export function onSessionChange(run: () => void): void {
  listeners.push(run);
}

function changed(): void {
  for (const run of listeners) run();
}

function forget(): void {
  session.me = null;
  credentials.csrf = '';
  credentials.org = '';
  store('suanhe.session', null);
  changed();
}
onUnauthenticated.run = forget;

export async function loadMe(): Promise<void> {
  const wanted = stored('suanhe.org');
  credentials.org = wanted;
  try {
    let me: Me;
    try {
      me = await ok(api.GET('/api/v1/me', {}));
    } catch (e) {
      if (!wanted || !(e instanceof Problem) || e.status === 401 || e.status === 0) throw e;
      credentials.org = ''; // the organisation of last time is gone: act for the personal one
      store('suanhe.org', null);
      me = await ok(api.GET('/api/v1/me', {}));
    }
    session.me = me;
    session.down = false;
    credentials.csrf = me.csrf_token;
    credentials.org = me.org.org_id;
    store('suanhe.session', '1');
    changed();
  } catch (e) {
    if (e instanceof Problem && e.status !== 401) session.down = true;
    else forget();
  }
  session.asked = true;
}

let asking: Promise<void> | null = null;

/** Resolves when it is known whether somebody is logged in. */
export function ensureSession(): Promise<void> {
  if (session.asked) return Promise.resolve();
  if (!stored('suanhe.session')) {
    session.asked = true;
    return Promise.resolve();
  }
  asking ??= loadMe().finally(() => (asking = null));
  return asking;
}

export async function logIn(email: string, password: string): Promise<void> {
  const reply = await ok(api.POST('/api/v1/login', { body: { email, password } }));
  credentials.csrf = reply.csrf_token;
  await loadMe();
}

export async function register(body: Schemas['RegisterBody']): Promise<void> {
  const reply = await ok(api.POST('/api/v1/register', { body }));
  credentials.csrf = reply.csrf_token;
  await loadMe();
}

export async function logOut(): Promise<void> {
  try {
    await ok(api.POST('/api/v1/logout', {}));
  } finally {
    forget();
  }
}

export async function actFor(orgId: string): Promise<void> {
  store('suanhe.org', orgId);
  await loadMe();
}

export function may(permission: string): boolean {
  return session.me?.permissions.includes(permission) ?? false;
}
