/** `npm run dev`: the local system with hot reload of pages (Vite) and a worker that restarts when its code changes. */
import { openVault } from '#app/domain/vault/open-vault.server.ts'
import { closeDatabase } from '#app/platform/db.server.ts'
import { startChild } from './demo/children.ts'
import { demoEmail, demoPassword, seedDemo } from './demo/seed.ts'
import { localState } from './demo/state.ts'
import { startLocalSystem } from './demo/system.ts'

const state = localState('dev')
const system = await startLocalSystem(state)
const settings = { ...system.settings, NODE_ENV: 'development', LOG_LEVEL: process.env.LOG_LEVEL ?? 'info' }
Object.assign(process.env, settings)
await openVault()
await seedDemo(system, console.log)
await closeDatabase()

const watched = ['--watch-path=app', '--watch-path=workers', '--watch-preserve-output']
const children = [
  await startChild(['server.ts', '--dev'], settings),
  await startChild([...watched, 'workers/index.ts'], settings),
]
console.log(`\n${settings.APP_ORIGIN}  (${demoEmail('acme', 'owner')} / ${demoPassword})`)

let stopping = false
const stop = async () => {
  if (stopping) return
  stopping = true
  await Promise.all(children.map((child) => child.stop()))
  await system.stop()
  process.exit(0)
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void stop())
