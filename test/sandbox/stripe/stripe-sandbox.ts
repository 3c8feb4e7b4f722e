/**
 * A stateful emulator of the part of Stripe this product uses, spoken to by the real SDK over HTTP. It encodes what we
 * believe about Stripe, so its tests prove our client against those beliefs only. It never runs in production, listens
 * on the loopback only, marks every id with `_sbx` and answers `livemode: false`.
 */
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { AccountLimits } from './account-limits.ts'
import { ContractCheck } from './contract-check.ts'
import { SandboxControl } from './control.ts'
import { StripeApiError } from './errors.ts'
import { type ApiAnswer, type ApiRequest, answer, type Parts } from './exchange.ts'
import { FaultPlan } from './faults.ts'
import type { Form } from './form.ts'
import { hostedInvoicePage } from './hosted-invoice-page.ts'
import { answerHostedPage, type PageAnswer } from './hosted-pages.ts'
import { IdempotencyStore } from './idempotency.ts'
import { passTime } from './passing-time.ts'
import { type WebhookEndpoint, WebhookPump } from './webhooks.ts'
import { World } from './world.ts'

const MAX_BODY_BYTES = 1_048_576
const JOURNAL_LENGTH = 10_000
const TICK_MS = 1_000

export interface StripeSandboxOptions {
  /** 0, the default, takes any free port. */
  port?: number
  /** Everything the account holds, rewritten whole before each answer, so a restart loses nothing that was answered. */
  stateFile?: string
  webhook?: WebhookEndpoint
  /** Where the sandbox clock starts; it ticks with real time. */
  now?: Date
  /** `strict`: every exchange and event is checked against the contract, and `close` throws when something differed. */
  contract?: 'off' | 'strict'
}

export interface JournalEntry {
  /** When it was answered, in monotonic ms. */
  at: number
  operation: string
  method: string
  pathname: string
  params: Form
  idempotencyKey: string | undefined
  /** 0 when a fault left the request without an answer. */
  status: number
  replayed: boolean
  faulty: boolean
}

export interface StripeSandbox {
  url: string
  host: string
  port: number
  /** A key the sandbox accepts. */
  apiKey: string
  /** Every API request in the order of arrival. */
  journal: JournalEntry[]
  faults: FaultPlan
  limits: AccountLimits
  webhooks: WebhookPump
  control: SandboxControl
  /** The raw state, for looking at what really happened. */
  world: World
  contract: ContractCheck | undefined
  /** Stops listening and cuts connections. @throws when the contract was violated. */
  close(): Promise<void>
}

/** @throws in production */
export async function startStripeSandbox(options: StripeSandboxOptions = {}): Promise<StripeSandbox> {
  if (process.env.NODE_ENV === 'production') throw new Error('The Stripe sandbox does not run in production.')
  const world = new World({ stateFile: options.stateFile, now: options.now, apiVersion: sdkApiVersion() })
  const contract = options.contract === 'strict' ? await contractCheck() : undefined
  const faults = new FaultPlan()
  const pump = new WebhookPump(world, options.webhook)
  const control = new SandboxControl(world, pump, faults)
  world.onEvent = (event) => {
    contract?.event(event.type, event.data.object)
    pump.enqueue(event)
  }
  const journal: JournalEntry[] = []
  const limits = new AccountLimits(world)
  const parts = { world, faults, limits, idempotency: new IdempotencyStore(world) }
  const server = createServer((request, response) => {
    respond({ ...parts, control, contract, journal }, request, response).catch((error: unknown) => {
      console.error('The Stripe sandbox failed', error)
      response.destroy()
    })
  })
  const port = await listen(server, options.port ?? 0)
  world.baseUrl = `http://127.0.0.1:${port}`
  pump.resumeUndelivered()
  // What falls due while nobody asks: the clock ticks with real time.
  const ticking = setInterval(() => passTime(world, null, world.seconds()), TICK_MS)
  ticking.unref()
  const close = async () => {
    clearInterval(ticking)
    pump.close()
    await stop(server)
    world.persist()
    const violations = contract?.take() ?? []
    if (violations.length) throw new Error(`Stripe contract violated:\n${violations.join('\n')}`)
  }
  const address = { url: world.baseUrl, host: '127.0.0.1', port, apiKey: 'sk_test_sandbox' }
  return { ...address, journal, faults, limits, webhooks: pump, control, world, contract, close }
}

/** The validator needs development packages, so it is loaded only when a test asks for it. */
async function contractCheck(): Promise<ContractCheck> {
  const { loadStripeContract } = await import('#test/contract/stripe-contract.ts')
  return new ContractCheck(loadStripeContract())
}

function sdkApiVersion(): string {
  const file = path.resolve(import.meta.dirname, '../../../node_modules/stripe/esm/apiVersion.js')
  return /ApiVersion = '([^']+)'/.exec(readFileSync(file, 'utf8'))?.[1] ?? 'unknown'
}

interface Context extends Parts {
  control: SandboxControl
  contract: ContractCheck | undefined
  journal: JournalEntry[]
}

async function respond(context: Context, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://sandbox')
  const body = await readBody(request)
  if (url.pathname.startsWith('/_sandbox/'))
    return respondToControl(context, request.method ?? 'GET', url.pathname, body, response)
  const asked: ApiRequest = {
    method: request.method ?? 'GET',
    pathname: url.pathname,
    form: request.method === 'POST' ? body : url.search.slice(1),
    authorization: request.headers.authorization,
    idempotencyKey: headerOf(request, 'idempotency-key'),
  }
  const answered = await answer(context, asked)
  if (request.method !== 'GET') context.world.persist()
  send(context.world, answered, response)
  record(context, asked, answered)
}

function record({ journal, contract }: Context, asked: ApiRequest, answered: ApiAnswer): void {
  const { transport, operation, params, replayed, faulty } = answered
  const lost = transport === 'timeout' || transport === 'socket_close'
  const { method, pathname, idempotencyKey } = asked
  journal.push({
    at: performance.now(),
    operation,
    method,
    pathname,
    params,
    idempotencyKey,
    status: lost ? 0 : answered.status,
    replayed,
    faulty: faulty || lost,
  })
  if (journal.length > JOURNAL_LENGTH) journal.shift()
  contract?.exchange(asked, answered)
}

function send(world: World, answered: ApiAnswer, response: ServerResponse): void {
  if (answered.transport === 'timeout') return
  if (answered.transport === 'socket_close') {
    response.destroy()
    return
  }
  response.writeHead(answered.status, {
    'content-type': 'application/json',
    'request-id': answered.requestId,
    'stripe-version': world.apiVersion,
    ...(answered.replayed && { 'idempotent-replayed': 'true' }),
  })
  response.end(
    answered.transport === 'malformed_json' ? answered.body.slice(0, answered.body.length / 2) : answered.body,
  )
}

function respondToControl(
  context: Context,
  method: string,
  pathname: string,
  body: string,
  response: ServerResponse,
): void {
  try {
    const [, invoice] = /^\/_sandbox\/invoices\/([^/]+)$/.exec(pathname) ?? []
    if (method === 'GET' && invoice) {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
      response.end(hostedInvoicePage(context.world, invoice))
      return
    }
    const page = answerHostedPage(context.world, method, pathname, body)
    if (page) {
      sendPage(context.world, page, response)
      return
    }
    const answered = context.control.handle(method, pathname, body)
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(answered, null, 2))
  } catch (error) {
    const status = error instanceof StripeApiError ? error.status : 400
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ message: error instanceof Error ? error.message : 'Bad request' }))
  }
}

function sendPage(world: World, page: PageAnswer, response: ServerResponse): void {
  world.persist()
  if ('location' in page) response.writeHead(303, { location: page.location }).end()
  else response.writeHead(page.status, { 'content-type': 'text/html; charset=utf-8' }).end(page.html)
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size <= MAX_BODY_BYTES) chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  return Array.isArray(value) ? value[0] : value
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
}

function stop(server: Server): Promise<void> {
  server.closeAllConnections()
  return new Promise((resolve) => server.close(() => resolve()))
}
