import type { RawReply, Scenario } from '../openrouter/scenario.ts'
import { modelWithoutScenario, scenarioOf } from '../openrouter/scenario.ts'
import { readMessages, renderMessages } from './anthropic-messages.ts'
import { readConverse, renderConverse } from './bedrock-converse.ts'
import { findSold } from './catalogue.ts'
import { errorOf, refuseKey, sendError } from './errors.ts'
import { type Exchange, pause, sendJson, sendText, sever, writePiece } from './exchange.ts'
import { readChat, renderChat, strictRefusal } from './openai-chat.ts'
import { readResponses, renderResponses } from './openai-responses.ts'
import { type Ask, type Plan, planReply, type Rendered } from './reply.ts'
import { embeddingsJson, rerankJson } from './vectors.ts'

type Json = Record<string, unknown>

/** A request to a model, read out of path and body. `ask` null: this kind has no conversation (embeddings, rerank). */
interface Call {
  kind: 'chat' | 'responses' | 'messages' | 'converse' | 'embeddings' | 'rerank'
  body: Json
  model: string
  ask: Ask | null
  /** What is wrong with the request, in the provider's words. */
  wrong: string | null
}

const kinds: [RegExp, Call['kind']][] = [
  [/^\/chat\/completions$/, 'chat'],
  [/^\/openai\/deployments\/[^/]+\/chat\/completions$/, 'chat'],
  [/^\/(?:openai\/v1\/)?responses$/, 'responses'],
  [/^\/messages$/, 'messages'],
  [/^\/model\/[^/]+\/converse(?:-stream)?$/, 'converse'],
  [/^\/embeddings$/, 'embeddings'],
  [/^\/openai\/deployments\/[^/]+\/embeddings$/, 'embeddings'],
  [/^\/rerank$/, 'rerank'],
]

function parseBody(body: Buffer): Json | null {
  try {
    const value = JSON.parse(body.toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null
  } catch {
    return null
  }
}

function askOf(exchange: Exchange, kind: Call['kind'], body: Json, named: string | null): Ask | string | null {
  if (kind === 'chat') return readChat(exchange.provider, body, named) ?? 'messages: expected a list'
  if (kind === 'responses') return readResponses(body) ?? 'input: expected a text or a list'
  if (kind === 'messages') return readMessages(body)
  return kind === 'converse' ? readConverse(body, named ?? '', exchange.path.endsWith('-stream')) : null
}

function readCall(exchange: Exchange): Call | null {
  const kind = kinds.find(([path]) => path.test(exchange.path))?.[1]
  if (!kind || exchange.request.method !== 'POST') return null
  const body = parseBody(exchange.body)
  const inPath = /^\/(?:openai\/deployments|model)\/([^/]+)\//.exec(exchange.path)?.[1]
  const named = inPath === undefined ? null : decodeURIComponent(inPath)
  const full = named ?? (typeof body?.model === 'string' ? body.model : '')
  const model = modelWithoutScenario(full)
  if (!body || full === '')
    return { kind, body: body ?? {}, model, ask: null, wrong: 'The request body is no valid JSON' }
  const ask = askOf(exchange, kind, body, named)
  const wrong = typeof ask === 'string' ? ask : kind === 'chat' ? strictRefusal(exchange.provider, body) : null
  return { kind, body, model, ask: typeof ask === 'string' ? null : ask, wrong }
}

function takeFault({ world, provider, path }: Exchange, model: string): Scenario {
  const at = world.faults.findIndex(({ match = {} }) => {
    const there = (match.provider ?? provider) === provider && (match.model ?? model) === model
    return there && (match.path?.test(path) ?? true)
  })
  const fault = world.faults[at]
  if (!fault) return {}
  fault.times -= 1
  if (fault.times <= 0) world.faults.splice(at, 1)
  return fault.scenario
}

const bytesOf = (piece: string) =>
  piece.startsWith('base64:') ? Buffer.from(piece.slice(7), 'base64') : Buffer.from(piece)

async function sendRaw(exchange: Exchange, raw: RawReply): Promise<void> {
  const { response, line } = exchange
  line.status = raw.status
  response.writeHead(raw.status, (raw.headers ?? [['content-type', 'application/json']]).flat())
  response.flushHeaders()
  const pieces = raw.pieces.map(bytesOf)
  for (let round = 0; round < (raw.repeat ?? 1); round += 1)
    for (const piece of pieces) if (!(await writePiece(exchange, piece))) return
  if (raw.then === 'destroy') sever(exchange)
  else if (raw.then !== 'hang') response.end()
}

const says: Record<number, string> = {
  400: 'Invalid request parameters',
  401: 'Incorrect API key provided',
  402: 'Insufficient Balance',
  403: 'Not allowed',
  404: 'Not found',
  429: 'Rate limit reached',
  503: 'Overloaded',
}

/** Faults that come before any reply. True when the request was dealt with. */
async function misbehaveFirst(exchange: Exchange, scenario: Scenario): Promise<boolean> {
  const { error, retryAfter, echoKey } = scenario
  if (scenario.reset) sever(exchange)
  else if (scenario.hang === 'start') return true
  else if (scenario.raw) await sendRaw(exchange, scenario.raw)
  else if (scenario.redirect) sendText(exchange, 307, '', { location: scenario.redirect })
  else if (scenario.errorIn200) sendJson(exchange, 200, errorOf(exchange.provider, 502, 'Provider returned error').body)
  else if (error !== undefined) {
    const text = echoKey ? `Incorrect API key provided: ${exchange.secret}` : (says[error] ?? 'Internal error')
    sendError(exchange, error, text, { headers: retryAfter === undefined ? {} : { 'retry-after': retryAfter } })
  } else return false
  return true
}

/** How each provider says that the account is out of money. */
function refuseForMoney(exchange: Exchange) {
  if (exchange.provider === 'openai' || exchange.provider === 'openai-responses')
    return sendError(exchange, 429, 'You exceeded your current quota, please check your plan and billing details.', {
      code: 'insufficient_quota',
    })
  if (exchange.provider === 'anthropic')
    return sendError(exchange, 400, 'Your credit balance is too low to access the Anthropic API.')
  sendError(exchange, 402, 'Insufficient Balance', { code: 'insufficient_balance' })
}

function refuseModel(exchange: Exchange, model: string) {
  if (exchange.path.startsWith('/openai/deployments/') || exchange.provider === 'azure-responses')
    return sendError(exchange, 404, 'The API deployment for this resource does not exist.', {
      code: 'DeploymentNotFound',
    })
  if (exchange.provider === 'together')
    return sendError(exchange, 400, `Unable to access non-serverless model ${model}.`, { code: 'model_not_available' })
  sendError(exchange, 404, `The model ${model} does not exist`, { code: 'model_not_found' })
}

/** Refusals that every call meets before any model runs. True when one was sent. */
async function refuse(exchange: Exchange, call: Call): Promise<boolean> {
  const { key, provider, badSignature, query, world, request } = exchange
  if (key && key.delayMs > 0 && !(await pause(exchange, key.delayMs))) return true
  if (key?.status) sendError(exchange, key.status, 'Try again later')
  else if (!key?.live || badSignature) refuseKey(exchange)
  else if (key.firewalled) sendError(exchange, 403, 'Access denied due to Virtual Network/Firewall rules.')
  else if (key.empty) refuseForMoney(exchange)
  else if (world.unknownApiVersions.has(query.get('api-version') ?? '')) sendError(exchange, 404, 'Resource not found')
  else if (provider === 'anthropic' && request.headers['anthropic-version'] === undefined)
    sendError(exchange, 400, 'anthropic-version: header is required')
  else if (call.wrong !== null) sendError(exchange, 400, call.wrong)
  else if (!findSold(provider, call.model)) refuseModel(exchange, call.model)
  else return false
  return true
}

function render({ provider }: Exchange, call: Call, plan: Plan, scenario: Scenario): Rendered {
  if (call.kind === 'responses') return renderResponses(plan, scenario)
  if (call.kind === 'messages') return renderMessages(plan, scenario)
  return call.kind === 'converse' ? renderConverse(plan, scenario) : renderChat(provider, plan, call.body, scenario)
}

async function writeSplit(exchange: Exchange, piece: string | Buffer, scenario: Scenario): Promise<boolean> {
  const bytes = Buffer.from(piece)
  const at = scenario.splitUtf8 ? bytes.findIndex((byte) => byte >= 0xc0) : -1
  if (at < 0) return writePiece(exchange, bytes)
  if (!(await writePiece(exchange, bytes.subarray(0, at + 1))) || !(await pause(exchange, 2))) return false
  return writePiece(exchange, bytes.subarray(at + 1))
}

/** Writes the stream piece by piece, and breaks off where the scenario says so. */
async function stream(exchange: Exchange, rendered: Rendered, scenario: Scenario): Promise<void> {
  const { response, world } = exchange
  const gapMs = scenario.gapMs ?? world.pace.gapMs
  response.writeHead(200, { 'content-type': rendered.contentType, server: 'sandbox-providers', ...rendered.headers })
  response.flushHeaders()
  exchange.line.status = 200
  if (scenario.hang === 'headers') return
  const cut = scenario.cut ?? Number.POSITIVE_INFINITY
  const failAt = scenario.midStreamError ?? Number.POSITIVE_INFINITY
  for (const piece of rendered.head) if (!(await writePiece(exchange, piece))) return
  for (const [index, piece] of rendered.content.entries()) {
    if (index >= cut) return sever(exchange)
    if (index >= failAt) return void response.end(rendered.failure)
    if (!(await writeSplit(exchange, piece, scenario)) || !(await pause(exchange, gapMs))) return
  }
  if (rendered.content.length >= cut && cut !== Number.POSITIVE_INFINITY) return sever(exchange)
  if (failAt !== Number.POSITIVE_INFINITY) return void response.end(rendered.failure)
  const closing = rendered.closing.slice(0, scenario.openTool ? 0 : undefined)
  for (const [index, piece] of closing.entries()) {
    const last = scenario.noFinalBlank && index === closing.length - 1 && typeof piece === 'string'
    if (!(await writePiece(exchange, last ? piece.replace(/[\r\n]+$/, '') : piece))) return
  }
  response.end()
}

async function converse(exchange: Exchange, call: Call & { ask: Ask }, scenario: Scenario): Promise<void> {
  const { provider, world, body } = exchange
  // One report has it that NVIDIA hangs when usage is asked for (providers §2.2): here it always does.
  if (provider === 'nvidia' && body.includes('"stream_options"')) return
  const plan = planReply({ ...call.ask, model: call.model }, scenario)
  const rendered = render(exchange, call, plan, scenario)
  const firstMs = scenario.firstMs ?? world.pace.firstMs
  if (!(await pause(exchange, firstMs))) return
  if (call.ask.streamed) return stream(exchange, rendered, scenario)
  if (scenario.hang === 'headers') {
    exchange.response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders()
  } else if (scenario.cut === undefined) sendText(exchange, 200, rendered.whole, rendered.headers)
  else {
    exchange.response.writeHead(200, {
      'content-type': 'application/json',
      'content-length': rendered.whole.length * 4,
    })
    await writePiece(exchange, rendered.whole.slice(0, Math.floor(rendered.whole.length / 2)))
    await pause(exchange, 2)
    sever(exchange)
  }
}

/** A request to a model. False where the path is none. */
export async function answerCall(exchange: Exchange): Promise<boolean> {
  const call = readCall(exchange)
  if (!call) return false
  const header = exchange.request.headers['x-sandbox'] as string | undefined
  const named = typeof call.body.model === 'string' ? call.body.model : ''
  const said =
    call.ask?.lastUserText ?? (typeof call.body.input === 'string' ? call.body.input : String(call.body.query ?? ''))
  const scenario = { ...scenarioOf(named, said, header), ...takeFault(exchange, call.model) }
  if ((await misbehaveFirst(exchange, scenario)) || (await refuse(exchange, call))) return true
  if (call.ask) await converse(exchange, { ...call, ask: call.ask }, scenario)
  else {
    const reply = call.kind === 'rerank' ? rerankJson : embeddingsJson
    const text = reply(exchange.provider, call.body, call.model, scenario)
    if (text === null) sendError(exchange, 400, 'input: expected a text or a list')
    else sendText(exchange, 200, text)
  }
  return true
}
