import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { startHeartbeat } from '#app/domain/jobs/heartbeat.server.ts'
import { startKeyListener } from '#app/domain/vault/open-provider-key.server.ts'
import { openVault } from '#app/domain/vault/open-vault.server.ts'
import { createGatewayHandler, drainGateway } from '#app/gateway/gateway.server.ts'
import { closeDatabase } from '#app/platform/db.server.ts'

/** The gateway alone in a process of its own, for tests that kill it and benchmarks that pin it. Prints its origin as JSON. */
await openVault()
const heartbeat = await startHeartbeat('web')
await startKeyListener()
const server = createServer(createGatewayHandler())
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  process.stdout.write(`${JSON.stringify({ origin: `http://127.0.0.1:${port}` })}\n`)
})
process.once('SIGTERM', async () => {
  server.close()
  await drainGateway(10_000)
  await heartbeat.stop()
  await closeDatabase()
  process.exit(0)
})
