import { Logger, parseCronItems, run } from 'graphile-worker'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { endWorkspace } from '#app/domain/billing/end-workspace.server.ts'
import { freezeInvoiceRun } from '#app/domain/billing/freeze-invoice-run.server.ts'
import { startTopUp } from '#app/domain/billing/start-checkout.server.ts'
import { abilityFor, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { monthEnd, monthOf, shiftMonth } from '#app/platform/calendar-month.ts'
import { inSystem, systemPool } from '#app/platform/db.server.ts'
import { makeGatewayToken, makeMember, saveKeyDirectly } from '#test/factories.ts'
import { crontab } from '#workers/crontab.ts'
import { closeWorkspaceMonth } from '#workers/tasks/close-workspace-month.ts'
import {
  billingWorld,
  CLOSE_TIME,
  expectOneInvoice,
  freezeOctober,
  makeCustomer,
  OCTOBER,
  OCTOBER_USAGE,
  recordUsage,
  runRow,
  stripeInvoices,
  write,
} from './billing-world.ts'

const world = billingWorld()
const MINUTE = 60_000
afterEach(() => void vi.useRealTimers())

describe('clocks', () => {
  test('case 76: an app clock ten minutes ahead: calls are accepted by the database’s clock, and no month closes before it is over there', async () => {
    const customer = await makeCustomer(world)
    const ahead = Date.now() + 10 * MINUTE
    vi.useFakeTimers({ toFake: ['Date'], now: ahead, shouldAdvanceTime: true })
    await recordUsage(customer.workspaceId, OCTOBER_USAGE)
    const { rows } = await world.db.owner.query(
      `SELECT max(abs(extract(epoch FROM clock_timestamp() - recorded_at)))::float8 AS apart
         FROM metering.inference_calls WHERE workspace_id = $1`,
      [customer.workspaceId],
    )
    expect(rows[0].apart).toBeLessThan(60)
    const month = shiftMonth(OCTOBER, 1)
    const context = (past: number) => ({ now: () => new Date(monthEnd(month).getTime() + past) }) as never
    const close = (past: number) => closeWorkspaceMonth({ workspaceId: customer.workspaceId, month }, context(past))
    // Five minutes after the month's end by the worker's clock, five before it by the database's.
    await expect(close(5 * MINUTE)).rejects.toMatchObject({ code: 'month_not_over' })
    await close(11 * MINUTE)
  })

  test('case 77: a cron tick that was missed for two days runs once per tick, with its own date, however many workers start', async () => {
    const closing = crontab.find(({ task }) => task === 'close-month')
    expect(closing?.options?.backfillPeriod).toBeGreaterThanOrEqual(2 * 86_400_000)
    const tick = new Date(Date.now() - 90 * MINUTE)
    const daily = { ...closing!, match: `${tick.getUTCMinutes()} ${tick.getUTCHours()} * * *` }
    const since = new Date(tick.getTime() - 2 * 86_400_000 + MINUTE)
    await systemPool().query(
      `INSERT INTO graphile_worker._private_known_crontabs (identifier, known_since, last_execution) VALUES ('close-month', $1, $1)
       ON CONFLICT (identifier) DO UPDATE SET last_execution = $1`,
      [since],
    )
    const seen: string[] = []
    const start = () =>
      run({
        pgPool: systemPool(),
        noHandleSignals: true,
        logger: new Logger(() => () => undefined),
        pollInterval: 50,
        taskList: { 'close-month': async (payload) => void seen.push((payload as { _cron: { ts: string } })._cron.ts) },
        parsedCronItems: parseCronItems([daily]),
      })
    const runners = await Promise.all([start(), start()])
    try {
      await expect.poll(() => seen.length, { timeout: 180_000 }).toBe(2)
    } finally {
      for (const runner of runners) await runner.stop()
    }
    const dayOf = (at: Date) => at.toISOString().slice(0, 10)
    const expected = [dayOf(new Date(tick.getTime() - 86_400_000)), dayOf(tick)]
    expect(seen.map((ts) => dayOf(new Date(ts))).toSorted()).toEqual(expected)
  })
})

describe('calendars', () => {
  test('case 73: days on which clocks change make identical bills of identical UTC usage, whatever zone the process runs in', async () => {
    const zone = process.env.TZ
    const bills: unknown[] = []
    try {
      for (const tz of ['UTC', 'Europe/Berlin', 'America/New_York', 'Pacific/Apia']) {
        process.env.TZ = tz
        const customer = await makeCustomer(world)
        // Berlin's clocks go back at 01:00 UTC on 25 October 2026.
        const hours = ['2026-10-25T00:30:00.000Z', '2026-10-25T01:30:00.000Z', '2026-10-31T23:59:59.000Z']
        await recordUsage(
          customer.workspaceId,
          hours.map((at) => ({ at, tierPrice: '1.005', raw: '0' })),
        )
        const { lines, exactPico, month } = await runRow(customer, await freezeOctober(customer))
        bills.push({
          month,
          exact: exactPico.toFixed(0),
          lines: lines.map(({ lineKey, amountCents, calls, usageMonth }) => ({
            lineKey,
            amountCents,
            calls,
            usageMonth,
          })),
        })
      }
    } finally {
      if (zone === undefined) delete process.env.TZ
      else process.env.TZ = zone
    }
    expect(bills).toHaveLength(4)
    for (const bill of bills) expect(bill).toEqual(bills[0])
    expect(bills[0]).toMatchObject({ month: '2026-10', exact: '3015000000000' })
  })

  test('case 74: a plan anchored on 31 January ends its cycle on 28 February; the usage invoice is of the UTC month all the same', async () => {
    const clock = await world.stripe.testHelpers.testClocks.create({ frozen_time: Date.UTC(2026, 0, 31) / 1000 })
    const anchored = await world.stripe.customers.create({ test_clock: clock.id, payment_method: 'pm_card_visa' })
    const items = [{ price: world.prices.enterprise }]
    const subscription = await world.stripe.subscriptions.create({ customer: anchored.id, items })
    expect(subscription.items.data[0]?.current_period_end).toBe(Date.UTC(2026, 1, 28) / 1000)
    const customer = await makeCustomer(world)
    await inSystem((tx) =>
      tx.workspace.update({ where: { id: customer.workspaceId }, data: { stripeCustomerId: anchored.id } }),
    )
    await recordUsage(customer.workspaceId, [
      { at: '2026-02-27T00:00:00.000Z', tierPrice: '5', raw: '0' },
      { at: '2026-02-28T12:00:00.000Z', tierPrice: '7', raw: '0' },
    ])
    const month = shiftMonth(OCTOBER, -8)
    const frozen = await freezeInvoiceRun({ workspaceId: customer.workspaceId, month, now: CLOSE_TIME })
    const mine = { ...customer, customerId: anchored.id }
    expect(await write(mine, frozen?.runId ?? '')).toBe('done')
    const [invoice] = stripeInvoices(world, mine)
    expect(invoice?.amounts).toEqual([1_200])
    const { data: lines } = await world.stripe.invoices.listLineItems(invoice?.id ?? '')
    const period = { start: Date.UTC(2026, 1, 1) / 1000, end: Date.UTC(2026, 2, 1) / 1000 - 1 }
    expect(lines.map((line) => line.period)).toEqual([period])
  })
})

describe('the end of a workspace', () => {
  const operator: OperatorCtx = {
    actor: { kind: 'operator', id: 'operator-1' },
    ability: abilityFor({ role: null, workspaceId: null, isOperator: true }),
    now: () => new Date('2026-10-20T00:00:00Z'),
    requestId: 'flow',
  }

  test('case 81: ended in the middle of a period: the final invoice at once, history kept, people gone but for what invoices say', async () => {
    const customer = await makeCustomer(world)
    const owner = await makeMember(customer.workspaceId, 'owner')
    const elsewhere = await makeMember(customer.workspaceId, 'member')
    const other = await makeCustomer(world)
    await inSystem((tx) =>
      tx.member.create({ data: { workspaceId: other.workspaceId, userId: elsewhere.actor.id, role: 'member' } }),
    )
    await saveKeyDirectly(owner, `sk-or-v1-${'0a1b'.repeat(16)}`)
    await makeGatewayToken(owner, 'Ada’s laptop')
    await recordUsage(customer.workspaceId, OCTOBER_USAGE)
    const session = new URL(await startTopUp(owner, { amountCents: 2_500 })).pathname.split('/').at(-1) ?? ''
    const { runs, peopleForgotten } = await endWorkspace(operator, customer)
    expect((await world.stripe.checkout.sessions.retrieve(session)).status).toBe('expired')
    expect(runs.map(({ month }) => month)).toEqual([OCTOBER])
    expect(await write(customer, runs[0]?.runId ?? '')).toBe('done')
    await expectOneInvoice(world, customer, runs[0]?.runId ?? '')
    expect((await world.stripe.subscriptions.retrieve(customer.subscriptionId)).status).toBe('canceled')
    expect(peopleForgotten).toBe(1)
    const person = (id: string) => inSystem((tx) => tx.user.findUniqueOrThrow({ where: { id } }))
    expect(await person(owner.actor.id)).toMatchObject({
      name: 'Former member',
      email: `former-${owner.actor.id}@invalid`,
    })
    expect((await person(elsewhere.actor.id)).email).not.toContain('former')
    const workspace = await inSystem((tx) =>
      tx.workspace.findUniqueOrThrow({
        where: { id: customer.workspaceId },
        include: { members: true, providerKeys: true, gatewayTokens: true, keyPurges: true, invoiceRuns: true },
      }),
    )
    expect(workspace.members).toEqual([])
    expect(workspace.providerKeys).toEqual([])
    expect(workspace.gatewayTokens).toMatchObject([{ name: 'removed', revokedAt: operator.now() }])
    expect(workspace.keyPurges).toMatchObject([{ cause: 'workspace_ended' }])
    expect(workspace.invoiceRuns).toHaveLength(1)
    expect([workspace.suspendedAt, workspace.endedAt]).toEqual([operator.now(), operator.now()])
    const { rows } = await world.db.owner.query(
      'SELECT count(*)::int AS calls FROM metering.inference_calls WHERE workspace_id = $1',
      [customer.workspaceId],
    )
    expect(rows).toEqual([{ calls: OCTOBER_USAGE.length }])
    // Asked again: nothing is billed twice. What comes late is billed with the month after.
    expect(await endWorkspace(operator, customer)).toEqual({ runs: [], peopleForgotten: 0 })
    await recordUsage(customer.workspaceId, [{ tierPrice: '1', keySource: 'platform' }])
    const next = shiftMonth(OCTOBER, 1)
    const late = { workspaceId: customer.workspaceId, month: next, now: monthEnd(next) }
    const last = await freezeInvoiceRun(late)
    expect(await write(customer, last?.runId ?? '', () => late.now)).toBe('done')
    expect(stripeInvoices(world, customer)).toHaveLength(2)
  })

  test('a workspace that is renamed keeps its history and its one invoice', async () => {
    const customer = await makeCustomer(world)
    await recordUsage(customer.workspaceId, OCTOBER_USAGE)
    await inSystem((tx) => tx.workspace.update({ where: { id: customer.workspaceId }, data: { name: 'New name' } }))
    const runId = await freezeOctober(customer)
    await write(customer, runId)
    await expectOneInvoice(world, customer, runId)
    expect((await runRow(customer, runId)).frozenAt).toEqual(CLOSE_TIME)
    expect(monthOf(CLOSE_TIME)).toBe('2026-11')
  })

  test('only operators end a workspace', async () => {
    const customer = await makeCustomer(world)
    const ability = abilityFor({ role: 'owner', workspaceId: customer.workspaceId, isOperator: false })
    await expect(endWorkspace({ ...operator, ability }, customer)).rejects.toMatchObject({ kind: 'forbidden' })
  })
})
