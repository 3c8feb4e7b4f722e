/** The preset `tier-margin` (design §3): Enterprise pays the margin on its own key, Plus and Pro know nothing of keys. */
import { describe, expect, test } from 'vitest'
import { forgetCatalogue } from '#app/domain/pricing/queries.server.ts'
import { purgeWorkspaceKeys } from '#app/domain/vault/purge-workspace-keys.server.ts'
import { saveProviderKey } from '#app/domain/vault/save-provider-key.server.ts'
import { changePlan } from '#app/domain/workspaces/change-plan.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { parsePico } from '#app/platform/pico.ts'
import { customerKey } from '#test/gateway.ts'
import { type Holder, usePreset } from '#test/preset.ts'
import { sandboxCredential } from '#test/sandbox/providers/credentials.ts'

const preset = usePreset()
const model = 'anthropic/claude-sonnet-4.6'
const tierPrice = (input: bigint, output: bigint) => input * 3_500_000n + output * 17_500_000n

describe('tier margin', () => {
  test('on the platform’s key a call costs its tier price, whatever the model cost', async () => {
    const holder = await preset.join('pro')
    const { row } = await preset.ask(holder, model, { scenario: { input: 1_000, output: 100, cost: '0.9' } })
    expect(row).toMatchObject({ charge_mode: 'tier', charge_pico: tierPrice(1_000n, 100n) })
  })

  test.each([
    ['0.0045', tierPrice(1_000n, 100n) - 4_500_000_000n],
    ['0.00525', 0n],
    ['0.02', 0n],
    ['0', tierPrice(1_000n, 100n)],
  ] as const)(
    'case 54, case 55: on its own key, at a cost of $%s, only the margin is owed, never below zero',
    async (cost, charge) => {
      const holder = await preset.join('enterprise')
      await preset.save(holder, 'openrouter')
      const { row } = await preset.ask(holder, model, { scenario: { input: 1_000, output: 100, cost } })
      expect(row).toMatchObject({ charge_mode: 'tier_margin', charge_pico: charge, raw_cost_pico: parsePico(cost) })
    },
  )

  test.each(['plus', 'pro'])('%s cannot save a key', async (plan) => {
    const holder = await preset.join(plan)
    await expect(
      saveProviderKey(holder.owner, { provider: 'openrouter', credential: customerKey }),
    ).rejects.toMatchObject({ code: 'plan_required' })
  })

  test('Enterprise takes keys of OpenRouter only', async () => {
    const holder = await preset.join('enterprise')
    const credential = sandboxCredential('openai')
    await expect(saveProviderKey(holder.owner, { provider: 'openai', credential })).rejects.toMatchObject({
      code: 'plan_required',
    })
  })

  const leave = (holder: Holder) =>
    inSystem(async (tx) => {
      const at = new Date()
      const { workspaceId } = holder
      const subscription = { id: null, status: null, endsAt: null }
      const actor = { kind: 'system' } as const
      const { from } = await changePlan(tx, { workspaceId, planId: 'pro', subscription, cause: 'test', actor, at })
      await purgeWorkspaceKeys(tx, {
        workspaceId,
        cause: 'plan_left',
        causeReference: null,
        fromPlanId: from,
        toPlanId: 'pro',
        at,
        actor,
      })
    })

  test('leaving Enterprise destroys the key: the very next call runs on the platform’s, at the tier price', async () => {
    const holder = await preset.join('enterprise')
    await preset.save(holder, 'openrouter')
    expect((await preset.ask(holder, model)).row?.charge_mode).toBe('tier_margin')
    await leave(holder)
    expect((await preset.ask(holder, model)).row).toMatchObject({ charge_mode: 'tier', key_source: 'platform' })
    const left = await preset.db.owner.query(
      'SELECT count(*)::int AS keys FROM provider_keys WHERE workspace_id = $1',
      [holder.workspaceId],
    )
    expect(left.rows[0].keys).toBe(0)
  })

  test('a workspace billed in another currency is not charged euros less dollars: the call is refused', async () => {
    const holder = await preset.join('enterprise')
    await preset.save(holder, 'openrouter')
    await preset.db.owner.query("UPDATE workspaces SET currency = 'eur', key_epoch = key_epoch + 1 WHERE id = $1", [
      holder.workspaceId,
    ])
    await preset.db.owner.query(
      `INSERT INTO price_books (version, currency, effective_from) VALUES (900, 'eur', now() - interval '1 day')`,
    )
    await preset.db.owner.query(`INSERT INTO tier_prices VALUES (900, 'balanced', 0.000003, 0.000015)`)
    await preset.db.owner.query('UPDATE price_books SET published_at = now() WHERE version = 900')
    forgetCatalogue()
    const { status, code, row } = await preset.ask(holder, model)
    expect([status, code, row]).toEqual([503, 'plan_needs_dollars', undefined])
  })
})
