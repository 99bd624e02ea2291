// SPDX-License-Identifier: Apache-2.0
// Live facts. One tab of the browser holds the stream and shares it over a BroadcastChannel; the others take over when it is gone.
// The stream is read with fetch, since EventSource cannot name the acting organisation.
import { reactive } from 'vue';
import { credentials, randomKey, type Schemas } from '../api/client';
import { queryClient } from './query';
import { onSessionChange, session } from './session';

type Message = Schemas['EventMessage'];
export const live = reactive({ broken: false });

const tab = randomKey();
const LEASE_MS = 6000;
const START_MS = 5000;
const leaseKey = () => `suanhe.live.${credentials.org}`;
const channel = typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel('suanhe.live');
let stop: AbortController | null = null;
let lastId = '';
let following = '';

/** What of the cache a fact makes stale. */
export function staleKeys(event: Pick<Message, 'type' | 'root_id' | 'object_id'>): string[][] {
  const keys: string[][] = [['facts'], ['order', event.root_id], ['timeline', event.root_id]];
  if (event.type.startsWith('order.') || event.type.startsWith('item.')) keys.push(['orders'], ['services'], ['service']);
  if (event.type.startsWith('pay.') || event.type === 'order.paid' || event.type === 'order.refund')
    keys.push(['balance'], ['transactions']);
  if (event.type.startsWith('product.')) keys.push(['product', event.object_id], ['products']);
  return keys;
}

function apply(event: Message): void {
  for (const queryKey of staleKeys(event)) void queryClient.invalidateQueries({ queryKey });
}

if (channel) {
  channel.onmessage = ({ data }: MessageEvent<{ org: string; event: Message }>) => {
    if (data.org === credentials.org) apply(data.event);
  };
}

function lease(): { tab: string; until: number } {
  try {
    return JSON.parse(localStorage.getItem(leaseKey()) ?? '') as { tab: string; until: number };
  } catch {
    return { tab: '', until: 0 };
  }
}

function holdLease(): boolean {
  const now = Date.now();
  const held = lease();
  if (held.tab !== tab && held.until > now) return false;
  try {
    localStorage.setItem(leaseKey(), JSON.stringify({ tab, until: now + LEASE_MS }));
  } catch {
    /* private mode: every tab has its own stream */
  }
  return true;
}

function handle(block: string): void {
  let data = '';
  for (const line of block.split('\n')) {
    if (line.startsWith('id:')) lastId = line.slice(3).trim();
    if (line.startsWith('data:')) data += line.slice(5).trim();
  }
  if (!data) return;
  const event = JSON.parse(data) as Message;
  apply(event);
  channel?.postMessage({ org: credentials.org, event });
}

async function read(signal: AbortSignal): Promise<void> {
  const headers: Record<string, string> = { Accept: 'text/event-stream', 'X-Org': credentials.org };
  if (lastId) headers['Last-Event-ID'] = lastId;
  const reply = await fetch('/api/v1/events', { headers, signal });
  if (reply.status === 429) crowded = true;
  if (!reply.ok || !reply.body) throw new Error(String(reply.status));
  crowded = false;
  live.broken = false;
  const reader = reply.body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + decoder.decode(value, { stream: true })).replaceAll('\r', '').split('\n\n');
    rest = blocks.pop() ?? '';
    blocks.forEach(handle);
  }
}

let crowded = false; // the server serves enough streams of this user already: poll for a while
const POLLED = [['orders'], ['order'], ['timeline'], ['services'], ['balance'], ['transactions'], ['facts']];

async function follow(signal: AbortSignal): Promise<void> {
  let wait = 1000;
  while (!signal.aborted) {
    const began = Date.now();
    await read(signal).catch(() => undefined);
    if (signal.aborted) return;
    if (Date.now() - began > 10_000) wait = 1000;
    live.broken = wait > 4000 && !crowded;
    if (live.broken || crowded) for (const queryKey of POLLED) void queryClient.invalidateQueries({ queryKey });
    await new Promise((r) => setTimeout(r, crowded ? 30_000 : wait));
    wait = Math.min(wait * 2, 30_000);
  }
}

function tick(): void {
  const org = session.me && session.me.permissions.includes('events.read') ? credentials.org : '';
  if (org !== following) {
    stop?.abort();
    stop = null;
    lastId = '';
    following = org;
    live.broken = false;
  }
  if (!org) return;
  if (!holdLease()) {
    stop?.abort();
    stop = null;
  } else if (!stop) {
    stop = new AbortController();
    void follow(stop.signal);
  }
}

export function startLive(): void {
  // A page that is left at once opens no stream: the server keeps a slot a while for each.
  setTimeout(() => {
    onSessionChange(tick);
    setInterval(tick, LEASE_MS / 3);
    tick();
  }, START_MS);
  addEventListener('pagehide', () => {
    stop?.abort();
    if (stop && lease().tab === tab) localStorage.removeItem(leaseKey());
  });
}
