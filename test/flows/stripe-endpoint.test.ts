import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, expect, test } from 'vitest'
import { WATCHED_TYPES } from '#app/domain/billing/internal/event-table.ts'
import { API_VERSION } from '#app/domain/billing/internal/stripe-client.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { settle, webhookEndpoint } from './billing-endpoint.ts'
import { billingWorld, makeCustomer } from './billing-world.ts'

const world = billingWorld()
const endpoint = webhookEndpoint(world)
const folder = mkdtempSync(path.join(tmpdir(), 'keymargin-endpoint-'))
afterEach(() => void (world.sandbox.world.state.webhookEndpoints = {}))
afterAll(() => rmSync(folder, { recursive: true }))

/** `npm run stripe:endpoint -- …` against the sandbox, as an operator runs it. */
function command(...args: string[]): Promise<{ code: number; said: string }> {
  return commandWith({}, ...args)
}
function commandWith(change: Record<string, string>, ...args: string[]): Promise<{ code: number; said: string }> {
  const origin = new URL(world.sandbox.webhooks.endpoint?.url ?? '').origin
  const env = world.db.childEnv({ APP_ORIGIN: origin, ...change })
  return new Promise((resolve) =>
    execFile(process.execPath, ['scripts/stripe-endpoint.ts', ...args], { env }, (error, out, err) =>
      resolve({ code: error ? Number(error.code) : 0, said: out + err }),
    ),
  )
}
const endpoints = () =>
  Object.values(world.sandbox.world.state.webhookEndpoints).sort((a, b) => a.sequence - b.sequence)

test('create makes one endpoint with our types and our API version, and a second create is refused', async () => {
  expect((await command('check')).code).toBe(1)
  const made = await command('create')
  expect(made.code).toBe(0)
  expect(endpoints()).toMatchObject([{ apiVersion: API_VERSION, enabledEvents: WATCHED_TYPES, status: 'enabled' }])
  expect(made.said).toContain(endpoints()[0]?.secret)
  expect(await command('check')).toMatchObject({ code: 0, said: expect.stringContaining('good') })
  expect(await command('create')).toMatchObject({ code: 1, said: expect.stringContaining('already') })
  expect(endpoints()).toHaveLength(1)
})

// The endpoint was made first: its secret, which Stripe tells once, was lost where the file could not be written.
test('a secret that cannot be written makes no endpoint, and one that was not made leaves no file', async () => {
  const taken = path.join(folder, 'taken')
  writeFileSync(taken, 'of something else')
  expect(await command('create', '--secret-file', taken)).toEqual({
    code: 1,
    said: expect.stringMatching(/^EEXIST.*taken'\n$/),
  })
  expect([readFileSync(taken, 'utf8'), endpoints()]).toEqual(['of something else', []])
  const unused = path.join(folder, 'unused')
  expect(await command('rotate', '--secret-file', unused)).toMatchObject({
    code: 1,
    said: expect.stringContaining('Use create.'),
  })
  expect(existsSync(unused)).toBe(false)
})

test('what Stripe refuses, or does not answer, is told in a line', async () => {
  const away = await commandWith({ STRIPE_API_BASE: 'http://127.0.0.1:1' }, 'check')
  expect(away).toEqual({ code: 1, said: expect.stringMatching(/^Stripe .*: unknown \(.*\)\n$/) })
})

test('case 36: rotate makes a second secret beside the first; both are accepted, each event counts once, and finish ends it', async () => {
  await command('create')
  const secretFile = path.join(folder, 'secret')
  const rotated = await command('rotate', '--secret-file', secretFile)
  const [older, newer] = endpoints()
  expect(rotated.code).toBe(0)
  expect(readFileSync(secretFile, 'utf8')).toBe(newer?.secret)
  expect(rotated.said).not.toContain(newer?.secret)
  expect(statSync(secretFile).mode & 0o777).toBe(0o600)
  // The sandbox's hand-set endpoint goes: only the two that were made deliver now.
  const byHand = world.sandbox.webhooks.endpoint
  world.sandbox.webhooks.endpoint = undefined
  for (const one of endpoints()) one.url = byHand?.url ?? ''
  world.db.configure({ STRIPE_WEBHOOK_SECRET: `${newer?.secret},${older?.secret}` })
  const before = await inSystem((tx) => tx.stripeEvent.count())
  const customer = await makeCustomer(world)
  await settle(world)
  const told = world.sandbox.webhooks.deliveries.filter(({ endpoint: id }) => id !== '')
  expect(new Set(told.map(({ endpoint: id }) => id))).toEqual(new Set([older?.id, newer?.id]))
  expect(told.every(({ status }) => status === 200)).toBe(true)
  expect(endpoint.answers.length).toBe(told.length)
  const distinct = new Set(told.map(({ eventId }) => eventId)).size
  expect(told).toHaveLength(2 * distinct)
  expect(await inSystem((tx) => tx.stripeEvent.count())).toBe(before + distinct)
  expect(customer.workspaceId).not.toBe('')
  for (const one of endpoints()) one.url = `${new URL(byHand?.url ?? '').origin}/webhooks/stripe`
  world.sandbox.webhooks.endpoint = byHand
  expect((await command('rotate')).said).toContain('under way')
  expect((await command('rotate', '--finish')).said).toContain(older?.id)
  expect(endpoints().map(({ id }) => id)).toEqual([newer?.id])
})

test('check names another API version, missing types, and an endpoint that is switched off', async () => {
  await command('create')
  const [one] = endpoints()
  Object.assign(one ?? {}, {
    apiVersion: '2024-06-20',
    enabledEvents: ['invoice.paid', 'payout.paid'],
    status: 'disabled',
  })
  const { code, said } = await command('check')
  expect(code).toBe(1)
  for (const words of ['2024-06-20', 'lacks customer.subscription.created', 'payout.paid', 'is disabled'])
    expect(said).toContain(words)
  expect(await command('turn')).toMatchObject({ code: 1, said: expect.stringContaining('Usage') })
})
