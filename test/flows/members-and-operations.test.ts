import { beforeAll, describe, expect, it } from 'vitest'
import { verifyAuditChain } from '#app/domain/audit/record-audit.server.ts'
import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { raiseAlert } from '#app/domain/notifications/alerts.server.ts'
import { dismissAlert } from '#app/domain/operations/dismiss-alert.server.ts'
import { readHealth, readOperatorCatalogue } from '#app/domain/operations/queries.server.ts'
import { retryJob } from '#app/domain/operations/retry-job.server.ts'
import { abilityFor, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { changeMemberRole } from '#app/domain/workspaces/change-member-role.server.ts'
import { listMembers } from '#app/domain/workspaces/queries.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'
import { useDatabase } from '#test/database.ts'
import { makeMember, makeWorkspace } from '#test/factories.ts'

const operator = (isOperator = true): OperatorCtx => ({
  actor: { kind: 'operator', id: 'operator-1' },
  ability: abilityFor({ role: null, workspaceId: null, isOperator }),
  now: () => new Date(),
  requestId: newId(),
})

describe('members', () => {
  useDatabase()

  it('lets an owner give and take roles, audited, and nobody else', async () => {
    const { id } = await makeWorkspace()
    const [owner, member] = [await makeMember(id, 'owner'), await makeMember(id, 'member')]
    for (const role of ['billing_admin', 'developer', 'member'] as const) {
      const ctx = await makeMember(id, role)
      const attempt = changeMemberRole(ctx, { userId: ctx.actor.id, role: 'owner' })
      await expect(attempt).rejects.toMatchObject({ code: 'forbidden' })
    }
    await changeMemberRole(owner, { userId: member.actor.id, role: 'billing_admin' })
    const rows = await listMembers(member)
    expect(rows.find((row) => row.userId === member.actor.id)?.role).toBe('billing_admin')
    expect(await inSystem((tx) => verifyAuditChain(tx, id))).toEqual({ entries: 1, brokenAt: null })
  })

  it('keeps the last owner, also where two step down at once', async () => {
    const { id } = await makeWorkspace()
    const owners = [await makeMember(id, 'owner'), await makeMember(id, 'owner')]
    const results = await Promise.allSettled(
      owners.map((owner) => changeMemberRole(owner, { userId: owner.actor.id, role: 'member' })),
    )
    expect(results.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected'])
    const refused = results.find((result) => result.status === 'rejected')
    expect(refused?.reason).toMatchObject({ kind: 'conflict', code: 'last_owner' })
  })

  it('does not know members of other workspaces', async () => {
    const owner = await makeMember((await makeWorkspace()).id, 'owner')
    const foreign = await makeMember((await makeWorkspace()).id, 'member')
    const attempt = changeMemberRole(owner, { userId: foreign.actor.id, role: 'owner' })
    await expect(attempt).rejects.toMatchObject({ kind: 'not_found' })
  })
})

describe('operations', () => {
  const db = useDatabase()
  let jobId: string

  beforeAll(async () => {
    await inSystem((tx) => enqueueJob(tx, 'ensure-partitions', {}, { maxAttempts: 3 }))
    const { rows } = await db.owner.query(
      `UPDATE graphile_worker._private_jobs SET attempts = 3, last_error = E'refused with sk-or-v1-abcdefabcdef\\nat line 1' RETURNING id::text`,
    )
    jobId = rows[0].id
  })

  it('shows a job that used up its tries, without secrets, and lets it run again, audited', async () => {
    const before = await readHealth(operator())
    expect(before.jobs).toMatchObject([{ id: jobId, name: 'ensure-partitions', state: 'failed' }])
    expect(before.jobs[0]?.lastError).toBe('refused with [secret]')
    expect(await retryJob(operator(), { id: BigInt(jobId) })).toEqual({ name: 'ensure-partitions' })
    expect((await readHealth(operator())).jobs).toMatchObject([{ state: 'waiting', attempts: 0 }])
    expect((await inSystem((tx) => verifyAuditChain(tx, null))).entries).toBeGreaterThan(0)
    await expect(retryJob(operator(), { id: 987_654n })).rejects.toMatchObject({ code: 'job_not_waiting' })
  })

  it('resolves an alert; its cause raises it again', async () => {
    const alert = { kind: 'invoice_run_held', reference: 'run-1', message: 'A run is held.', at: new Date() }
    await inSystem((tx) => raiseAlert(tx, alert))
    const [open] = (await readHealth(operator())).alerts
    await dismissAlert(operator(), { id: open?.id ?? '' })
    expect((await readHealth(operator())).alerts).toEqual([])
    await inSystem((tx) => raiseAlert(tx, alert))
    expect((await readHealth(operator())).alerts).toMatchObject([{ occurrences: 1 }])
  })

  it('shows the catalogue', async () => {
    const catalogue = await readOperatorCatalogue(operator())
    // The presets' books stand beside each other: tiers, and two sets of meters.
    const standing = catalogue.books.map((book) => [book.version, new Set(book.standing.map(({ version }) => version))])
    expect(standing).toEqual([3, 2, 1].map((version) => [version, new Set([version])]))
    expect(catalogue.plans.map((plan) => plan.id).toSorted()).toEqual([
      'credits',
      'enterprise',
      'every-provider',
      'harness-pro',
      'harness-solo',
      'harness-team',
      'markup',
      'pass-through',
      'plus',
      'pro',
    ])
  })

  it('is closed to everybody else', async () => {
    for (const attempt of [
      readHealth(operator(false)),
      readOperatorCatalogue(operator(false)),
      retryJob(operator(false), { id: BigInt(jobId) }),
      dismissAlert(operator(false), { id: newId() }),
    ])
      await expect(attempt).rejects.toMatchObject({ kind: 'forbidden' })
  })
})
