import { expect, test } from 'vitest'
import { ReplyTail } from './reply-tail.ts'
import { StreamEnd } from './stream-end.ts'

/** The index of the piece that completes the end mark, or -1. */
function completedAt(pieces: string[]): number {
  const end = new StreamEnd()
  return pieces.findIndex((piece) => end.sign(Buffer.from(piece))?.kind === 'end')
}

const event = 'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n'

test('the mark is found wherever it lies in a piece, with any line end and spacing', () => {
  for (const whole of ['data: [DONE]\n\n', 'data:[DONE]\n\n', 'data: [DONE]\r\n\r\n', 'data: [DONE]']) {
    expect(completedAt([event, whole])).toBe(1)
    expect(completedAt([`${event}${whole}`])).toBe(0)
    expect(completedAt([`${event.replaceAll('\n', '\r')}${whole}`])).toBe(0)
    expect(completedAt([whole])).toBe(0)
  }
})

test('the mark is found however the stream is cut into pieces', () => {
  const whole = `${event}${event}data: [DONE]\n\n`
  const end = whole.indexOf('[DONE]') + '[DONE]'.length
  for (let size = 1; size <= 40; size += 1) {
    const pieces = Array.from({ length: Math.ceil(whole.length / size) }, (_, index) =>
      whole.slice(index * size, (index + 1) * size),
    )
    expect(completedAt(pieces)).toBe(Math.ceil(end / size) - 1)
  }
})

test('what lies before the sign in the same piece may go on', () => {
  const before = (text: string) => text.slice(0, new StreamEnd().sign(Buffer.from(text))?.at)
  expect(before(`${event}data: [DONE]\n\n`)).toBe(event)
  expect(before('data: [DONE]\n\n')).toBe('')
  expect(before(`${event}data: {"id":"x","error":{"code":502}}\n\n`)).toBe(event)
})

test('the word inside an answer, a comment or another field is not the mark', () => {
  for (const text of [
    'data: {"choices":[{"delta":{"content":"[DONE]"}}]}\n\n',
    'data: {"choices":[{"delta":{"content":"\\ndata: [DONE]\\n"}}]}\n\n',
    ': data: [DONE]\n\n',
    'event: [DONE]\n\n',
    'xdata: [DONE]\n\n',
    '[DONE]\n\n',
  ])
    for (let size = 1; size <= text.length; size += 7)
      expect(
        completedAt(
          Array.from({ length: Math.ceil(text.length / size) }, (_, i) => text.slice(i * size, (i + 1) * size)),
        ),
      ).toBe(-1)
})

test('an error object is a sign however it is cut; an empty error field and quoted words are none', () => {
  const signs = (text: string, size: number) => {
    const end = new StreamEnd()
    const found: unknown[] = []
    for (let at = 0; at < text.length; at += size)
      found.push(end.sign(Buffer.from(text.slice(at, at + size)))?.kind ?? null)
    return found.filter((sign) => sign !== null)
  }
  for (let size = 1; size < 40; size += 1) {
    expect(signs(`${event}data: {"id":"gen-1","error" : {"code":502}}\n\n`, size)).toContain('error')
    expect(
      signs('data: {"error":null,"choices":[{"finish_reason":"error","delta":{"content":"\\"error\\":{"}}]}\n\n', size),
    ).toEqual([])
  }
})

test('the tail holds the end of a long reply and lets go of the rest', () => {
  const tail = new ReplyTail()
  for (let index = 0; index < 100_000; index += 1) tail.push(Buffer.from(`data: ${index}\n\n`))
  tail.push(Buffer.from('the end'))
  const text = tail.text()
  expect(text.endsWith('data: 99999\n\nthe end')).toBe(true)
  expect(text.length).toBeLessThan(33_000)
  expect(text.length).toBeGreaterThan(16_000)
  const large = new ReplyTail()
  large.push(Buffer.alloc(1_000_000, 0x61))
  large.push(Buffer.from('z'))
  expect(large.text().endsWith('az')).toBe(true)
  expect(large.total).toBe(1_000_001)
})

test('a line that is made of errors holds nobody up', () => {
  expect(new StreamEnd().sign(Buffer.from(`data: {"a":[${'{"error":{}},'.repeat(3_000_000)}1]}\n\n`))).toBe(null)
})

test('an error deep inside an ordinary event ends nothing: a filter that failed says so there', () => {
  const filtered =
    'data: {"choices":[],"prompt_filter_results":[{"content_filter_results":{"error":{"code":"x"}}}]}\n\n'
  expect(new StreamEnd().sign(Buffer.from(filtered))).toBe(null)
  expect(new StreamEnd().sign(Buffer.from('data: {"metadata":{"a":{}},"error":{"code":502}}\n\n'))?.kind).toBe('error')
})
