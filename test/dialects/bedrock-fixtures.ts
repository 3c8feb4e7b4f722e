import { crc32 } from 'node:zlib'

/** A header whose value is text: length and name, the type 7, length and value. */
function header(name: string, value: string): Buffer {
  const bytes = Buffer.from(value)
  const length = Buffer.alloc(2)
  length.writeUInt16BE(bytes.length)
  return Buffer.concat([Buffer.from([name.length]), Buffer.from(name), Buffer.from([7]), length, bytes])
}

const number = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** A frame of AWS's event stream, put together by hand so that the codec under test is not its own witness. */
export function frame(headers: Record<string, string>, body: string): Buffer {
  const head = Buffer.concat(Object.entries(headers).map(([name, value]) => header(name, value)))
  const payload = Buffer.from(body)
  const lengths = Buffer.concat([number(16 + head.length + payload.length), number(head.length)])
  const all = Buffer.concat([lengths, number(crc32(lengths)), head, payload])
  return Buffer.concat([all, number(crc32(all))])
}

export const event = (name: string, payload: object | string): Buffer =>
  frame(
    { ':event-type': name, ':content-type': 'application/json', ':message-type': 'event' },
    typeof payload === 'string' ? payload : JSON.stringify(payload),
  )

export const exception = (name: string, payload: object): Buffer =>
  frame(
    { ':exception-type': name, ':content-type': 'application/json', ':message-type': 'exception' },
    JSON.stringify(payload),
  )

const delta = (contentBlockIndex: number, piece: object) =>
  event('contentBlockDelta', { contentBlockIndex, delta: piece, p: 'abcdefgh' })
const open = (contentBlockIndex: number, toolUse: object) =>
  event('contentBlockStart', { contentBlockIndex, start: { toolUse } })
const close = (contentBlockIndex: number) => event('contentBlockStop', { contentBlockIndex })
const start = event('messageStart', { role: 'assistant' })
const stop = (stopReason: string) => event('messageStop', { stopReason })
const metadata = (usage: object) => event('metadata', { metrics: { latencyMs: 9 }, usage })

export const textStream = Buffer.concat([
  start,
  delta(0, { text: 'Grüße,' }),
  delta(0, { text: ' 世界 😀' }),
  close(0),
  stop('end_turn'),
  metadata({ inputTokens: 25, outputTokens: 15, totalTokens: 40 }),
])

/** Thinking with its signature, hidden thinking, text, two parallel tool calls and one without arguments. */
export const toolStream = Buffer.concat([
  start,
  delta(0, { reasoningContent: { text: 'Two cities' } }),
  delta(0, { reasoningContent: { text: ', two calls.' } }),
  delta(0, { reasoningContent: { signature: 'c2lnbmVk' } }),
  close(0),
  delta(1, { reasoningContent: { redactedContent: 'aGlk' } }),
  delta(1, { reasoningContent: { redactedContent: 'ZGVu' } }),
  close(1),
  delta(2, { text: 'Looking.' }),
  close(2),
  open(3, { toolUseId: 'tooluse_a', name: 'weather' }),
  delta(3, { toolUse: { input: '{"city": "Par' } }),
  delta(3, { toolUse: { input: 'is", "id": 9007199254740993}' } }),
  close(3),
  open(4, { toolUseId: 'tooluse_b', name: 'weather' }),
  delta(4, { toolUse: { input: '{"city":"東京"}' } }),
  close(4),
  open(5, { toolUseId: 'tooluse_c', name: 'now' }),
  close(5),
  stop('tool_use'),
  metadata({
    inputTokens: 12,
    outputTokens: 77,
    totalTokens: 1389,
    cacheReadInputTokens: 1000,
    cacheWriteInputTokens: 300,
  }),
])

/** The same as `toolStream`, as a plain reply. */
export const toolReply = JSON.stringify({
  metrics: { latencyMs: 9 },
  output: {
    message: {
      role: 'assistant',
      content: [
        { reasoningContent: { reasoningText: { text: 'Two cities, two calls.', signature: 'c2lnbmVk' } } },
        { reasoningContent: { redactedContent: 'aGlkZGVu' } },
        { text: 'Looking.' },
        { toolUse: { toolUseId: 'tooluse_a', name: 'weather', input: { city: 'Paris', id: 'BIG' } } },
        { toolUse: { toolUseId: 'tooluse_b', name: 'weather', input: { city: '東京' } } },
        { toolUse: { toolUseId: 'tooluse_c', name: 'now', input: {} } },
      ],
    },
  },
  stopReason: 'tool_use',
  usage: {
    inputTokens: 12,
    outputTokens: 77,
    totalTokens: 1389,
    cacheReadInputTokens: 1000,
    cacheWriteInputTokens: 300,
  },
}).replace('"BIG"', '9007199254740993')

export const failedStream = Buffer.concat([
  start,
  delta(0, { text: 'Half' }),
  exception('modelStreamErrorException', { message: 'The model broke off.', originalStatusCode: 500 }),
  delta(0, { text: 'never said' }),
])

export const stoppedBy = (reason: string) =>
  Buffer.concat([start, stop(reason), metadata({ inputTokens: 1, outputTokens: 1, totalTokens: 2 })])

/** A stream whose counts are written as given, to see which are believed. */
export const countedStream = (input: string, output: string) =>
  Buffer.concat([
    start,
    stop('end_turn'),
    event('metadata', `{"usage":{"inputTokens":${input},"outputTokens":${output}}}`),
  ])
