import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A provider that answers at once: 1 KB of JSON, or 41 events. Its own process; prints its origin as JSON. */
const usage =
  '"usage":{"prompt_tokens":250,"completion_tokens":40,"total_tokens":290,"cost":0.0001425,"is_byok":false,"prompt_tokens_details":{"cached_tokens":0},"cost_details":{"upstream_inference_cost":null}}'
const id = 'gen-1760000000-benchbenchbenchbench'
const json = Buffer.from(
  `{"id":"${id}","model":"openai/gpt-5-mini","object":"chat.completion","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"${'word '.repeat(140)}"}}],${usage}}`,
)
const event = (content: string) =>
  `data: {"id":"${id}","provider":"Bench","model":"openai/gpt-5-mini","object":"chat.completion.chunk","created":1760000000,"choices":[{"index":0,"delta":{"role":"assistant","content":"${content}"},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}\n\n`
const events = Array.from({ length: 39 }, (_, index) => Buffer.from(event(`word ${index} `)))
const last = Buffer.from(`data: {"id":"${id}","choices":[],${usage}}\n\ndata: [DONE]\n\n`)

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  const pieces: Buffer[] = []
  request.on('data', (piece: Buffer) => pieces.push(piece))
  request.on('end', () => {
    const streamed = Buffer.concat(pieces).includes('"stream":true')
    if (!streamed) {
      response.writeHead(200, {
        'content-type': 'application/json',
        'content-length': json.length,
        'x-generation-id': id,
      })
      response.end(json)
      return
    }
    response.writeHead(200, { 'content-type': 'text/event-stream', 'x-generation-id': id })
    for (const piece of events) response.write(piece)
    response.end(last)
  })
})
server.listen(0, '127.0.0.1', () =>
  process.stdout.write(`${JSON.stringify({ origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })}\n`),
)
