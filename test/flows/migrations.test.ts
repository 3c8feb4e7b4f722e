import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'
import { migrateDatabase } from '#scripts/migrations.ts'
import { useDatabase } from '#test/database.ts'
import { makeWorkspace } from '#test/factories.ts'

describe('migrations', () => {
  const db = useDatabase()
  /** In a process of its own: the engine keeps its connections until the process ends. */
  const engine = async (command: string) => {
    const script = path.resolve(import.meta.dirname, '../../scripts/prisma-engine.ts')
    const env = { ...process.env, DATABASE_OWNER_URL: db.ownerUrl }
    return (await promisify(execFile)(process.execPath, [script, command], { env })).stdout
  }

  it('make exactly schema.prisma, by Prisma’s own engine', async () => {
    expect((await engine('diff')).trim()).toBe('-- This is an empty migration.')
  })
  it('are recorded as Prisma records them: nothing edited, failed or missing', async () => {
    expect(JSON.parse(await engine('diagnose'))).toMatchObject({
      editedMigrationNames: [],
      failedMigrationNames: [],
      hasMigrationsTable: true,
      history: null,
    })
  })
  // A rule can be laid down without the calls of before being read; then a later migration must read them.
  it('leave no rule of the ledger unchecked, but for attempts that stood open', async () => {
    const { rows } = await db.owner.query(
      `SELECT conname FROM pg_constraint WHERE NOT convalidated AND connamespace IN ('metering'::regnamespace, 'public'::regnamespace)`,
    )
    expect(rows.map((row) => row.conname)).toEqual(['attempt_can_be_charged'])
  })
  it('change nothing the second time', async () => {
    expect(await migrateDatabase(db.ownerUrl)).toEqual([])
  })
  // It was noted as failed, and no later run went past it.
  it('are begun again where one stood in a circle with a transaction that reads', async () => {
    const name = '20261121001710_customer_of_a_run'
    await db.owner.query(`ALTER TABLE invoice_runs DROP COLUMN stripe_customer_id`)
    await db.owner.query('DELETE FROM _prisma_migrations WHERE migration_name = $1', [name])
    const reader = new pg.Client({ connectionString: db.ownerUrl })
    await reader.connect()
    await reader.query(`BEGIN; SET LOCAL lock_timeout = '1500ms'; SELECT FROM invoice_runs`)
    const migrated = migrateDatabase(db.ownerUrl)
    const waits = async () =>
      (await db.owner.query(`SELECT FROM pg_locks WHERE relation = 'invoice_runs'::regclass AND NOT granted`)).rowCount
    await expect.poll(waits).toBe(1)
    const lockOfMigrations = 72707369
    await expect(reader.query('SELECT pg_advisory_xact_lock($1)', [lockOfMigrations])).rejects.toThrow()
    await reader.end()
    expect(await migrated).toEqual([name])
    const { rows } = await db.owner.query(
      `SELECT count(*)::int AS failed FROM _prisma_migrations WHERE finished_at IS NULL`,
    )
    expect(rows).toEqual([{ failed: 0 }])
  })
  // Of one that was linked away before anything was billed to it only the audit trail knew.
  it('find every customer that a workspace had, and leave one that another took since to that one', async () => {
    const name = '20261121001720_former_customers'
    const [first, second] = [await makeWorkspace({ stripeCustomerId: 'cus_now' }), await makeWorkspace({})]
    await inSystem(async (tx) => {
      const row = { month: '2026-10', kind: 'ai_usage', currency: 'usd', state: 'done', linesHash: 'x', calls: 0n }
      const sums = { openingResiduePico: 0, exactPico: 0, totalCents: 0n, closingResiduePico: 0 }
      const run = { workspaceId: first.id, id: newId(), stripeCustomerId: 'cus_billed', ...row, ...sums }
      await tx.invoiceRun.create({ data: { ...run, frozenAt: new Date(), updatedAt: new Date() } })
      await tx.workspace.update({ where: { id: second.id }, data: { stripeCustomerId: 'cus_taken' } })
      for (const [before, customer] of [
        ['', 'cus_taken'],
        ['cus_taken', 'cus_never_billed'],
        ['cus_never_billed', 'cus_now'],
      ] as const)
        await recordAudit(tx, {
          ...{ workspaceId: first.id, actor: { kind: 'system' }, action: 'workspace.customer_linked' },
          ...{ subjectType: 'workspace', subjectId: first.id, detail: { customer, before }, at: new Date() },
        })
    })
    await db.owner.query(`DROP TABLE stripe_customers; DROP FUNCTION note_stripe_customer CASCADE;
      CREATE INDEX IF NOT EXISTS "invoice_runs_stripe_customer_id_idx" ON "invoice_runs"("stripe_customer_id")`)
    await db.owner.query('DELETE FROM _prisma_migrations WHERE migration_name = $1', [name])
    expect(await migrateDatabase(db.ownerUrl)).toEqual([name])
    const { rows } = await db.owner.query('SELECT workspace_id, id FROM stripe_customers ORDER BY id')
    expect(rows).toEqual([
      { workspace_id: first.id, id: 'cus_billed' },
      { workspace_id: first.id, id: 'cus_never_billed' },
      { workspace_id: first.id, id: 'cus_now' },
      { workspace_id: second.id, id: 'cus_taken' },
    ])
  })
})
