import { describe, expect, it } from 'vitest'
import { idTime, isId } from '#app/platform/ids.ts'
import { type Header, importedCallId, readHeader, readRow, readTimestamp, type UsageRow } from './usage-csv.ts'

const defaults = { surface: 'agent_run', model: 'm', tier: 'balanced' as const }
const header = readHeader(['TIMESTAMP', 'ContextTokens', 'GeneratedTokens', 'cost']) as Header
const read = (...cells: string[]) => readRow(cells, 7, header, defaults)

describe('a usage CSV', () => {
  it('finds columns by the names that files in the field use', () => {
    expect(header).toEqual({
      timestamp: { at: 0, name: 'TIMESTAMP' },
      inputTokens: { at: 1, name: 'ContextTokens' },
      outputTokens: { at: 2, name: 'GeneratedTokens' },
      cost: { at: 3, name: 'cost' },
    })
    expect(readHeader(['\uFEFFtimestamp', 'input_tokens', 'output tokens', 'model'])).toEqual({
      timestamp: { at: 0, name: 'timestamp' },
      inputTokens: { at: 1, name: 'input_tokens' },
      outputTokens: { at: 2, name: 'output tokens' },
      model: { at: 3, name: 'model' },
    })
    expect(readHeader(['timestamp', 'input_tokens'])).toEqual({ line: 1, message: 'missing column output_tokens' })
    expect(readHeader(['timestamp', 'colour'])).toEqual({ line: 1, message: 'unknown column "colour"' })
  })
  it('reads times with seven decimals as UTC, cut to the millisecond', () => {
    expect(readTimestamp('2023-11-16 18:17:03.9799600')?.toISOString()).toBe('2023-11-16T18:17:03.979Z')
    expect(readTimestamp('2023-11-16T18:17:03+02:00')?.toISOString()).toBe('2023-11-16T16:17:03.000Z')
    expect(readTimestamp('16/11/2023')).toBeNull()
    expect(readTimestamp('2023-13-45 00:00:00')).toBeNull()
  })
  // JavaScript reads 31 February as 3 March: the call would be billed in another month than the file says.
  it.each(['2026-02-31 10:00:00', '2025-02-29 10:00:00', '2026-04-31T23:59:59Z', '2026-10-31 24:00:00'])(
    'refuses %s: there is no such time',
    (text) => expect(readTimestamp(text)).toBeNull(),
  )
  it('takes the last days of months that have them', () => {
    expect(readTimestamp('2024-02-29 10:00:00')?.toISOString()).toBe('2024-02-29T10:00:00.000Z')
    expect(readTimestamp('2026-10-31 23:59:59')?.toISOString()).toBe('2026-10-31T23:59:59.000Z')
  })
  // As the file's author writes them: a name that was made plain stands nowhere in the file.
  it.each([
    [['yesterday', '1', '1', ''], /TIMESTAMP "yesterday" is not a time/],
    [['2023-11-16 18:17:03', '-1', '1', ''], /ContextTokens "-1" is not a whole number/],
    [['2023-11-16 18:17:03', '1', '1.5', ''], /GeneratedTokens "1.5" is not a whole number/],
    [['2023-11-16 18:17:03', '1', '1', 'NaN'], /cost "NaN" is not an amount/],
  ])('names line and column of %j', (cells, message) => {
    expect(read(...cells)).toEqual({ line: 7, message: expect.stringMatching(message) })
  })
  it('tells an unknown cost from a cost of zero', () => {
    expect(read('2023-11-16 18:17:03', '1', '1', '')).toMatchObject({ rawCostPico: null })
    expect(read('2023-11-16 18:17:03', '1', '1', '0')).toMatchObject({ rawCostPico: 0n })
  })
  it('gives equal rows different ids, and the same rows the same ids again', () => {
    const row = read('2023-11-16 18:17:03.979', '374', '44', '') as UsageRow
    const scope = { workspaceId: 'w', source: 'f.csv', keySource: 'platform' }
    const id = importedCallId(scope, row, 0)
    expect(isId(id) && idTime(id).toISOString()).toBe('2023-11-16T18:17:03.979Z')
    expect(importedCallId(scope, row, 0)).toBe(id)
    expect(importedCallId(scope, row, 1)).not.toBe(id)
    expect(importedCallId({ ...scope, source: 'g.csv' }, row, 0)).not.toBe(id)
  })
})
