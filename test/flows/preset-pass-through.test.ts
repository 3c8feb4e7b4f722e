/** The preset `pass-through` (design §3): a key is required, nothing is charged, and every call shows its exact cost. */
import { describe, expect, test } from 'vitest'
import { getCall } from '#app/domain/analytics/queries.server.ts'
import { freezeInvoiceRun } from '#app/domain/billing/freeze-invoice-run.server.ts'
import { pollKeyBalance } from '#app/domain/vault/poll-key-balance.server.ts'
import { saveProviderKey } from '#app/domain/vault/save-provider-key.server.ts'
import { monthEnd, monthOf } from '#app/platform/calendar-month.ts'
import { usePreset } from '#test/preset.ts'
import { sandboxCredential } from '#test/sandbox/providers/credentials.ts'

const preset = usePreset()
const model = 'openai/gpt-5-mini'

describe('pass-through', () => {
  test('without a key every call is refused, and says what to do', async () => {
    const holder = await preset.join('pass-through')
    const { status, code, row } = await preset.ask(holder, model)
    expect([status, code, row]).toEqual([400, 'key_required', undefined])
  })

  test('only OpenRouter’s key is taken', async () => {
    const holder = await preset.join('pass-through')
    const credential = sandboxCredential('openai')
    await expect(saveProviderKey(holder.owner, { provider: 'openai', credential })).rejects.toMatchObject({
      code: 'plan_required',
    })
  })

  test('with one, nothing is charged and the exact cost is shown per call', async () => {
    const holder = await preset.join('pass-through')
    await preset.save(holder, 'openrouter')
    const { row } = await preset.ask(holder, model, {
      scenario: { input: 20_000, output: 1_000, cost: '0.007000000001' },
    })
    expect(row).toMatchObject({
      charge_mode: 'pass_through',
      charge_pico: 0n,
      credit_pico: 0n,
      raw_cost_pico: 7_000_000_001n,
    })
    const shown = await getCall(holder.owner, row?.id as string)
    expect(shown.rawCostPico).toBe(7_000_000_001n)
  })

  test('the balance is shown, and a low one is told', async () => {
    const holder = await preset.join('pass-through')
    const keyId = await preset.save(holder, 'openrouter')
    await pollKeyBalance({ workspaceId: holder.workspaceId, keyId }, new Date())
    const { rows } = await preset.db.owner.query('SELECT balance_kind FROM provider_keys WHERE id = $1', [keyId])
    expect(rows[0].balance_kind).not.toBeNull()
  })

  test('disconnecting keeps all history and the invoice stays at nothing', async () => {
    const holder = await preset.join('pass-through')
    const keyId = await preset.save(holder, 'openrouter')
    const { row } = await preset.ask(holder, model)
    await preset.remove(holder, keyId)
    expect((await preset.ask(holder, model)).code).toBe('key_required')
    expect((await getCall(holder.owner, row?.id as string)).id).toBe(row?.id)
    const month = monthOf(new Date())
    const now = new Date(monthEnd(month).getTime() + 3 * 86_400_000)
    const frozen = await freezeInvoiceRun({ workspaceId: holder.workspaceId, month, now })
    expect(frozen?.state).toBe('done_zero')
  })
})
