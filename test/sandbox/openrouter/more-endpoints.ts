/** What OpenRouter answers beside chat: the Responses API and embeddings, billed and recorded as a chat is. */
import { randomBytes } from 'node:crypto'
import { readResponses, renderResponses } from '../providers/openai-responses.ts'
import { planReply, type Rendered } from '../providers/reply.ts'
import { embeddingsJson } from '../providers/vectors.ts'
import { findEmbeddingModel, findModel, type SandboxModel } from './catalogue.ts'
import { misbehaveFirst, paceOf, refuse } from './chat.ts'
import type { Reply, Tokens } from './completion.ts'
import { type Exchange, pause, sendError, sendJson, writePiece } from './exchange.ts'
import { recordGeneration } from './generations.ts'
import { spend } from './keys.ts'
import { modelWithoutScenario, type Scenario, scenarioOf } from './scenario.ts'
import { type Bill, billFor, saidTokens } from './usage.ts'

type Json = Record<string, unknown>

function parseBody(text: string): Json {
  try {
    return Object(JSON.parse(text)) as Json
  } catch {
    return {}
  }
}

const newGeneration = () => `gen-${Math.floor(Date.now() / 1000)}-${randomBytes(12).toString('hex')}`

/** The scenario and the model of a request, once no fault or refusal stands against it; null where it was answered. */
async function admit(
  exchange: Exchange,
  body: Json,
  said: string,
  find: (model: string) => SandboxModel | undefined,
): Promise<{ scenario: Scenario; sold: SandboxModel } | null> {
  const named = typeof body.model === 'string' ? body.model : ''
  const model = modelWithoutScenario(named)
  exchange.line.model = model || null
  const header = exchange.request.headers['x-sandbox'] as string | undefined
  const fault = exchange.world.takeFault(model, exchange.line.key ?? '')
  const scenario = { ...scenarioOf(named, said, header), ...fault }
  const sold = find(model)
  if ((await misbehaveFirst(exchange, scenario)) || refuse(exchange, model, sold) || !sold) return null
  return { scenario, sold }
}

/** Charges the key and writes the record that `GET /generation` tells. */
function settle(
  { world, key, line }: Exchange,
  generation: Pick<Reply, 'id' | 'model' | 'finish'>,
  { tokens, bill, streamed, startedAt }: { tokens: Tokens; bill: Bill; streamed: boolean; startedAt: number },
): void {
  if (!key) return
  spend(key, bill.total)
  const outcome = { account: key.account, tokens, bill, streamed, cancelled: false, startedAt }
  world.generations.set(generation.id, recordGeneration(generation, outcome, world.settings.generationDelayMs))
  world.changed()
  Object.assign(line, { generation: generation.id, cost: bill.total, completed: true })
  line.usage = { input: tokens.input, output: tokens.output }
}

const costJson = (bill: Bill, scenario: Scenario): string =>
  `"cost":${scenario.cost ?? bill.total},"is_byok":${bill.upstream !== null},"cost_details":{"upstream_inference_cost":${bill.upstream ?? null}}`

function responsesUsage(tokens: Tokens, bill: Bill, scenario: Scenario): string {
  const { input, output, cached, reasoning } = saidTokens(tokens, scenario)
  const counts = JSON.stringify({
    input_tokens: input,
    input_tokens_details: { cached_tokens: cached },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: reasoning },
    total_tokens: input + output,
  })
  return `${counts.slice(0, -1)},${costJson(bill, scenario)}}`
}

async function streamOut(
  exchange: Exchange,
  rendered: Rendered,
  scenario: Scenario,
  headers: Record<string, string>,
): Promise<void> {
  const { firstMs, gapMs } = paceOf(exchange, scenario)
  exchange.line.status = 200
  exchange.response.writeHead(200, { 'content-type': rendered.contentType, 'cache-control': 'no-cache', ...headers })
  for (const piece of rendered.head) await writePiece(exchange, piece)
  // Who has gone is billed to the end all the same, as in a chat.
  for (const [index, piece] of rendered.content.entries()) {
    await pause(exchange, index === 0 ? firstMs : gapMs)
    await writePiece(exchange, piece)
  }
  for (const piece of rendered.closing) await writePiece(exchange, piece)
  exchange.response.end()
}

/** `POST /responses`, plain and streamed. */
export async function answerResponses(exchange: Exchange, text: string): Promise<void> {
  const body = parseBody(text)
  const ask = readResponses(body)
  const admitted = await admit(exchange, body, ask?.lastUserText ?? '', findModel)
  if (!admitted) return
  if (!ask) return sendError(exchange, 400, { type: 'invalid_request', message: 'Invalid request body' })
  const { scenario, sold } = admitted
  const startedAt = Date.now()
  const id = newGeneration()
  const plan = { ...planReply({ ...ask, model: sold.id }, scenario), id }
  const bill = billFor(sold.pricing, plan.tokens, scenario)
  const usageText = scenario.usageText ?? responsesUsage(plan.tokens, bill, scenario)
  const rendered = renderResponses(plan, { ...scenario, usageText })
  const headers = { 'x-generation-id': id, server: 'sandbox-openrouter' }
  if (ask.streamed) await streamOut(exchange, rendered, scenario, headers)
  else {
    const { firstMs, gapMs } = paceOf(exchange, scenario)
    await pause(exchange, firstMs + gapMs * rendered.content.length)
    sendJson(exchange, 200, rendered.whole, headers)
  }
  settle(exchange, plan, { tokens: plan.tokens, bill, streamed: ask.streamed, startedAt })
}

/** `POST /embeddings`. */
export async function answerEmbeddings(exchange: Exchange, text: string): Promise<void> {
  const body = parseBody(text)
  const said = typeof body.input === 'string' ? body.input : ''
  const admitted = await admit(exchange, body, said, findEmbeddingModel)
  if (!admitted) return
  const { scenario, sold } = admitted
  const startedAt = Date.now()
  const id = newGeneration()
  const texts = (Array.isArray(body.input) ? body.input : [body.input]).map(String)
  const counted = texts.reduce((sum, one) => sum + Math.max(1, Math.ceil(Buffer.byteLength(one) / 4)), 0)
  const input = scenario.input ?? counted
  const tokens = { input, output: 0, cached: 0, cacheWrite: 0, reasoning: 0 }
  const bill = billFor(sold.pricing, tokens, scenario)
  const usageText =
    scenario.usageText ?? `{"prompt_tokens":${input},"total_tokens":${input},${costJson(bill, scenario)}}`
  const reply = embeddingsJson('openrouter', body, sold.id, { ...scenario, usageText })
  if (reply === null)
    return sendError(exchange, 400, { type: 'invalid_request', message: 'input: expected a text or a list' })
  await pause(exchange, paceOf(exchange, scenario).firstMs)
  sendJson(exchange, 200, reply, { 'x-generation-id': id })
  settle(exchange, { id, model: sold.id, finish: 'stop' }, { tokens, bill, streamed: false, startedAt })
}
