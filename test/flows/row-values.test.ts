import { expect, test } from 'vitest'
import { systemPool } from '#app/platform/db.server.ts'
import { rowArray, rowText } from '#app/platform/pg-array.ts'
import { useDatabase } from '#test/database.ts'

useDatabase()

test('PostgreSQL reads every field of a row value back as it was, whatever its text holds', async () => {
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
    '\\\\"',
  ]
  const client = await systemPool().connect()
  try {
    await client.query('CREATE TEMP TABLE row_value (place integer, note text, amount bigint, flag boolean)')
    const values = rowArray(texts, (text, place) => [
      place,
      rowText(text),
      text === null ? null : 12345678901234567890n % 97n,
      true,
    ])
    const { rows } = await client.query(
      'SELECT r.place, r.note, r.amount, r.flag FROM unnest($1::pg_temp.row_value[]) r ORDER BY 1',
      [values],
    )
    expect(rows.map((row) => row.note)).toEqual(texts)
    expect(rows.map((row) => row.place)).toEqual(texts.map((_, index) => index + 1))
    expect(rows.map((row) => row.amount === null)).toEqual(texts.map((text) => text === null))
    expect(rows.every((row) => row.flag === true)).toBe(true)
  } finally {
    client.release(true)
  }
})
