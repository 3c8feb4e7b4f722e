import { expect, test } from 'vitest'
import { KeyScrub } from './key-scrub.ts'

const key = 'sk-or-v1-0123456789abcdef0123456789abcdef'

function through(text: string, size: number): string {
  const scrub = new KeyScrub(key)
  const bytes = Buffer.from(text)
  const out: Buffer[] = []
  for (let at = 0; at < bytes.length; at += size) out.push(scrub.pass(bytes.subarray(at, at + size)))
  const rest = scrub.rest()
  return Buffer.concat(rest ? [...out, rest] : out).toString()
}

test('the key never passes, however the bytes are cut, and everything else does', () => {
  const text = `data: {"error":"bad key ${key}, again ${key}${key} and sk-or-v1-0123 s sk sk-or"}\n\ndata: naïve ${key.slice(0, 20)}`
  const expected = text.replaceAll(key, '[secret]')
  for (let size = 1; size < 120; size += 1) expect(through(text, size)).toBe(expected)
})

test('pieces without the key pass by reference', () => {
  const piece = Buffer.from('data: {"choices":[]}\n\n')
  expect(new KeyScrub(key).pass(piece)).toBe(piece)
})
