/** "Last month under these prices" leaves no workspace out, and says what a re-rate run can change of it. */
import { expect, test } from 'vitest'
import { recordUsageEvents } from '#app/domain/ledger/record-usage-events.server.ts'
import { rerateCalls } from '#app/domain/ledger/rerate-calls.server.ts'
import { changeDraft, draftPrices, readTypedBook } from '#app/domain/operations/draft-prices.server.ts'
import { previewPrices } from '#app/domain/operations/preview-prices.server.ts'
import { publishRerate } from '#app/domain/operations/publish-prices.server.ts'
import { abilityFor, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { loadCatalogue } from '#app/domain/pricing/queries.server.ts'
import { parseMonth } from '#app/platform/calendar-month.ts'
import { toPriceBookView } from '#app/ui/operator/price-book-view.ts'
import { makeCall, recordAll } from '#test/call-factory.ts'
import { useDatabase } from '#test/database.ts'
import { makeWorkspace } from '#test/factories.ts'

const db = useDatabase()
const NOW = new Date('2026-11-10T12:00:00Z')
const OCTOBER = parseMonth('2026-10')
const operator: OperatorCtx = {
  actor: { kind: 'operator', id: 'operator-1' },
  ability: abilityFor({ role: null, workspaceId: null, isOperator: true }),
  now: () => NOW,
  requestId: 'flow',
}
const at = (day: number) => new Date(`2026-10-${String(day).padStart(2, '0')}T10:00:00Z`)

/** A draft whose balanced tier and sandboxes cost twice what they do, since the 15th of October. */
async function dearDraft(): Promise<number> {
  const version = await draftPrices(operator, {})
  const typed = await readTypedBook(operator, version)
  const twice = (text: string) => String(Number(text) * 2)
  const { input, output } = typed.tiers.balanced
  const balanced = { ...typed.tiers.balanced, input: twice(input), output: twice(output) }
  const meters = 'sandbox_seconds, Sandboxes, seconds, 0.001'
  const effectiveFrom = '2026-10-15T00:00'
  await changeDraft(operator, version, { ...typed, effectiveFrom, meters, tiers: { ...typed.tiers, balanced } })
  return version
}

test('every workspace with calls is in it, with what a re-rate run would write, and the run writes just that', async () => {
  const tier = await makeWorkspace({ name: 'Tier' })
  const [early, late] = await Promise.all([makeCall(tier.id, at(10)), makeCall(tier.id, at(20))])
  const paid = await makeWorkspace({ name: 'Credits' })
  const credit = await makeCall(paid.id, at(20), { chargeMode: 'credits' })
  const cost = await makeWorkspace({ name: 'At cost' })
  const marked = await makeCall(cost.id, at(20), {
    ...{ keySource: 'workspace', chargeMode: 'markup', markupBp: 500, rawCostPico: 1_000_000_000n },
  })
  const passed = await makeWorkspace({ name: 'Passed through' })
  const through = await makeCall(passed.id, at(20), {
    ...{ keySource: 'workspace', chargeMode: 'pass_through', rawCostPico: 1_000_000_000n },
  })
  const euro = await makeWorkspace({ name: 'Euro' })
  await db.owner.query(`UPDATE workspaces SET currency = 'eur' WHERE id = $1`, [euro.id])
  const foreign = await makeCall(euro.id, at(20))
  await recordAll([early, late, credit, marked, through, foreign])
  const sandboxes = await makeWorkspace({ name: 'Sandboxes' })
  const { books } = await loadCatalogue()
  const event = { source: 's', id: 'e', meter: 'sandbox_seconds', surface: null, at: at(20) }
  await recordUsageEvents(
    {
      ...{ workspaceId: sandboxes.id, tokenId: null, currency: 'usd' },
      plan: { platformChargeMode: 'tier', creditOverage: 'stop' },
    },
    books,
    [{ ...event, quantityNano: 10_000_000_000n, hash: 'a0'.repeat(32) }],
    NOW,
  )
  const version = await dearDraft()
  const preview = await previewPrices(operator, { version, month: OCTOBER })
  const price = late?.chargePico ?? 0n
  const row = (name: string) => {
    const found = preview.rows.find(({ workspace }) => workspace === name)
    return (
      found && [
        found.calls,
        found.pricedCalls,
        BigInt(found.oldPico),
        BigInt(found.differencePico),
        BigInt(found.reratePico ?? -1),
      ]
    )
  }
  expect(preview.rows.map(({ workspace }) => workspace)).toEqual([
    'At cost',
    'Credits',
    'Passed through',
    'Sandboxes',
    'Tier',
  ])
  expect(row('Tier')).toEqual(['2', '2', 2n * price, 2n * price, price])
  expect(row('Credits')).toEqual(['1', '1', price, price, 0n])
  expect(row('At cost')).toEqual(['1', '0', 50_000_000n, 0n, 0n])
  expect(row('Passed through')).toEqual(['1', '0', 0n, 0n, 0n])
  expect(row('Sandboxes')?.slice(0, 2)).toEqual(['0', '0'])
  expect(row('Sandboxes')?.[3]).toBeGreaterThan(0n)
  expect(row('Sandboxes')?.[4]).toBe(0n)
  expect(preview.otherCurrency).toEqual(['Euro'])

  const view = toPriceBookView({
    books: [],
    typed: null,
    preview,
    asked: { preview: String(version) },
    now: NOW,
  }).preview
  expect(view?.rows.map(({ workspace, priced, difference }) => [workspace, priced, difference]).slice(0, 3)).toEqual([
    ['At cost', 'none', 'no change'],
    ['Credits', 'all', expect.stringMatching(/^\+\$/)],
    ['Passed through', 'none', 'no change'],
  ])
  expect(view?.notes.join(' ')).toMatch(/re-rate run.*credits.*Euro/)

  const { differencePico, leftCreditCalls } = await rerateCalls(await publishRerate(operator, version), NOW)
  expect([differencePico, leftCreditCalls]).toEqual([BigInt(preview.reratePico ?? -1), 1n])
})
