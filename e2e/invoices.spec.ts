/** An invoice explained to the single call, and what operators do with prices and books, in a real browser. */
import { expect, test } from './setup/fixtures.ts'

test('an invoice leads line by line to its calls and receipts, prints, exports and verifies', async ({
  page,
  system,
  signInAs,
  picture,
}) => {
  await signInAs('acme', 'billing_admin')
  await page.goto(`${system.origin}/w/acme/settings/billing`)
  await page
    .getByRole('table', { name: /^Invoices/ })
    .getByRole('link')
    .first()
    .click()
  await page.getByRole('button', { name: 'Verify' }).click()
  await expect(page.getByText('Verified:')).toBeVisible()
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'Lines, CSV' }).click(),
  ])
  expect(download.suggestedFilename()).toMatch(/^keymargin-acme-.*-lines\.csv$/)
  await page.getByRole('link', { name: 'Statement', exact: true }).click()
  await expect(page.getByRole('heading', { name: 'Statement of AI usage' })).toBeVisible()
  await page.emulateMedia({ media: 'print' })
  await expect(page.getByRole('button', { name: 'Print' })).toBeHidden()
  await page.evaluate(() => Object.assign(document.body.style, { padding: '40px 60px' })) // as a sheet's margins
  await picture('statement', 640)
  await page.emulateMedia({ media: 'screen' })
  await page.getByRole('link', { name: /^← Invoice/ }).click()
  await page
    .getByRole('link', { name: /^What is behind/ })
    .first()
    .click()
  await expect(page.getByRole('heading', { name: 'How it comes about' })).toBeVisible()
  await picture('invoice-line')
  await page
    .getByRole('link', { name: /^Receipt of the call/ })
    .first()
    .click()
  await expect(page).toHaveURL(/\/calls\//)
})

test('an operator drafts prices, sees last month under them, and throws the draft away', async ({
  page,
  system,
  signInAsOperator,
  picture,
}) => {
  await signInAsOperator()
  await page.goto(`${system.origin}/operator/price-book`)
  await page.getByRole('button', { name: 'Make a draft' }).click()
  await expect(page.getByRole('status').filter({ hasText: 'is a copy of what holds now' })).toBeVisible()
  await page
    .getByRole('button', { name: /^Edit price book/ })
    .first()
    .click()
  const input = page.locator('input[name="balanced.input"]')
  await input.fill('7')
  await page.getByRole('button', { name: 'Save draft' }).click()
  await expect(page.getByRole('status').filter({ hasText: 'is saved' })).toBeVisible()
  await page
    .getByRole('button', { name: /^Preview price book/ })
    .first()
    .click()
  await expect(page.getByText('Under this draft').first()).toBeVisible()
  await picture('prices-preview')
  await page
    .getByRole('button', { name: /^Discard draft/ })
    .first()
    .click()
  await expect(page.getByRole('status').filter({ hasText: 'is thrown away' })).toBeVisible()
})

test('an operator sees one run, and whether the books agree', async ({ page, system, signInAsOperator, picture }) => {
  await signInAsOperator()
  await page.goto(`${system.origin}/operator`)
  const runs = page.getByRole('table', { name: /Invoice runs/ })
  await runs.getByRole('row', { name: /Acme/ }).getByRole('link').first().click()
  await expect(page.getByRole('heading', { name: 'About this run' })).toBeVisible()
  await page.getByRole('button', { name: 'Verify' }).click()
  await expect(page.getByRole('status').filter({ hasText: 'Verified:' })).toBeVisible()
  await picture('operator-run', 1_000)
  await page.getByRole('link', { name: 'Reconciliation' }).click()
  await expect(page.getByRole('heading', { name: 'Differences' })).toBeVisible()
  await page.getByRole('button', { name: 'Check again' }).click()
  await expect(page.getByRole('status').filter({ hasText: 'The books are being compared' })).toBeVisible()
  await picture('reconciliation')
})
