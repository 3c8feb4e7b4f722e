import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test as base, type ConsoleMessage, expect, type Locator, type Page } from '@playwright/test'
import Stripe from 'stripe'
import type { Role } from '#app/domain/permissions/permissions.ts'
import { demoEmail, demoPassword, operatorEmail } from '../../scripts/demo/seed.ts'
import { type SystemUnderTest, systemFile } from './system.ts'

export { expect }

interface Fixtures {
  system: SystemUnderTest
  /** The sandbox Stripe, through the real SDK. */
  stripe: Stripe
  signInAs(slug: string, role: Role): Promise<void>
  signInAsOperator(): Promise<void>
  /** Saves a picture of the page as an artefact: all of it, what the screen shows, or so many pixels from the top. */
  picture(name: string, what?: 'page' | 'screen' | number): Promise<void>
  /** Lines that the page may write to the browser's console: a refused post is reported there by the browser itself. */
  allowConsole(pattern: RegExp): void
}

export async function signIn(page: Page, origin: string, email: string): Promise<void> {
  await page.context().clearCookies()
  await page.goto(`${origin}/sign-in`)
  await page.getByLabel('E-mail').fill(email)
  await page.locator('input[name=password]').fill(demoPassword)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.waitForURL((url) => !url.pathname.startsWith('/sign-in'))
}

/** What a worker's job brings is not there at once: the page is loaded again until it is (or is gone). */
export async function reloadUntil(page: Page, what: Locator, state: 'there' | 'gone' = 'there'): Promise<void> {
  await expect(async () => {
    await page.reload()
    expect((await what.count()) > 0).toBe(state === 'there')
  }).toPass({ timeout: 120_000, intervals: [250] })
}

/** Pages of the console whose scripts are not at work yet: a click there is lost, or posts the form without them. */
const notHydrated = 'html[data-mantine-color-scheme]:not([data-hydrated])'

export const test = base.extend<Fixtures>({
  page: async ({ page }, use) => {
    // Before each action and assertion: where it is found, Playwright waits until it is no more.
    await page.addLocatorHandler(page.locator(notHydrated), async () => {})
    await use(page)
  },
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the fixture's dependencies from this pattern
  system: async ({}, use) => use(JSON.parse(readFileSync(systemFile, 'utf8'))),
  stripe: async ({ system }, use) => {
    const api = new URL(system.settings.STRIPE_API_BASE as string)
    await use(
      new Stripe(system.settings.STRIPE_SECRET_KEY as string, {
        host: api.hostname,
        port: Number(api.port),
        protocol: 'http',
        telemetry: false,
      }),
    )
  },
  allowConsole: async ({ page }, use) => {
    const allowed: RegExp[] = []
    const stray: string[] = []
    const note = (text: string) => void (allowed.some((pattern) => pattern.test(text)) || stray.push(text))
    page.on('console', (message: ConsoleMessage) => {
      if (message.type() === 'error' || message.type() === 'warning') note(message.text())
    })
    page.on('pageerror', (error) => note(error.message))
    await use((pattern) => void allowed.push(pattern))
    expect(
      stray.filter((text) => !allowed.some((pattern) => pattern.test(text))),
      'errors in the browser console',
    ).toEqual([])
  },
  signInAs: async ({ page, system, allowConsole: _ }, use) =>
    use((slug, role) => signIn(page, system.origin, demoEmail(slug, role))),
  signInAsOperator: async ({ page, system, allowConsole: _ }, use) =>
    use(() => signIn(page, system.origin, operatorEmail)),
  picture: async ({ page }, use) =>
    use(async (name, what = 'page') => {
      await page.screenshot({
        path: path.resolve(import.meta.dirname, '../../artifacts/pictures', `${name}.png`),
        fullPage: what !== 'screen',
        ...(typeof what === 'number' && { clip: { x: 0, y: 0, width: page.viewportSize()?.width ?? 0, height: what } }),
        animations: 'disabled',
      })
    }),
})
