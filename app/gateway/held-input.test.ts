/** What is set aside for an input does not depend on how short the address of a picture is. */
import { expect, test } from 'vitest'
import { heldInputTokens } from './held-input.ts'
import { readInferenceRequest } from './inference-request.ts'

const held = (content: unknown, more: object = {}) =>
  heldInputTokens(
    readInferenceRequest(
      'chat',
      Buffer.from(JSON.stringify({ model: 'a/b', messages: [{ role: 'user', content }], ...more })),
    ),
  )
const text = held([])

test.each([
  ['an image by its address', { type: 'image_url', image_url: { url: 'https://x.y/z.png' } }, 5_000],
  [
    'an image in the request',
    { type: 'image_url', image_url: { url: `data:image/png;base64,${'A'.repeat(400_000)}` } },
    5_000,
  ],
  ['audio', { type: 'input_audio', input_audio: { data: 'AAAA', format: 'mp3' } }, 20_000],
  ['a file', { type: 'file', file: { file_data: 'AAAA' } }, 50_000],
  ['a video', { type: 'video_url', video_url: { url: 'https://x.y/z.mp4' } }, 50_000],
])('%s counts a constant', (_name, part, tokens) => {
  const one = held([part])
  expect(one).toBeGreaterThanOrEqual(text + tokens)
  expect(one).toBeLessThan(text + tokens + 40)
  expect(held([part, part])).toBeGreaterThanOrEqual(text + 2 * tokens)
})

test('parts of a Responses input and of a tool’s result count too', () => {
  const input = [{ role: 'user', content: [{ type: 'input_image', image_url: 'https://x.y/z.png' }] }]
  const body = Buffer.from(JSON.stringify({ model: 'a/b', input }))
  expect(heldInputTokens(readInferenceRequest('responses', body))).toBeGreaterThanOrEqual(5_000)
  expect(held([{ type: 'tool_result', content: [{ type: 'image', source: {} }] }])).toBeGreaterThan(5_000)
})

test('text counts by its bytes, tools included, and words about images are text', () => {
  expect(held('x'.repeat(4_000)) - held('')).toBe(1_000)
  expect(held('"type":"image_url"')).toBeLessThan(100)
  const tools = [{ type: 'function', function: { name: 'f', description: 'd'.repeat(400) } }]
  expect(held('', { tools }) - held('')).toBeGreaterThanOrEqual(100 + 10)
  expect(held('', { tools }) - held('')).toBeLessThan(100 + 50)
})

test('encoded bytes in a message are text, whatever they call themselves', () => {
  const encoded = Buffer.from('many words '.repeat(4_000)).toString('base64')
  for (const content of [
    encoded,
    `data:text/plain;base64,${encoded}`,
    [{ type: 'text', text: `data:text/plain;base64,${encoded}` }],
  ])
    expect(held(content)).toBeGreaterThan(encoded.length / 2.5)
})

test('what calls itself an image and holds words counts as words', () => {
  const words = 'many words '.repeat(40_000)
  const wordsHeld = words.length / 4
  const message = (more: object) =>
    heldInputTokens(
      readInferenceRequest(
        'chat',
        Buffer.from(JSON.stringify({ model: 'a/b', messages: [{ role: 'user', ...more }] })),
      ),
    )
  expect(message({ type: 'image', content: words })).toBeGreaterThan(wordsHeld)
  expect(message({ type: 'file', content: [{ type: 'text', text: words }] })).toBeGreaterThan(wordsHeld)
  expect(held([{ type: 'image_url', image_url: { url: 'https://x.y/z.png' }, text: words }])).toBeGreaterThan(wordsHeld)
  const pictures = Array.from({ length: 20 }, () => ({ type: 'image_url', image_url: { url: 'https://x.y/z.png' } }))
  expect(message({ type: 'image', content: pictures })).toBeGreaterThan(20 * 5_000)
})

test('a text file in the request counts as its text', () => {
  const encoded = Buffer.from('many words '.repeat(40_000)).toString('base64')
  expect(held([{ type: 'file', file: { file_data: `data:text/plain;base64,${encoded}` } }])).toBeGreaterThan(110_000)
  expect(held([{ type: 'document', source: { type: 'text', data: 'many words '.repeat(40_000) } }])).toBeGreaterThan(
    110_000,
  )
  expect(held([{ type: 'file', file: { file_data: `data:application/pdf;base64,${encoded}` } }])).toBeLessThan(51_000)
})

test('an image whose kind is written with escapes is one all the same', () => {
  const part = '{"type":"\\u0069mag\\u0065_url","\\u0069mage_url":{"url":"https://x.y/z.png"}}'
  const body = Buffer.from(`{"model":"a/b","messages":[{"role":"user","content":[${part}]}]}`)
  expect(body.includes('image')).toBe(false)
  expect(heldInputTokens(readInferenceRequest('chat', body))).toBeGreaterThanOrEqual(5_000)
})

/** As Python's `json.dumps` and PHP write it unless told otherwise. */
const escaped = (json: string) =>
  json.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

test('a text written with escapes is held as the same text without them, wherever it stands', () => {
  const words = 'Счёт за месяц складывается из вызовов. 一个月的账单是其所有调用的总和。😀'.repeat(200)
  const tools = [{ type: 'function', function: { name: 'f', description: words } }]
  for (const [endpoint, body] of [
    ['chat', { messages: [{ role: 'user', content: words }] }],
    ['chat', { messages: [{ role: 'user', content: 'hi' }], tools }],
    ['responses', { input: words }],
    ['responses', { input: 'hi', instructions: words }],
  ] as const) {
    const json = JSON.stringify({ model: 'a/b', ...body })
    const [plain, long] = [json, escaped(json)].map((text) =>
      heldInputTokens(readInferenceRequest(endpoint, Buffer.from(text))),
    )
    expect(long).toBe(plain)
  }
})

test('words count in every member that some model reads, not in the usual two only', () => {
  const words = 'many words '.repeat(40_000)
  expect(held('hi', { functions: [{ name: 'f', description: words }] })).toBeGreaterThan(words.length / 4)
  const text = { format: { type: 'json_schema', name: 'n', schema: { description: words } } }
  const body = Buffer.from(JSON.stringify({ model: 'a/b', input: 'hi', text }))
  expect(heldInputTokens(readInferenceRequest('responses', body))).toBeGreaterThan(words.length / 4)
  expect(held('hi', { user: 'x'.repeat(400), metadata: { a: 'x'.repeat(400) }, temperature: 0.7 })).toBe(held('hi'))
})

test('what a provider keeps of a conversation counts a constant', () => {
  const of = (more: object) =>
    heldInputTokens(
      readInferenceRequest('responses', Buffer.from(JSON.stringify({ model: 'a/b', input: 'hi', ...more }))),
    )
  expect(of({ previous_response_id: 'resp_1' })).toBe(of({}) + 50_000)
  expect(of({ conversation: { id: 'conv_1' } })).toBe(of({}) + 50_000)
  expect(of({ previous_response_id: null })).toBe(of({}))
})

test('an item that stands for one which the provider keeps counts as what is kept, once', () => {
  const of = (endpoint: 'chat' | 'responses', input: unknown[]) =>
    heldInputTokens(
      readInferenceRequest(
        endpoint,
        Buffer.from(JSON.stringify({ model: 'a/b', [endpoint === 'chat' ? 'messages' : 'input']: input })),
      ),
    )
  const message = { role: 'user', content: 'hi', id: 'msg_0' }
  const reference = { type: 'item_reference', id: 'msg_1' }
  const plain = of('responses', [message])
  for (const item of [reference, { id: 'msg_1' }, { type: null, id: 'msg_1' }]) {
    expect(of('responses', [message, item])).toBeGreaterThanOrEqual(plain + 50_000)
    expect(of('responses', [message, item, item])).toBeLessThan(plain + 50_050)
  }
  for (const item of [message, { type: 'function_call', id: 'fc_1' }, { type: 'reasoning', id: 'rs_1' }])
    expect(of('responses', [message, item])).toBeLessThan(plain + 50)
  expect(of('responses', [{ ...message, content: [reference] }])).toBeLessThan(1_000) // no item, but a part of one
  expect(of('chat', [message, { id: 'msg_1' }])).toBeLessThan(1_000)
})

test('a member that is named twice counts twice, and a part of two kinds for both', () => {
  const of = (part: string) =>
    heldInputTokens(
      readInferenceRequest('chat', Buffer.from(`{"model":"a/b","messages":[{"role":"user","content":[${part}]}]}`)),
    )
  const words = 'many words '.repeat(1_000)
  const part = `"type":"text","text":"${words}"`
  expect(of(`{${part},"text":"hi"}`)).toBeGreaterThan(words.length / 4)
  const kinds = of('{"type":"image_url","image_url":{"url":"https://x.y/z"},"type":"input_audio"}')
  expect(kinds).toBeGreaterThanOrEqual(25_000)
  const address = `data:image/png;base64,${'A'.repeat(4_000)}`
  const text = of(`{"type":"image_url","type":"text","url":"${address}"}`)
  expect(text).toBeGreaterThan(of(`{"type":"text","type":"image_url","url":"${address}"}`) + 500)
})

test('what is nested counts at every depth, and what no parser takes counts too', () => {
  const nested = (depth: number, value: string) => `${'[{"a":'.repeat(depth)}${value}${'}]'.repeat(depth)}`
  const of = (messages: string) =>
    heldInputTokens(readInferenceRequest('chat', Buffer.from(`{"model":"a/b","messages":${messages}}`)))
  const words = 'many words '.repeat(100)
  expect(of(nested(99, `"${words}"`)) - of(nested(99, '""'))).toBeCloseTo(words.length / 4, -1)
  expect(of('[[[{"type":"image"}]]]')).toBeGreaterThan(5_000)
  for (const broken of [`[{"a" "${words}"}]`, `[${words}]`, `[{"a":"${words}",}]`, `[,,{:"${words}"}]`])
    expect(of(broken)).toBeGreaterThan(words.length / 5)
})

test('the text of a document is text, also without a space in it or behind the name of an address', () => {
  for (const words of ['many/words+and/more'.repeat(20_000), `https: ${'many words '.repeat(40_000)}`])
    expect(held([{ type: 'document', source: { type: 'text', data: words } }])).toBeGreaterThan(
      50_000 + words.length / 4,
    )
})

test('a file that does not say what it is counts as its text, where it is one', () => {
  const words = 'many words '.repeat(40_000)
  const encoded = Buffer.from(words).toString('base64')
  for (const data of [encoded, `data:application/octet-stream;base64,${encoded}`])
    expect(held([{ type: 'file', file: { file_data: data } }])).toBeGreaterThan(words.length / 4)
  const picture = Buffer.from(Array.from({ length: 40_000 }, (_, at) => (at * 7919) % 256)).toString('base64')
  expect(held([{ type: 'file', file: { file_data: picture } }])).toBeLessThan(51_000)
})

test('many short texts count one each at least', () => {
  for (const [endpoint, more] of [
    ['embeddings', {}],
    ['rerank', { query: 'x' }],
  ] as const)
    for (const text of ['', 'a', '.', '7', 'é', 'hi there']) {
      const texts = Array.from({ length: 9_000 }, () => text)
      const body = { model: 'a/b', ...more, [endpoint === 'rerank' ? 'documents' : 'input']: texts }
      const tokens = heldInputTokens(readInferenceRequest(endpoint, Buffer.from(JSON.stringify(body))))
      expect(tokens).toBeGreaterThanOrEqual(9_000 * (text === 'hi there' ? 2 : 1))
    }
})

test('numbers that are tokens already count one each', () => {
  const input = [[100_000, 100_001, 100_002], [7]]
  const body = Buffer.from(JSON.stringify({ model: 'a/b', input }))
  expect(heldInputTokens(readInferenceRequest('embeddings', body))).toBe(4)
})

test('control characters are no cheaper than words', () => {
  expect(held('\u0001\u0002'.repeat(1_000)) - held('')).toBeGreaterThan(2_000)
})
