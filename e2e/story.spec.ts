import OpenAI from 'openai'
import { acmeKey } from '../scripts/demo/seed.ts'
import { expect, test } from './setup/fixtures.ts'

/**
 * The whole story in one browser: a billing admin saves a key, the vendor's app streams on it, the call is metered, the month
 * is invoiced, the plan is left and the key is destroyed.
 */
const newKey = `sk-or-v1-${'7a'.repeat(30)}f00d`

test.describe.configure({ mode: 'serial' })

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
  await page.getByLabel('Password', { exact: true }).fill('not the password')
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
  await expect(page.getByText(`sk-or-v1-…${acmeKey.slice(-4)}`)).toBeVisible()
  await picture('billing-with-key')
  const field = page.getByLabel(/OpenRouter key/)
  await field.fill('sk-ant-api03-not-an-openrouter-key-0123456789')
  await page.getByRole('button', { name: 'Replace' }).click()
  await expect(page.getByText("OpenRouter keys must start with 'sk-or-'")).toBeVisible()
  await expect(field).toHaveValue('')
  await field.fill(`sk-or-v1-revoked${'00'.repeat(24)}`)
  await page.getByRole('button', { name: 'Replace' }).click()
  await expect(page.getByText(/does not accept this key/)).toBeVisible()
  await expect(page.getByText(`sk-or-v1-…${acmeKey.slice(-4)}`)).toBeVisible()
  await field.fill(newKey)
  await page.getByRole('button', { name: 'Replace' }).click()
  await expect(page.getByText(`sk-or-v1-…${newKey.slice(-4)}`)).toBeVisible()
  expect(await page.content()).not.toContain(newKey.slice(9, 40))
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
  await picture('analytics')
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
  await expect(page.getByText(`sk-or-v1-…${newKey.slice(-4)}`)).toBeVisible()
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
    .getByRole('link', { name: /\d{4}$|October|September|November|December|January/ })
    .first()
    .click()
  await expect(page.getByText(/residue/i).first()).toBeVisible()
  await picture('invoice')
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
  const token = (
    await page
      .locator('code', { hasText: /^km_test_/ })
      .first()
      .innerText()
  ).trim()
  await picture('token-created')
  expect((await stream(system.origin, token)).text.length).toBeGreaterThan(10)
  await page.reload()
  expect(await page.content()).not.toContain(token)
  await page
    .getByRole('row', { name: /Story token/ })
    .getByRole('button', { name: /Revoke/ })
    .click()
  await page
    .getByRole('dialog')
    .getByRole('button', { name: /Revoke/ })
    .click()
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
  const customers = await stripe.customers.list({ limit: 10 })
  const acme = customers.data.find((customer) => customer.name === 'Acme')
  const subscription = (await stripe.subscriptions.list({ customer: acme?.id ?? '', limit: 1 })).data[0]
  const price = (await stripe.prices.list({ product: 'prod_sbx_pro', limit: 1 })).data[0]
  const item = subscription?.items.data[0]
  if (!subscription || !item || !price) throw new Error('the sandbox has no subscription to change')
  await stripe.subscriptions.update(subscription.id, { items: [{ id: item.id, price: price.id }] })
  await signInAs('acme', 'billing_admin')
  await expect(async () => {
    await page.goto(`${system.origin}/w/acme/settings/billing`)
    await expect(page.getByRole('heading', { name: 'AI inference key' })).toHaveCount(0, { timeout: 500 })
  }).toPass({ timeout: 30_000 })
  await picture('billing-after-leaving')
  await page
    .getByRole('link', { name: /certificate/i })
    .first()
    .click()
  await expect(page.getByRole('heading', { name: /certificate/i })).toBeVisible()
  await picture('certificate')
  expect((await stream(system.origin, system.token)).keySource).toBe('platform')
})
