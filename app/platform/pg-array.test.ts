import pg from 'pg'
import { expect, test } from 'vitest'
import { bareArray, rowArray, rowText, textArray } from './pg-array.ts'

const parse = pg.types.getTypeParser(1009 as never) as unknown as (literal: string) => (string | null)[]

const texts = [
  '',
  ' ',
  'plain',
  'a"b',
  'back\\slash',
  '{,}',
  '(,)',
  'NULL',
  null,
  'line\nbreak',
  'ü',
  '\\"',
  '"',
  '""',
  "'",
]

test('whatever a text holds, PostgreSQL reads back the same text and the same number of elements', () => {
  expect(parse(textArray(texts, (each) => each))).toEqual(texts)
})

test('numbers, truth values and unknowns are elements of their own', () => {
  expect(bareArray([1, 20n, true, null], (each) => each)).toBe('{1,20,true,NULL}')
  expect(bareArray([], () => null)).toBe('{}')
})

test('a row holds its fields in order, and an unknown is nothing between two commas', () => {
  const rows = rowArray(
    [
      { id: 7n, name: 'a' },
      { id: null, name: null },
    ],
    ({ id, name }, place) => [place, id, rowText(name), true],
  )
  expect(parse(rows)).toEqual(['(1,7,"a",true)', '(2,,,true)'])
})
