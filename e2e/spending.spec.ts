import type { Page } from '@playwright/test'
import { expect, reloadUntil, test } from './setup/fixtures.ts'

/** What a workspace has to spend, what it allows itself, and what its calls would have cost in every other way. */

/** Wide pages must not be wider than a phone. */
async function fitsPhone(page: Page): Promise<void> {
  await page.setViewportSize({ width: 390, height: 844 })
  await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390)
}

const wide = (page: Page) => page.setViewportSize({ width: 1280, height: 860 })

/** A gateway token, made and read where a developer makes and reads it. */
async function makeToken(page: Page, origin: string, slug: string): Promise<string> {
  await page.goto(`${origin}/w/${slug}/settings/tokens`)
  await page.getByLabel('Name').fill('spending')
  await page.getByRole('button', { name: 'Create token' }).click()
  const text = await page
    .getByText(/km_(?:test|live)_\w{20,}/)
    .first()
    .textContent()
  return /km_(?:test|live)_\w{20,}/.exec(text ?? '')?.[0] ?? ''
}

test('Credits: what there is, what usage and a call drew, the file, and when to be told', async ({
  page,
  system,
  signInAs,
  picture,
  allowConsole,
}) => {
  await signInAs('dune', 'owner')
  const token = await makeToken(page, system.origin, 'dune')
  const authorization = { authorization: `Bearer ${token}` }
  const event = { specversion: '1.0', id: 'e2e-1', source: '/e2e', type: 'sandbox_seconds', data: { quantity: '3600' } }
  const used = await page.request.post(`${system.origin}/v1/usage/events`, { headers: authorization, data: event })
  expect(await used.json()).toMatchObject({ status: 'recorded', credits_usd: '0.18', charge_usd: '0' })
  const call = await page.request.post(`${system.origin}/v1/chat/completions`, {
    headers: { ...authorization, 'x-keymargin-surface': 'sandbox' },
    data: { model: 'openai/gpt-5-mini', max_tokens: 50, messages: [{ role: 'user', content: 'hello' }] },
  })
  expect(call.headers()['x-keymargin-charge-mode']).toBe('credits')

  await page.goto(`${system.origin}/w/dune/settings/credits`)
  await expect(page.getByRole('cell', { name: 'Spent on usage: Sandbox time' })).toBeVisible()
  await expect(page.getByText('Given by us').first()).toBeVisible()
  await picture('credits')
  await fitsPhone(page)
  await picture('credits-narrow')
  await wide(page)
  const file = page.waitForEvent('download')
  await page.getByRole('link', { name: 'Download CSV' }).click()
  expect((await file).suggestedFilename()).toMatch(/^dune-credits-.*\.csv$/)
  allowConsole(/400 \(Bad Request\)/)
  await page.getByLabel('Below this many USD').fill('nothing')
  await page.getByRole('button', { name: 'Save threshold' }).click()
  await expect(page.getByText('from 0 to 99,999')).toBeVisible()
  await page.getByLabel('Below this many USD').fill('2.50')
  await page.getByRole('button', { name: 'Save threshold' }).click()
  await expect(page.getByRole('status').filter({ hasText: 'Threshold saved.' })).toBeVisible()

  await page.getByRole('link', { name: 'Spent on a call' }).first().click()
  await expect(page.getByText('came out of your credits')).toBeVisible()
  await expect(page.getByText('its surface is a background one')).toBeVisible()
  await picture('receipt-of-credits')
  await page.goto(`${system.origin}/w/dune/analytics`)
  await expect(page.getByRole('heading', { name: 'Usage that is no call' })).toBeVisible()
  await expect(page.getByRole('cell', { name: 'Sandbox time' }).first()).toBeVisible()
  await picture('analytics-with-usage')
})

test('Credits are bought at Stripe, and there once they are paid', async ({ page, system, signInAs, allowConsole }) => {
  await signInAs('dune', 'billing_admin')
  await page.goto(`${system.origin}/w/dune/settings/credits`)
  const amount = page.getByLabel('Amount in USD, from 5 to 5,000')
  allowConsole(/400 \(Bad Request\)/)
  await amount.fill('4.999')
  await page.getByRole('button', { name: 'Go to Checkout' }).click()
  await expect(page.getByText('Choose an amount between $5.00 and $5,000.00, in whole cents.')).toBeVisible()
  await expect(amount).toHaveValue('4.999')
  await expect(amount).toHaveAttribute('aria-invalid', 'true')
  await amount.fill('12.50')
  await page.getByRole('button', { name: 'Go to Checkout' }).click()
  await page.getByRole('button', { name: 'Pay with a card that works' }).click()
  await page.waitForURL(/settings\/credits/)
  await expect(page.getByRole('status').filter({ hasText: 'Paid: $12.50 of credits are yours.' })).toBeVisible()
  await expect(page.getByRole('cell', { name: 'Bought' }).first()).toBeVisible()
})

test('an operator grants credits with a reason that the workspace reads', async ({
  page,
  system,
  signInAs,
  signInAsOperator,
  picture,
  allowConsole,
}) => {
  await signInAsOperator()
  await page.goto(`${system.origin}/operator/credits`)
  await page.getByLabel('Workspace, by its short name').fill('dunes')
  await page.getByLabel('Amount in USD').fill('3')
  await page.getByLabel('Expire after so many days (empty: never)').fill('30')
  await page.getByLabel('Why').fill('Welcome')
  allowConsole(/400 \(Bad Request\)/)
  await page.getByRole('button', { name: 'Grant credits' }).click()
  await expect(page.getByText('There is no workspace of this name.')).toBeVisible()
  // what was typed is still there: only the name is put right
  await page.getByLabel('Workspace, by its short name').fill('dune')
  await picture('operator-credits')
  await page.getByRole('button', { name: 'Grant credits' }).click()
  await expect(page.getByRole('status').filter({ hasText: 'Credits granted.' })).toBeVisible()
  await signInAs('dune', 'member')
  await page.goto(`${system.origin}/w/dune/settings/credits`)
  await expect(page.getByRole('cell', { name: 'Given by us: Welcome' })).toBeVisible()
  await expect(page.getByRole('button', { name: 'Go to Checkout' })).toHaveCount(0)
})

test('Budgets: made, reached, refusing, told at the bell, changed and removed', async ({
  page,
  system,
  signInAs,
  picture,
  allowConsole,
}) => {
  const budgets = `${system.origin}/w/birch/settings/budgets`
  await signInAs('birch', 'owner')
  const token = await makeToken(page, system.origin, 'birch')
  await page.goto(budgets)
  await expect(page.getByText('No budgets yet')).toBeVisible()
  await page.getByLabel('Name').fill('Tiny')
  allowConsole(/400 \(Bad Request\)/)
  await page.getByLabel('Limit in USD').fill('one')
  await page.getByRole('button', { name: 'Make budget' }).click()
  await expect(page.getByText('Enter an amount from 0 to 1,000,000')).toBeVisible()
  const allowsNothing = page.getByRole('status').filter({ hasText: 'this budget refuses every call that it counts' })
  await page.getByLabel('Limit in USD').fill('0')
  await expect(allowsNothing).toBeVisible()
  await page.getByLabel('Refuse calls that do not fit into it').uncheck()
  await expect(allowsNothing).toHaveCount(0)
  await page.getByLabel('Refuse calls that do not fit into it').check()
  await expect(allowsNothing).toBeVisible()
  await page.getByLabel('Limit in USD').fill('0.0001')
  await expect(allowsNothing).toHaveCount(0)
  await page.getByLabel('Window').selectOption({ label: 'Per UTC day' })
  await page.getByRole('button', { name: 'Make budget' }).click()
  await expect(page.getByRole('status').filter({ hasText: 'Budget made.' })).toBeVisible()
  const call = () =>
    page.request.post(`${system.origin}/v1/chat/completions`, {
      headers: { authorization: `Bearer ${token}` },
      data: { model: 'openai/gpt-5-mini', max_tokens: 500, messages: [{ role: 'user', content: 'hello' }] },
    })
  const refused = await call()
  expect([refused.status(), (await refused.json()).error.code]).toEqual([402, 'budget_exceeded'])
  await page.goto(`${system.origin}/w/birch/notices`)
  await reloadUntil(page, page.getByRole('heading', { name: 'A budget has refused a call' }))
  await page.goto(budgets)
  await page.getByRole('button', { name: 'Change Tiny' }).click()
  await page.getByRole('article').getByLabel('Limit in USD').fill('1')
  await page.getByRole('button', { name: 'Save', exact: true }).click()
  await expect(page.getByRole('status').filter({ hasText: 'Saved.' })).toBeVisible()
  expect((await call()).status()).toBe(200)
  await page.goto(budgets)
  await expect(page.getByText(/of \$1.00 spent/)).toBeVisible()
  await picture('budgets')
  await fitsPhone(page)
  await picture('budgets-narrow')
  await wide(page)
  await signInAs('birch', 'member')
  await page.goto(budgets)
  await expect(page.getByRole('heading', { name: 'Tiny' })).toBeVisible()
  await expect(page.getByRole('button', { name: 'Make budget' })).toHaveCount(0)
  await signInAs('birch', 'billing_admin')
  await page.goto(budgets)
  await page.getByRole('button', { name: 'Remove Tiny' }).click()
  await page.getByRole('button', { name: 'Remove budget' }).click()
  await expect(page.getByText('No budgets yet')).toBeVisible()
})

test('Pricing: the last 30 days in every way, with the arithmetic behind a click, and when which key paid', async ({
  page,
  system,
  signInAs,
  picture,
}) => {
  // On the first morning of a month no call of the past went out on a key of Acme's.
  const call = await page.request.post(`${system.origin}/v1/chat/completions`, {
    headers: { authorization: `Bearer ${system.token}` },
    data: { model: 'openai/gpt-5-mini', max_tokens: 50, messages: [{ role: 'user', content: 'hello' }] },
  })
  expect(call.headers()['x-keymargin-charge-mode']).toBe('tier_margin')
  await signInAs('acme', 'member')
  await page.goto(`${system.origin}/w/acme/settings/pricing`)
  for (const title of [
    'Cost + surcharge, on the platform key',
    'Margin only, with a key of your own',
    'Markup, with a key of your own',
    'Pass-through, with a key of your own',
    'Credits, on the platform key',
    'Monthly fee, with a key of your own',
  ])
    await expect(page.getByText(title).first()).toBeVisible()
  const margin = page.getByRole('row').filter({ hasText: 'Margin only, with a key of your own' })
  await margin.getByText('Show the arithmetic').click()
  await expect(page.getByText(/never below \$0 for any call/).first()).toBeVisible()
  await expect(page.getByRole('cell', { name: /^Plan Enterprise/ })).toBeVisible()
  await expect(page.getByRole('link', { name: /on your keys, charged as “Margin only”/ })).toBeVisible()
  await picture('pricing', 1_000)
  await fitsPhone(page)
  await picture('pricing-narrow')
  await wide(page)
  await page.getByRole('link', { name: /on your keys, charged as “Margin only”/ }).click()
  await expect(page.getByRole('heading', { name: 'LLM analytics' })).toBeVisible()
})

test('a downgrade that is scheduled at Stripe is counted down with what it will destroy, and taken back', async ({
  page,
  system,
  signInAs,
  picture,
}) => {
  const billing = `${system.origin}/w/acme/settings/billing`
  const countdown = page.getByRole('heading', { name: /^Enterprise ends in \d+ days$/ })
  await signInAs('acme', 'billing_admin')
  await page.goto(billing)
  await expect(countdown).toHaveCount(0)
  await page.getByRole('button', { name: 'Change plan or payment' }).click()
  await page.getByLabel('Change to').selectOption({ label: 'Pro, 99.00 USD' })
  await page.getByRole('button', { name: 'Change at the end of the period' }).click()
  await page.getByRole('link', { name: 'Return' }).click()
  await expect(countdown).toBeVisible()
  await expect(page.getByText('These keys are destroyed then, and cannot be brought back')).toBeVisible()
  await expect(page.getByText(/Your last 30 days would have come to \$.* under Pro/)).toBeVisible()
  await picture('downgrade-countdown')
  await fitsPhone(page)
  await picture('downgrade-countdown-narrow', 'screen')
  await wide(page)
  await page.getByRole('button', { name: 'Change plan or payment' }).click()
  await page.getByRole('button', { name: 'Keep the plan' }).click()
  await page.getByRole('link', { name: 'Return' }).click()
  await expect(page.getByRole('heading', { name: 'Billing', level: 1 })).toBeVisible()
  await expect(countdown).toHaveCount(0)
})
