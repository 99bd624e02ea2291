// SPDX-License-Identifier: Apache-2.0
// Names of regions in the chosen language; products carry only the Chinese one.
import { useQuery } from '@tanstack/vue-query';
import { computed } from 'vue';
import { api, ok } from '../api/client';
import { pick } from '../i18n';

export function useRegions(): (code: string, fallback: string) => string {
  const regions = useQuery({ queryKey: ['regions'], queryFn: () => ok(api.GET('/api/v1/catalog/regions', {})), staleTime: Infinity });
  const names = computed(() => new Map((regions.data.value?.data ?? []).map((r) => [r.region_code, r])));
  return (code, fallback) => {
    const r = names.value.get(code);
    return r ? pick(r.name_zh, r.name_en) : fallback;
  };
}
