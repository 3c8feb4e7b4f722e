import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { migrateDatabase } from '#scripts/migrations.ts'
import { useDatabase } from '#test/database.ts'

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
})
