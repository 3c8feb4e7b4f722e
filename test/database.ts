import { readFileSync } from 'node:fs'
import path from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, inject } from 'vitest'
import { loadCatalogueFile } from '#app/domain/operations/load-catalogue-file.server.ts'
import { openVault } from '#app/domain/vault/open-vault.server.ts'
import { closeDatabase } from '#app/platform/db.server.ts'
import { parseEnv } from '#app/platform/env.server.ts'
import { dropSingleton, singleton } from '#app/platform/singleton.server.ts'

/** What a test may set; the rest has working defaults. Sandbox URLs come from the sandboxes that a test starts. */
export type TestSettings = Record<string, string>

export interface TestDatabase {
  /** Connects as the owner (superuser: sees through row level security). */
  owner: pg.Client
  ownerUrl: string
  /** What the application connects with. */
  appUrl: string
  /** Environment of a child process that works on this database. */
  childEnv(extra?: TestSettings): NodeJS.ProcessEnv
  /** Replaces settings of this process (for example a sandbox's URL that is known only after it started). */
  configure(extra: TestSettings): void
}

export const testPhrase = 'flows-only phrase, long enough to be accepted: 7f3b9d2c'

let counter = 0

function baseSettings(appUrl: string): TestSettings {
  return {
    NODE_ENV: 'test',
    LOG_LEVEL: 'silent',
    PORT: '0',
    DATABASE_URL: appUrl,
    DATABASE_POOL_MAX: '6',
    SECRETS_PHRASE: testPhrase,
    STRIPE_SECRET_KEY: 'sk_test_flows',
    STRIPE_WEBHOOK_SECRET: 'whsec_flows',
    OPENROUTER_PLATFORM_KEY: 'sk-or-v1-platformplatformplatformplatformplatform',
    KEYMARGIN_SANDBOX: '1',
  }
}

/** Clones the migrated template for this file. @returns owner and application URLs */
async function cloneTemplate(): Promise<{ ownerUrl: string; appUrl: string; drop: () => Promise<void> }> {
  const clusterUrl = inject('clusterOwnerUrl')
  const name = `flow_${process.pid}_${counter++}`
  const admin = new pg.Client({ connectionString: clusterUrl })
  await admin.connect()
  await admin.query(`CREATE DATABASE ${name} TEMPLATE ${inject('templateDatabase')}`)
  const owner = new URL(clusterUrl)
  owner.pathname = `/${name}`
  const app = new URL(owner)
  app.username = 'keymargin_test'
  app.password = 'test'
  const drop = async () => {
    await admin.query(`DROP DATABASE ${name} WITH (FORCE)`)
    await admin.end()
  }
  return { ownerUrl: owner.href, appUrl: app.href, drop }
}

async function leakedConnections(owner: pg.Client): Promise<string[]> {
  for (let round = 0; ; round++) {
    const { rows } = await owner.query<{ application_name: string }>(
      // The server's own workers are nobody's connection: autovacuum comes to a table that has just been filled.
      `SELECT application_name FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`,
    )
    if (!rows.length || round > 1_500) return rows.map((row) => row.application_name)
    await owner.query('SELECT pg_sleep(0.02)') // a closed socket's backend needs a moment to leave the view
  }
}

const readPreset = (name: string) =>
  JSON.parse(readFileSync(path.resolve(import.meta.dirname, '../prisma/seed', `${name}.json`), 'utf8'))

/**
 * A database of this file's own, with the catalogue loaded and the vault open; dropped afterwards, and the file fails where
 * it leaves a connection open.
 */
export function useDatabase(settings: TestSettings = {}): TestDatabase {
  const db = {} as TestDatabase
  let drop: () => Promise<void>
  beforeAll(async () => {
    const clone = await cloneTemplate()
    drop = clone.drop
    let current = { ...baseSettings(clone.appUrl), ...settings }
    Object.assign(db, {
      ownerUrl: clone.ownerUrl,
      appUrl: clone.appUrl,
      owner: new pg.Client({ connectionString: clone.ownerUrl }),
    })
    db.childEnv = (extra = {}) =>
      ({ PATH: process.env.PATH, HOME: process.env.HOME, ...current, ...extra }) as unknown as NodeJS.ProcessEnv
    db.configure = (extra) => {
      const next = { ...current, ...extra }
      const parsed = parseEnv(next)
      current = next
      dropSingleton('env')
      singleton('env', () => parsed)
    }
    db.configure({})
    await db.owner.connect()
    for (const preset of ['tier-margin', 'pass-through', 'harness-fee', 'credits', 'markup'])
      await loadCatalogueFile(readPreset(preset), new Date())
    await openVault()
  })
  afterAll(async () => {
    await closeDatabase()
    for (const name of ['env', 'keks', 'catalogue', 'process-secrets']) dropSingleton(name)
    const leaked = await leakedConnections(db.owner)
    await db.owner.end()
    await drop()
    if (leaked.length) throw new Error(`connections left open: ${leaked.join(', ')}`)
  })
  return db
}
