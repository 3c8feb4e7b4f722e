import { findModel, type SandboxModel } from './catalogue.ts'
import { type ChatBody, lastUserText, planReply, type Reply, tokensSoFar } from './completion.ts'
import { type ErrorReply, type Exchange, errorJson, pause, sendError, sendJson, sever } from './exchange.ts'
import { recordGeneration } from './generations.ts'
import { outOfMoney, spend } from './keys.ts'
import { sendRaw } from './raw.ts'
import { modelWithoutScenario, type Scenario, scenarioOf } from './scenario.ts'
import { closingEvents, contentEvents, errorEvent, eventText, sendEvent } from './stream.ts'
import { billFor, saidTokens, usageJson } from './usage.ts'

const reasons: Record<number, [string, string]> = {
  400: ['invalid_request', 'Invalid request parameters'],
  401: ['authentication', 'User not found.'],
  402: ['payment_required', 'Insufficient credits. Add more using https://openrouter.ai/settings/credits'],
  403: ['permission_denied', 'Key limit exceeded (total limit). Manage it using https://openrouter.ai/settings/keys'],
  404: ['not_found', 'No endpoints found'],
  408: ['timeout', 'Request timed out'],
  413: ['payload_too_large', 'Payload too large'],
  429: ['rate_limit_exceeded', 'Rate limit exceeded'],
  502: ['provider_unavailable', 'Provider returned error'],
  503: ['provider_overloaded', 'No provider is available'],
}

function errorFor(exchange: Exchange, scenario: Scenario): ErrorReply {
  const [type, message] = reasons[scenario.error ?? 500] ?? ['server', 'Internal Server Error']
  return {
    type,
    message: scenario.echoKey ? `Incorrect API key provided: ${exchange.bearer}. ${message}` : message,
    headers: scenario.retryAfter === undefined ? {} : { 'retry-after': scenario.retryAfter },
  }
}

function parseBody(text: string): ChatBody | null {
  try {
    const body = JSON.parse(text) as ChatBody
    return typeof body?.model === 'string' && Array.isArray(body.messages) && body.messages.length > 0 ? body : null
  } catch {
    return null
  }
}

/** Refusals every request meets before any model runs. True when one was sent. */
export function refuse(exchange: Exchange, model: string, sold: SandboxModel | undefined): boolean {
  const { key } = exchange
  if (!exchange.bearer) sendError(exchange, 401, { type: 'authentication', message: 'No auth credentials found' })
  else if (!key?.live) sendError(exchange, 401, { type: 'authentication', message: 'User not found.' })
  else if (key.management)
    sendError(exchange, 403, { type: 'permission_denied', message: 'Management keys cannot call completion endpoints' })
  else if (outOfMoney(key))
    sendError(exchange, 402, {
      type: 'payment_required',
      message: 'Insufficient credits. Add more using https://openrouter.ai/settings/credits',
      metadata: { limit_source: outOfMoney(key) },
    })
  else if (!sold) sendError(exchange, 400, { type: 'invalid_request', message: `${model} is not a valid model ID` })
  else return false
  return true
}

/** `POST /chat/completions`. Resolves when the generation is over, which may be long after the client has gone. */
export async function answerChat(exchange: Exchange, text: string): Promise<void> {
  const body = parseBody(text)
  const model = modelWithoutScenario(body?.model ?? '')
  exchange.line.model = model || null
  if (!body) return sendError(exchange, 400, { type: 'invalid_request', message: 'Invalid request body' })
  const scenario = {
    ...scenarioOf(body.model, lastUserText(body), exchange.request.headers['x-sandbox'] as string | undefined),
    ...exchange.world.takeFault(model, exchange.line.key ?? ''),
  }
  if (await misbehaveFirst(exchange, scenario)) return
  if (refuse(exchange, model, findModel(model))) return
  const reply = planReply(body, model, scenario)
  exchange.line.generation = reply.id
  await generate(exchange, reply, scenario, body.stream === true)
}

/** Faults that come before any generation exists. True when the request was dealt with. */
export async function misbehaveFirst(exchange: Exchange, scenario: Scenario): Promise<boolean> {
  if (scenario.reset) sever(exchange)
  else if (scenario.hang === 'start') return true
  else if (scenario.raw) await sendRaw(exchange, scenario.raw)
  else if (scenario.redirect) sendJson(exchange, 307, '', { location: scenario.redirect })
  else if (scenario.errorIn200) sendJson(exchange, 200, errorJson(502, errorFor(exchange, { error: 502 })))
  else if (scenario.error !== undefined) sendError(exchange, scenario.error, errorFor(exchange, scenario))
  else return false
  return true
}

async function generate(exchange: Exchange, reply: Reply, scenario: Scenario, streamed: boolean): Promise<void> {
  const { world, key, line } = exchange
  if (!key) return
  const startedAt = Date.now()
  const sent = streamed ? await streamReply(exchange, reply, scenario) : await plainReply(exchange, reply, scenario)
  const cancelled = streamed && exchange.line.clientAborted && (scenario.cancel ?? world.settings.cancelStopsBilling)
  const failed = streamed && scenario.midStreamError !== undefined
  const tokens = cancelled || failed ? tokensSoFar(reply, sent) : reply.tokens
  const bill = billFor(reply.sold.pricing, tokens, scenario)
  spend(key, bill.total)
  const outcome = { account: key.account, tokens, bill, streamed, cancelled, startedAt }
  world.generations.set(reply.id, recordGeneration(reply, outcome, world.settings.generationDelayMs))
  world.changed()
  line.usage = { input: tokens.input, output: tokens.output }
  line.cost = bill.total
  line.completed = !cancelled && !failed
}

export const paceOf = (exchange: Exchange, scenario: Scenario) => ({
  firstMs: scenario.firstMs ?? exchange.world.settings.pace.firstMs,
  gapMs: scenario.gapMs ?? (exchange.key?.gapMs || exchange.world.settings.pace.gapMs),
})

const usageTextOf = (reply: Reply, scenario: Scenario): string | null =>
  scenario.usage === 'none'
    ? null
    : usageJson(saidTokens(reply.tokens, scenario), billFor(reply.sold.pricing, reply.tokens, scenario), scenario)

async function plainReply(exchange: Exchange, reply: Reply, scenario: Scenario): Promise<number> {
  const { firstMs, gapMs } = paceOf(exchange, scenario)
  await pause(exchange, firstMs + gapMs * reply.pieces.length)
  await scenario.until
  const text = reply.pieces.join('')
  const message = reply.toolCall
    ? {
        role: 'assistant',
        content: null,
        tool_calls: [
          {
            index: 0,
            id: reply.toolCall.id,
            type: 'function',
            function: { name: reply.toolCall.name, arguments: text },
          },
        ],
      }
    : { role: 'assistant', content: text, refusal: null, reasoning: null }
  const usage = usageTextOf(reply, scenario)
  const json = JSON.stringify({
    id: reply.id,
    provider: 'Sandbox',
    model: reply.model,
    object: 'chat.completion',
    created: Number(reply.id.split('-')[1]),
    choices: [{ logprobs: null, finish_reason: reply.finish, native_finish_reason: reply.finish, index: 0, message }],
  })
  const body = usage === null ? json : `${json.slice(0, -1)},"usage":${usage}}`
  const headers = { 'x-generation-id': reply.id }
  if (scenario.hang === 'headers' || scenario.cut !== undefined) {
    exchange.response.writeHead(200, { 'content-type': 'application/json', ...headers })
    exchange.response.write(body.slice(0, Math.floor(body.length / 2)))
    if (scenario.cut !== undefined) await breakOff(exchange)
    else await clientGone(exchange)
  } else sendJson(exchange, 200, body, headers)
  exchange.line.status = 200
  return reply.pieces.length
}

/** Sends the headers and events; answers how many content events went out before the client left or the fault struck. */
async function streamReply(exchange: Exchange, reply: Reply, scenario: Scenario): Promise<number> {
  const { response, world, line } = exchange
  const { firstMs, gapMs } = paceOf(exchange, scenario)
  const billedToTheEnd = !(scenario.cancel ?? world.settings.cancelStopsBilling)
  line.status = 200
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-cache',
    'x-generation-id': reply.id,
    server: 'sandbox-openrouter',
    'set-cookie': '__sandbox=1; Path=/',
  })
  if (world.settings.processingComment) response.write(': OPENROUTER PROCESSING\n\n')
  else response.flushHeaders()
  if (scenario.hang === 'headers') {
    await clientGone(exchange)
    return 0
  }
  const events = contentEvents(reply)
  const stopAt = scenario.cut ?? scenario.midStreamError ?? (scenario.openTool ? 2 : events.length)
  let sent = 0
  for (const [index, event] of events.slice(0, stopAt).entries()) {
    if (index === 1) await scenario.until
    const here = await pause(exchange, index === 0 ? firstMs : gapMs)
    if (here && (await sendEvent(exchange, eventText(event, scenario, index), scenario))) sent += 1
    else if (!billedToTheEnd) return sent
  }
  if (scenario.cut !== undefined) await breakOff(exchange)
  else await finishStream(exchange, reply, scenario)
  return sent
}

async function finishStream(exchange: Exchange, reply: Reply, scenario: Scenario): Promise<void> {
  const { response } = exchange
  const events =
    scenario.midStreamError === undefined
      ? closingEvents(reply, usageTextOf(reply, scenario), scenario)
      : [errorEvent(reply)]
  for (const [index, event] of events.entries()) {
    const text = eventText(event, scenario, index)
    const last = index === events.length - 1
    if (!(await sendEvent(exchange, last && scenario.noFinalBlank ? text.trimEnd() : text, scenario))) return
  }
  response.end()
}

/** Lets what was written reach the other side, then tears the connection down without the end of the message. */
async function breakOff(exchange: Exchange): Promise<void> {
  await pause(exchange, 15)
  sever(exchange)
}

function clientGone(exchange: Exchange): Promise<void> {
  if (exchange.response.destroyed) return Promise.resolve()
  return new Promise((resolve) => exchange.response.once('close', () => resolve()))
}
