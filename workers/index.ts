import { startKeyListener } from '#app/domain/vault/open-provider-key.server.ts'
import { openVault, rewrapDataKeys } from '#app/domain/vault/open-vault.server.ts'
import { closeDatabase } from '#app/platform/db.server.ts'
import { log } from '#app/platform/log.server.ts'
import { runWorker } from './run-worker.ts'

async function start(): Promise<void> {
  await openVault()
  const rewrapped = await rewrapDataKeys()
  if (rewrapped) log.info({ rewrapped }, 'data keys re-wrapped under the current phrase')
  const keyListener = await startKeyListener()
  const worker = await runWorker()
  const stop = async (signal: string) => {
    log.info({ signal }, 'worker stopping')
    await worker.stop()
    await keyListener.stop()
    await closeDatabase()
    process.exit(0)
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop(signal))
  process.once('disconnect', () => void stop('parent gone'))
  log.info({}, 'worker ready')
  process.send?.({ ready: true })
}

start().catch((error: Error) => {
  console.error(error.message)
  process.exit(1)
})
