/** "How calls are routed" on the Billing page: each setting, what it says of money, and what it refuses. */
import { describe, expect, it } from 'vitest'
import { useDatabase } from '#test/database.ts'
import { type Fields, MARK, type Place, useBillingVisits } from './billing-visits.ts'

describe('how calls are routed', () => {
  const db = useDatabase()
  const { makePlace, send, page, refused } = useBillingVisits(db)
  const settingsOf = async ({ workspaceId }: Place) =>
    (
      await db.owner.query(
        `SELECT never_platform_key, low_balance_usd::float8, (SELECT json_agg(surface || ' ' || daily_cap_usd::float8)
             FROM surface_fallbacks f WHERE f.workspace_id = w.id) AS fallbacks FROM workspaces w WHERE id = $1`,
        [workspaceId],
      )
    ).rows[0]

  it('is switched, capped and undone, each with its own sentence on the page', async () => {
    const place = await makePlace('enterprise')
    expect(await page(place)).toContain('Off: a call without a usable key of yours runs on the platform key.')
    await send(place, { intent: 'set-never-platform', to: 'on' })
    await send(place, { intent: 'set-low-balance', lowBalanceUsd: '$12.50' })
    await send(place, { intent: 'allow-fallback', surface: 'agent_run', dailyCapUsd: '3' })
    expect(await settingsOf(place)).toEqual({
      never_platform_key: true,
      low_balance_usd: 12.5,
      fallbacks: ['agent_run 3'],
    })
    const html = await page(place)
    expect(html).toContain('On: the platform key is never used.')
    expect(html).toContain('$3.00')
    await send(place, { intent: 'set-never-platform', to: 'off' })
    await send(place, { intent: 'forbid-fallback', surface: 'agent_run' })
    expect(await settingsOf(place)).toMatchObject({ never_platform_key: false, fallbacks: null })
  })

  it.each<[Fields, string]>([
    [{ intent: 'set-low-balance', lowBalanceUsd: MARK }, 'lowBalanceUsd'],
    [{ intent: 'allow-fallback', surface: 'agent_run', dailyCapUsd: '0' }, 'dailyCapUsd'],
    [{ intent: 'allow-fallback', surface: MARK, dailyCapUsd: '1' }, 'surface'],
    [{ intent: 'allow-fallback', surface: 'search_indexer', dailyCapUsd: '1' }, 'surface'],
    [{ intent: 'set-never-platform', to: MARK }, 'to'],
  ])('refuses %o', async (fields, field) => {
    expect(await refused(await makePlace('enterprise'), fields)).toMatchObject({ status: 400, field })
  })

  it('offers no background surface, and no switch where the plan has no platform key', async () => {
    const html = await page(await makePlace('enterprise'))
    expect(html).toContain('value="agent_run"')
    expect(html).not.toContain('value="search_indexer"')
    const without = await page(await makePlace())
    expect(without).toContain('This plan has no platform key')
    expect(without).not.toContain('set-never-platform')
  })
  it('a plan without own keys shows neither keys nor routing', async () => {
    const html = await page(await makePlace('pro'))
    expect(html).not.toContain('AI inference key')
    expect(html).not.toContain('How calls are routed')
  })

  it('but for a platform key that is switched off from before: there it is allowed again', async () => {
    const place = await makePlace('pro')
    await send(place, { intent: 'set-never-platform', to: 'on' })
    expect(await page(place)).toContain('every call is refused now')
    await send(place, { intent: 'set-never-platform', to: 'off' })
    expect(await page(place)).not.toContain('How calls are routed')
    expect(await settingsOf(place)).toMatchObject({ never_platform_key: false })
  })
})
