/** From an invoice to the single call: every line says what is behind it, and exports add up to the invoice exactly. */
import { parse } from 'csv-parse/sync'
import { describe, expect, test } from 'vitest'
import { explainLine } from '#app/domain/billing/explain-line.server.ts'
import { exportInvoiceCsv, exportInvoiceJson } from '#app/domain/billing/export-invoice.server.ts'
import { freezeInvoiceRun } from '#app/domain/billing/freeze-invoice-run.server.ts'
import { getInvoice } from '#app/domain/billing/queries.server.ts'
import { sealInvoiceRun } from '#app/domain/billing/seal-invoice-run.server.ts'
import { getStatement } from '#app/domain/billing/statement.server.ts'
import type { Ctx } from '#app/domain/permissions/permissions.ts'
import { parseMonth } from '#app/platform/calendar-month.ts'
import { newId } from '#app/platform/ids.ts'
import { parsePico } from '#app/platform/pico.ts'
import { toStatementView } from '#app/ui/billing/statement-view.ts'
import { makeCall, recordAll } from '#test/call-factory.ts'
import { useDatabase } from '#test/database.ts'
import { makeMember, makeWorkspace } from '#test/factories.ts'

const db = useDatabase()
const NOW = new Date('2026-11-03T02:00:00Z')
const OCTOBER = parseMonth('2026-10')

/** Calls of two months and both keys, other usage, and a correction that is negative. */
async function closedInvoice(): Promise<{ admin: Ctx; runId: string; outsider: Ctx }> {
  const { id: workspaceId } = await makeWorkspace({})
  const admin = await makeMember(workspaceId, 'billing_admin')
  const outsider = await makeMember((await makeWorkspace({})).id, 'owner')
  const at = (n: number) => new Date(Date.UTC(2026, 9, 1 + (n % 28), n % 24, n % 60))
  const calls = await Promise.all(
    Array.from({ length: 130 }, (_, n) =>
      makeCall(workspaceId, n === 0 ? new Date('2026-09-05T00:00:00Z') : at(n), {
        ...(n % 2 ? { keySource: 'workspace', rawCostPico: BigInt(n) * 7_000_003n } : {}),
        inputTokens: BigInt(90_000 + 37 * n),
      }),
    ),
  )
  await db.owner.query(`INSERT INTO metering.closed_months VALUES ($1, '2026-09-01')`, [workspaceId])
  await recordAll(calls)
  await db.owner.query(
    `INSERT INTO metering.usage_events (workspace_id, source, event_id, id, meter, quantity, occurred_at, billing_month, price_book_version,
       unit_usd, amount_pico, charge_mode, credit_pico, charge_pico, content_hash)
     VALUES ($1, 'test', 'e1', $2, 'disk', 12.5, '2026-10-07', '2026-10-01', 1, 0.01, 125000000000, 'invoice', 0, 125000000000, '\\x00')`,
    [workspaceId, newId()],
  )
  const own = calls[3]
  await db.owner.query(
    `SELECT metering.adjust_calls($1, 'cost_corrected', 'x', ARRAY[$2::uuid], ARRAY[$3::timestamptz], ARRAY[1], ARRAY[NULL::bigint],
       ARRAY[NULL::bigint], ARRAY[NULL::bigint], ARRAY[1])`,
    [workspaceId, own?.id, own?.dispatchedAt],
  )
  const frozen = await freezeInvoiceRun({ workspaceId, month: OCTOBER, now: NOW })
  const runId = frozen?.runId ?? ''
  await sealInvoiceRun({ workspaceId, runId }, NOW)
  return { admin, runId, outsider }
}

async function whole(pieces: AsyncGenerator<string>): Promise<string> {
  let text = ''
  for await (const piece of pieces) text += piece
  return text
}

type Row = Record<string, string>
const sum = (rows: Row[], name: string): bigint =>
  rows.reduce((total, row) => total + (parsePico(row[name] ?? '') ?? 0n), 0n)
const rowsOf = (csv: string): Row[] => parse(csv, { columns: true })

describe('an invoice explained', () => {
  test('the exported calls of a line add up to the line, and the lines to the invoice, in CSV and in JSON', async () => {
    const { admin, runId } = await closedInvoice()
    const invoice = await getInvoice(admin, runId)
    const lines = rowsOf(await whole(exportInvoiceCsv(admin, runId, 'lines')))
    const entries = rowsOf(await whole(exportInvoiceCsv(admin, runId, 'calls')))
    expect(lines.map((line) => [line.line_key, parsePico(line.exact ?? '')?.toString()])).toEqual(
      invoice.lines.map((line) => [line.lineKey, line.exactPico]),
    )
    expect(new Set(entries.map((entry) => entry.kind))).toEqual(new Set(['call', 'usage', 'correction']))
    for (const line of lines) {
      const behind = entries.filter((entry) => entry.line_key === line.line_key)
      expect([line.line_key, sum(behind, 'charge')]).toEqual([line.line_key, parsePico(line.exact ?? '')])
    }
    expect(sum(entries, 'charge').toString()).toBe(invoice.exactPico)
    expect(sum(lines, 'amount')).toBe(BigInt(invoice.totalCents) * 10_000_000_000n)
    const json = JSON.parse(await whole(exportInvoiceJson(admin, runId, 'calls')))
    expect(json.entries).toEqual(entries)
    expect(json.lines).toEqual(lines)
    expect(json.invoice).toMatchObject({ lines_hash: invoice.linesHash, calls_hash: invoice.callsHash })
  })

  test('each line leads to its calls, page by page, each once', async () => {
    const { admin, runId } = await closedInvoice()
    const { lines } = await getInvoice(admin, runId)
    for (const line of lines) {
      const seen: string[] = []
      let after: string | null = null
      do {
        const page = await explainLine(admin, runId, line.position, after)
        seen.push(...page.entries.map((entry) => entry.id))
        after = page.next
      } while (after)
      expect(new Set(seen).size).toBe(seen.length)
      const expected = line.kind === 'usage' ? 1 : Number(line.calls)
      expect([line.lineKey, seen.length]).toEqual([line.lineKey, expected])
    }
    expect(lines.map((line) => line.kind)).toEqual(['calls', 'calls', 'usage', 'calls', 'correction'])
  })

  test('case 19: the tail of a long invoice leads to all that is in it: calls, usage and corrections, each once', async () => {
    const { id: workspaceId } = await makeWorkspace({})
    const admin = await makeMember(workspaceId, 'billing_admin')
    const call = await makeCall(workspaceId, new Date('2026-10-03T00:00:00Z'), {
      keySource: 'workspace',
      inputTokens: 1n,
      outputTokens: 0n,
      rawCostPico: 2n,
    })
    await recordAll([call])
    // 110 meters that each cost more than the call: the call, its correction and the smallest meters are the tail.
    await db.owner.query(
      `INSERT INTO metering.usage_events (workspace_id, source, event_id, id, meter, quantity, occurred_at, billing_month, price_book_version,
         unit_usd, amount_pico, charge_mode, credit_pico, charge_pico, content_hash)
       SELECT $1, 'test', 'e' || n, gen_random_uuid(), 'meter-' || n, n, '2026-10-07', '2026-10-01', 1, 0.01, n * 10000000000,
         'invoice', 0, n * 10000000000, '\\x00' FROM generate_series(1, 110) n`,
      [workspaceId],
    )
    await db.owner.query(
      `SELECT metering.adjust_calls($1, 'cost_corrected', 'x', ARRAY[$2::uuid], ARRAY[$3::timestamptz], ARRAY[1], ARRAY[1::bigint],
         ARRAY[$4::bigint], ARRAY[NULL::bigint], ARRAY[$5::bigint])`,
      [workspaceId, call.id, call.dispatchedAt, call.tierPricePico, (call.tierPricePico ?? 0n) - 1n],
    )
    const frozen = await freezeInvoiceRun({ workspaceId, month: OCTOBER, now: NOW })
    const { lines } = await getInvoice(admin, frozen?.runId ?? '')
    const tail = lines.find((line) => line.kind === 'other')
    expect(lines).toHaveLength(100)
    const seen: string[] = []
    let [total, after, pages] = [0n, null as string | null, 0]
    do {
      const page = await explainLine(admin, frozen?.runId ?? '', tail?.position ?? 0, after)
      expect(new Set(page.entries.map((entry) => entry.kind)).size).toBe(1)
      seen.push(...page.entries.map((entry) => `${entry.kind} ${entry.id}`))
      total += page.entries.reduce((sum, entry) => sum + BigInt(entry.chargePico), 0n)
      after = page.next
      pages += 1
    } while (after)
    expect(pages).toBe(3)
    expect(new Set(seen.map((one) => one.split(' ')[0]))).toEqual(new Set(['call', 'usage', 'correction']))
    expect(new Set(seen).size).toBe(seen.length)
    expect(total.toString()).toBe(tail?.exactPico)
  })

  test('the floor of a margin is explained on statements that hold margins, and on no others', async () => {
    const { admin, runId } = await closedInvoice()
    const notesOf = async (ctx: Ctx, run: string) =>
      toStatementView('/w/x', await getStatement(ctx, run)).notes.join(' ')
    expect(await notesOf(admin, runId)).toContain('The floor of $0.00 is per call')
    const { id: workspaceId } = await makeWorkspace({ planId: 'pro' })
    await recordAll([await makeCall(workspaceId, new Date('2026-10-03T00:00:00Z'))])
    const frozen = await freezeInvoiceRun({ workspaceId, month: OCTOBER, now: NOW })
    const notes = await notesOf(await makeMember(workspaceId, 'billing_admin'), frozen?.runId ?? '')
    expect(notes).not.toContain('floor')
    expect(notes).toContain('Fingerprint of the lines')
  })

  test('nobody else may read it, and it looks as if it did not exist', async () => {
    const { admin, runId, outsider } = await closedInvoice()
    const missing = { kind: 'not_found' }
    await expect(explainLine(outsider, runId, 1, null)).rejects.toMatchObject(missing)
    await expect(getStatement(outsider, runId)).rejects.toMatchObject(missing)
    await expect(whole(exportInvoiceCsv(outsider, runId, 'calls'))).rejects.toMatchObject(missing)
    await expect(whole(exportInvoiceJson(outsider, runId, 'lines'))).rejects.toMatchObject(missing)
    await expect(explainLine(admin, runId, 99, null)).rejects.toMatchObject(missing)
  })
})
