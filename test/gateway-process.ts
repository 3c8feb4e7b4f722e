import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { startHeartbeat } from '#app/domain/jobs/heartbeat.server.ts'
import { openVault } from '#app/domain/vault/open-vault.server.ts'
import { createGatewayHandler } from '#app/gateway/gateway.server.ts'

/** The gateway alone in a process of its own, for tests that kill it and benchmarks that pin it. Prints its origin as JSON. */
await openVault()
await startHeartbeat('web')
const server = createServer(createGatewayHandler())
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  process.stdout.write(`${JSON.stringify({ origin: `http://127.0.0.1:${port}` })}\n`)
})
