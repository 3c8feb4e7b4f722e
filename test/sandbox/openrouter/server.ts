import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { answerCredits, answerGeneration, answerKey, answerModels } from './account.ts'
import { answerChat } from './chat.ts'
import { answerAuthPage, answerDecision, answerExchange } from './connect.ts'
import { answerControl, applySettings } from './control.ts'
import { closeExchange, type Exchange, openExchange, sendError } from './exchange.ts'
import type { JournalLine } from './journal.ts'
import type { KeyState } from './keys.ts'
import { answerEmbeddings, answerResponses } from './more-endpoints.ts'
import { type Fault, type Pace, type Settings, World } from './world.ts'

export interface SandboxOptions {
  /** 0 or nothing: any free port. */
  port?: number
  /** Append-only JSONL of everything that reached the sandbox. */
  journalFile?: string
  /** Keys and generations are kept here across restarts. */
  stateFile?: string
  pace?: Partial<Pace>
}

export interface OpenRouterSandbox {
  /** `http://127.0.0.1:PORT`. */
  origin: string
  /** `http://127.0.0.1:PORT/api/v1`, what replaces `https://openrouter.ai/api/v1`. */
  baseUrl: string
  journal(): JournalLine[]
  /** Chat requests only. */
  chats(): JournalLine[]
  setKey(key: string, change: Partial<KeyState>): KeyState | undefined
  /** The next `times` (default 1) chat requests that match get the scenario. */
  fault(fault: Omit<Fault, 'times'> & { times?: number }): void
  settings(change: Partial<Settings>): Settings
  /** Every code that was approved and not exchanged yet is ten minutes old. */
  expireCodes(): void
  /** Replies that wait for a slow reader. */
  blocked(): number
  /** Resolves when no generation is running. */
  settled(): Promise<void>
  close(): Promise<void>
}

async function readText(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece as Buffer)
  return Buffer.concat(pieces).toString('utf8')
}

async function route(exchange: Exchange, text: string): Promise<void> {
  const url = new URL(exchange.request.url ?? '/', 'http://sandbox')
  switch (`${exchange.request.method} ${url.pathname}`) {
    case 'POST /api/v1/chat/completions':
      return answerChat(exchange, text)
    case 'POST /api/v1/responses':
      return answerResponses(exchange, text)
    case 'POST /api/v1/embeddings':
      return answerEmbeddings(exchange, text)
    case 'GET /api/v1/key':
    case 'GET /api/v1/auth/key':
      return answerKey(exchange)
    case 'GET /api/v1/credits':
      return answerCredits(exchange)
    case 'GET /api/v1/models':
      return answerModels(exchange)
    case 'GET /api/v1/generation':
      return answerGeneration(exchange, url.searchParams.get('id'))
    case 'GET /auth':
      return answerAuthPage(exchange, url.searchParams)
    case 'POST /auth':
      return answerDecision(exchange, text)
    case 'POST /api/v1/auth/keys':
      return answerExchange(exchange, text)
    default:
      return sendError(exchange, 404, { type: 'not_found', message: 'Not Found' })
  }
}

async function answer(world: World, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const exchange = openExchange(world, request, response)
  const path = (request.url ?? '/').split('?')[0] ?? '/'
  if (path.startsWith('/_sandbox')) return answerControl(exchange, path, await readText(request))
  world.journal.append(exchange.line)
  await route(exchange, await readText(request))
  closeExchange(exchange)
}

function handle(world: World, request: IncomingMessage, response: ServerResponse): void {
  const work = answer(world, request, response).catch((error: unknown) => {
    if (response.headersSent) response.destroy()
    else response.writeHead(500).end(`sandbox: ${error instanceof Error ? error.message : 'failed'}`)
  })
  world.running.add(work)
  void work.finally(() => world.running.delete(work))
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
}

function closeServer(server: Server): Promise<void> {
  server.closeAllConnections()
  return new Promise((resolve) => server.close(() => resolve()))
}

/** Starts an OpenRouter of our own on 127.0.0.1, for tests, demos and development. Refuses to run in production. */
export async function startOpenRouterSandbox(options: SandboxOptions = {}): Promise<OpenRouterSandbox> {
  if (process.env.NODE_ENV === 'production') throw new Error('The sandbox never runs with NODE_ENV=production')
  const world = new World(options)
  const server = createServer({ keepAliveTimeout: 60_000, requestTimeout: 0 }, (request, response) =>
    handle(world, request, response),
  )
  const port = await listen(server, options.port ?? 0)
  const origin = `http://127.0.0.1:${port}`
  return {
    origin,
    baseUrl: `${origin}/api/v1`,
    journal: () => world.journal.read(),
    chats: () => world.journal.read().filter((line) => line.path === '/api/v1/chat/completions'),
    setKey: (key, change) => world.keys.change(key, change),
    fault: (fault) => void world.faults.push({ times: 1, ...fault }),
    settings: (change) => applySettings(world, change),
    expireCodes: () => {
      for (const code of world.codes.values()) code.expiresAt = 0
    },
    blocked: () => world.blocked,
    settled: async () => {
      while (world.running.size > 0) await Promise.all(world.running)
    },
    close: async () => {
      await closeServer(server)
      world.save()
      world.journal.close()
    },
  }
}
