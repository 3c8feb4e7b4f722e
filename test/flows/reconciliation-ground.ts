/** The night in which books are compared, and the differences that it leaves open. */
import type { GenerationReader } from '#app/domain/ledger/sweep-attempts.server.ts'
import { abilityFor, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { inSystem } from '#app/platform/db.server.ts'

export const NOW = new Date('2026-10-20T03:00:00Z')
export const operator: OperatorCtx = {
  actor: { kind: 'operator', id: 'operator-1' },
  ability: abilityFor({ role: null, workspaceId: null, isOperator: true }),
  now: () => NOW,
  requestId: 'flow',
}
export const nobodyAnswers: GenerationReader = async () => ({ kind: 'refused' })
export const open = async (kind: string) =>
  (await inSystem((tx) => tx.reconciliationDifference.findMany({ where: { kind, resolvedAt: null } }))).map((row) => ({
    ...row,
    moneyPico: row.moneyPico?.toFixed(0) ?? null,
  }))
