// SPDX-License-Identifier: Apache-2.0
import vue from '@vitejs/plugin-vue';
import { ElementPlusResolver } from 'unplugin-vue-components/resolvers';
import Components from 'unplugin-vue-components/vite';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  plugins: [vue(), Components({ dts: false, dirs: [], resolvers: [ElementPlusResolver({ importStyle: 'css' })] })],
  build: {
    target: ['chrome109', 'firefox115', 'safari16'],
    cssCodeSplit: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: 'vue', test: /node_modules[\\/](@vue|vue|vue-router|@tanstack|openapi-fetch)[\\/]/, priority: 3 },
            { name: 'ui', test: /node_modules[\\/]/, priority: 2 },
            { name: 'base', test: /src[\\/](api|lib|ui|i18n[\\/](index|zh))/, priority: 1 },
          ],
        },
      },
    },
  },
  worker: { format: 'es' },
  server: { proxy: { '/api': 'http://127.0.0.1:8080', '/evidence/v1': 'http://127.0.0.1:8080' } },
  test: { environment: 'happy-dom', include: ['tests/unit/**/*.test.ts'] },
});
