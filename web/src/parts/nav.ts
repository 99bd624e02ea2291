// SPDX-License-Identifier: Apache-2.0
import type { Schemas } from '../api/client';
import { t } from '../i18n';
import type { IconName } from '../ui/icons';

interface Link {
  to: string;
  text: string;
  icon: IconName;
}

export function railGroups(): { caption: string; links: Link[] }[] {
  return [
    {
      caption: t('nav.group_use'),
      links: [
        { to: '/services', text: t('nav.services'), icon: 'package' },
        { to: '/orders', text: t('nav.orders'), icon: 'receipt-text' },
      ],
    },
    {
      caption: t('nav.group_money'),
      links: [
        { to: '/balance', text: t('nav.balance'), icon: 'wallet' },
        { to: '/transactions', text: t('nav.transactions'), icon: 'arrow-left-right' },
      ],
    },
    {
      caption: t('nav.group_me'),
      links: [
        { to: '/evidence', text: t('nav.evidence'), icon: 'evidence' },
        { to: '/account', text: t('nav.account'), icon: 'users' },
      ],
    },
  ];
}

export function orgLabel(org: Schemas['Org'] | undefined): string {
  if (!org) return '';
  if (org.personal) return t('account.personal');
  if (org.kind === 'provider') return t('account.provider');
  if (org.kind === 'operator' || org.kind === 'platform') return t('account.operator');
  return t('account.consumer');
}
