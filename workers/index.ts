import { startKeyListener } from '#app/domain/vault/open-provider-key.server.ts'
import { openVault, rewrapDataKeys } from '#app/domain/vault/open-vault.server.ts'
import { closeDatabase } from '#app/platform/db.server.ts'
import { endInOrder } from '#app/platform/end-in-order.server.ts'
import { log } from '#app/platform/log.server.ts'
import { runWorker } from './run-worker.ts'

/** How long the process may take to end after its last job, in ms. */
const restMs = 10_000

async function start(): Promise<void> {
  await openVault()
  const rewrapped = await rewrapDataKeys()
  if (rewrapped) log.info({ rewrapped }, 'data keys re-wrapped under the current phrase')
  const keyListener = await startKeyListener()
  const worker = await runWorker()
  endInOrder(async (signal, within) => {
    log.info({ signal }, 'worker stopping')
    await worker.stop()
    within(restMs)
    await keyListener.stop()
    await closeDatabase()
  })
  log.info({}, 'worker ready')
  process.send?.({ ready: true })
}

start().catch((error: Error) => {
  console.error(error.message)
  process.exit(1)
})
