// SPDX-License-Identifier: Apache-2.0
import { QueryClient } from '@tanstack/vue-query';
import { Problem } from '../api/problem';

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      refetchOnWindowFocus: false,
      retry: (times, error) => times < 2 && (!(error instanceof Problem) || error.status === 0 || error.status >= 502),
    },
  },
});
