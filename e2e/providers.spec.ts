import { sandboxCredential } from '#test/sandbox/providers/credentials.ts'
import { sandboxKey } from '#test/sandbox/providers/keys.ts'
import { acmeKey } from '../scripts/demo/seed.ts'
import { expect, test } from './setup/fixtures.ts'

/**
 * Keys of every provider, in a browser: added, refused, ordered, limited, asked what would fail; and how calls are routed.
 * Runs before the story: what it changes of Acme, it changes back.
 */
const second = sandboxKey('openai', 'live', 'of the browser')
const hintOf = (key: string) => `sk-proj-…${key.slice(-4)}`

test('a second key of a provider is added, and says at once what would fail with it', async ({
  page,
  system,
  signInAs,
  picture,
}) => {
  await signInAs('cedar', 'billing_admin')
  await page.goto(`${system.origin}/w/cedar/settings/billing`)
  await page.getByRole('button', { name: 'Add a key' }).click()
  await expect(page.getByText('Which provider is the key from?')).toBeVisible()
  await picture('keys-of-every-provider', 1_000)
  await page.getByRole('link', { name: 'OpenAI', exact: true }).click()
  await page.getByLabel('OpenAI API key').fill(second)
  await page.getByLabel('Name (optional)').fill('browser')
  await picture('keys-add')
  await page.getByRole('button', { name: 'Save key' }).click()
  await expect(page.getByText(/^Key saved: .* OpenAI bills you for the model and we bill nothing\.$/)).toBeVisible()
  await expect(page.getByText(/in the last 30 days/)).toBeVisible()
  await expect(page.getByText(hintOf(second), { exact: true })).toBeVisible()
  await expect(page.locator('input[type=password]')).toHaveCount(0)
  expect(await page.content()).not.toContain(second)
  await picture('keys-list')
})

test('it moves up: the first key that may take a call takes it', async ({ page, system, signInAs }) => {
  await signInAs('cedar', 'billing_admin')
  await page.goto(`${system.origin}/w/cedar/settings/billing`)
  const hints = page.locator('code').filter({ hasText: /^sk-proj-…/ })
  await expect(hints.nth(1)).toHaveText(hintOf(second))
  await page.getByRole('button', { name: `Move ${hintOf(second)} up` }).click()
  await expect(page.getByRole('status').filter({ hasText: 'Order changed.' })).toBeVisible()
  await expect(hints.nth(0)).toHaveText(hintOf(second))
  await page.getByRole('button', { name: `Switch off ${hintOf(second)}` }).click()
  const dialog = page.getByRole('dialog')
  await expect(dialog).toContainText('calls go to your next OpenAI key')
  await expect(dialog).toContainText('nothing changes on our invoice')
  await dialog.getByRole('button', { name: 'Switch key off' }).click()
  await expect(page.getByText('This key is switched off', { exact: false })).toBeVisible()
  await page.getByRole('button', { name: `Switch on ${hintOf(second)}` }).click()
  await expect(page.getByRole('status').filter({ hasText: 'Key switched on.' })).toBeVisible()
})

test('Azure’s fields are refused one by one, and pasted JSON as a whole', async ({
  page,
  system,
  signInAs,
  picture,
  allowConsole,
}) => {
  allowConsole(/400 \(Bad Request\)/)
  const azure = JSON.parse(sandboxCredential('azure'))
  await signInAs('cedar', 'billing_admin')
  await page.goto(`${system.origin}/w/cedar/settings/billing?add=azure`)
  const [endpoint, key] = [page.getByLabel('Endpoint'), page.locator('input[name=apiKey]')]
  await endpoint.fill('https://example.com')
  await key.fill(azure.apiKey)
  await page.getByLabel('Deployment name').fill(azure.deploymentName)
  await page.getByLabel('API version').fill(azure.apiVersion)
  await page.getByRole('button', { name: 'Save key' }).click()
  await expect(page.getByText(/The endpoint must be an Azure resource/)).toBeVisible()
  await expect(endpoint).toHaveAttribute('aria-invalid', 'true')
  await expect(endpoint).toBeFocused()
  await expect(key).toHaveValue('')
  await expect(page.getByLabel('Deployment name')).toHaveValue(azure.deploymentName)
  await picture('keys-azure-refused')
  await page.getByText('Or paste it as JSON').click()
  const json = page.getByLabel('Credential as JSON')
  await json.fill(JSON.stringify({ ...azure, region: 'us-east-1' }))
  await page.getByRole('button', { name: 'Save pasted credential' }).click()
  await expect(page.getByText(/has a field that is not expected/)).toBeVisible()
  await expect(json).toHaveValue('')
  await json.fill(JSON.stringify(azure))
  await page.getByRole('button', { name: 'Save pasted credential' }).click()
  await expect(page.getByText(/^Key saved/)).toBeVisible()
  expect(await page.content()).not.toContain(azure.apiKey)
})

test('a key is held to models; what would fail with it is told from what was used', async ({
  page,
  system,
  signInAs,
  picture,
}) => {
  const hint = `sk-or-v1-…${acmeKey.slice(-4)}`
  const ask = () => page.getByRole('button', { name: `What would fail with ${hint}?` }).click()
  await signInAs('acme', 'billing_admin')
  await page.goto(`${system.origin}/w/acme/settings/billing`)
  await ask()
  await expect(page.getByText(/models you used in the last 30 days are available to this key/)).toBeVisible()
  await page.getByRole('button', { name: `Name and limits of ${hint}` }).click()
  const models = page.getByRole('textbox', { name: 'Models it may be used for' })
  await models.fill('gpt-5-mini')
  await page.getByRole('option', { name: 'openai/gpt-5-mini' }).click()
  await models.fill('some/pasted-model,')
  await picture('keys-limits')
  await page.getByRole('button', { name: 'Save limits' }).click()
  await expect(page.getByText('only openai/gpt-5-mini, some/pasted-model')).toBeVisible()
  await ask()
  await expect(page.getByText(/models you used in the last 30 days are not available to this key/)).toBeVisible()
  await expect(page.getByText('this key’s own limits leave it out').first()).toBeVisible()
  await picture('keys-coverage')
  await page.getByRole('button', { name: `Name and limits of ${hint}` }).click()
  await models.press('Backspace')
  await models.press('Backspace')
  await page.getByRole('button', { name: 'Save limits' }).click()
  await expect(page.getByText(/^all \(12 models listed/)).toBeVisible()
})

test('how calls are routed is switched, and says what it means in money', async ({
  page,
  system,
  signInAs,
  picture,
}) => {
  await signInAs('acme', 'billing_admin')
  await page.goto(`${system.origin}/w/acme/settings/billing`)
  await page.getByRole('button', { name: 'Never use the platform key' }).click()
  await expect(page.getByText('On: the platform key is never used.')).toBeVisible()
  await page.getByLabel('Surface').selectOption('document_ocr')
  await page.getByLabel('At most per UTC day, in USD').fill('2.50')
  await page.getByRole('button', { name: 'Allow fall-back' }).click()
  await expect(page.getByRole('table', { name: 'Surfaces that may fall back' })).toContainText('$2.50')
  await picture('routing')
  await page.getByRole('button', { name: 'Allow the platform key again' }).click()
  await expect(page.getByText('Off: a call without a usable key of yours')).toBeVisible()
  await page.getByRole('button', { name: /^Stop falling back/ }).click()
  await expect(page.getByText('Off for every surface.')).toBeVisible()
})

test('the operator sets the price of a model that nobody knows', async ({
  page,
  system,
  signInAsOperator,
  picture,
}) => {
  await signInAsOperator()
  await page.goto(`${system.origin}/operator/prices?provider=akash&model=org/unknown`)
  await expect(page.getByLabel('Model, as the provider calls it')).toHaveValue('org/unknown')
  await page.getByLabel('Input').fill('0.25')
  await page.getByLabel('Output').fill('1.5')
  await page.getByRole('button', { name: 'Set price' }).click()
  await expect(page.getByRole('row', { name: /org\/unknown/ })).toContainText('$0.25')
  await picture('operator-prices')
  await page.getByRole('button', { name: 'Refresh now' }).click()
  await expect(page.getByRole('status').filter({ hasText: 'The lists are being fetched.' })).toBeVisible()
})

test('on a phone nothing is wider than the screen', async ({ page, system, signInAs, picture }) => {
  await page.setViewportSize({ width: 390, height: 844 })
  await signInAs('cedar', 'owner')
  for (const [path, name] of [
    ['settings/billing?add=bedrock', 'keys-phone'],
    ['settings/tokens', 'tokens-phone'],
    ['analytics', 'analytics-phone'],
  ] as const) {
    await page.goto(`${system.origin}/w/cedar/${path}`)
    await expect(page.getByRole('heading').first()).toBeVisible()
    await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth)).toBe(390)
    await picture(name)
  }
})

test('on a phone the header is one row, for operators too', async ({ page, system, signInAsOperator, picture }) => {
  await page.setViewportSize({ width: 390, height: 844 })
  await signInAsOperator()
  await page.goto(`${system.origin}/operator/reconciliation`)
  await expect.poll(async () => (await page.locator('header').first().boundingBox())?.height).toBeLessThanOrEqual(57)
  await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth)).toBe(390)
  await picture('operator-phone', 'screen')
})

test('on a desk no column of the list of calls is cut off', async ({ page, system, signInAs, picture }) => {
  await signInAs('acme', 'member')
  await page.goto(`${system.origin}/w/acme/analytics`)
  const table = page.getByRole('table', { name: 'Calls, newest first' })
  await expect(table).toContainText('OpenRouter')
  await picture('analytics-whole')
  const hidden = () => table.evaluate((one) => one.scrollWidth - (one.parentElement?.clientWidth ?? 0))
  await expect.poll(hidden).toBeLessThanOrEqual(0)
})
