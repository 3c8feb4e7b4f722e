/** Operators see every workspace's credits and what was granted by whom; workspaces without credits are not shown the page. */
import { expect, test } from 'vitest'
import { grantMonthlyCredits } from '#app/domain/credits/grant-monthly-credits.server.ts'
import { grantPromotionalCredits } from '#app/domain/credits/grant-promotional-credits.server.ts'
import { listCreditsOverview } from '#app/domain/credits/operator-queries.server.ts'
import { hasCredits } from '#app/domain/credits/queries.server.ts'
import { abilityFor, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { toOperatorCreditsView } from '#app/ui/operator/credits-view.ts'
import { workspaceShell } from '#app/ui/shell/shell-view.ts'
import { openWith } from '#test/credit-ground.ts'
import { useDatabase } from '#test/database.ts'
import { makeMember, makeWorkspace } from '#test/factories.ts'

const db = useDatabase()
const operator = (id: string): OperatorCtx => ({
  actor: { kind: 'operator', id },
  ability: abilityFor({ role: null, workspaceId: null, isOperator: true }),
  now: () => new Date(),
  requestId: 'flow',
})
const formId = 'form-0123456789'
const given = { usd: '5', days: '30', note: 'after the outage', formId }

test('balances, and grants with who, when, why, until when and what is left', async () => {
  const rich = await makeWorkspace({ planId: 'credits', name: 'Rich' })
  await makeWorkspace({ planId: 'credits', name: 'Poor' })
  const former = await makeWorkspace({ planId: 'enterprise', name: 'Former' })
  await makeWorkspace({ planId: 'enterprise', name: 'Never' })
  const staff = await makeMember(former.id, 'owner')
  await db.owner.query(`UPDATE users SET name = 'Olive Operator' WHERE id = $1`, [staff.actor.id])
  const ctx = operator(staff.actor.id)
  await grantPromotionalCredits(ctx, { ...given, workspace: rich.slug })
  await grantPromotionalCredits(ctx, { ...given, workspace: former.slug, usd: '1', days: '', note: 'goodwill' })
  expect(await openWith({ workspaceId: rich.id, mostChargePico: 2_000_000_000_000n })).toBe('opened')

  const { workspaces, grants } = await listCreditsOverview(ctx, '')
  expect(workspaces.map(({ name, inUse, availablePico, heldPico }) => [name, inUse, availablePico, heldPico])).toEqual([
    ['Poor', true, '0', '0'],
    ['Rich', true, '3000000000000', '2000000000000'],
    ['Former', false, '1000000000000', '0'],
  ])
  expect(grants).toMatchObject([
    {
      workspace: 'Former',
      grantedBy: 'Olive Operator',
      note: 'goodwill',
      expiresAt: null,
      availablePico: '1000000000000',
    },
    {
      workspace: 'Rich',
      grantedBy: 'Olive Operator',
      note: 'after the outage',
      amountPico: '5000000000000',
      expired: false,
    },
  ])
  expect(grants[1]?.expiresAt).not.toBeNull()
  const found = await listCreditsOverview(ctx, 'rIc')
  expect([found.workspaces.map(({ name }) => name), found.grants.map(({ workspace }) => workspace)]).toEqual([
    ['Rich'],
    ['Rich'],
  ])
  expect((await listCreditsOverview(ctx, '%')).workspaces).toEqual([])
  const view = toOperatorCreditsView(found, { formId, find: 'rIc', workspace: '' })
  expect(view.grants).toMatchObject([{ by: 'Olive Operator', amount: '$5.00', left: '$3.00' }])

  await db.owner.query(`UPDATE plans SET monthly_credits_usd = 7 WHERE id = 'credits'`)
  await grantMonthlyCredits(null, new Date())
  const monthly = (await listCreditsOverview(ctx, 'Poor')).grants
  expect(
    toOperatorCreditsView(
      { workspaces: [], grants: monthly, moreWorkspaces: false, moreGrants: false },
      { formId, find: '', workspace: '' },
    ).grants,
  ).toMatchObject([{ by: 'Keymargin', amount: '$7.00' }])
  await expect(
    listCreditsOverview(
      { ...ctx, ability: abilityFor({ role: 'owner', workspaceId: rich.id, isOperator: false }) },
      '',
    ),
  ).rejects.toMatchObject({ kind: 'forbidden' })
  await db.owner.query('DELETE FROM metering.credit_holds')
  await db.owner.query('DELETE FROM metering.attempts')
})

test('the page stands in the navigation where there are credits, now or from earlier', async () => {
  const labels = async (planId: string, before: (id: string, slug: string) => Promise<unknown> = async () => null) => {
    const workspace = await makeWorkspace({ planId })
    await before(workspace.id, workspace.slug)
    const owner = await makeMember(workspace.id, 'owner')
    const { nav } = workspaceShell({
      ...{
        person: { name: 'P', isOperator: false },
        role: owner.role,
        ability: owner.ability,
        choices: [],
        openNotices: 0,
      },
      workspace: { ...workspace, planName: 'Plan', name: 'W' },
      hasCredits: await hasCredits(owner),
    })
    return nav.flatMap(({ links }) => links.map(({ label }) => label))
  }
  expect(await labels('credits')).toContain('Credits')
  expect(await labels('enterprise')).not.toContain('Credits')
  expect(await labels('enterprise')).toContain('Budgets')
  const granted = (_: string, slug: string) =>
    grantPromotionalCredits(operator('operator-1'), { ...given, workspace: slug })
  expect(await labels('enterprise', granted)).toContain('Credits')
})
