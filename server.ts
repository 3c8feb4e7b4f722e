import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startHeartbeat } from '#app/domain/jobs/heartbeat.server.ts'
import { ensurePartitions } from '#app/domain/ledger/record-calls.server.ts'
import { startKeyListener } from '#app/domain/vault/open-provider-key.server.ts'
import { knownKekIds, openVault } from '#app/domain/vault/open-vault.server.ts'
import { lacksVersion } from '#app/gateway/endpoints.ts'
import { createGatewayHandler, drainGateway } from '#app/gateway/gateway.server.ts'
import { createConsole } from '#app/http/console.server.ts'
import { answerHealthz, answerReadyz } from '#app/http/health.server.ts'
import { pathAsked } from '#app/http/request-target.ts'
import { handleStripeWebhook } from '#app/http/stripe-webhook.server.ts'
import { closeDatabase } from '#app/platform/db.server.ts'
import { endInOrder } from '#app/platform/end-in-order.server.ts'
import { comesTooLate } from '#app/platform/end-unread.ts'
import { env } from '#app/platform/env.server.ts'
import { log } from '#app/platform/log.server.ts'

/** How long running calls may take to end after SIGTERM. */
const DRAIN_MS = 30_000
/** And after them what else is under way: pages, webhooks. */
const PAGES_MS = 5_000
/** And after those what is to be written, and the connections. */
const REST_MS = 10_000
const buildDir = path.resolve(import.meta.dirname, 'build')

/** The console's pages: the built ones, or with --dev those of the development server with hot reload. */
async function consoleHandler(server: Server) {
  if (process.argv.includes('--dev')) {
    const { createServer: createVite } = await import('vite')
    const vite = await createVite({ server: { middlewareMode: true, hmr: { server } }, appType: 'custom' })
    const build = () => vite.ssrLoadModule('virtual:remix/server-build') as never
    return { app: createConsole({ build, developmentMiddleware: vite.middlewares }), close: () => vite.close() }
  }
  const build = await import(path.join(buildDir, 'server/index.js'))
  return { app: createConsole({ build, clientDir: path.join(buildDir, 'client') }), close: async () => {} }
}

/** Months that calls of the next weeks fall into: this one and the next. Counted in months: 31 days from January skip February. */
const monthsAhead = () => {
  const now = new Date()
  return [0, 1].map((months) => new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + months, 1)))
}

/** Takes nothing new. @returns what hangs up: at once on connections without a request, on others once they are answered or late */
function endTaking(server: Server): () => Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  return async () => {
    const idle = setInterval(() => server.closeIdleConnections(), 50)
    await Promise.race([closed, delay(PAGES_MS, undefined, { ref: false })])
    clearInterval(idle)
    server.closeAllConnections()
  }
}

async function start(): Promise<void> {
  await openVault()
  await ensurePartitions(monthsAhead())
  const heartbeat = await startHeartbeat('web')
  const keyListener = await startKeyListener()
  const server = createServer()
  const pages = await consoleHandler(server)
  const gateway = createGatewayHandler()
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    if (comesTooLate(request)) return
    const url = pathAsked(request.url ?? '')
    if (url === null) return void response.writeHead(400, { connection: 'close' }).end()
    request.url = url
    if (url.startsWith('/v1/') || url === '/v1' || lacksVersion(url)) return gateway(request, response)
    if (url === '/webhooks/stripe') return void handleStripeWebhook(request, response)
    if (url === '/healthz') return answerHealthz(response)
    if (url === '/readyz') return void answerReadyz(response, knownKekIds)
    pages.app(request, response)
  })
  server.keepAliveTimeout = 65_000 // longer than a load balancer's, so that it never reuses a closed connection
  server.headersTimeout = 66_000
  server.requestTimeout = 120_000 // the gateway bounds a body's arrival itself; others are not waited for without end either

  endInOrder(async (signal, within) => {
    log.info({ signal }, 'draining')
    within(DRAIN_MS + PAGES_MS + REST_MS)
    const hangUp = endTaking(server)
    await drainGateway(DRAIN_MS)
    await hangUp()
    within(REST_MS)
    await Promise.all([keyListener.stop(), heartbeat.stop(), pages.close()])
    await closeDatabase()
  })

  server.listen(env().port, env().host, () => {
    const address = server.address()
    const port = typeof address === 'object' && address ? address.port : env().port
    log.info({ port }, 'web listening')
    process.send?.({ listening: port })
  })
}

start().catch((error: Error) => {
  console.error(error.message)
  process.exit(1)
})
