/** The review window in a browser: a draft waits, is held with a reason, is let go, approved, and leaves; and what the customer sees. */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Page } from '@playwright/test'
import type Stripe from 'stripe'
import { demoPassword } from '../scripts/demo/seed.ts'
import { expect, reloadUntil, signIn, test } from './setup/fixtures.ts'
import { runScript } from './setup/run-script.ts'
import type { SystemUnderTest } from './setup/system.ts'

const reason = 'The calls of the 11th look doubled: asked Gunnar'

const lastMonth = (): string => {
  const now = new Date()
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - 1, 1)).toISOString().slice(0, 7)
}

/** A customer with a month that is over and not closed: $2.24 of margins. @returns its id at Stripe */
async function customerWithUsage(system: SystemUnderTest, stripe: Stripe, month: string): Promise<string> {
  const card = { payment_method: 'pm_card_visa', invoice_settings: { default_payment_method: 'pm_card_visa' } }
  const { id } = await stripe.customers.create({ name: 'Glade', ...card })
  const person = ['--email', 'owner@glade.example', '--name', 'Gro Glade', '--workspace', 'glade', '--role', 'owner']
  const workspace = ['--plan', 'enterprise', '--workspace-name', 'Glade', '--stripe-customer', id]
  runScript(system, ['user-create.ts', ...person, ...workspace], demoPassword)
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'keymargin-review-')), 'usage.csv')
  const rows = [`${month}-10 08:00:00,1000000,200000,5.25`, `${month}-12 08:00:00,1000000,200000,6.505`]
  writeFileSync(file, `timestamp,input_tokens,output_tokens,cost\n${rows.join('\n')}\n`)
  const model = ['--tier', 'balanced', '--model', 'anthropic/claude-sonnet-4.6', '--key-source', 'workspace']
  runScript(system, ['usage-import.ts', file, '--workspace', 'glade', ...model])
  return id
}

async function setWindow(page: Page, origin: string, hours: string): Promise<void> {
  await page.goto(`${origin}/operator`)
  await page.getByLabel('Hours').fill(hours)
  await page.getByRole('button', { name: 'Set', exact: true }).click()
  await expect(page.getByRole('status').filter({ hasText: /^Set\. / })).toBeVisible()
}

test('a draft in review is held with a reason, approved later, and leaves; the customer reads no word of it', async ({
  page,
  system,
  stripe,
  signInAsOperator,
  picture,
  allowConsole,
}) => {
  const both = async (name: string) => {
    await picture(name)
    await page.setViewportSize({ width: 390, height: 844 })
    await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390)
    await picture(`${name}-phone`)
    await page.setViewportSize({ width: 1280, height: 860 })
  }
  allowConsole(/400 \(Bad Request\)/)
  const month = lastMonth() // once: the test may run into the next
  const customer = await customerWithUsage(system, stripe, month)
  const drafts = () => stripe.invoices.list({ customer }).then(({ data }) => data.map(({ status }) => status))
  await signInAsOperator()
  await setWindow(page, system.origin, '24')
  try {
    expect(runScript(system, ['billing.ts', 'close', '--month', month, '--workspace', 'glade'])).toContain('review')
    await page.goto(`${system.origin}/operator`)
    await both('review-list')
    await page.getByRole('table', { name: 'Drafts in review' }).getByRole('link', { name: 'Glade' }).click()
    await expect(page.getByRole('heading', { name: 'Before it goes out' })).toBeVisible()
    await expect(page.getByText('It is finalised on its own on')).toBeVisible()
    await both('review-run')
    const run = page.url()
    await page.getByRole('button', { name: 'Hold' }).click()
    await expect(page.getByText('Say in a few words why')).toBeVisible()
    await page.getByLabel('Reason').fill(reason)
    await page.getByRole('button', { name: 'Hold' }).click()
    await expect(page.getByText(`The reason given: ${reason}`)).toBeVisible()
    await both('review-held')

    await signIn(page, system.origin, 'owner@glade.example')
    await page.goto(`${system.origin}/w/glade/settings/billing`)
    const row = page.getByRole('row', { name: /On hold/ })
    await expect(row).toContainText('$2.24')
    await both('review-held-customer-list')
    await row.getByRole('link').click()
    await expect(page.getByText('This invoice waits until somebody has looked at it')).toBeVisible()
    expect(await page.content()).not.toContain('Gunnar')
    await both('review-held-customer')
    expect(await drafts()).toEqual(['draft'])

    await signInAsOperator()
    await page.goto(run)
    await page.getByRole('button', { name: 'Resume' }).click()
    await expect(
      page.getByRole('status').filter({ hasText: 'A run that goes on is written within moments.' }),
    ).toBeVisible()
    await reloadUntil(page, page.getByRole('button', { name: 'Approve' }))
    await page.getByRole('button', { name: 'Approve' }).click()
    await expect(
      page.getByRole('status').filter({ hasText: 'Approved. It is finalised within moments.' }),
    ).toBeVisible()
    await reloadUntil(page, page.getByText('Done (paid)', { exact: true }))
    await both('review-sent')
    expect(await drafts()).toEqual(['paid'])

    await signIn(page, system.origin, 'owner@glade.example')
    await page.goto(`${system.origin}/w/glade/settings/billing`)
    await expect(page.getByRole('row', { name: /Paid/ })).toContainText('$2.24')
  } finally {
    await signInAsOperator()
    await setWindow(page, system.origin, '0')
  }
})

test('a difference between books is written off with a reason, and the page says by whom', async ({
  page,
  system,
  signInAsOperator,
  picture,
  allowConsole,
}) => {
  allowConsole(/400 \(Bad Request\)/)
  await signInAsOperator()
  await page.goto(`${system.origin}/operator/reconciliation`)
  await page.getByLabel('Provider').selectOption('xai')
  await page.getByLabel(/^CSV/).fill('date,model,usage\n2026-02-31,grok,1')
  await page.getByRole('button', { name: 'Import', exact: true }).click()
  await expect(page.getByText('Line 2: date "2026-02-31" is not a day such as 2026-10-31')).toBeVisible()
  const day = new Date(Date.now() - 2 * 86_400_000).toISOString().slice(0, 10)
  await page.getByLabel(/^CSV/).fill(`date,model,usage\n${day},grok,41.5`)
  await page.getByRole('button', { name: 'Import', exact: true }).click()
  await expect(page.getByRole('status').filter({ hasText: '1 row of 1 day stored.' })).toBeVisible()
  await page.goto(`${system.origin}/operator/reconciliation`)
  const row = page.getByRole('table', { name: 'Books that do not agree' }).getByRole('row').filter({ hasText: '41.5' })
  await reloadUntil(page, row)
  await picture('difference')
  await row.getByRole('button', { name: /^Write off/ }).click()
  await expect(page.getByRole('heading', { name: 'Write off this difference' })).toBeVisible()
  await page.getByRole('button', { name: 'Write off', exact: true }).first().click()
  await expect(page.getByText('Say in a few words why')).toBeVisible()
  await picture('difference-write-off')
  await page.getByLabel('Why it is written off').fill('The trial account of the sales team')
  await page.getByRole('button', { name: 'Write off', exact: true }).first().click()
  await expect(page.getByText('Written off. It is not shown again unless it changes.')).toBeVisible()
  const closed = page.getByRole('table', { name: 'Differences that were written off' })
  await expect(closed).toContainText('The trial account of the sales team')
  await page.setViewportSize({ width: 390, height: 844 })
  await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390)
  await picture('difference-written-off-phone')
})
