import { createAmazonBedrock } from '@ai-sdk/amazon-bedrock'
import { createAnthropic } from '@ai-sdk/anthropic'

type Fetch = typeof globalThis.fetch

/** A model of the AI SDK, whatever the provider. */
type OracleModel = ReturnType<ReturnType<typeof createAnthropic>>
export type OracleOptions = Parameters<OracleModel['doGenerate']>[0]
type StreamOf<Result> = Result extends { stream: ReadableStream<infer Part> } ? Part : never
type StreamPart = StreamOf<Awaited<ReturnType<OracleModel['doStream']>>>

/** Makes a model of the AI SDK whose requests go to the given function. */
export type MakeModel = (fetch: Fetch) => OracleModel

const nowhere = { apiKey: 'none', baseURL: 'http://127.0.0.1:9/v1' }

export const anthropicModel =
  (model: string): MakeModel =>
  (fetch) =>
    createAnthropic({ ...nowhere, fetch })(model)

export const bedrockModel =
  (model: string): MakeModel =>
  (fetch) =>
    createAmazonBedrock({ ...nowhere, region: 'us-east-1', fetch })(model)

/** Null where the package is not there: it comes with another of the AI SDK's providers, it is no dependency of ours. */
export async function responsesModel(model: string): Promise<MakeModel | null> {
  const name = '@ai-sdk/openai'
  try {
    const { createOpenAI } = (await import(name)) as {
      createOpenAI: (options: object) => { responses: (model: string) => OracleModel }
    }
    return (fetch) => createOpenAI({ ...nowhere, fetch }).responses(model)
  } catch {
    return null
  }
}

const stopped = new Error('only the request was wanted')

/** The request that the AI SDK, which knows nothing of our code, would send. */
// biome-ignore lint/suspicious/noExplicitAny: a test reads any member of a request
export async function oracleRequest(make: MakeModel, options: OracleOptions): Promise<any> {
  let sent: unknown
  const model = make(async (_url, init) => {
    sent = JSON.parse(String(init?.body))
    throw stopped
  })
  try {
    await model.doGenerate(options)
  } catch (error) {
    if (sent === undefined) throw error
  }
  return sent
}

export interface OracleReply {
  text: string
  reasoning: string
  calls: { id: string; name: string; input: unknown }[]
  finish: string
  input: number | undefined
  cacheRead: number | undefined
  cacheWrite: number | undefined
  output: number | undefined
}

const hello: OracleOptions = {
  prompt: [{ role: 'user', content: [{ type: 'text', text: 'hi' }] }],
  includeRawChunks: false,
}

const answer = (body: string | Buffer, type: string): Fetch => {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  return async () => new Response(new Uint8Array(bytes), { headers: { 'content-type': type } })
}

const empty = (): OracleReply => ({
  ...{ text: '', reasoning: '', calls: [], finish: '' },
  ...{ input: undefined, cacheRead: undefined, cacheWrite: undefined, output: undefined },
})

type Usage = Extract<StreamPart, { type: 'finish' }>['usage']

function finish(reply: OracleReply, reason: string, usage: Usage): OracleReply {
  reply.finish = reason.replaceAll('-', '_')
  reply.input = usage.inputTokens.total
  reply.cacheRead = usage.inputTokens.cacheRead
  reply.cacheWrite = usage.inputTokens.cacheWrite
  reply.output = usage.outputTokens.total
  return reply
}

/** What the AI SDK reads from a plain reply. */
export async function oracleReply(make: MakeModel, body: string): Promise<OracleReply> {
  const result = await make(answer(body, 'application/json')).doGenerate(hello)
  const reply = empty()
  for (const part of result.content) {
    if (part.type === 'text') reply.text += part.text
    if (part.type === 'reasoning') reply.reasoning += part.text
    if (part.type === 'tool-call')
      reply.calls.push({ id: part.toolCallId, name: part.toolName, input: JSON.parse(part.input || '{}') })
  }
  return finish(reply, result.finishReason.unified, result.usage)
}

/** What the AI SDK reads from a stream. */
export async function oracleStream(make: MakeModel, bytes: Buffer, type: string): Promise<OracleReply> {
  const { stream } = await make(answer(bytes, type)).doStream(hello)
  const reply = empty()
  for await (const part of stream as unknown as AsyncIterable<StreamPart>) {
    if (part.type === 'text-delta') reply.text += part.delta
    if (part.type === 'reasoning-delta') reply.reasoning += part.delta
    if (part.type === 'tool-call')
      reply.calls.push({ id: part.toolCallId, name: part.toolName, input: JSON.parse(part.input || '{}') })
    if (part.type === 'finish') finish(reply, part.finishReason.unified, part.usage)
    if (part.type === 'error') throw part.error
  }
  return reply
}

interface ChatLike {
  choices: {
    message: { content?: string | null; reasoning?: string; tool_calls?: unknown[] }
    finish_reason: string | null
  }[]
  usage?: unknown
}

interface ChatUsage {
  prompt_tokens: number
  completion_tokens: number
  prompt_tokens_details: { cached_tokens: number; cache_write_tokens: number }
}

/** A `chat.completion` of ours in the oracle's words. */
export function asOracle(chat: ChatLike): OracleReply {
  const { message, finish_reason } = chat.choices[0]!
  const usage = chat.usage as ChatUsage | undefined
  return {
    text: message.content ?? '',
    reasoning: message.reasoning ?? '',
    calls: (message.tool_calls ?? []).map((call) => {
      const { id, function: fn } = call as { id: string; function: { name: string; arguments: string } }
      return { id, name: fn.name, input: JSON.parse(fn.arguments) }
    }),
    finish: finish_reason ?? '',
    input: usage?.prompt_tokens,
    cacheRead: usage?.prompt_tokens_details.cached_tokens,
    cacheWrite: usage?.prompt_tokens_details.cache_write_tokens,
    output: usage?.completion_tokens,
  }
}
