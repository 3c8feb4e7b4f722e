import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freezeInvoiceRun } from '#app/domain/billing/freeze-invoice-run.server.ts'
import { previewInvoiceOf } from '#app/domain/billing/preview-invoice.server.ts'
import { importUsage } from '#app/domain/ledger/import-usage.server.ts'
import { listPlans } from '#app/domain/plans/queries.server.ts'
import { forgetCatalogue } from '#app/domain/pricing/queries.server.ts'
import { parseMonth } from '#app/platform/calendar-month.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { useDatabase } from '#test/database.ts'
import { makeWorkspace } from '#test/factories.ts'

const trace = path.resolve(import.meta.dirname, '../../../shared/data')
const traceFiles = ['AzureLLMInferenceTrace_conv.csv', 'AzureLLMInferenceTrace_code.csv'].map((name) =>
  path.join(trace, name),
)

describe('usage import', () => {
  const db = useDatabase()
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'keymargin-import-'))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  function file(name: string, ...lines: string[]): string {
    const at = path.join(folder, name)
    writeFileSync(at, `${lines.join('\n')}\n`)
    return at
  }

  async function importInto(workspaceId: string, at: string, over: Partial<Parameters<typeof importUsage>[0]> = {}) {
    const plan = (await inSystem(listPlans)).find((one) => one.id === 'pro')
    if (!plan) throw new Error('no plan')
    const defaults = { tier: 'balanced' as const, model: 'anthropic/claude-sonnet-4.6', surface: 'agent_run' }
    return importUsage({
      file: at,
      source: path.basename(at),
      workspaceId,
      currency: 'usd',
      plan,
      keySource: 'platform',
      defaults,
      ...over,
    })
  }

  const ledger = async (workspaceId: string) => {
    const { rows } = await db.owner.query(
      `SELECT count(*)::int AS calls, sum(input_tokens)::text AS input, sum(output_tokens)::text AS output, sum(charge_pico)::text AS charge
         FROM metering.inference_calls WHERE workspace_id = $1`,
      [workspaceId],
    )
    return rows[0]
  }
  const rollupDifference = async () =>
    (
      await db.owner.query(
        '(TABLE metering.call_daily_rollups EXCEPT TABLE metering.call_daily_recount) UNION ALL (TABLE metering.call_daily_recount EXCEPT TABLE metering.call_daily_rollups)',
      )
    ).rows

  it('prices the calls of a workspace by books of its own currency, and takes none where there are none', async () => {
    const { id } = await makeWorkspace({})
    const rows = file('euro.csv', 'TIMESTAMP,ContextTokens,GeneratedTokens', '2026-09-30 10:00:00,1000,100')
    await expect(importInto(id, rows, { currency: 'eur' })).rejects.toThrow('no price for tier balanced')
    await db.owner.query(
      `INSERT INTO price_books (version, currency, effective_from, published_at) VALUES (90, 'eur', '2026-01-01', now());
       INSERT INTO tier_prices (price_book_version, tier, input_usd, output_usd) VALUES (90, 'balanced', 0.000001, 0.000002)`,
    )
    forgetCatalogue()
    await importInto(id, rows, { currency: 'eur' })
    expect((await ledger(id)).charge).toBe('1200000000')
  })

  it('stores nothing of a file with one bad line, and names every bad line', async () => {
    const { id } = await makeWorkspace({ planId: 'pro' })
    const bad = file(
      'bad.csv',
      'timestamp,input_tokens,output_tokens',
      '2026-10-01 00:00:00,1,1',
      'soon,1,1',
      '2026-10-01 00:00:01,-4,1',
      '2026-10-01 00:00:02,1,1',
    )
    await expect(importInto(id, bad)).rejects.toThrow(/line 3: timestamp "soon"[\s\S]*line 4: input_tokens "-4"/)
    await expect(
      importInto(id, file('s.csv', 'timestamp,input_tokens,output_tokens,surface', '2026-10-01 00:00:00,1,1,nowhere')),
    ).rejects.toThrow(/line 2: surface "nowhere"/)
    await expect(importInto(id, file('empty.csv', ''))).rejects.toThrow(/the file is empty/)
    await expect(
      importInto(id, file('typo.csv', 'timestamp,input_tokens,output_tokens', '2062-10-01 00:00:00,1,1')),
    ).rejects.toThrow(/line 2: timestamp 2062-10-01T00:00:00.000Z lies in the future/)
    const february = file('feb.csv', 'timestamp,input_tokens,output_tokens', '', '2026-02-31 10:00:00,1,1')
    await expect(importInto(id, february)).rejects.toThrow(/line 3: timestamp "2026-02-31 10:00:00" is not a time/)
    const cut = file('cut.csv', 'timestamp,input_tokens,output_tokens', '2026-02-01 10:00:00,1,"1')
    await expect(importInto(id, cut)).rejects.toMatchObject({ code: 'invalid_usage_file' })
    await expect(importInto(id, path.join(folder, 'missing.csv'))).rejects.toThrow(/ENOENT/)
    expect(await ledger(id)).toMatchObject({ calls: 0 })
  })

  it('stores nothing of a file in which one call costs more than the ledger can hold', async () => {
    const { id } = await makeWorkspace({ planId: 'pro' })
    const good = Array.from({ length: 1_500 }, (_, row) => `2026-10-05 10:00:00,${row},1,`)
    const huge = ['2026-10-05 10:00:00,999999999999,999999999999,', '2026-10-05 10:00:00,1,1,9223373']
    const at = file('huge.csv', 'timestamp,input tokens,output tokens,cost', ...good, ...huge)
    await expect(importInto(id, at)).rejects.toThrow(/line 1502: .*\n.*line 1503: /)
    expect(await ledger(id)).toMatchObject({ calls: 0 })
  })

  it('adds equal rows each once, however often it runs, and only what is new of a longer file', async () => {
    const { id } = await makeWorkspace({ planId: 'pro' })
    const header = 'timestamp,input_tokens,output_tokens'
    const same = '2026-10-01 00:00:00.123,10,5'
    const first = file('grow.csv', header, same, same, '2026-10-02 00:00:00,10,5')
    expect(await importInto(id, first)).toMatchObject({ rows: 3, added: 3 })
    expect(await importInto(id, first)).toMatchObject({ rows: 3, added: 0, alreadyThere: 3 })
    file('grow.csv', header, same, same, '2026-10-02 00:00:00,10,5', same)
    expect(await importInto(id, first)).toMatchObject({ rows: 4, added: 1 })
    expect(await ledger(id)).toMatchObject({ calls: 4, input: '40', output: '20' })
    expect(await rollupDifference()).toEqual([])
  })

  it('holds a call on the workspace key whose cost the file does not say', async () => {
    const { id } = await makeWorkspace()
    const mixed = file(
      'costs.csv',
      'timestamp,input_tokens,output_tokens,cost',
      '2026-10-01 00:00:00,1000,0,0.001',
      '2026-10-01 00:00:01,1000,0,',
    )
    await importInto(id, mixed, { keySource: 'workspace' })
    const { rows } = await db.owner.query(
      'SELECT raw_cost_pico::text AS raw, charge_pico::text AS charge FROM metering.inference_calls WHERE workspace_id = $1 ORDER BY dispatched_at',
      [id],
    )
    expect(rows).toEqual([
      { raw: '1000000000', charge: '2500000000' },
      { raw: null, charge: null },
    ])
  })

  it.skipIf(!traceFiles.every((at) => existsSync(at)))(
    'bills 28,185 real requests to the pico-dollar an independent sum gives',
    async () => {
      const { id } = await makeWorkspace({ planId: 'pro' })
      let [calls, input, output] = [0, 0n, 0n]
      for (const at of traceFiles) {
        await importInto(id, at)
        for (const line of readFileSync(at, 'utf8').trim().split(/\r?\n/).slice(1)) {
          const [, asked, answered] = line.split(',')
          calls += 1
          input += BigInt(asked as string)
          output += BigInt(answered as string)
        }
      }
      // balanced: $3.50 per million in, $17.50 per million out, in pico-dollars per token
      const expected = input * 3_500_000n + output * 17_500_000n
      expect(calls).toBe(28_185)
      expect(await ledger(id)).toEqual({
        calls,
        input: input.toString(),
        output: output.toString(),
        charge: expected.toString(),
      })
      expect(await rollupDifference()).toEqual([])
      const month = parseMonth('2023-11')
      const { invoice } = await previewInvoiceOf(id, month)
      expect(invoice.exactPico).toBe(expected)
      expect(invoice.totalCents * 10_000_000_000n + invoice.closingResiduePico).toBe(expected)
      expect(invoice.lines.reduce((sum, line) => sum + line.amountCents, 0n)).toBe(invoice.totalCents)
      const frozen = await freezeInvoiceRun({ workspaceId: id, month, now: new Date() })
      expect(frozen?.created).toBe(true)
    },
  )
})
