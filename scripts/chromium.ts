/**
 * Finds a Chromium for the browser tests, or installs one: a system browser, else Playwright's own download, else the
 * distribution's package (as root on Debian and Ubuntu).
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { chromium } from '@playwright/test'

const places = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/snap/bin/chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
]

/** A Chromium that is there already. */
export function findChromium(): string | undefined {
  return [process.env.CHROMIUM_PATH, ...places, chromium.executablePath()].find((file) => file && existsSync(file))
}

const run = (command: string, args: string[], timeoutMs: number) =>
  spawnSync(command, args, {
    stdio: 'ignore',
    timeout: timeoutMs,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  }).status === 0

/** @throws with what a person can do, where no Chromium is to be had */
export function ensureChromium(): string {
  const found = findChromium()
  if (found) return found
  const isDebianRoot = process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')
  const cli = path.resolve(import.meta.dirname, '../node_modules/@playwright/test/cli.js')
  const ways = [
    () =>
      isDebianRoot &&
      run('apt-get', ['update', '-q'], 120_000) &&
      run('apt-get', ['install', '-y', '-q', 'chromium'], 300_000),
    () => run(process.execPath, [cli, 'install', 'chromium'], 300_000),
  ]
  for (const way of ways) {
    way()
    const installed = findChromium()
    if (installed) return installed
  }
  throw new Error(
    'No Chromium found and none could be installed. Install one, or name it: CHROMIUM_PATH=/path/to/chromium npm test',
  )
}
