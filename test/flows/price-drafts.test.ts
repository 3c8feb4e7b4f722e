/** The price book from draft to difference entries: nobody is charged by a draft, nothing published changes, the past is made good by entries. */
import { describe, expect, test } from 'vitest'
import { setWorkspaceCurrency } from '#app/domain/billing/set-currency.server.ts'
import { rerateCalls } from '#app/domain/ledger/rerate-calls.server.ts'
import {
  changeDraft,
  discardDraft,
  draftPrices,
  listPriceBooks,
  readTypedBook,
} from '#app/domain/operations/draft-prices.server.ts'
import { listPresets, loadPreset } from '#app/domain/operations/presets.server.ts'
import { previewPrices } from '#app/domain/operations/preview-prices.server.ts'
import { publishPrices, publishRerate } from '#app/domain/operations/publish-prices.server.ts'
import { abilityFor, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { parseMonth } from '#app/platform/calendar-month.ts'
import { inSystem } from '#app/platform/db.server.ts'
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

/** Balanced tier: 1,000 in and 100 out at the seed's prices, on the platform key and on the workspace's own. */
async function withCalls(name: string, days: string[]) {
  const workspace = await makeWorkspace({ name })
  const calls = await Promise.all(
    days.flatMap((day) => [
      makeCall(workspace.id, new Date(`${day}T10:00:00Z`)),
      makeCall(workspace.id, new Date(`${day}T11:00:00Z`), { keySource: 'workspace', rawCostPico: 1_000_000_000n }),
    ]),
  )
  await recordAll(calls)
  return { ...workspace, calls }
}

const adjustments = async (workspaceId: string) =>
  (
    await db.owner.query(
      `SELECT call_id::text, reason, to_char(billing_month, 'YYYY-MM') AS month, price_book_version AS book, charge_before_pico::bigint::text AS before,
         charge_after_pico::bigint::text AS after FROM metering.call_adjustments WHERE workspace_id = $1 ORDER BY dispatched_at`,
      [workspaceId],
    )
  ).rows

/** A draft whose balanced tier costs twice the seed's. */
async function dearDraft(effectiveFrom: string, workspace?: string): Promise<number> {
  const version = await draftPrices(operator, workspace ? { workspace } : {})
  const typed = await readTypedBook(operator, version)
  const twice = (text: string) => String(Number(text) * 2)
  const { input, output } = typed.tiers.balanced
  const balanced = { ...typed.tiers.balanced, input: twice(input), output: twice(output) }
  await changeDraft(operator, version, { ...typed, effectiveFrom, note: 'twice', tiers: { ...typed.tiers, balanced } })
  return version
}

describe('a draft', () => {
  test('begins as an exact copy of what holds, is changed, previewed and thrown away, and charges nobody', async () => {
    const workspace = await withCalls('Preview', ['2026-10-05'])
    const seed = await readTypedBook(operator, 1)
    const version = await draftPrices(operator, {})
    expect((await readTypedBook(operator, version)).tiers).toEqual(seed.tiers)
    await discardDraft(operator, version)
    const dear = await dearDraft('2026-12-01T00:00', workspace.slug)
    const preview = await previewPrices(operator, { version: dear, month: OCTOBER })
    const [platform, own] = workspace.calls
    const before = (platform?.chargePico ?? 0n) + (own?.chargePico ?? 0n)
    const after = 2n * (platform?.chargePico ?? 0n) + 2n * (own?.tierPricePico ?? 0n) - 1_000_000_000n
    expect(preview.rows).toEqual([
      {
        workspaceId: workspace.id,
        workspace: 'Preview',
        calls: '2',
        pricedCalls: '2',
        oldPico: before.toString(),
        newPico: after.toString(),
        differencePico: (after - before).toString(),
        reratePico: null,
      },
    ])
    expect(await adjustments(workspace.id)).toEqual([])
    await expect(previewPrices(operator, { version: dear, month: OCTOBER, mostCalls: 1 })).rejects.toMatchObject({
      code: 'preview_too_large',
    })
    await discardDraft(operator, dear)
    expect((await listPriceBooks(operator)).map((book) => book.version)).not.toContain(dear)
  })

  test('bands, cache classes and meters are stored as typed, and read back the same', async () => {
    const version = await draftPrices(operator, {})
    const typed = await readTypedBook(operator, version)
    const frontier = {
      ...{ input: '5.5', output: '27.5', cacheRead: '0.55', cacheWrite: '6.875' },
      bands: '200000, 11, 41.25, 1.1, 13.75\n400000, 20, 50',
    }
    const meters = 'sandbox_seconds, Sandboxes, seconds, 0.0000125'
    await changeDraft(operator, version, { ...typed, tiers: { ...typed.tiers, frontier }, meters })
    const stored = await readTypedBook(operator, version)
    expect(stored.tiers.frontier).toEqual(frontier)
    expect(stored.meters).toBe(meters)
    const wrong = (tier: object) =>
      changeDraft(operator, version, { ...typed, tiers: { ...typed.tiers, frontier: { ...frontier, ...tier } } })
    await expect(wrong({ input: 'abc' })).rejects.toMatchObject({ code: 'invalid_price', field: 'frontier.input' })
    await expect(wrong({ bands: 'x' })).rejects.toMatchObject({ field: 'frontier.bands' })
    // JavaScript takes 31 February for 3 March: prices would begin on a day that nobody wrote.
    for (const time of ['2031-02-31T00:00', '2031-02-29T00:00', '2031-12-01T24:00', '2031-12-01', 'soon'])
      for (const field of ['effectiveFrom', 'effectiveUntil'] as const)
        await expect(
          changeDraft(operator, version, { ...typed, [field]: time }),
          `${field} ${time}`,
        ).rejects.toMatchObject({
          ...{ code: 'invalid_price', field },
        })
    await discardDraft(operator, version)
  })
})

describe('publishing', () => {
  test('case 58: a time in the past is refused, and what is published never changes', async () => {
    const version = await dearDraft('2026-11-01T00:00')
    await expect(publishPrices(operator, version)).rejects.toMatchObject({ code: 'price_book_in_the_past' })
    const typed = await readTypedBook(operator, version)
    await changeDraft(operator, version, { ...typed, effectiveFrom: '2031-01-01T00:00' })
    await expect(publishRerate(operator, version)).rejects.toMatchObject({ code: 'price_book_not_past' })
    await publishPrices(operator, version)
    await expect(changeDraft(operator, version, typed)).rejects.toMatchObject({ code: 'price_book_published' })
    await expect(discardDraft(operator, version)).rejects.toMatchObject({ code: 'price_book_published' })
    await expect(
      db.owner.query('UPDATE tier_prices SET input_usd = 0 WHERE price_book_version = $1', [version]),
    ).rejects.toThrow('is published')
  })

  test('case 57, case 58: a re-rate run writes differences only, once, for the calls that it covers', async () => {
    const workspace = await withCalls('Rerate', ['2026-10-20', '2026-11-02'])
    const other = await withCalls('Other', ['2026-11-02'])
    await db.owner.query(`INSERT INTO metering.closed_months (workspace_id, month) VALUES ($1, '2026-10-01')`, [
      workspace.id,
    ])
    const version = await dearDraft('2026-10-20T10:30', workspace.slug)
    const rerateId = await publishRerate(operator, version)
    const [, own, platform, later] = workspace.calls
    const price = platform?.chargePico ?? 0n
    const margin = (call: typeof own) => 2n * (call?.tierPricePico ?? 0n) - 1_000_000_000n - (call?.chargePico ?? 0n)
    const result = await rerateCalls(rerateId, NOW)
    expect(result).toMatchObject({ calls: 3n, adjusted: 3n, differencePico: margin(own) + price + margin(later) })
    expect(await rerateCalls(rerateId, NOW)).toEqual(result)
    const entries = await adjustments(workspace.id)
    expect(entries.map((row) => [row.call_id, row.reason, row.month, row.book])).toEqual(
      [own, platform, later].map((call) => [call?.id, 're_rate', '2026-11', version]),
    )
    expect(entries[1]).toMatchObject({ before: price.toString(), after: (2n * price).toString() })
    expect(await adjustments(other.id)).toEqual([])
    const alert = await inSystem((tx) =>
      tx.alert.findFirst({ where: { kind: 'prices_rerated', reference: String(version) } }),
    )
    expect(alert?.message).toContain('3 of 3 calls were charged differently')
  })
})

describe('case 23: a currency that does not fit', () => {
  test('is refused where prices are assigned: by plan, by price book, by workspace', async () => {
    const margin = await makeWorkspace({ planId: 'enterprise' })
    await expect(setWorkspaceCurrency(operator, { workspace: margin.slug, currency: 'eur' })).rejects.toMatchObject({
      code: 'currency_needs_dollars',
    })
    await db.owner.query(
      `INSERT INTO plans (id, preset, name, rank, platform_charge_mode, workspace_charge_mode) VALUES ('plain', 'pass-through', 'Plain', 1, 'tier', 'pass_through')`,
    )
    await db.owner.query(
      `INSERT INTO plans (id, preset, name, rank, platform_charge_mode, workspace_charge_mode, key_fee_usd) VALUES ('fee', 'harness-fee', 'Fee', 1, 'tier', 'flat_fee', 8)`,
    )
    const fee = await makeWorkspace({ planId: 'fee' })
    await expect(setWorkspaceCurrency(operator, { workspace: fee.slug, currency: 'eur' })).rejects.toMatchObject({
      code: 'currency_needs_dollars',
    })
    const plain = await makeWorkspace({ planId: 'plain' })
    const toEuro = () => setWorkspaceCurrency(operator, { workspace: plain.slug, currency: 'eur' })
    await expect(toEuro()).rejects.toMatchObject({ code: 'currency_without_prices' })
    const version = await draftPrices(operator, { currency: 'eur' })
    const typed = await readTypedBook(operator, version)
    const balanced = { input: '3', output: '15', cacheRead: '', cacheWrite: '', bands: '' }
    await changeDraft(operator, version, {
      ...typed,
      tiers: { ...typed.tiers, balanced },
      effectiveFrom: '2026-12-01T00:00',
    })
    await publishPrices(operator, version)
    await toEuro()
    const own = await draftPrices(operator, { workspace: plain.slug })
    const ownTyped = await readTypedBook(operator, own)
    expect(ownTyped.currency).toBe('eur')
    await expect(
      changeDraft(operator, own, { ...ownTyped, currency: 'usd', tiers: { ...ownTyped.tiers, balanced } }),
    ).rejects.toMatchObject({
      code: 'currency_mismatch',
    })
  })
})

describe('presets', () => {
  test('say what loading them would change, and then nothing more', async () => {
    await db.owner.query(`UPDATE plans SET key_fee_usd = 9 WHERE id = 'harness-solo'`)
    const find = async () => (await listPresets(operator)).find((preset) => preset.id === 'harness-fee')
    expect((await find())?.changes).toEqual(['changes plan harness-solo: keyFeeUsd'])
    await loadPreset(operator, 'harness-fee')
    expect((await find())?.changes).toEqual([])
    await expect(loadPreset(operator, 'constructor')).rejects.toMatchObject({ kind: 'not_found' })
  })
})
