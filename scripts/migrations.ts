import { createHash, randomUUID } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { runMigrations } from 'graphile-worker'
import pg from 'pg'

const folder = path.resolve(import.meta.dirname, '../prisma/migrations')
/** The advisory lock that Prisma's own engine takes, so that the two never migrate at once. */
const PRISMA_LOCK = 72707369
/** Prisma's own bookkeeping table, so that `prisma migrate` agrees with what was applied here. */
const BOOKKEEPING = `CREATE TABLE IF NOT EXISTS _prisma_migrations (
  id VARCHAR(36) PRIMARY KEY NOT NULL, checksum VARCHAR(64) NOT NULL, finished_at TIMESTAMPTZ,
  migration_name VARCHAR(255) NOT NULL, logs TEXT, rolled_back_at TIMESTAMPTZ,
  started_at TIMESTAMPTZ NOT NULL DEFAULT now(), applied_steps_count INTEGER NOT NULL DEFAULT 0)`
/** What PostgreSQL says to the one of two transactions that it ended, since each waited for the other. */
const DEADLOCK = '40P01'
const MOST_TRIES = 20

interface Applied {
  migration_name: string
  checksum: string
  finished_at: Date | null
  logs: string | null
}

/** One transaction, begun again where it stood in a circle with one that reads: nothing is left of a try that was cut off. */
async function runWhole(client: pg.Client, sql: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await client.query(sql)
      return
    } catch (error) {
      await client.query('ROLLBACK')
      if ((error as pg.DatabaseError).code !== DEADLOCK || tries === MOST_TRIES) throw error
    }
  }
}

async function applyOne(client: pg.Client, name: string, sql: string, checksum: string): Promise<void> {
  const id = randomUUID()
  await client.query('INSERT INTO _prisma_migrations (id, checksum, migration_name) VALUES ($1, $2, $3)', [
    id,
    checksum,
    name,
  ])
  try {
    await runWhole(client, sql)
  } catch (error) {
    await client.query('UPDATE _prisma_migrations SET logs = $2 WHERE id = $1', [id, String(error)])
    throw new Error(`Migration ${name} failed: ${(error as Error).message}`, { cause: error })
  }
  await client.query('UPDATE _prisma_migrations SET finished_at = now(), applied_steps_count = 1 WHERE id = $1', [id])
}

/**
 * Applies what is new under prisma/migrations, in order, as the database's owner.
 * @param begins is told each name before it is applied: one that reads a whole ledger takes its time
 * @returns the names applied now
 * @throws where an earlier migration failed, or where an applied one was edited since
 */
async function applyPrismaMigrations(ownerUrl: string, begins: (name: string) => void): Promise<string[]> {
  const client = new pg.Client({ connectionString: ownerUrl, application_name: 'keymargin-migrate' })
  await client.connect()
  try {
    await client.query('SELECT pg_advisory_lock($1)', [PRISMA_LOCK])
    await client.query(BOOKKEEPING)
    const { rows } = await client.query<Applied>('SELECT * FROM _prisma_migrations WHERE rolled_back_at IS NULL')
    const failed = rows.find((row) => row.finished_at === null)
    if (failed) throw new Error(`Migration ${failed.migration_name} failed earlier: ${failed.logs}`)
    const done = new Map(rows.map((row) => [row.migration_name, row.checksum]))
    const names = readdirSync(folder).filter((name) => existsSync(path.join(folder, name, 'migration.sql')))
    const applied: string[] = []
    for (const name of names.sort()) {
      const bytes = readFileSync(path.join(folder, name, 'migration.sql'))
      const checksum = createHash('sha256').update(bytes).digest('hex')
      if (done.has(name) && done.get(name) !== checksum)
        throw new Error(`Migration ${name} was edited after it was applied.`)
      if (done.has(name)) continue
      begins(name)
      await applyOne(client, name, bytes.toString('utf8'), checksum)
      applied.push(name)
    }
    return applied
  } finally {
    await client.end()
  }
}

/**
 * The queue's own migrations run as the application's role, which then owns the queue and may enqueue and work on it.
 * They begin with `create schema if not exists`, which wants a right on the whole database: lent for their duration only.
 */
async function applyQueueMigrations(ownerUrl: string): Promise<void> {
  const owner = new pg.Client({ connectionString: ownerUrl })
  await owner.connect()
  const database = pg.escapeIdentifier(new URL(ownerUrl).pathname.slice(1))
  const pool = new pg.Pool({ connectionString: ownerUrl, max: 2, options: '-c role=keymargin_app' })
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  try {
    await owner.query('SELECT pg_advisory_lock($1)', [PRISMA_LOCK])
    await owner.query(`GRANT CREATE ON DATABASE ${database} TO keymargin_app`)
    await runMigrations({ pgPool: pool })
  } finally {
    await owner.query(`REVOKE CREATE ON DATABASE ${database} FROM keymargin_app`)
    await pool.end()
    await owner.end()
  }
}

/** Brings a database up to date: tables, roles, policies, the queue, and the partitions of this and the next months. */
export async function migrateDatabase(ownerUrl: string, begins: (name: string) => void = () => {}): Promise<string[]> {
  const applied = await applyPrismaMigrations(ownerUrl, begins)
  await applyQueueMigrations(ownerUrl)
  const client = new pg.Client({ connectionString: ownerUrl })
  await client.connect()
  await client.query(
    'SELECT metering.ensure_month_partition((now() + make_interval(months => m))::date) FROM generate_series(-1, 3) m',
  )
  await client.end()
  return applied
}

/**
 * Makes a login that may assume the application's roles and nothing else.
 * @returns the URL the application uses
 */
export async function ensureLogin(ownerUrl: string, name: string, password: string): Promise<string> {
  const client = new pg.Client({ connectionString: ownerUrl })
  await client.connect()
  try {
    const found = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [name])
    const verb = found.rowCount ? 'ALTER' : 'CREATE'
    const [role, secret] = [pg.escapeIdentifier(name), pg.escapeLiteral(password)]
    await client.query(`${verb} ROLE ${role} LOGIN NOINHERIT NOSUPERUSER NOBYPASSRLS PASSWORD ${secret}`)
    await client.query(`GRANT keymargin_app, keymargin_system TO ${role}`)
  } finally {
    await client.end()
  }
  const url = new URL(ownerUrl)
  url.username = name
  url.password = password
  return url.href
}
