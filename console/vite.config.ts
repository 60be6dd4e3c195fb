import vue from '@vitejs/plugin-vue';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  plugins: [vue()],
  build: {
    // Of its own, so that a folder without a build is told from one with it (server/src/page.rs).
    outDir: 'embed/app',
    emptyOutDir: true,
    // The operators' page, and the one that a handler's link opens.
    rollupOptions: { input: ['index.html', 'h.html'] },
    // What control rooms run: kernels of domestic browsers are some years behind.
    target: 'chrome109',
    // Nothing may stand in the page itself: its policy allows no inline script and no data: font.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1200,
  },
  // For whoever works on the page: `npx vite` shows it as it is written, before a service that runs.
  server: { proxy: { '^/xueliang\\.v1\\.': process.env.XUELIANG_CONSOLE ?? 'http://127.0.0.1:8752' } },
  worker: { format: 'es' },
  test: { include: ['src/**/*.test.ts'] },
});
