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

test('text counts a quarter of its bytes, tools included, and words about images are text', () => {
  expect(held('x'.repeat(4_000)) - held('')).toBe(1_000)
  expect(held('"type":"image_url"')).toBeLessThan(100)
  const tools = [{ type: 'function', function: { name: 'f', description: 'd'.repeat(400) } }]
  expect(held('', { tools }) - held('')).toBe(Math.ceil((JSON.stringify(tools).length + 33) / 4) - 9)
})
