/** Credits: held at dispatch, settled once, never below zero, and the transfers prove every balance. */
import { afterEach, describe, expect, test } from 'vitest'
import { listBudgets } from '#app/domain/budgets/queries.server.ts'
import { createBudget } from '#app/domain/budgets/set-budget.server.ts'
import { settleCall } from '#app/domain/ledger/ledger.ts'
import { recordCalls } from '#app/domain/ledger/record-calls.server.ts'
import { type GenerationReader, sweepAttempts } from '#app/domain/ledger/sweep-attempts.server.ts'
import { loadCatalogue } from '#app/domain/pricing/queries.server.ts'
import { systemPool } from '#app/platform/db.server.ts'
import { chat, creditOpening, expectBooksAgree, grant, openWith, purseOf, untilOpen } from '#test/credit-ground.ts'
import { useDatabase } from '#test/database.ts'
import { type Customer, ledgerOf, makeCustomer, openAttemptsOf, until, useGateway } from '#test/gateway.ts'
import { endSecondGateways, startSecondGateway } from '#test/second-gateway.ts'

const db = useDatabase()
const gateway = useGateway(db)
endSecondGateways()
const USD = 1_000_000_000_000n
/** cost_effective: $0.0000006 per input token, $0.0000036 per output token. */
const priceOf = (input: number, output: number) => BigInt(input) * 600_000n + BigInt(output) * 3_600_000n
const soon = (ms: number) => new Date(Date.now() + ms)
const day = 86_400_000

const onCredits = (planId = 'credits'): Promise<Customer> => makeCustomer({ key: null, planId })

/** A reply that reports these tokens, after a while. */
const reply = (input: number, output: number, firstMs = 0) =>
  gateway.sandbox.fault({ scenario: { input, output, cost: '0.000001', firstMs } })

const answerOf = async (response: Response) => {
  const body = await response.json()
  return [response.status, body.error?.code ?? null]
}

afterEach(async () => {
  expect(await openAttemptsOf(db)).toBe(0)
})

describe('a call on the platform key', () => {
  test('holds what it may come to, pays what it came to, and gives the rest back', async () => {
    const customer = await onCredits()
    await grant(db, customer.workspaceId, USD)
    reply(7, 5, 400)
    const answer = chat(gateway, customer.token, { maxTokens: 100 })
    await untilOpen(db, customer.workspaceId, 1)
    const during = await purseOf(db, customer.workspaceId)
    expect(during.held).toBeGreaterThan(priceOf(1, 100))
    expect(during.available).toBe(USD - during.held)
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

describe('races', () => {
  const other = () => systemPool()
  const settleAs = async (opening: ReturnType<typeof creditOpening>, input: number, output: number) => {
    const book = (await loadCatalogue()).books.find(({ version }) => version === 1)
    if (!book) throw new Error('no price book 1')
    const used = { inputTokens: BigInt(input), outputTokens: BigInt(output) }
    const none = {
      cacheReadTokens: null,
      cacheWriteTokens: null,
      reasoningTokens: null,
      priceRow: null,
      upstreamId: null,
    }
    return settleCall(
      opening,
      {
        ...{ origin: 'gateway', status: 'ok', httpStatus: 200, errorCode: null, responseModel: null, ...used, ...none },
        ...{ usageSource: 'provider', rawCostPico: 1n, costSource: 'provider', costClamped: false },
        ...{ latencyMs: 1, firstByteMs: 1 },
      },
      book,
    )
  }
  const take = (workspaceId: string, call: string, amount: bigint) =>
    other().query<{ taken: string }>(
      "SELECT metering.take_credits($1::uuid, $2::uuid, $3::bigint, 'hold', 'held', true)::text AS taken",
      [workspaceId, call, amount.toString()],
    )

  test('case 70: of two calls that race for the last cent one is held and the other refused, 300 times; never below 0', async () => {
    const { workspaceId } = await onCredits()
    const cent = USD / 100n
    for (let round = 0; round < 300; round += 1) {
      await grant(db, workspaceId, cent, { expiresAt: round % 2 ? soon(day) : null })
      const [one, two] = [
        creditOpening({ workspaceId, mostChargePico: cent }),
        creditOpening({ workspaceId, mostChargePico: cent }),
      ]
      // One through the gateway's own statement, the other on a connection of its own, as another process would.
      const [mine, theirs] = await Promise.all([openWith(one), take(workspaceId, two.id, cent)])
      const won = [mine === 'opened', theirs.rows[0]?.taken !== '0']
      expect(won.filter(Boolean)).toHaveLength(1)
      const { available, held } = await purseOf(db, workspaceId)
      expect([available, held]).toEqual([0n, cent])
      if (won[0]) expect(await recordCalls([await settleAs(one, 0, 2_777)])).toEqual([true])
      else await other().query('SELECT metering.settle_credits($1::uuid, $2::uuid, 9997200000)', [workspaceId, two.id])
      await db.owner.query('SELECT metering.take_credits($1::uuid, gen_random_uuid(), 2800000, $2, $3, true)', [
        workspaceId,
        'draw',
        'spent',
      ])
    }
    const { available, held, spent, shortfall } = await purseOf(db, workspaceId)
    expect({ available, held, spent, shortfall }).toEqual({
      available: 0n,
      held: 0n,
      spent: 300n * cent,
      shortfall: 0n,
    })
    await expectBooksAgree(db, workspaceId)
  }, 120_000)

  test('64 calls at once through two gateways never hold more than there is, and the books agree', async () => {
    const customer = await onCredits()
    await grant(db, customer.workspaceId, priceOf(5, 10) * 9n, { expiresAt: soon(day) })
    await grant(db, customer.workspaceId, priceOf(5, 10) * 11n)
    const both = [gateway, await startSecondGateway(db, gateway)]
    const answers = await Promise.all(
      Array.from({ length: 64 }, (_, at) => chat(both[at % 2] ?? gateway, customer.token, { maxTokens: 10 })),
    )
    const statuses = await Promise.all(answers.map(async (answer) => answer.text().then(() => answer.status)))
    expect(statuses.every((status) => status === 200 || status === 402)).toBe(true)
    expect(statuses).toContain(402)
    expect(statuses).toContain(200)
    const { held, spent, available, shortfall } = await purseOf(db, customer.workspaceId)
    expect(held).toBe(0n)
    const calls = await ledgerOf(db, customer.workspaceId)
    expect(calls).toHaveLength(statuses.filter((status) => status === 200).length)
    expect(spent + shortfall).toBe(calls.reduce((sum, call) => sum + BigInt(call.credit_pico), 0n))
    expect(available + spent).toBe(priceOf(5, 10) * 20n)
    await expectBooksAgree(db, customer.workspaceId)
  })
})

describe('time', () => {
  test('case 72: a hold taken before its grant expires stays good; what it gives back is expired', async () => {
    const customer = await onCredits()
    const { workspaceId } = customer
    const ending = await grant(db, workspaceId, USD, { expiresAt: soon(day) })
    reply(3, 2, 600)
    const answer = chat(gateway, customer.token, { maxTokens: 50 })
    await untilOpen(db, workspaceId, 1)
    const { held } = await purseOf(db, workspaceId)
    await db.owner.query("UPDATE metering.credit_grants SET expires_at = now() - interval '1 second' WHERE id = $1", [
      ending,
    ])
    const { rows } = await systemPool().query('SELECT metering.expire_credits()::int AS ended')
    expect(rows).toEqual([{ ended: 1 }])
    expect(await purseOf(db, workspaceId)).toMatchObject({ available: 0n, held, expired: USD - held })
    expect((await answer).status).toBe(200)
    await until(async () => (await purseOf(db, workspaceId)).held === 0n, 'the call settled')
    const spent = priceOf(3, 2)
    expect(await purseOf(db, workspaceId)).toEqual({
      available: 0n,
      held: 0n,
      spent,
      expired: USD - spent,
      shortfall: 0n,
    })
    await expectBooksAgree(db, workspaceId)
    expect(await answerOf(await chat(gateway, customer.token))).toEqual([402, 'insufficient_credits'])
  })

  test('credits past their time are not drawn, also before the job has taken them away', async () => {
    const customer = await onCredits()
    const id = await grant(db, customer.workspaceId, USD, { expiresAt: soon(day) })
    await db.owner.query("UPDATE metering.credit_grants SET expires_at = now() - interval '1 second' WHERE id = $1", [
      id,
    ])
    expect(await answerOf(await chat(gateway, customer.token))).toEqual([402, 'insufficient_credits'])
  })

  test('case 71: a hold whose process died is given back by the sweeper, and usage that comes in late settles once', async () => {
    const { workspaceId } = await onCredits()
    await grant(db, workspaceId, USD)
    const refused: GenerationReader = async () => ({ kind: 'refused' })
    const dead = creditOpening({ workspaceId, mostChargePico: USD / 2n })
    expect(await openWith(dead)).toBe('opened')
    expect((await purseOf(db, workspaceId)).held).toBe(USD / 2n)
    await sweepAttempts(refused, soon(21 * 60_000))
    const swept = await purseOf(db, workspaceId)
    expect([swept.held, swept.available + swept.spent]).toEqual([0n, USD])
    const [call] = await ledgerOf(db, workspaceId)
    expect(call).toMatchObject({ origin: 'sweeper', status: 'interrupted' })
    // The process was cut off, not dead: what it knows of the call comes too late to be taken a second time.
    const book = (await loadCatalogue()).books.find(({ version }) => version === 1)
    if (!book || !call) throw new Error('no book or call')
    const late = settleCall(
      dead,
      {
        ...{ origin: 'gateway', status: 'ok', httpStatus: 200, errorCode: null, responseModel: null },
        ...{
          inputTokens: 99n,
          outputTokens: 99n,
          cacheReadTokens: null,
          cacheWriteTokens: null,
          reasoningTokens: null,
        },
        ...{ usageSource: 'provider', rawCostPico: 1n, costSource: 'provider', costClamped: false, priceRow: null },
        ...{ latencyMs: 1, firstByteMs: 1, upstreamId: null },
      },
      book,
    )
    expect(await recordCalls([late])).toEqual([false])
    expect(await purseOf(db, workspaceId)).toEqual(swept)
    expect(await ledgerOf(db, workspaceId)).toHaveLength(1)
    await expectBooksAgree(db, workspaceId)
  })
})

test('a process killed in the middle of a call leaves neither a hold nor a reservation behind once it is swept', async () => {
  const customer = await onCredits()
  const { owner, workspaceId, token } = customer
  await grant(db, workspaceId, USD)
  const terms = { name: 'Hard', scope: 'workspace', scopeId: '', period: 'month', limit: '1' } as const
  await createBudget(owner, { ...terms, hard: true, countsOwnKey: false })
  const doomed = await startSecondGateway(db, gateway)
  gateway.sandbox.fault({ scenario: { hang: 'start' } })
  const answer = chat(doomed, token, { maxTokens: 100 }).catch(() => null)
  await untilOpen(db, workspaceId, 1)
  const reserved = async () => (await listBudgets(owner))[0]?.reservedPico
  const { held } = await purseOf(db, workspaceId)
  expect([held > 0n, await reserved()]).toEqual([true, held])
  await doomed.kill()
  expect(await answer).toBeNull()
  expect((await purseOf(db, workspaceId)).held).toBe(held)
  await sweepAttempts(async () => ({ kind: 'refused' }), soon(21 * 60_000))
  const { held: after, available, spent } = await purseOf(db, workspaceId)
  expect([after, available + spent, await reserved()]).toEqual([0n, USD, 0n])
  expect((await listBudgets(owner))[0]?.spentPico).toBe(spent)
  await expectBooksAgree(db, workspaceId)
})

test('what is granted twice for the same reference is granted once', async () => {
  const { workspaceId } = await onCredits()
  await grant(db, workspaceId, USD, { reference: 'stripe:cs_1', kind: 'purchased' })
  await grant(db, workspaceId, USD, { reference: 'stripe:cs_1', kind: 'purchased' })
  expect((await purseOf(db, workspaceId)).available).toBe(USD)
})
