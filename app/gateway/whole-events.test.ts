import { describe, expect, test } from 'vitest'
import { WholeEvents, withoutUsageEvents } from './whole-events.ts'

const usage = 'data: {"id":"1","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n'
const words = 'data: {"id":"1","choices":[{"delta":{"content":"déjà vu ☕"}}],"usage":null}\n\n'
const filter = 'data: {"choices":[],"prompt_filter_results":[{"prompt_index":0}]}\n\n'
const done = 'data: [DONE]\n\n'

function through(stream: string, cut: (bytes: Buffer) => Buffer[]): string {
  const events = new WholeEvents()
  const out = cut(Buffer.from(stream)).map((piece) => withoutUsageEvents(events.take(piece)))
  const rest = events.rest()
  if (rest) out.push(withoutUsageEvents(rest))
  return Buffer.concat(out).toString('utf8')
}

const atEvery = (bytes: Buffer, at: number) => [bytes.subarray(0, at), bytes.subarray(at)]
const oneByOne = (bytes: Buffer) => [...bytes.keys()].map((at) => bytes.subarray(at, at + 1))

describe('the usage event that the client did not ask for', () => {
  test.each([
    ['LF', (text: string) => text],
    ['CR LF', (text: string) => text.replaceAll('\n', '\r\n')],
    ['CR', (text: string) => text.replaceAll('\n', '\r')],
  ])('is taken out wherever the stream is cut, and nothing else: %s', (_name, ends) => {
    const stream = ends(filter + words + usage + done)
    const expected = ends(filter + words + done)
    expect(through(stream, oneByOne)).toBe(expected)
    for (let at = 0; at <= Buffer.byteLength(stream); at++)
      expect(through(stream, (bytes) => atEvery(bytes, at))).toBe(expected)
  })
  test('is taken out with spaces in its JSON, and at the very end without a blank line', () => {
    expect(through(words + usage.replace('"choices":[]', '"choices": []') + done, (bytes) => [bytes])).toBe(
      words + done,
    )
    expect(through(words + usage.trimEnd(), (bytes) => [bytes])).toBe(words)
  })
  test('stays where a model merely writes of it', () => {
    const quoted = `data: ${JSON.stringify({ choices: [{ delta: { content: '"choices":[] "usage":{}' } }] })}\n\n`
    expect(through(quoted, (bytes) => [bytes])).toBe(quoted)
  })
})

test('half an event waits for its other half, an endless one does not', () => {
  const events = new WholeEvents()
  expect(events.take(Buffer.from('data: {"a"')).length).toBe(0)
  expect(events.take(Buffer.from(':1}\n\ndata')).toString()).toBe('data: {"a":1}\n\n')
  expect(events.take(Buffer.alloc(1024 * 1024 + 1, 0x61)).length).toBe(1024 * 1024 + 5)
})
