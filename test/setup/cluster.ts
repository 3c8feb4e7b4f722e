import path from 'node:path'
import pg from 'pg'
import type { TestProject } from 'vitest/node'
import { ensureLogin, migrateDatabase } from '#scripts/migrations.ts'
import { startEmbeddedPostgres } from '#scripts/postgres/embedded.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Owner connection to the test cluster's own database; each file clones `templateDatabase`. */
    clusterOwnerUrl: string
    templateDatabase: string
  }
}

const onDatabase = (url: string, database: string) => {
  const other = new URL(url)
  other.pathname = `/${database}`
  return other.href
}

/**
 * One throw-away PostgreSQL for all flows (its durability off: nothing in it outlives the run), with one migrated template.
 * Databases left by a killed run are dropped first.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = path.resolve(import.meta.dirname, '../../.keymargin/test-postgres')
  const cluster = await startEmbeddedPostgres(folder, ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off'])
  const owner = new pg.Client({ connectionString: cluster.url })
  await owner.connect()
  const { rows } = await owner.query<{ datname: string }>("SELECT datname FROM pg_database WHERE datname LIKE 'flow_%'")
  for (const { datname } of rows) await owner.query(`DROP DATABASE ${pg.escapeIdentifier(datname)} WITH (FORCE)`)
  const template = `flow_template_${process.pid}`
  await owner.query(`CREATE DATABASE ${template}`)
  const templateUrl = onDatabase(cluster.url, template)
  await migrateDatabase(templateUrl)
  await ensureLogin(templateUrl, 'keymargin_test', 'test')
  await owner.end()
  project.provide('clusterOwnerUrl', cluster.url)
  project.provide('templateDatabase', template)
  return () => cluster.stop()
}
