/** The requests of the benchmark and the replies that its upstream gives, made once. */

/** How the upstream answers; it stands at the beginning of the prompt. */
export type Mark = 'instant' | 'paced' | 'held' | 'large'

export const paceFirstMs = 50
export const paceNextMs = 10
/** A stream that stays open: an event every second. */
export const heldEveryMs = 1_000
export const heldEvents = 8
/** Size of the reply that a slow reader takes, in bytes. */
export const largeBytes = 16 * 1024 * 1024

/** What one call costs, in pico-dollars, as the upstream reports it. */
export const exactCostPico = '142500000'

const usage =
  '"usage":{"prompt_tokens":250,"completion_tokens":40,"total_tokens":290,"cost":0.0001425,"is_byok":false,"prompt_tokens_details":{"cached_tokens":0},"cost_details":{"upstream_inference_cost":null}}'
const id = 'gen-1760000000-benchbenchbenchbench'
const completion = `{"id":"${id}","model":"openai/gpt-5-mini","object":"chat.completion","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"${'word '.repeat(140)}"}}],${usage}}`

const event = (content: string): string =>
  `data: {"id":"${id}","provider":"Bench","model":"openai/gpt-5-mini","object":"chat.completion.chunk","created":1760000000,"choices":[{"index":0,"delta":{"role":"assistant","content":"${content}"},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}\n\n`

const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`
const head = (headers: string): Buffer => Buffer.from(`HTTP/1.1 200 OK\r\nx-generation-id: ${id}\r\n${headers}\r\n\r\n`)

const streamHead = head('content-type: text/event-stream\r\ntransfer-encoding: chunked')
const events = Array.from({ length: 39 }, (_, index) => Buffer.from(chunk(event(`word ${index} `))))
const end = Buffer.from(`${chunk(`data: {"id":"${id}","choices":[],${usage}}\n\ndata: [DONE]\n\n`)}0\r\n\r\n`)

export const shapes = {
  json: Buffer.concat([
    head(`content-type: application/json\r\ncontent-length: ${completion.length}`),
    Buffer.from(completion),
  ]),
  wholeStream: Buffer.concat([streamHead, ...events, end]),
  stream: { head: streamHead, events, end },
  large: { head: streamHead, block: Buffer.from(chunk(event('word '.repeat(170))).repeat(16)), end },
}

const marks: Mark[] = ['paced', 'held', 'large']

/** The mark in the beginning of a request's body. */
export const markOf = (begin: Buffer): Mark => marks.find((mark) => begin.includes(`bench-${mark}`)) ?? 'instant'

/** A chat request with a prompt of about `promptBytes`. */
export function chatBody({
  streamed,
  mark = 'instant',
  promptBytes = 950,
}: {
  streamed: boolean
  mark?: Mark
  promptBytes?: number
}): Buffer {
  const content = `bench-${mark} ${'word '.repeat(Math.ceil(promptBytes / 5))}`
  return Buffer.from(
    JSON.stringify({ model: 'openai/gpt-5-mini', stream: streamed, messages: [{ role: 'user', content }] }),
  )
}
