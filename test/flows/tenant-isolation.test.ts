import { describe, expect, it } from 'vitest'
import { appPool, inSystem, inTenant } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'
import { useDatabase } from '#test/database.ts'
import { makeGatewayToken, makeMember, makeWorkspace, saveKeyDirectly } from '#test/factories.ts'

/**
 * These go past every use case and every CASL check, straight to the tables, as the console's role: what PostgreSQL itself
 * refuses when all of our own checks allow everything.
 */
describe('row level security, with authorisation out of the way', () => {
  const db = useDatabase()

  async function twoTenants() {
    const [home, other] = [await makeWorkspace(), await makeWorkspace()]
    const [owner, stranger] = [await makeMember(home.id, 'owner'), await makeMember(other.id, 'owner')]
    for (const ctx of [owner, stranger]) {
      await saveKeyDirectly(ctx, `sk-or-v1-${ctx.workspaceId.replaceAll('-', '')}`)
      await makeGatewayToken(ctx)
    }
    return { home, other, owner, stranger }
  }

  it('shows one workspace only, on every tenant table', async () => {
    const { home } = await twoTenants()
    const seen = await inTenant({ workspaceId: home.id }, async (tx) => ({
      workspaces: (await tx.workspace.findMany()).map((row) => row.id),
      members: (await tx.member.findMany()).map((row) => row.workspaceId),
      keys: (await tx.providerKey.findMany()).map((row) => row.workspaceId),
      dataKeys: (await tx.workspaceDataKey.findMany()).map((row) => row.workspaceId),
      tokens: (await tx.gatewayToken.findMany()).map((row) => row.workspaceId),
      audit: (await tx.auditEvent.findMany()).map((row) => row.workspaceId),
    }))
    for (const ids of Object.values(seen)) expect(new Set(ids)).toEqual(new Set([home.id]))
  })

  it('shows nothing where no workspace is named, and the setting does not outlive its transaction', async () => {
    await twoTenants()
    const client = await appPool().connect()
    try {
      const { rows } = await client.query<{ name: string }>(
        `SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE c.relrowsecurity AND n.nspname IN ('public', 'metering') AND c.relkind IN ('r', 'p') AND has_table_privilege(c.oid, 'SELECT')`,
      )
      expect(rows.length).toBeGreaterThanOrEqual(15)
      for (const { name } of rows) {
        // General prices are everybody's; those of one workspace are its own.
        const own = name === 'public.price_books' ? ' WHERE workspace_id IS NOT NULL' : ''
        expect({ name, ...(await client.query(`SELECT count(*)::int AS n FROM ${name}${own}`)).rows[0] }).toEqual({
          name,
          n: 0,
        })
      }
    } finally {
      client.release()
    }
  })

  it('refuses to write, change or move rows into another workspace', async () => {
    const { home, other, owner } = await twoTenants()
    const scope = { workspaceId: home.id }
    const foreign = { workspaceId: other.id, userId: owner.actor.id, role: 'owner' }
    await expect(inTenant(scope, (tx) => tx.member.create({ data: foreign }))).rejects.toThrow(/row-level security/)
    await expect(
      inTenant(scope, (tx) =>
        tx.member.updateMany({ where: { userId: owner.actor.id }, data: { workspaceId: other.id } }),
      ),
    ).rejects.toThrow(/row-level security/)
    expect(await inTenant(scope, (tx) => tx.providerKey.deleteMany({ where: { workspaceId: other.id } }))).toEqual({
      count: 0,
    })
    expect(
      await inTenant(scope, (tx) => tx.workspace.updateMany({ where: { id: other.id }, data: { planId: 'plus' } })),
    ).toEqual({ count: 0 })
  })

  it('forces row security on every table that has a workspace_id, for owners too', async () => {
    const { rows } = await db.owner.query(
      `SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE a.attname = 'workspace_id' AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname IN ('public', 'metering')
          AND NOT (c.relrowsecurity AND c.relforcerowsecurity)`,
    )
    expect(rows).toEqual([])
  })

  it('connects as roles that own no tenant table and cannot bypass row security', async () => {
    const { rows } = await appPool().query(
      'SELECT current_user AS role, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user',
    )
    expect(rows).toEqual([{ role: 'keymargin_app', rolsuper: false, rolbypassrls: false }])
    const owned = await db.owner.query(
      `SELECT count(*)::int AS n FROM pg_tables WHERE schemaname IN ('public', 'metering') AND tableowner LIKE 'keymargin_app%'`,
    )
    expect(owned.rows).toEqual([{ n: 0 }])
  })

  it('keeps audit entries, purges and calls append-only, even for the owner', async () => {
    const { home } = await twoTenants()
    await expect(db.owner.query('UPDATE audit_events SET action = $1', ['x'])).rejects.toThrow(/append-only/)
    await expect(db.owner.query('DELETE FROM audit_events WHERE workspace_id = $1', [home.id])).rejects.toThrow(
      /append-only/,
    )
    await expect(db.owner.query('TRUNCATE metering.inference_calls')).rejects.toThrow(/append-only/)
  })

  it('never shows alerts to the console role', async () => {
    await inSystem((tx) =>
      tx.alert.create({
        data: { id: newId(), kind: 'k', reference: 'r', message: 'm', raisedAt: new Date(), lastSeenAt: new Date() },
      }),
    )
    await expect(appPool().query('SELECT * FROM alerts')).rejects.toThrow(/permission denied/)
  })
})
