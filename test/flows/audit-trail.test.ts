/** The audit trail as an owner reads it: what was set, what stood there before, and names in the place of ids. */
import { expect, test } from 'vitest'
import { listAuditEvents } from '#app/domain/audit/queries.server.ts'
import { changeBudget, createBudget } from '#app/domain/budgets/set-budget.server.ts'
import { setLowCredits } from '#app/domain/credits/set-low-credits.server.ts'
import type { Ctx } from '#app/domain/permissions/permissions.ts'
import { setProviderKey } from '#app/domain/vault/set-provider-key.server.ts'
import {
  allowFallback,
  forbidFallback,
  setLowBalance,
  setNeverPlatformKey,
} from '#app/domain/workspaces/change-gateway-settings.server.ts'
import { changeMemberRole } from '#app/domain/workspaces/change-member-role.server.ts'
import { toAuditView } from '#app/ui/audit/audit-view.ts'
import { useDatabase } from '#test/database.ts'
import { makeMember, makeWorkspace, saveKeyDirectly } from '#test/factories.ts'

useDatabase()

const key = (end: string) => `sk-or-v1-${end.padStart(64, '0')}`

/** The latest entry, as the page has it. */
async function latest(owner: Ctx) {
  const { lines } = toAuditView('/w/x', await listAuditEvents(owner), true)
  const [line] = lines
  return { what: line?.what, ...Object.fromEntries(line?.facts ?? []) }
}

test('a change says what stood there before', async () => {
  const { id } = await makeWorkspace()
  const owner = await makeMember(id, 'owner')
  const terms = { name: 'Production', limit: '5', hard: false, countsOwnKey: false }
  const budget = await createBudget(owner, { ...terms, scope: 'workspace', scopeId: '', period: 'day' })
  expect(await latest(owner)).toMatchObject({ Limit: '$5.00', For: 'The whole workspace', 'Counted per': 'UTC day' })
  await changeBudget(owner, { ...terms, id: budget, limit: '10', enabled: false })
  expect(await latest(owner)).toMatchObject({ Limit: '$5.00 → $10.00', Switched: 'on → off', Name: 'Production' })

  await setNeverPlatformKey(owner, { on: true })
  expect(await latest(owner)).toMatchObject({ 'Calls on the platform key': 'allowed → refused' })
  await setLowBalance(owner, { usd: '7' })
  expect(await latest(owner)).toMatchObject({ 'Told below': '$5.00 → $7.00' })
  await setLowCredits(owner, { usd: '2' })
  expect(await latest(owner)).toMatchObject({ 'Told below': '$1.00 → $2.00' })

  await allowFallback(owner, { surface: 'agent_run', dailyCapUsd: '5' })
  expect(await latest(owner)).toMatchObject({ Surface: 'Agent runs', 'At most per UTC day': '$5.00' })
  await allowFallback(owner, { surface: 'agent_run', dailyCapUsd: '6' })
  expect(await latest(owner)).toMatchObject({ 'At most per UTC day': '$5.00 → $6.00' })
  await forbidFallback(owner, { surface: 'agent_run' })
  expect(await latest(owner)).toMatchObject({ Surface: 'Agent runs', 'At most per UTC day': '$6.00' })
})

test('a replaced key is named by both hints, and a changed use of it by both uses', async () => {
  const { id } = await makeWorkspace()
  const owner = await makeMember(id, 'owner')
  const keyId = await saveKeyDirectly(owner, key('aaaa'))
  await saveKeyDirectly(owner, key('bbbb'), 'openrouter', keyId)
  expect(await latest(owner)).toMatchObject({ Key: 'sk-or-v1-…aaaa → sk-or-v1-…bbbb', Provider: 'OpenRouter' })
  await setProviderKey(owner, { keyId, name: 'Main', allowedSurfaces: ['agent_run'] })
  expect(await latest(owner)).toMatchObject({ Name: 'none → Main', Surfaces: 'all → Agent runs' })
})

test('people are named, also one whose role was changed', async () => {
  const { id } = await makeWorkspace()
  const [owner, member] = [await makeMember(id, 'owner'), await makeMember(id, 'member')]
  await changeMemberRole(owner, { userId: member.actor.id, role: 'developer' })
  expect(await latest(owner)).toMatchObject({
    Role: 'Member → Developer',
    Person: expect.stringMatching(/^Person \d+$/),
  })
})
