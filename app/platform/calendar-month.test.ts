import { describe, expect, it } from 'vitest'
import { monthEnd, monthLastSecond, monthOf, monthStart, parseMonth, shiftMonth } from './calendar-month.ts'

describe('a UTC calendar month', () => {
  it('is half-open and knows the last second of it', () => {
    const february = parseMonth('2024-02')
    expect(monthStart(february).toISOString()).toBe('2024-02-01T00:00:00.000Z')
    expect(monthEnd(february).toISOString()).toBe('2024-03-01T00:00:00.000Z')
    expect(monthLastSecond(february).toISOString()).toBe('2024-02-29T23:59:59.000Z')
  })
  it('belongs to the instant in UTC, whatever the zone of the machine', () => {
    expect(monthOf(new Date('2026-10-31T23:59:59.999Z'))).toBe('2026-10')
    expect(monthOf(new Date('2026-11-01T00:30:00+01:00'))).toBe('2026-10')
  })
  it('crosses years', () => {
    expect(shiftMonth(parseMonth('2026-01'), -1)).toBe('2025-12')
    expect(shiftMonth(parseMonth('2026-12'), 14)).toBe('2028-02')
  })
  it.each(['2026-13', '2026-1', '26-01', '2026-00', '', '2026-10-01'])('refuses %j', (text) =>
    expect(() => parseMonth(text)).toThrow(/write YYYY-MM/),
  )
})
