import { defineConfig } from 'vitest/config'

/** Of `npm test` only, which names each test that needed it: where one is run by itself, its first try counts. */
const retry = process.env.CI ? 1 : 0
const shared = { environment: 'node' as const, restoreMocks: true, unstubEnvs: true, retry }

export default defineConfig({
  test: {
    reporters: process.env.CI ? ['dot'] : ['default'],
    projects: [
      {
        test: {
          ...shared,
          name: 'unit',
          include: ['app/**/*.test.ts', 'workers/**/*.test.ts', 'scripts/**/*.test.ts'],
          setupFiles: ['test/setup/console.ts'],
          testTimeout: 300_000, // some try every cut of a stream: seconds on a machine that is busy
        },
      },
      {
        test: {
          ...shared,
          name: 'flows',
          include: ['test/**/*.test.ts'],
          setupFiles: ['test/setup/console.ts'],
          globalSetup: ['test/setup/cluster.ts'],
          pool: 'forks',
          maxWorkers: 2,
          // Limits end what hangs, and measure no machine.
          testTimeout: 300_000,
          expect: { poll: { timeout: 180_000 } },
          hookTimeout: 300_000,
        },
      },
    ],
  },
})
