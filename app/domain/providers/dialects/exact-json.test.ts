import { describe, expect, test } from 'vitest'
import { isRawNumber, nearest, parseExact } from './exact-json.ts'
import { isObject } from './json-object.ts'

describe('numbers pass through as they came', () => {
  test.each([
    '9007199254740993',
    '-9007199254740993',
    '1.0',
    '1e309',
    '-0',
    '0.1',
    '1E3',
    '12345678901234567890123',
    '3.14159265358979323846',
    '42',
  ])('%s', (text) => {
    expect(JSON.stringify(parseExact(`{"a":[${text}]}`))).toBe(`{"a":[${text}]}`)
  })

  test('a number kept as text is no object and has a nearest double', () => {
    const [kept] = parseExact('[9007199254740993]') as unknown[]
    expect(isRawNumber(kept)).toBe(true)
    expect(isObject(kept)).toBe(false)
    expect(nearest(kept)).toBe(9007199254740992)
    expect(nearest('1')).toBe(null)
    expect(isObject({ rawJSON: '1' })).toBe(true)
  })

  test.each(['', '{', 'NaN', '[1,]', '{"a":01}', '"\u0001"'])('what is no JSON is undefined: %j', (text) => {
    expect(parseExact(text)).toBe(undefined)
  })

  test('nesting that would overflow the stack is no JSON', () => {
    expect(parseExact(`${'['.repeat(200_000)}1.0${']'.repeat(200_000)}`)).toBe(undefined)
  })
})
