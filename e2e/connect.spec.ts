import { demoEmail } from '../scripts/demo/seed.ts'
import { expect, signIn, test } from './setup/fixtures.ts'

/** One click to a key of the customer's own OpenRouter account, in a real browser, and what comes of a key with a small limit. */
const billing = '/w/cedar/settings/billing'
const adding = `${billing}?add=openrouter`

test('OpenRouter is connected without a key in the browser; its small limit is told at the bell and by mail', async ({
  page,
  system,
  signInAs,
  picture,
}) => {
  const seen: Promise<string>[] = []
  page.on('response', (response) => {
    const text = response.request().redirectedTo() ? Promise.resolve('') : response.text().catch(() => '')
    seen.push(text.then((body) => `${response.url()} ${JSON.stringify(response.headers())} ${body}`))
  })
  await signInAs('cedar', 'billing_admin')
  await page.goto(system.origin + adding)
  await page.getByLabel('Limit of the new key in USD').fill('1.50')
  await page.getByRole('button', { name: 'Connect OpenRouter' }).click()
  await expect(page.getByText(/asks for an API key of your account that may spend \$1.50/)).toBeVisible()
  await picture('connect-openrouter-approve', 'screen')
  await page.getByRole('button', { name: 'Approve' }).click()
  await expect(page.getByRole('status').filter({ hasText: 'OpenRouter is connected' })).toBeVisible()
  expect(new URL(page.url()).pathname).toBe(billing)
  await picture('connect-openrouter-connected')
  expect((await Promise.all(seen)).join('\n')).not.toMatch(/sk-or-v1-[0-9a-f]{20}/)

  await page.getByRole('link', { name: '1 open notice' }).click()
  await expect(page.getByRole('heading', { name: 'A key is low on credit at OpenRouter' })).toBeVisible()
  await expect(page.getByText(/has \$1.50 left of its limit/)).toBeVisible()
  await picture('notices')
  await page.getByRole('button', { name: 'Dismiss: A key is low on credit at OpenRouter' }).click()
  await expect(page.getByText('Nothing needs your attention')).toBeVisible()
})

test('without scripts it works too; denied, it says so', async ({ browser, system }) => {
  const context = await browser.newContext({ javaScriptEnabled: false })
  const page = await context.newPage()
  await signIn(page, system.origin, demoEmail('cedar', 'owner'))
  await page.goto(system.origin + adding)
  await page.getByRole('button', { name: 'Connect OpenRouter' }).click()
  await expect(page.getByText(/asks for an API key of your account, without a limit/)).toBeVisible()
  await page.getByRole('button', { name: 'Deny' }).click()
  await expect(page.getByText('You did not approve it at OpenRouter. No key was saved.')).toBeVisible()
  await page.goto(system.origin + adding)
  await page.getByLabel('Limit of the new key in USD').fill('five')
  await page.getByRole('button', { name: 'Connect OpenRouter' }).click()
  await expect(page.getByText('Enter dollars above 0, such as 25 or 12.50, or leave it empty.')).toBeVisible()
  await context.close()
})

test('the mail about it lies in the inbox of the owner and the billing admin', async ({ page, system, signInAs }) => {
  await signInAs('cedar', 'owner')
  await page.goto(system.origin + adding)
  await page.getByLabel('Limit of the new key in USD').fill('2')
  await page.getByRole('button', { name: 'Connect OpenRouter' }).click()
  await page.getByRole('button', { name: 'Approve' }).click()
  await expect(page.getByRole('status').filter({ hasText: 'OpenRouter is connected' })).toBeVisible()
  await page.goto(system.inbox)
  const mail = page.getByRole('article').filter({ hasText: 'has $2.00 left of its limit' })
  // the worker mails at the turn of every minute; the page looks again by itself
  await expect(mail).toBeVisible({ timeout: 180_000 })
  for (const role of ['owner', 'billing_admin'] as const) await expect(mail).toContainText(demoEmail('cedar', role))
  await mail.getByRole('link', { name: /settings\/billing$/ }).click()
  await expect(page.getByRole('heading', { name: 'Billing', level: 1 })).toBeVisible()
})
