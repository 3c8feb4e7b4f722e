import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { openVault } from '#app/domain/vault/open-vault.server.ts'
import { closeDatabase } from '#app/platform/db.server.ts'
import { ensureBuilt } from '../../scripts/build.ts'
import { startChild } from '../../scripts/demo/children.ts'
import { seedDemo } from '../../scripts/demo/seed.ts'
import { forgetLocalState, localState } from '../../scripts/demo/state.ts'
import { startLocalSystem } from '../../scripts/demo/system.ts'
import { startEmbeddedPostgres } from '../../scripts/postgres/embedded.ts'

/** Where the tests read how to reach the system. */
export const systemFile = path.resolve(import.meta.dirname, '../../artifacts/e2e-system.json')

export interface SystemUnderTest {
  origin: string
  token: string
  /** Page of the mails that were sent. */
  inbox: string
  settings: Record<string, string>
}

/** The whole product, fresh, as the demo starts it: real web and worker processes, real PostgreSQL, sandboxes over HTTP. */
export default async function setup(): Promise<() => Promise<void>> {
  ensureBuilt()
  const state = localState('e2e')
  if (state.has('postgres')) await (await startEmbeddedPostgres(state.postgresDir)).stop()
  forgetLocalState(state)
  const undos: (() => Promise<void>)[] = []
  const system = await startLocalSystem(
    state,
    { onStop: (undo) => void undos.push(undo) },
    { web: 0, stripe: 0, openrouter: 0, providers: 0, smtp: 0, inbox: 0 },
  )
  Object.assign(process.env, system.settings)
  await openVault()
  const seeded = await seedDemo(system, () => {})
  await closeDatabase()
  for (const program of ['server.ts', 'workers/index.ts']) {
    const child = await startChild([program], system.settings)
    undos.push(child.stop)
  }
  const under: SystemUnderTest = {
    origin: system.settings.APP_ORIGIN as string,
    token: seeded?.acme ?? '',
    inbox: system.mail.url,
    settings: system.settings,
  }
  mkdirSync(path.dirname(systemFile), { recursive: true })
  writeFileSync(systemFile, JSON.stringify(under), { mode: 0o600 })
  return async () => {
    while (undos.length) await undos.pop()?.()
  }
}
