/** Credits: held at dispatch, settled once, never below zero, and the transfers prove every balance. */
import { afterEach, describe, expect, test } from 'vitest'
import { chat, expectBooksAgree, grant, purseOf, untilOpen } from '#test/credit-ground.ts'
import { useDatabase } from '#test/database.ts'
import { ledgerOf, makeCustomer, openAttemptsOf, useGateway } from '#test/gateway.ts'
import { answerOf, onCredits, priceOf, soon } from './credits-ground.ts'

const db = useDatabase()
const gateway = useGateway(db)
const USD = 1_000_000_000_000n
const day = 86_400_000

/** A reply that reports these tokens, when it may. */
const reply = (input: number, output: number, until?: Promise<void>) =>
  gateway.sandbox.fault({ scenario: { input, output, cost: '0.000001', until } })

afterEach(async () => {
  expect(await openAttemptsOf(db)).toBe(0)
})

describe('a call on the platform key', () => {
  test('holds what it may come to, pays what it came to, and gives the rest back', async () => {
    const customer = await onCredits()
    await grant(db, customer.workspaceId, USD)
    const { promise, resolve: goOn } = Promise.withResolvers<void>()
    reply(7, 5, promise)
    const answer = chat(gateway, customer.token, { maxTokens: 100 })
    await untilOpen(db, customer.workspaceId, 1)
    const during = await purseOf(db, customer.workspaceId)
    expect(during.held).toBeGreaterThan(priceOf(1, 100))
    expect(during.available).toBe(USD - during.held)
    goOn()
    const response = await answer
    expect([response.status, response.headers.get('x-keymargin-charge-mode')]).toEqual([200, 'credits'])
    expect(response.headers.has('x-keymargin-externally-billed')).toBe(false)
    await response.text()
    const spent = priceOf(7, 5)
    expect(await purseOf(db, customer.workspaceId)).toEqual({
      available: USD - spent,
      held: 0n,
      spent,
      expired: 0n,
      shortfall: 0n,
    })
    const [call] = await ledgerOf(db, customer.workspaceId)
    expect(call).toMatchObject({ charge_mode: 'credits', charge_pico: 0n, tier_price_pico: spent })
    expect(BigInt(call?.credit_pico)).toBe(spent)
    await expectBooksAgree(db, customer.workspaceId)
  })

  test('that fails, or never reaches a provider, gives all of it back', async () => {
    const customer = await onCredits()
    await grant(db, customer.workspaceId, USD)
    gateway.sandbox.fault({ scenario: { error: 500 } })
    expect((await answerOf(await chat(gateway, customer.token)))[0]).toBe(500)
    expect(await purseOf(db, customer.workspaceId)).toMatchObject({ available: USD, held: 0n, spent: 0n })
    await expectBooksAgree(db, customer.workspaceId)
  })

  test('takes the credits that expire soonest, then those that never do', async () => {
    const customer = await onCredits()
    const { workspaceId } = customer
    const never = await grant(db, workspaceId, USD)
    const late = await grant(db, workspaceId, 10_000_000n, { expiresAt: soon(2 * day) })
    const first = await grant(db, workspaceId, 3_000_000n, { expiresAt: soon(day) })
    reply(5, 5) // 21,000,000: all of the first two, and 8,000,000 of the last
    await (await chat(gateway, customer.token, { maxTokens: 5 })).text()
    const { rows } = await db.owner.query(
      `SELECT grant_id, sum(amount_pico)::text AS paid FROM metering.credit_transfers
        WHERE workspace_id = $1 AND to_account = 'spent' GROUP BY grant_id`,
      [workspaceId],
    )
    expect(Object.fromEntries(rows.map((row) => [row.grant_id, row.paid]))).toEqual({
      [first]: '3000000',
      [late]: '10000000',
      [never]: '8000000',
    })
    await expectBooksAgree(db, workspaceId)
  })

  test('is refused with 402 insufficient_credits where they do not cover it, and nothing is sent or kept', async () => {
    const customer = await onCredits()
    await grant(db, customer.workspaceId, priceOf(1, 10))
    const sent = gateway.sandbox.chats().length
    const response = await chat(gateway, customer.token, { maxTokens: 1_000 })
    const { error } = await response.json()
    expect([response.status, error.code, error.type, error.param]).toEqual([
      402,
      'insufficient_credits',
      'invalid_request_error',
      null,
    ])
    expect(error.message).toContain('not enough credits')
    expect(gateway.sandbox.chats().length).toBe(sent)
    expect(await ledgerOf(db, customer.workspaceId)).toEqual([])
    expect(await purseOf(db, customer.workspaceId)).toMatchObject({ available: priceOf(1, 10), held: 0n })
    reply(1, 1)
    expect((await chat(gateway, customer.token, { maxTokens: 1 })).status).toBe(200)
  })

  test('that comes to more than was held takes the rest, and what nobody has is a shortfall, not a debt', async () => {
    const customer = await onCredits()
    const { workspaceId } = customer
    await grant(db, workspaceId, 100_000_000n)
    reply(10, 200) // 726,000,000
    await (await chat(gateway, customer.token, { maxTokens: 10 })).text()
    expect(await purseOf(db, workspaceId)).toEqual({
      available: 0n,
      held: 0n,
      spent: 100_000_000n,
      expired: 0n,
      shortfall: 626_000_000n,
    })
    await expectBooksAgree(db, workspaceId)
  })
})

describe('whose key pays', () => {
  test.each([
    ['credits', 'pass_through'],
    ['harness-solo', 'flat_fee'],
  ])(
    'plan %s: a call on the workspace’s own key draws no credits and is marked as billed elsewhere',
    async (planId, mode) => {
      const customer = await makeCustomer({ planId })
      await grant(db, customer.workspaceId, USD)
      const response = await chat(gateway, customer.token)
      expect(response.headers.get('x-keymargin-externally-billed')).toBe('true')
      expect(response.headers.get('x-keymargin-charge-mode')).toBe(mode)
      await response.text()
      const [call] = await ledgerOf(db, customer.workspaceId)
      expect(call).toMatchObject({ key_source: 'workspace', charge_mode: mode, charge_pico: 0n })
      expect(BigInt(call?.credit_pico)).toBe(0n)
      expect(await purseOf(db, customer.workspaceId)).toMatchObject({ available: USD, spent: 0n })
    },
  )

  test('a plan that bills its overage puts what credits do not cover onto the invoice, at the tier price', async () => {
    const customer = await onCredits('harness-team')
    await db.owner.query("UPDATE plans SET credit_overage = 'bill' WHERE id = 'harness-team'")
    await db.owner.query('UPDATE workspaces SET key_epoch = key_epoch + 1 WHERE id = $1', [customer.workspaceId])
    await grant(db, customer.workspaceId, priceOf(1, 10))
    reply(20, 30)
    const response = await chat(gateway, customer.token, { maxTokens: 500 })
    expect([response.status, response.headers.get('x-keymargin-charge-mode')]).toEqual([200, 'tier'])
    await response.text()
    const [call] = await ledgerOf(db, customer.workspaceId)
    expect(call).toMatchObject({ charge_mode: 'tier', charge_pico: priceOf(20, 30) })
    expect(await purseOf(db, customer.workspaceId)).toMatchObject({
      available: priceOf(1, 10),
      held: 0n,
      shortfall: 0n,
    })
  })
})
