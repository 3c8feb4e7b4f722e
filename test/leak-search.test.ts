import { describe, expect, it } from 'vitest'
import { makeCanary, searchLeaks } from './leak-search.ts'

describe('the search for leaked secrets finds one', () => {
  const planted = makeCanary('planted', 'sk-or-v1-', 'hint')

  it('inside longer texts that were encoded whole', () => {
    for (const text of [`x${planted.text}`, `xx${planted.text}yy`, `{"key":"${planted.text}"}`])
      for (const encoding of ['base64', 'base64url', 'hex', 'utf16le'] as const) {
        const encoded =
          encoding === 'utf16le' ? Buffer.from(text, encoding).toString('latin1') : Buffer.from(text).toString(encoding)
        expect(searchLeaks(new Map([['somewhere', encoded]]), [planted]).length).toBeGreaterThan(0)
      }
  })

  it('that was cut in two', () => {
    const half = planted.text.length / 2
    for (const part of [planted.text.slice(0, half), planted.text.slice(half)])
      expect(searchLeaks(new Map([['somewhere', part]]), [planted]).length).toBeGreaterThan(0)
  })

  it('and nothing else', () => {
    expect(searchLeaks(new Map([['somewhere', 'sk-or-v1-…hint']]), [planted])).toEqual([])
  })
})
