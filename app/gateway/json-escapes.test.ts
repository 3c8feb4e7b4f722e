/** Escapes are read as JSON reads them, whatever they are made of. */
import { expect, test } from 'vitest'
import { withoutEscapes } from './json-escapes.ts'

const texts = [
  'no escapes',
  '"\\/\b\f\n\r\t',
  'é Ж 中 😀 \u0000\u007f\u07ff\u0800\uffff',
  '\\u0041 \\\\u0041',
  '😀'.repeat(3),
]
const written = (text: string) =>
  JSON.stringify(text).replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

test.each(texts)('%j is what it was before it was written with escapes', (text) => {
  for (const json of [written(text), JSON.stringify(text)])
    expect(withoutEscapes(Buffer.from(json)).toString()).toBe(`"${text}"`)
})

test('broken escapes and half surrogates neither end the walk nor make the text longer', () => {
  for (const text of [
    '\\',
    '\\u',
    '\\u12',
    '\\uzzzz',
    '\\ud83d',
    '\\ud83d\\u0041',
    '\\udc00\\ud83d',
    '\\ud83d\\',
    'é\\',
  ])
    expect(withoutEscapes(Buffer.from(text)).length).toBeLessThanOrEqual(Buffer.byteLength(text))
  expect(withoutEscapes(Buffer.from('\\ud83d\\u0041')).subarray(3).toString()).toBe('A')
})
