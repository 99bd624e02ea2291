// SPDX-License-Identifier: Apache-2.0
// One vocabulary of states: icon, colour and word always come together.
import { word } from '../i18n';
import type { IconName } from '../ui/icons';

export type Tone = 'ok' | 'warn' | 'bad' | 'run' | 'mute';
const looks: Record<string, [IconName, Tone]> = {};
const put = (icon: IconName, tone: Tone, states: string) => {
  for (const s of states.split(' ')) looks[s] = [icon, tone];
};
put('circle-dashed', 'mute', 'draft closed cancelled delisted released created');
put('clock', 'warn', 'pending_payment accepting reviewing pending requested approving quoted gated');
put('loader', 'run', 'provisioning cancelling creating changing releasing processing quoting');
put('circle-check', 'ok', 'completed active listed open paid succeeded approved');
put('triangle-alert', 'warn', 'partially_completed grace manual unknown');
put('circle-pause', 'warn', 'held paused frozen suspended');
put('circle-x', 'bad', 'failed rejected');

export function look(state: string): { icon: IconName; tone: Tone; label: string } {
  const [icon, tone] = looks[state] ?? ['circle-dashed', 'mute'];
  return { icon, tone, label: word('state', state) ?? state };
}
