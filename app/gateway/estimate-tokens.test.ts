import { countTokens } from 'gpt-tokenizer/encoding/o200k_base'
import { expect, test } from 'vitest'
import type { Endpoint } from '#app/domain/providers/provider.ts'
import { estimateTokens } from './estimate-tokens.ts'
import { readInferenceRequest } from './inference-request.ts'

const prompt = 'Summarise the quarterly report in three sentences, please.'
const ask = (endpoint: Endpoint, body: object) => readInferenceRequest(endpoint, Buffer.from(JSON.stringify(body)))
const chat = (stream: boolean) => ask('chat', { model: 'a/b', stream, messages: [{ role: 'user', content: prompt }] })
const event = (content: string) => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`

test('a stream that broke: the words that passed, by a real tokenizer', async () => {
  const tail = event('The report ') + event('says that ') + event('revenue grew.')
  const whole = await estimateTokens(chat(true), { tail, bytes: Buffer.byteLength(tail) })
  expect(whole).toEqual({ input: countTokens(prompt), output: countTokens('The report says that revenue grew.') })
})

test('of a long stream only the end is kept: what came before is taken to be as dense', async () => {
  const tail = event('word ').repeat(100)
  const bytes = Buffer.byteLength(tail)
  const { output } = await estimateTokens(chat(true), { tail: tail.slice(10), bytes: bytes * 10 })
  const kept = countTokens('word '.repeat(99))
  expect(output).toBeGreaterThan(kept * 9)
  expect(output).toBeLessThanOrEqual(Math.ceil((kept * 10 * bytes) / (bytes - 10)))
})

test('images and other data are not counted as text', async () => {
  const image = { type: 'image_url', image_url: { url: `data:image/png;base64,${'A'.repeat(10_000)}` } }
  const request = ask('chat', {
    model: 'a/b',
    messages: [{ role: 'user', content: [{ type: 'text', text: prompt }, image] }],
  })
  expect((await estimateTokens(request, { tail: '', bytes: 0 })).input).toBe(countTokens(prompt))
})

test('plain replies, tool calls, responses and embeddings', async () => {
  const reply = JSON.stringify({
    choices: [{ message: { content: null, tool_calls: [{ id: 'x', function: { name: 'f', arguments: '{"a":1}' } }] } }],
  })
  expect((await estimateTokens(chat(false), { tail: reply, bytes: reply.length })).output).toBe(countTokens('f{"a":1}'))
  const delta = `event: x\ndata: ${JSON.stringify({ type: 'response.output_text.delta', delta: 'hello there' })}\n\n`
  const responses = ask('responses', { model: 'a/b', input: prompt, stream: true })
  expect((await estimateTokens(responses, { tail: delta, bytes: delta.length })).output).toBe(
    countTokens('hello there'),
  )
  const embeddings = ask('embeddings', { model: 'a/b', input: [prompt] })
  expect(await estimateTokens(embeddings, { tail: '{}', bytes: 2 })).toEqual({ input: countTokens(prompt), output: 0 })
})

test('a long text is counted whole, and one without a space in it lets others have their turn', async () => {
  const English = 'The invoice of a month is the sum of its calls,  and every call can be looked up.\n'.repeat(100)
  const responses = (input: string) => ask('responses', { model: 'a/b', input })
  const nothing = { tail: '', bytes: 0 }
  expect((await estimateTokens(responses(English), nothing)).input).toBe(countTokens(English))
  // No two characters follow each other twice, so that nothing is remembered; in one piece this takes minutes.
  const page = Array.from({ length: 100_000 }, (_, at) => String.fromCharCode(0x4e00 + ((at * at + at * 31) % 20_000)))
  let turns = 0
  let over = false
  const others = () => {
    turns += 1
    if (!over) setImmediate(others)
  }
  others()
  const { input } = await estimateTokens(responses(page.join('')), nothing)
  over = true
  expect(input).toBeGreaterThan(100_000)
  expect(turns).toBeGreaterThan(10)
})

test('an emoji is not cut in two', async () => {
  const emoji = '😀'.repeat(1_000)
  const { input } = await estimateTokens(ask('responses', { model: 'a/b', input: `a${emoji}` }), { tail: '', bytes: 0 })
  expect(input).toBeLessThanOrEqual(countTokens(`a${emoji}`) + 8)
})
