import pg from 'pg'
import { expect, test } from 'vitest'
import { bareArray, placeholders, textArray } from './pg-array.ts'

const parse = pg.types.getTypeParser(1009 as never) as unknown as (literal: string) => (string | null)[]

test('whatever a text holds, PostgreSQL reads back the same text and the same number of elements', () => {
  const texts = ['', ' ', 'plain', 'a"b', 'back\\slash', '{,}', 'NULL', null, 'line\nbreak', 'ü', '\\"', '"']
  expect(parse(textArray(texts, (each) => each))).toEqual(texts)
})

test('numbers, truth values and unknowns are elements of their own', () => {
  expect(bareArray([1, 20n, true, null], (each) => each)).toBe('{1,20,true,NULL}')
  expect(bareArray([], () => null)).toBe('{}')
  expect(placeholders(3)).toBe('$1, $2, $3')
})
