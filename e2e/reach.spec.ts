/** The console without a mouse, without seeing it, and on a small screen. */
import type { Page } from '@playwright/test'
import { expect, test } from './setup/fixtures.ts'
import { obstacles } from './setup/reach.ts'

const ofWorkspace = (slug: string, pages: string[]) => pages.map((page) => `/w/${slug}/${page}`)
const tour: [slug: string, paths: string[]][] = [
  [
    'acme',
    ofWorkspace('acme', [
      'analytics',
      'notices',
      ...['billing', 'budgets', 'pricing', 'tokens', 'members', 'audit'].map((page) => `settings/${page}`),
    ]),
  ],
  ['cedar', ofWorkspace('cedar', ['settings/billing?add=1'])],
  ['dune', ofWorkspace('dune', ['settings/credits', 'settings/billing', 'analytics'])],
]
const operatorPages = ['', '/catalogue', '/credits', '/jobs', '/price-book', '/prices', '/reconciliation']

/** A colour that changes and a window that grows are looked at once they have come to rest. */
const expectNoObstacles = (page: Page, what?: string) => expect.poll(() => obstacles(page), what).toEqual([])

/** Looks at a page at three widths: as it is, zoomed to 200 %, and on a phone. @returns its title */
async function look(page: Page, url: string): Promise<string> {
  await page.goto(url)
  await expectNoObstacles(page, url)
  for (const width of [640, 390]) {
    await page.setViewportSize({ width, height: 844 })
    await expect
      .poll(() => page.evaluate(() => document.documentElement.scrollWidth), `${url} at ${width} px`)
      .toBeLessThanOrEqual(width)
  }
  await page.setViewportSize({ width: 1280, height: 860 })
  return page.title()
}

test('every page names what it holds, is legible, and fits a small screen', async ({
  page,
  system,
  signInAs,
  signInAsOperator,
}) => {
  const titles = [await look(page, `${system.origin}/sign-in`)]
  for (const [slug, paths] of tour) {
    await signInAs(slug, 'owner')
    const own: string[] = []
    for (const path of paths) own.push(await look(page, `${system.origin}${path}`))
    expect(new Set(own).size).toBe(own.length)
    if (slug === 'acme') titles.push(...own)
  }
  await signInAs('acme', 'owner')
  const linked = [
    ['/w/acme/analytics', '/calls/'],
    ['/w/acme/settings/billing', '/invoices/'],
  ] as const
  for (const [from, to] of linked) {
    await page.goto(`${system.origin}${from}`)
    const href = await page.locator(`main a[href*="${to}"]`).first().getAttribute('href')
    titles.push(await look(page, `${system.origin}${href}`))
    if (to === '/invoices/') titles.push(await look(page, `${system.origin}${href}/statement`))
  }
  await signInAsOperator()
  for (const path of operatorPages) titles.push(await look(page, `${system.origin}/operator${path}`))
  expect(titles.filter((title, at) => titles.indexOf(title) !== at)).toEqual([])
})

test('the keyboard alone: skip link, visible focus, a page that begins anew, a dialog that gives the focus back', async ({
  page,
  system,
  signInAs,
}) => {
  await signInAs('acme', 'owner')
  const tokens = `${system.origin}/w/acme/settings/tokens`
  await page.goto(tokens)
  await page.keyboard.press('Tab')
  await expect(page.getByRole('link', { name: 'Skip to content' })).toBeFocused()
  await page.keyboard.press('Enter')
  await page.keyboard.press('Tab')
  await expect(page.getByLabel('Name', { exact: true })).toBeFocused()

  const revoke = page.getByRole('button', { name: /^Revoke/ }).first()
  await revoke.focus()
  await expect
    .poll(() => revoke.evaluate((button) => Number.parseFloat(getComputedStyle(button).outlineWidth)))
    .toBeGreaterThan(0)
  for (const closing of ['Escape', 'Cancel']) {
    await revoke.focus()
    await page.keyboard.press('Enter')
    const dialog = page.getByRole('dialog')
    await expect(dialog.getByRole('button', { name: 'Cancel' })).toBeFocused()
    await expectNoObstacles(page)
    for (let n = 0; n < 4; n++) {
      await page.keyboard.press('Tab')
      expect(await dialog.evaluate((box) => box.contains(document.activeElement))).toBe(true)
    }
    if (closing === 'Escape') await page.keyboard.press('Escape')
    else {
      await dialog.getByRole('button', { name: 'Cancel' }).focus()
      await page.keyboard.press('Enter')
    }
    await expect(dialog).toHaveCount(0)
    await expect(revoke).toBeFocused()
  }

  await page.getByRole('link', { name: 'Budgets' }).focus()
  await page.keyboard.press('Enter')
  await expect(page.getByRole('main', { name: 'Budgets' })).toBeFocused()
})

test('what is wrong with a field is said with the field, and read out', async ({
  page,
  system,
  signInAs,
  allowConsole,
}) => {
  allowConsole(/status of 400/)
  await signInAs('acme', 'owner')
  await page.goto(`${system.origin}/w/acme/settings/budgets`)
  await page.getByLabel('Name').fill('Wrong')
  const limit = page.getByLabel('Limit in USD')
  await limit.fill('lots')
  await page.getByRole('button', { name: 'Make budget' }).click()
  await expect(page.getByRole('alert').filter({ hasText: 'Enter an amount from 0' })).toBeVisible()
  await expect(limit).toHaveAttribute('aria-invalid', 'true')
  await expect(limit).toHaveAccessibleDescription(/Enter an amount from 0/)
  await expect(limit).toHaveValue('lots')
  await expectNoObstacles(page)
})

test('a refused sign-in keeps what was typed, and says why at the password', async ({ page, system, allowConsole }) => {
  allowConsole(/status of 400/)
  await page.context().clearCookies()
  await page.goto(`${system.origin}/sign-in`)
  await page.getByLabel('E-mail').fill('nobody@acme.example')
  const password = page.locator('input[name=password]')
  await password.fill('not the password')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.getByRole('alert')).toHaveText('E-mail or password is wrong.')
  await expect(password).toHaveAccessibleDescription('E-mail or password is wrong.')
  await expect(page.getByLabel('E-mail')).toHaveValue('nobody@acme.example')
  await expectNoObstacles(page)
})
