import { describe, expect, test } from 'vitest'
import { toStretches } from './check-calls.server.ts'

describe('the rollups of a month are recounted some days at a time', () => {
  test('every day is in one stretch, none in two, and only a single day may be larger than the bound', () => {
    const days = [3, 4, 9, 1, 1, 1].map((calls, index) => ({ day: `2026-10-0${index + 1}`, calls }))
    expect(toStretches(days, 7)).toEqual([
      { from: '2026-10-01', to: '2026-10-02' },
      { from: '2026-10-03', to: '2026-10-03' },
      { from: '2026-10-04', to: '2026-10-06' },
    ])
  })

  test('days of late calls far back do not bring in the days between', () => {
    const days = ['2026-08-31', '2026-09-30', '2026-10-01', '2026-10-02'].map((day) => ({ day, calls: 1 }))
    expect(toStretches(days, 100)).toEqual([
      { from: '2026-08-31', to: '2026-08-31' },
      { from: '2026-09-30', to: '2026-10-02' },
    ])
  })
})
