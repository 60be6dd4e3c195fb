import { defineConfig } from 'vitest/config';

// One browser and one service: one thing after the other, in the order of the names of the files.
export default defineConfig({
  test: {
    include: ['e2e/*.spec.ts'],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 60_000,
    // The machine may be busy with other tests: what is waited for comes, how soon is for a bench to say.
    expect: { poll: { timeout: 30_000, interval: 100 } },
    reporters: ['verbose'],
  },
});
