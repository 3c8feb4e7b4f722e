import type { Tx } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'
import type { Pico } from '#app/platform/pico.ts'

/** Two books that should agree and do not. */
export interface Difference {
  /** Which comparison found it: `stripe_lines`, `ledger_rollups`, `provider_usage`, `unknown_invoice`, … */
  kind: string
  /** What it is about: a run, an invoice, a key and day. */
  reference: string
  workspaceId: string | null
  expected: string
  actual: string
  /** What it means in money; null where it is no sum. */
  moneyPico: Pico | null
  at: Date
}

/** Notes a difference for the operator's page. One that is open already is brought up to date. */
export async function recordDifference(tx: Tx, difference: Difference): Promise<void> {
  const { kind, reference, workspaceId, expected, actual, moneyPico, at } = difference
  await tx.$executeRaw`
    INSERT INTO reconciliation_differences (id, kind, reference, workspace_id, expected, actual, money_pico, found_at, seen_at)
    VALUES (${newId(at)}::uuid, ${kind}, ${reference}, ${workspaceId}::uuid, ${expected}, ${actual}, ${moneyPico?.toString() ?? null}::numeric, ${at}, ${at})
    ON CONFLICT (kind, reference) WHERE resolved_at IS NULL
    DO UPDATE SET expected = excluded.expected, actual = excluded.actual, money_pico = excluded.money_pico, seen_at = excluded.seen_at`
}

/** The books agree again. */
export async function resolveDifference(tx: Tx, kind: string, reference: string, at: Date): Promise<void> {
  await tx.$executeRaw`
    UPDATE reconciliation_differences SET resolved_at = ${at}, resolution = 'agrees again'
    WHERE kind = ${kind} AND reference = ${reference} AND resolved_at IS NULL`
}
