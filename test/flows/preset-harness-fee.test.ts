/** The preset `harness-fee` (design §3): credits on the platform's key, a monthly fee while a key of one's own is enabled. */
import { beforeAll, describe, expect, test } from 'vitest'
import { freezeInvoiceRun } from '#app/domain/billing/freeze-invoice-run.server.ts'
import { saveProviderKey } from '#app/domain/vault/save-provider-key.server.ts'
import { monthEnd, monthOf, monthStart } from '#app/platform/calendar-month.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { type Holder, pico, usePreset } from '#test/preset.ts'
import { sandboxCredential } from '#test/sandbox/providers/credentials.ts'

const preset = usePreset()
const kimi = 'moonshotai/kimi-k2.6'

describe('harness fee', () => {
  let holder: Holder
  beforeAll(async () => {
    holder = await preset.join('harness-solo')
    await preset.grant(holder, '10')
  })

  test('without a key, calls draw their tier price from credits and nothing goes onto the invoice', async () => {
    const before = await preset.credits(holder)
    const { row } = await preset.ask(holder, kimi, { scenario: { input: 2_000, output: 100 } })
    expect(row).toMatchObject({ key_source: 'platform', charge_mode: 'credits', charge_pico: 0n })
    expect(row?.credit_pico).toBe(row?.tier_price_pico)
    expect(row?.credit_pico).toBe(2_000n * 3_500_000n + 100n * 17_500_000n)
    expect(before - (await preset.credits(holder))).toBe(row?.credit_pico)
  })

  test('keys of OpenRouter and CrofAI may be saved, others not', async () => {
    const credential = sandboxCredential('openai')
    await expect(saveProviderKey(holder.owner, { provider: 'openai', credential })).rejects.toMatchObject({
      code: 'plan_required',
    })
  })

  test('with a key of one’s own calls draw no credits and say who is billed', async () => {
    const key = await preset.save(holder, 'openrouter')
    const before = await preset.credits(holder)
    const { row, headers } = await preset.ask(holder, kimi)
    expect(row).toMatchObject({ key_source: 'workspace', charge_mode: 'flat_fee', charge_pico: 0n, credit_pico: 0n })
    expect(row?.raw_cost_pico).toBeGreaterThan(0n)
    expect(headers.get('x-keymargin-key-source')).toBe('workspace')
    expect(await preset.credits(holder)).toBe(before)
    await preset.remove(holder, key)
  })

  test('CrofAI wins over OpenRouter with the id mapped, until it is removed; what it does not serve goes to OpenRouter', async () => {
    await preset.save(holder, 'openrouter')
    const crof = await preset.save(holder, 'crof')
    const mapped = await preset.ask(holder, kimi)
    expect(mapped.row).toMatchObject({ provider: 'crof', model: kimi })
    const { rows } = await preset.db.owner.query('SELECT upstream_model FROM metering.inference_calls WHERE id = $1', [
      mapped.row?.id,
    ])
    expect(rows[0].upstream_model).toBe('kimi-k2.6')
    expect((await preset.ask(holder, 'anthropic/claude-sonnet-4.6')).row).toMatchObject({
      provider: 'openrouter',
      charge_mode: 'flat_fee',
    })
    await preset.remove(holder, crof)
    expect((await preset.ask(holder, kimi)).row).toMatchObject({ provider: 'openrouter', charge_mode: 'flat_fee' })
  })

  test.each(['sandbox', 'codebase_indexing', 'builder_job'])(
    '%s still draws credits while a key is enabled',
    async (surface) => {
      const { row } = await preset.ask(holder, kimi, { surface })
      expect(row).toMatchObject({ key_source: 'platform', charge_mode: 'credits' })
      expect(row?.credit_pico).toBeGreaterThan(0n)
    },
  )

  test('$8 for the month a key was enabled in, by its seconds, once for two keys', async () => {
    const month = monthOf(new Date())
    const [start, end] = [monthStart(month).getTime(), monthEnd(month).getTime()]
    const { rows } = await preset.db.owner.query(
      'SELECT min(enabled_from) AS first FROM provider_key_periods WHERE workspace_id = $1',
      [holder.workspaceId],
    )
    // The first key was there for a moment only, and came back at once: what counts is when any key was enabled.
    await preset.db.owner.query(
      `UPDATE provider_key_periods SET enabled_from = $2 WHERE workspace_id = $1 AND enabled_to IS NULL`,
      [holder.workspaceId, rows[0].first],
    )
    await preset.db.owner.query('UPDATE workspace_plan_periods SET since = $2 WHERE workspace_id = $1', [
      holder.workspaceId,
      new Date(start),
    ])
    const now = new Date(end + 3 * 86_400_000)
    const frozen = await freezeInvoiceRun({ workspaceId: holder.workspaceId, month, now })
    const lines = await inSystem((tx) => tx.invoiceLine.findMany({ where: { runId: frozen?.runId ?? '' } }))
    const fee = lines.filter((line) => line.kind === 'key_fee')
    expect(fee).toHaveLength(1)
    const seconds = BigInt(Math.round((end - rows[0].first.getTime()) / 1000))
    const whole = BigInt((end - start) / 1000)
    const exact = BigInt(fee[0]?.exactPico.toFixed(0) ?? '0')
    const difference = exact - (pico('8') * seconds) / whole
    expect(difference < 8_000_000n && difference > -8_000_000n).toBe(true) // within one second's share
    const calls = lines.filter((line) => line.kind === 'calls')
    expect(calls.every((line) => line.exactPico.isZero())).toBe(true)
  })
})
