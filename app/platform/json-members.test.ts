import { describe, expect, test } from 'vitest'
import { memberText, scanMembers, stringMember, valuesInObject } from './json-members.ts'

const scan = (text: string | Buffer) => scanMembers(Buffer.from(text))

function texts(text: string): Record<string, string> | string {
  const bytes = Buffer.from(text)
  const found = scanMembers(bytes)
  if (!found.ok) return found.failure
  return Object.fromEntries([...found.members].map(([name, member]) => [name, memberText(bytes, member)]))
}

describe('what it finds is what a parser finds', () => {
  const documents = [
    '{}',
    ' \r\n\t{ }\n',
    '{"model":"a/b","stream":true,"messages":[{"role":"user","content":"hi"}]}',
    '{"a":"\\"","b":"\\\\","c":"\\\\\\"","d":1}',
    '{"a":"}],{\\"model\\":\\"evil\\"","model":"good"}',
    '{"a":{"model":"evil","b":[{"model":"evil"},"]}"]},"model":"good"}',
    '{"mod\\u0065l":"escaped name"}',
    '{"a":[],"b":{},"c":[ ],"d":[1],"e":[1,2,[3,4],{"x":[5,6]}]}',
    '{"n":-1.5e+10,"z":0,"t":true,"f":false,"u":null}',
    '{"emoji":"👩‍👩‍👧 账本","é":"\\ud83d\\ude00"}',
    '{"":"empty name","__proto__":1,"constructor":{"prototype":2}}',
  ]

  test.each(documents)('%s', (text) => {
    const parsed = JSON.parse(text) as Record<string, unknown>
    const found = texts(text)
    expect(typeof found).toBe('object')
    const reparsed = Object.entries(found).map(([name, value]) => [name, JSON.parse(value)])
    expect(reparsed).toEqual(Object.keys(parsed).map((name) => [name, parsed[name]]))
  })

  test('sizes of arrays and objects are counted at their own level only', () => {
    const found = scan('{"a":[],"b":[ ],"c":[1],"d":[[1,2],{"x":[3,4]},"a,b"],"e":{"x":1,"y":[1,2]}}')
    expect(found.ok && [...found.members.values()].map((member) => member.size)).toEqual([0, 0, 1, 3, 2])
  })

  test('values are counted at every level, and none in strings', () => {
    const found = scan('{"a":"[,{","b":1,"c":[],"d":[1,[2,{"x":"],[","y":3}]]}')
    expect(found.ok && [...found.members.values()].map((member) => member.values)).toEqual([1, 1, 1, 6])
  })

  test('a long string ends where it ends, with quotes and backslashes anywhere in it', () => {
    for (let length = 0; length < 80; length += 1) {
      const value = JSON.stringify(`${'a'.repeat(length)}\\"\\${'b'.repeat(80 - length)}`)
      expect(texts(`{"a":${value},"b":1}`)).toEqual({ a: value, b: '1' })
    }
  })

  test('a byte order mark is passed over', () => {
    expect(scan('\ufeff{"model":"a"}').ok).toBe(true)
  })
})

test.each([
  ['{}', 1],
  [' {"a":[1,2,{"b":"[,{"}],"c":1} ', 6],
  ['', null],
  ['[]', null],
  ['"{}"', null],
  ['{}{}', null],
  ['{"a":[}', null],
  [`{"a":${'['.repeat(300)}${']'.repeat(300)}}`, null],
])('values in the text of an object: %#', (text, values) => expect(valuesInObject(text)).toBe(values))

describe('hostile documents are refused', () => {
  test.each([
    ['', 'not_json'],
    ['   ', 'not_json'],
    ['null', 'not_json'],
    ['"{}"', 'not_json'],
    ['[{"model":"a"}]', 'not_an_object'],
    ['{"model":"a"', 'not_json'],
    ['{"model":"a"}}', 'not_json'],
    ['{"model":"a"} trailing', 'not_json'],
    ['{"model":"a"}{"model":"b"}', 'not_json'],
    ['{"model":"a",}', 'not_json'],
    ['{,"model":"a"}', 'not_json'],
    ['{"model" "a"}', 'not_json'],
    ['{"model":}', 'not_json'],
    ['{model:"a"}', 'not_json'],
    ["{'model':'a'}", 'not_json'],
    ['{"model":"a\\"}', 'not_json'],
    ['{"a":[}]}', 'not_json'],
    ['{"a":{"b":1]}', 'not_json'],
    ['{"n":01}', 'not_json'],
    ['{"n":NaN}', 'not_json'],
    ['{"n":Infinity}', 'not_json'],
    ['{"n":0x10}', 'not_json'],
    ['{"n":.5}', 'not_json'],
    ['{"n":+1}', 'not_json'],
    ['{"n":truefalse}', 'not_json'],
    ['{"n":1 2}', 'not_json'],
    ['{"\\x":1}', 'not_json'],
    ['{"stream":false,"stream":true}', 'duplicate_member'],
    ['{"model":"a","mod\\u0065l":"b"}', 'duplicate_member'],
    [`{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}`, 'too_deep'],
    [`{"a":${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}}`, 'too_deep'],
    [`{"n":${'9'.repeat(10_000)}}`, 'not_json'],
    [`{${Array.from({ length: 257 }, (_, at) => `"m${at}":1`)}}`, 'too_many_members'],
  ])('%#', (text, failure) => {
    expect(texts(text)).toBe(failure)
  })

  test('every truncation of a document is refused', () => {
    const whole = '{"model":"a\\"b","messages":[{"role":"user","content":"x, [y] {z}"}],"stream":true}'
    for (let length = 0; length < whole.length; length += 1)
      expect(texts(whole.slice(0, length))).not.toBeTypeOf('object')
  })

  test('a string member with a broken escape is no string', () => {
    const bytes = Buffer.from('{"model":"a\\qb"}')
    const found = scanMembers(bytes)
    expect(found.ok && stringMember(bytes, found.members.get('model'))).toBe(null)
  })
})

test('it agrees with JSON.parse on random documents and on random damage to them', () => {
  let seed = 42
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    return seed % below
  }
  const letters = ['a', '"', '\\', '{', '}', '[', ']', ',', ':', '\n', 'é', '😀', '']
  const value = (depth: number): unknown => {
    const kind = random(depth > 3 ? 3 : 5)
    if (kind === 0) return Array.from({ length: random(6) }, () => letters[random(letters.length)]).join('')
    if (kind === 1) return random(1000) / 8
    if (kind === 2) return [true, false, null][random(3)]
    if (kind === 3) return Array.from({ length: random(4) }, () => value(depth + 1))
    return Object.fromEntries(
      Array.from({ length: random(4) }, (_, index) => [
        `k${index}${letters[random(letters.length)]}`,
        value(depth + 1),
      ]),
    )
  }
  for (let round = 0; round < 3000; round += 1) {
    const document = Object.fromEntries(Array.from({ length: random(5) }, (_, index) => [`m${index}`, value(0)]))
    const text = JSON.stringify(document, null, random(3))
    const found = texts(text)
    expect(
      typeof found === 'object' &&
        Object.fromEntries(Object.entries(found).map(([name, part]) => [name, JSON.parse(part)])),
    ).toEqual(document)
    const at = random(text.length)
    const damaged = `${text.slice(0, at)}${text.slice(at + 1)}`
    let parses = true
    try {
      const parsed: unknown = JSON.parse(damaged)
      parses = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
    } catch {
      parses = false
    }
    if (parses) expect(['object', 'string']).toContain(typeof texts(damaged))
    if (parses && typeof texts(damaged) === 'string') expect(texts(damaged)).toBe('duplicate_member')
  }
})
