/** Credits where calls race, grants expire and processes die: what is held is settled once, and never more than there is. */
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
import { ledgerOf, openAttemptsOf, until, useGateway } from '#test/gateway.ts'
import { endSecondGateways, startSecondGateway } from '#test/second-gateway.ts'
import { answerOf, onCredits, priceOf, soon } from './credits-ground.ts'

const db = useDatabase()
const gateway = useGateway(db)
endSecondGateways()
const USD = 1_000_000_000_000n
const day = 86_400_000

/** A reply that reports these tokens, when it may. */
const reply = (input: number, output: number, until: Promise<void>) =>
  gateway.sandbox.fault({ scenario: { input, output, cost: '0.000001', until } })

afterEach(async () => {
  expect(await openAttemptsOf(db)).toBe(0)
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
  })

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
    const { promise, resolve: goOn } = Promise.withResolvers<void>()
    reply(3, 2, promise)
    const answer = chat(gateway, customer.token, { maxTokens: 50 })
    await untilOpen(db, workspaceId, 1)
    const { held } = await purseOf(db, workspaceId)
    await db.owner.query("UPDATE metering.credit_grants SET expires_at = now() - interval '1 second' WHERE id = $1", [
      ending,
    ])
    const { rows } = await systemPool().query('SELECT metering.expire_credits()::int AS ended')
    expect(rows).toEqual([{ ended: 1 }])
    expect(await purseOf(db, workspaceId)).toMatchObject({ available: 0n, held, expired: USD - held })
    goOn()
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
