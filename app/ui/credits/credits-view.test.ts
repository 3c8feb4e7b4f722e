import { expect, it } from 'vitest'
import type { CreditsStanding } from '#app/domain/credits/queries.server.ts'
import { toCreditsView } from './credits-view.ts'

const grant: CreditsStanding['grants'][number] = {
  ...{ id: 'g', kind: 'monthly', note: '', expired: false, expiresAt: '2026-12-01T00:00:00.000Z' },
  ...{ grantedAt: '2026-11-01T00:00:00.000Z', amountPico: '180000000000000', availablePico: '179996384000000' },
}

it('what is left is never shown as more than it is, and the figures add up to what was granted', () => {
  const standing = {
    ...{
      inUse: true,
      overage: 'stop',
      minimumPico: 0n,
      monthlyPico: 0n,
      availablePico: 179_996_384_000_000n,
      heldPico: 0n,
    },
    ...{ spentPico: 3_616_000_000n, expiredPico: 0n, shortfallPico: 0n, lowCreditsUsd: '1', grants: [grant] },
  } satisfies CreditsStanding
  const page = { movements: [], next: null }
  const view = toCreditsView({
    root: '/w/x',
    standing,
    page,
    after: null,
    canManage: true,
    meterNames: new Map(),
    bought: null,
  })
  expect(view.figures.map(({ label, value }) => [label, value])).toEqual([
    ['To spend', '$179.996384'],
    ['Held', '$0.00'],
    ['Spent', '$0.003616'],
    ['Expired', '$0.00'],
  ])
  expect(view.figures[0]?.note).toBe('$179.996384 of it until 1 Dec 2026')
  expect(view.grants[0]).toMatchObject({ amount: '$180.00', left: '$179.996384' })
})
