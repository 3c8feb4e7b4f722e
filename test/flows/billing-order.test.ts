import { expect, test } from 'vitest'
import { freezeInvoiceRun } from '#app/domain/billing/freeze-invoice-run.server.ts'
import { parseMonth } from '#app/platform/calendar-month.ts'
import { billingWorld, makeCustomer, NOVEMBER, OCTOBER, recordUsage, runRow } from './billing-world.ts'

const world = billingWorld()
const SEPTEMBER = parseMonth('2026-09')
const at = (text: string) => new Date(text)

test('what is carried is billed once, whichever month a slower worker closed last', async () => {
  const customer = await makeCustomer(world)
  const { workspaceId } = customer
  await recordUsage(workspaceId, [
    { at: '2026-09-10T00:00:00.000Z', tierPrice: '20', raw: '0' },
    { at: '2026-10-10T00:00:00.000Z', tierPrice: '0.30', raw: '0' },
    { at: '2026-11-10T00:00:00.000Z', tierPrice: '10', raw: '0' },
  ])
  // Two jobs started side by side: the one that looked at its clock first gets the ledger's lock last.
  const october = await freezeInvoiceRun({ workspaceId, month: OCTOBER, now: at('2026-11-03T00:10:00.500Z') })
  const september = await freezeInvoiceRun({ workspaceId, month: SEPTEMBER, now: at('2026-11-03T00:10:00.100Z') })
  const november = await freezeInvoiceRun({ workspaceId, month: NOVEMBER, now: at('2026-12-03T00:10:00.000Z') })
  const runs = [october, september, november].map((frozen) => runRow(customer, frozen?.runId ?? ''))
  const [first, second, third] = await Promise.all(runs)
  expect([first, second, third].map((run) => Number(run?.totalCents))).toEqual([0, 2_030, 1_000])
  expect(third?.openingResiduePico).toEqual(second?.closingResiduePico)
})

test('a month of very many calls whose cost never became known closes all the same', async () => {
  const customer = await makeCustomer(world)
  const { workspaceId } = customer
  const held = Array.from({ length: 2_000 }, () => ({ tierPrice: '0.01', raw: null }))
  for (let batch = 0; batch < 20; batch++) await recordUsage(workspaceId, held)
  await recordUsage(workspaceId, [{ tierPrice: '1', raw: '0' }])
  const frozen = await freezeInvoiceRun({ workspaceId, month: OCTOBER, now: at('2026-11-03T02:00:00Z') })
  expect((await runRow(customer, frozen?.runId ?? '')).totalCents).toBe(100n)
  const { rows } = await world.db.owner.query(
    "SELECT count(*)::int AS cut FROM metering.call_corrections WHERE workspace_id = $1 AND reason = 'cost_cutoff'",
    [workspaceId],
  )
  expect(rows).toEqual([{ cut: 40_000 }])
  const different = await world.db.owner.query(
    '(TABLE metering.call_daily_recount EXCEPT SELECT * FROM metering.call_daily_rollups) UNION ALL (SELECT * FROM metering.call_daily_rollups EXCEPT TABLE metering.call_daily_recount)',
  )
  expect(different.rows).toEqual([])
})
