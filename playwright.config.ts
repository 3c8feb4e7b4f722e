import { defineConfig } from '@playwright/test'
import { findChromium } from './scripts/chromium.ts'

const asRoot = process.getuid?.() === 0
const quiet = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export default defineConfig({
  testDir: 'e2e',
  outputDir: 'test-results',
  // A limit is there to end a test that hangs, not to measure the machine: they hold on one that is many times slower.
  timeout: 300_000,
  expect: { timeout: 60_000 },
  workers: 1,
  fullyParallel: false,
  forbidOnly: true,
  retries: process.env.CI ? 1 : 0, // `npm test` names each test that needed it
  reporter: [['line'], ['json', { outputFile: 'artifacts/e2e.json' }]],
  globalSetup: './e2e/setup/system.ts',
  use: {
    browserName: 'chromium',
    viewport: { width: 1280, height: 860 },
    actionTimeout: 120_000,
    navigationTimeout: 180_000,
    screenshot: 'only-on-failure',
    trace: 'retain-on-failure',
    launchOptions: { executablePath: findChromium(), args: [...quiet, ...(asRoot ? ['--no-sandbox'] : [])] },
  },
})
