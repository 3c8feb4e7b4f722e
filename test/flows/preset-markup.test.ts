/** The preset `markup` (design §3): at cost on the platform's key, a twentieth of the cost on one's own. */
import { beforeAll, describe, expect, test } from 'vitest'
import { forgetPriceLists } from '#app/domain/pricing/find-price.server.ts'
import { providerIds } from '#app/domain/providers/provider.ts'
import { type Holder, usePreset } from '#test/preset.ts'

const preset = usePreset()
const kimi = 'moonshotai/kimi-k2.6'
const twentieth = (cost: bigint) => {
  const [quotient, rest] = [cost / 20n, (cost % 20n) * 2n]
  return rest > 20n || (rest === 20n && quotient % 2n === 1n) ? quotient + 1n : quotient
}

describe('markup', () => {
  let holder: Holder
  beforeAll(async () => {
    holder = await preset.join('markup')
  })

  test('without a key of one’s own a call costs what the provider charged, to the pico-dollar', async () => {
    const { row } = await preset.ask(holder, kimi, { scenario: { input: 1_234, output: 56, cost: '0.001396299999' } })
    expect(row).toMatchObject({ key_source: 'platform', charge_mode: 'markup', markup_bp: 10_000 })
    expect(row?.basis_pico).toBe(1_396_299_999n)
    expect(row?.charge_pico).toBe(1_396_299_999n)
  })

  test('with a key of one’s own it costs 5 % of that, rounded once, half to even', async () => {
    const key = await preset.save(holder, 'openrouter')
    for (const [cost, charge] of [
      ['0.0000000001', 5n],
      ['0.00000000005', 2n], // 2.5
      ['0.00000000007', 4n], // 3.5
      ['0.0360795', 1_803_975_000n],
    ] as const) {
      const { row } = await preset.ask(holder, kimi, { scenario: { input: 40_000, output: 2_000, cost } })
      expect(row).toMatchObject({ key_source: 'workspace', markup_bp: 500, basis_source: 'raw_cost' })
      expect([cost, row?.charge_pico]).toEqual([cost, charge])
      expect(row?.charge_pico).toBe(twentieth(row?.basis_pico as bigint))
    }
    await preset.remove(holder, key)
  })

  test('an account that has its own key at the provider is charged by what that was paid, not by the fee', async () => {
    const key = await preset.save(holder, 'openrouter')
    const scenario = { input: 9_000, output: 900, byokFee: '0.0004', byokUpstream: '0.0080' }
    const { row } = await preset.ask(holder, kimi, { scenario })
    expect(row?.basis_pico).toBe(8_400_000_000n)
    expect(row?.charge_pico).toBe(420_000_000n)
    await preset.remove(holder, key)
  })

  test('case 56: a free model is charged 5 % of the lowest rate that anybody pays for it', async () => {
    const key = await preset.save(holder, 'openrouter')
    await preset.db.owner.query(
      `INSERT INTO price_overrides (provider, model, input_usd, output_usd, updated_at) VALUES
         ('together', 'moonshotai/Kimi-K2.6', 0.0000002, 0.000001, now()), ('novita', 'moonshotai/kimi-k2.6', 0.0000009, 0.000003, now())`,
    )
    forgetPriceLists()
    const { row } = await preset.ask(holder, kimi, { scenario: { input: 1_000, output: 100, cost: '0' } })
    expect(row).toMatchObject({ basis_source: 'lowest_paid_rate', raw_cost_pico: 0n })
    expect(row?.basis_pico).toBe(300_000_000n) // 1,000 × $0.0000002 + 100 × $0.000001
    expect(row?.charge_pico).toBe(15_000_000n)
    await preset.remove(holder, key)
  })

  test('a model that is free wherever it is known is charged nothing, and is on the operator’s list', async () => {
    await preset.save(holder, 'crof')
    await preset.db.owner.query(
      `INSERT INTO price_overrides (provider, model, input_usd, output_usd, updated_at) VALUES ('crof', 'deepseek-v4-pro-lightning', 0, 0, now())`,
    )
    forgetPriceLists()
    const { row } = await preset.ask(holder, 'deepseek-v4-pro-lightning', { provider: 'crof' })
    expect(row).toMatchObject({ provider: 'crof', basis_source: 'none', basis_pico: 0n, charge_pico: 0n })
    await expect
      .poll(async () => {
        const listed = `SELECT calls::int FROM unpriced_models WHERE provider = 'crof' AND model = 'deepseek-v4-pro-lightning'`
        return (await preset.db.owner.query(listed)).rows[0]?.calls
      })
      .toBe(1)
  })

  test('a call whose cost nobody knows is held, not charged as if it were free', async () => {
    const own = await preset.join('markup')
    await preset.save(own, 'morpheus')
    const { row } = await preset.ask(own, 'llama-4-maverick', { provider: 'morpheus' })
    expect(row).toMatchObject({ cost_source: 'unknown', charge_pico: null, basis_pico: null })
  })

  test('keys of every kind may be saved, JSON credentials too', async () => {
    const everything = await preset.join('markup')
    for (const kind of providerIds) await preset.save(everything, kind)
    const { rows } = await preset.db.owner.query('SELECT provider FROM provider_keys WHERE workspace_id = $1', [
      everything.workspaceId,
    ])
    expect(rows.map((row) => row.provider).sort()).toEqual([...providerIds].sort())
  })

  test('x-byok-provider says which key, and without it the model’s name does', async () => {
    const several = await preset.join('markup')
    for (const kind of ['openai', 'together', 'novita', 'bedrock'] as const) await preset.save(several, kind)
    const providerOf = async (model: string, provider?: string) =>
      (await preset.ask(several, model, { provider })).row?.provider
    expect(await providerOf('gpt-5-mini')).toBe('openai')
    expect(await providerOf('moonshotai/kimi-k2.6', 'novita')).toBe('novita')
    expect(await providerOf('moonshotai/Kimi-K2.6', 'together')).toBe('together')
    expect(await providerOf('anthropic.claude-sonnet-4-6-v1:0', 'aws')).toBe('bedrock')
  })
})
