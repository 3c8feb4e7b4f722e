import { describe, expect, test } from 'vitest'
import { TranslationError } from './dialect.ts'
import { EventLines } from './event-lines.ts'

const read = (pieces: Iterable<Buffer>, longest?: number) => {
  const lines = new EventLines(longest)
  return [...pieces].flatMap((piece) => lines.push(piece))
}
const bytesOf = (text: string) => Array.from(Buffer.from(text), (byte) => Buffer.from([byte]))

describe('events are read whatever the cuts and line ends', () => {
  const stream =
    ': hello\r\ndata: grün €😀\r\ndata:two\r\n\r\nevent: x\ndata:  three\n\n\n\nid: 7\rdata: four\r\rdata: unfinished\n'
  const events = ['grün €😀\ntwo', ' three', 'four']

  test('in one piece', () => {
    expect(read([Buffer.from(stream)])).toEqual(events)
  })
  test('one byte at a time', () => {
    expect(read(bytesOf(stream))).toEqual(events)
  })
  test('cut in two anywhere', () => {
    const bytes = Buffer.from(stream)
    for (let at = 0; at <= bytes.length; at += 1)
      expect(read([bytes.subarray(0, at), Buffer.alloc(0), bytes.subarray(at)])).toEqual(events)
  })
})

describe('memory is bounded', () => {
  test('a line may be as long as the limit and not longer', () => {
    const mebibyte = 1024 * 1024
    expect(read([Buffer.from(`data: ${'a'.repeat(mebibyte - 6)}\n\n`)])[0]?.length).toBe(mebibyte - 6)
    expect(() => read([Buffer.from(`data: ${'a'.repeat(mebibyte - 5)}\n\n`)])).toThrow(TranslationError)
  })
  test('a line that never ends is refused before it ends', () => {
    const lines = new EventLines()
    const piece = Buffer.alloc(64 * 1024, 'a')
    for (let i = 0; i < 16; i += 1) lines.push(piece)
    expect(() => lines.push(piece)).toThrow(TranslationError)
  })
  test('an event of endless short lines is refused too', () => {
    const lines = new EventLines(1000)
    expect(() => {
      for (let i = 0; i < 1000; i += 1) lines.push(Buffer.from('data: x\n'))
    }).toThrow(TranslationError)
  })
})

test('a million pieces of one byte take linear time', () => {
  const time = (size: number) => {
    const pieces = bytesOf(`data: ${'a'.repeat(size)}\n\n`)
    const begun = performance.now()
    expect(read(pieces)[0]?.length).toBe(size)
    return performance.now() - begun
  }
  time(10_000)
  const fastest = (size: number) => Math.min(time(size), time(size), time(size))
  const [small, large] = [fastest(100_000), fastest(1_000_000)]
  // Ten times the bytes, with much room for noise; a quadratic reader would need a hundred times as long.
  expect(large).toBeLessThan(Math.max(50, small) * 40)
})
