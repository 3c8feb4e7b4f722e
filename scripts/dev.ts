/** `npm run dev`: the local system with hot reload of pages (Vite) and a worker that restarts when its code changes. */
import { watch } from 'node:fs'
import path from 'node:path'
import { openVault } from '#app/domain/vault/open-vault.server.ts'
import { closeDatabase } from '#app/platform/db.server.ts'
import { type RunningChild, startChild } from './demo/children.ts'
import { lifecycle } from './demo/lifecycle.ts'
import { demoEmail, demoPassword, seedDemo } from './demo/seed.ts'
import { localState } from './demo/state.ts'
import { startLocalSystem } from './demo/system.ts'

const root = path.resolve(import.meta.dirname, '..')
/** Editors write a file in several steps: one restart for all of them. */
const SETTLE_MS = 300

const life = lifecycle(console.log)
const state = localState('dev')
const system = await startLocalSystem(state, life)
const settings: Record<string, string> = {
  ...system.settings,
  NODE_ENV: 'development',
  LOG_LEVEL: process.env.LOG_LEVEL ?? 'info',
}
Object.assign(process.env, settings)
await openVault()
await seedDemo(system, console.log)
await closeDatabase()

const web = await startChild(['server.ts', '--dev'], settings)
life.onStop(web.stop)
let worker: RunningChild = await startChild(['workers/index.ts'], settings)
life.onStop(() => worker.stop())

let pending: NodeJS.Timeout | undefined
const restartWorker = async () => {
  if (life.stopping()) return
  await worker.stop()
  worker = await startChild(['workers/index.ts'], settings)
  console.log('worker restarted')
}
for (const folder of ['app/domain', 'app/platform', 'workers']) {
  const watcher = watch(path.join(root, folder), { recursive: true }, () => {
    clearTimeout(pending)
    pending = setTimeout(() => void restartWorker().catch((error: Error) => console.error(error.message)), SETTLE_MS)
  })
  life.onStop(async () => watcher.close())
}
console.log(`\n${settings.APP_ORIGIN}  (${demoEmail('acme', 'owner')} / ${demoPassword})`)
