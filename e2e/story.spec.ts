import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import OpenAI from 'openai'
import { acmeKey, demoPassword } from '../scripts/demo/seed.ts'
import { expect, reloadUntil, signIn, test } from './setup/fixtures.ts'
import { runScript } from './setup/run-script.ts'

/**
 * The whole story in one browser: a billing admin saves a key, the vendor's app streams on it, the call is metered, the month
 * is invoiced, the plan is left and the key is destroyed.
 */
const newKey = `sk-or-v1-${'7a'.repeat(30)}f00d`

async function stream(
  origin: string,
  token: string,
): Promise<{ text: string; callId: string; keySource: string | null }> {
  const client = new OpenAI({ baseURL: `${origin}/v1`, apiKey: token, maxRetries: 0 })
  const { data, response } = await client.chat.completions
    .create({
      model: 'anthropic/claude-sonnet-4.6',
      stream: true,
      messages: [{ role: 'user', content: 'Tell the whole story' }],
    })
    .withResponse()
  let text = ''
  for await (const chunk of data) text += chunk.choices[0]?.delta?.content ?? ''
  return {
    text,
    callId: response.headers.get('x-keymargin-call-id') ?? '',
    keySource: response.headers.get('x-keymargin-key-source'),
  }
}

test('a wrong password is refused without saying which half was wrong', async ({
  page,
  system,
  allowConsole,
  picture,
}) => {
  allowConsole(/400 \(Bad Request\)/)
  await page.goto(`${system.origin}/sign-in`)
  await picture('sign-in')
  await page.getByLabel('E-mail').fill('billing-admin@acme.example')
  await page.locator('input[name=password]').fill('not the password')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.getByRole('alert')).toHaveText('E-mail or password is wrong.')
})

test('a billing admin replaces the key; wrong ones are explained and never shown again', async ({
  page,
  system,
  signInAs,
  picture,
  allowConsole,
}) => {
  allowConsole(/400 \(Bad Request\)/)
  await signInAs('acme', 'billing_admin')
  await page.goto(`${system.origin}/w/acme/settings/billing`)
  await expect(page.getByRole('heading', { name: 'AI inference key' })).toBeVisible()
  await expect(page.getByText(`sk-or-v1-…${acmeKey.slice(-4)}`, { exact: true })).toBeVisible()
  await picture('billing-with-key')
  const field = page.getByLabel('New OpenRouter API key')
  await field.fill('sk-ant-api03-not-an-openrouter-key-0123456789')
  await page.getByRole('button', { name: 'Replace' }).click()
  await expect(page.getByText("OpenRouter keys must start with 'sk-or-'")).toBeVisible()
  await expect(field).toHaveValue('')
  await field.fill(`sk-or-v1-revoked${'00'.repeat(24)}`)
  await page.getByRole('button', { name: 'Replace' }).click()
  await expect(page.getByText(/does not accept this key/)).toBeVisible()
  await expect(field).toHaveValue('')
  await expect(page.getByText(`sk-or-v1-…${acmeKey.slice(-4)}`, { exact: true })).toBeVisible()
  await field.fill(newKey)
  await page.getByRole('button', { name: 'Replace' }).click()
  await expect(page.getByText(`sk-or-v1-…${newKey.slice(-4)}`, { exact: true })).toBeVisible()
  expect(await page.content()).not.toContain(newKey.slice(9, 40))
})

test('removing the key says first what it does to routing and bill; saving one brings it back', async ({
  page,
  system,
  signInAs,
  picture,
}) => {
  await signInAs('acme', 'billing_admin')
  await page.goto(`${system.origin}/w/acme/settings/billing`)
  await page.getByRole('button', { name: 'Remove' }).click()
  const dialog = page.getByRole('dialog')
  await expect(dialog).toContainText(/platform key/)
  await expect(dialog).toContainText(/tier price/)
  await picture('remove-key', 'screen')
  await dialog.getByRole('button', { name: /Remove/ }).click()
  await expect(page.getByRole('button', { name: 'Save key' })).toBeVisible()
  expect((await stream(system.origin, system.token)).keySource).toBe('platform')
  await page.getByLabel(/OpenRouter API key/).fill(`  ${newKey}  `)
  await page.getByRole('button', { name: 'Save key' }).click()
  await expect(page.getByText(`sk-or-v1-…${newKey.slice(-4)}`, { exact: true })).toBeVisible()
})

test('the vendor’s app streams on that key, and the call’s receipt is exact to the pico-dollar', async ({
  page,
  system,
  signInAs,
  picture,
}) => {
  const call = await stream(system.origin, system.token)
  expect(call.text.length).toBeGreaterThan(10)
  expect(call.keySource).toBe('workspace')
  await signInAs('acme', 'member')
  await page.goto(`${system.origin}/w/acme/analytics`)
  await expect(page.getByRole('heading', { name: 'LLM analytics' })).toBeVisible()
  await expect(page.locator('.recharts-bar-rectangle').first()).toBeVisible()
  await picture('analytics', 'screen')
  await page.goto(`${system.origin}/w/acme/calls/${call.callId}`)
  await expect(page.getByRole('heading', { name: /receipt/i })).toBeVisible()
  await picture('receipt')
})

test('a member sees that a key is configured and its hint, with no field and no button', async ({
  page,
  system,
  signInAs,
  picture,
  allowConsole,
}) => {
  await signInAs('acme', 'member')
  await page.goto(`${system.origin}/w/acme/settings/billing`)
  await expect(page.getByText(`sk-or-v1-…${newKey.slice(-4)}`, { exact: true })).toBeVisible()
  await expect(page.locator('input[type=password]')).toHaveCount(0)
  await expect(page.getByRole('button', { name: /Save key|Replace|Remove/ })).toHaveCount(0)
  await picture('billing-as-member')
  const forced = await page.request.post(`${system.origin}/w/acme/settings/billing`, {
    form: { intent: 'save-key', provider: 'openrouter', key: newKey },
    headers: { Origin: system.origin },
  })
  expect(forced.status()).toBe(403)
  allowConsole(/404 \(Not Found\)/)
  const foreign = await page.goto(`${system.origin}/w/birch/settings/billing`)
  expect(foreign?.status()).toBe(404)
})

test('a plan without own keys never shows the card', async ({ page, system, signInAs, picture }) => {
  await signInAs('birch', 'owner')
  await page.goto(`${system.origin}/w/birch/settings/billing`)
  await expect(page.getByRole('heading', { name: 'Billing', exact: true })).toBeVisible()
  await expect(page.getByText('AI inference key')).toHaveCount(0)
  await picture('billing-without-keys')
})

test('last month’s invoice opens line by line down to its calls', async ({ page, system, signInAs, picture }) => {
  await signInAs('acme', 'billing_admin')
  await page.goto(`${system.origin}/w/acme/settings/billing`)
  await page
    .getByRole('table', { name: /^Invoices/ })
    .getByRole('link')
    .first()
    .click()
  await expect(page.getByRole('heading', { name: 'From exact sums to cents' })).toBeVisible()
  await picture('invoice')
})

test('a month of imported usage closes into an invoice of exactly the margin', async ({
  page,
  system,
  stripe,
  picture,
  allowConsole: _,
}) => {
  const customer = await stripe.customers.create({
    name: 'Fjord',
    payment_method: 'pm_card_visa',
    invoice_settings: { default_payment_method: 'pm_card_visa' },
  })
  const month = new Date(Date.UTC(new Date().getUTCFullYear(), new Date().getUTCMonth() - 1, 1))
    .toISOString()
    .slice(0, 7)
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'keymargin-story-')), 'usage.csv')
  // balanced, $3.50 / $17.50 per million: 7 − 5.25 = 1.75; 7 − 8 is floored at 0; 7 − 6.505 = 0.495. Together 2.245, half to even 2.24.
  const rows = [
    `${month}-10 08:00:00,1000000,200000,5.25`,
    `${month}-11 08:00:00,2000000,0,8`,
    `${month}-12 08:00:00,1000000,200000,6.505`,
  ]
  writeFileSync(file, `timestamp,input_tokens,output_tokens,cost\n${rows.join('\n')}\n`)
  const person = ['--email', 'owner@fjord.example', '--name', 'Ida Fjord', '--workspace', 'fjord', '--role', 'owner']
  runScript(
    system,
    [
      'user-create.ts',
      ...person,
      '--plan',
      'enterprise',
      '--workspace-name',
      'Fjord',
      '--stripe-customer',
      customer.id,
    ],
    demoPassword,
  )
  const model = ['--tier', 'balanced', '--model', 'anthropic/claude-sonnet-4.6', '--key-source', 'workspace']
  expect(runScript(system, ['usage-import.ts', file, '--workspace', 'fjord', ...model])).toContain('3 rows, 3 added')
  expect(runScript(system, ['usage-import.ts', file, '--workspace', 'fjord', ...model])).toContain('3 rows, 0 added')
  const printed = runScript(system, ['billing.ts', 'close', '--month', month, '--workspace', 'fjord'])
  expect(printed).toContain('$2.24  total')
  expect(printed).toContain('exact 2245000000000 pico')
  await signIn(page, system.origin, 'owner@fjord.example')
  await page.goto(`${system.origin}/w/fjord/settings/billing`)
  const paid = page.getByRole('row', { name: /Paid/ })
  await reloadUntil(page, paid) // Stripe's event says so, and a job hears it
  await expect(paid).toContainText('$2.24')
  await paid.getByRole('link').click()
  await expect(page.getByText('$2.245').first()).toBeVisible()
  await picture('invoice-of-margins')
  const invoices = await stripe.invoices.list({ customer: customer.id })
  expect(invoices.data.map((invoice) => [invoice.status, invoice.total])).toEqual([['paid', 224]])
})

test('a developer makes a token that works at once, and revokes it at once', async ({
  page,
  system,
  signInAs,
  picture,
}) => {
  await signInAs('acme', 'developer')
  await page.goto(`${system.origin}/w/acme/settings/tokens`)
  await page.getByLabel('Name').fill('Story token')
  await page.getByRole('button', { name: /Create/ }).click()
  const token = (await page.getByText(/^\s*km_test_\w{38}\s*$/).innerText()).trim()
  await picture('token-created')
  expect((await stream(system.origin, token)).text.length).toBeGreaterThan(10)
  await page.reload()
  await expect(page.getByLabel('Revoke Story token')).toBeVisible()
  expect(await page.content()).not.toContain(token)
  await page.getByLabel('Revoke Story token').click()
  await page.getByRole('dialog').getByRole('button', { name: 'Revoke token' }).click()
  await expect(page.getByRole('row', { name: /Story token/ })).toContainText(/Revoked/i)
  await expect(stream(system.origin, token)).rejects.toMatchObject({ status: 401 })
})

test('the operator sees runs, jobs and the catalogue', async ({ page, system, signInAsOperator, picture }) => {
  await signInAsOperator()
  for (const [path, name] of [
    ['operator', 'operator-runs'],
    ['operator/jobs', 'operator-jobs'],
    ['operator/catalogue', 'operator-catalogue'],
  ] as const) {
    await page.goto(`${system.origin}/${path}`)
    await expect(page.getByRole('heading').first()).toBeVisible()
    await picture(name)
  }
})

test('leaving Enterprise destroys the key, shows its certificate, and the next call pays the tier price', async ({
  page,
  system,
  stripe,
  signInAs,
  picture,
}) => {
  const customers = await stripe.customers.list({ limit: 100 })
  const acme = customers.data.find((customer) => customer.name === 'Acme')
  const subscription = (await stripe.subscriptions.list({ customer: acme?.id ?? '', limit: 1 })).data[0]
  const price = (await stripe.prices.list({ product: 'prod_sbx_pro', limit: 1 })).data[0]
  const item = subscription?.items.data[0]
  if (!subscription || !item || !price) throw new Error('the sandbox has no subscription to change')
  await stripe.subscriptions.update(subscription.id, { items: [{ id: item.id, price: price.id }] })
  await signInAs('acme', 'billing_admin')
  await page.goto(`${system.origin}/w/acme/settings/billing`)
  const certificates = page.getByRole('table', { name: /Certificates/ })
  await reloadUntil(page, certificates)
  await expect(page.getByRole('heading', { name: 'AI inference key' })).toHaveCount(0)
  await picture('billing-after-leaving')
  await certificates.getByRole('link').first().click()
  await expect(page.getByRole('heading', { name: /certificate/i })).toBeVisible()
  await picture('certificate')
  await page.goto(`${system.origin}/w/acme/notices`)
  const notice = page.getByRole('listitem').filter({ hasText: 'A provider key was destroyed' })
  await expect(notice).toContainText(`sk-or-v1-…${newKey.slice(-4)}`)
  await notice.getByRole('link', { name: 'Look at it' }).click()
  await expect(page.getByRole('heading', { name: /certificate/i })).toBeVisible()
  expect((await stream(system.origin, system.token)).keySource).toBe('platform')
})
