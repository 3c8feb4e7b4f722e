import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import pg from 'pg'
import type { TestProject } from 'vitest/node'
import { ensureLogin, migrateDatabase } from '#scripts/migrations.ts'
import { makeStateDir, startEmbeddedPostgres } from '#scripts/postgres/embedded.ts'
import { holdProcessLock, isProcessAlive } from '#scripts/process-lock.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Owner connection to the test cluster's own database; each file clones `templateDatabase`. */
    clusterOwnerUrl: string
    templateDatabase: string
  }
}

const folder = path.resolve(import.meta.dirname, '../../.keymargin/test-postgres')
/** One file per run that uses the cluster, named by its process. */
const runsDir = path.join(makeStateDir(folder), 'runs')
const ownRun = path.join(runsDir, String(process.pid))
const holdCluster = () => holdProcessLock(path.join(runsDir, '../cluster.lock'))

const onDatabase = (url: string, database: string) => {
  const other = new URL(url)
  other.pathname = `/${database}`
  return other.href
}

/** Runs of this checkout that use the cluster now, this one apart. Those that were killed are forgotten. */
function otherRuns(): string[] {
  const alive: string[] = []
  for (const pid of readdirSync(runsDir)) {
    if (pid === String(process.pid)) continue
    if (isProcessAlive(Number(pid))) alive.push(pid)
    else rmSync(path.join(runsDir, pid), { force: true })
  }
  return alive
}

/** Databases carry the id of the process that made them: only those of processes that are gone may go. */
async function dropOrphans(owner: pg.Client): Promise<void> {
  const { rows } = await owner.query<{ datname: string }>("SELECT datname FROM pg_database WHERE datname LIKE 'flow_%'")
  for (const { datname } of rows) {
    const maker = Number(/^flow_(?:template_)?(\d+)/.exec(datname)?.[1])
    if (maker !== process.pid && isProcessAlive(maker)) continue
    await owner.query(`DROP DATABASE IF EXISTS ${pg.escapeIdentifier(datname)} WITH (FORCE)`)
  }
}

async function prepareCluster() {
  const cluster = await startEmbeddedPostgres(folder, ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off'])
  const owner = new pg.Client({ connectionString: cluster.url })
  await owner.connect()
  await dropOrphans(owner)
  const template = `flow_template_${process.pid}`
  await owner.query(`CREATE DATABASE ${template}`)
  await owner.end()
  const templateUrl = onDatabase(cluster.url, template)
  await migrateDatabase(templateUrl)
  await ensureLogin(templateUrl, 'keymargin_test', 'test')
  return { cluster, template }
}

/**
 * One throw-away PostgreSQL for all flows (its durability off: nothing in it outlives the run), with a migrated template of
 * this run's own. Runs at the same time share it; the last one that ends stops it.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  mkdirSync(runsDir, { recursive: true })
  const release = holdCluster()
  writeFileSync(ownRun, '')
  const { cluster, template } = await prepareCluster().finally(release)
  project.provide('clusterOwnerUrl', cluster.url)
  project.provide('templateDatabase', template)
  return async () => {
    const releaseAgain = holdCluster()
    try {
      rmSync(ownRun, { force: true })
      if (otherRuns().length === 0) await cluster.stop()
    } finally {
      releaseAgain()
    }
  }
}
