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

/** Kinds that the comparison with Stripe finds: of a run's lines, and of one of Stripe's invoices. */
export const INVOICE_KINDS = ['unknown_invoice', 'second_invoice'] as const
export const STRIPE_KINDS = ['stripe_lines', ...INVOICE_KINDS] as const

/**
 * Notes a difference for the operator's page. One that is open already is brought up to date; the very one that an operator wrote
 * off is not opened again, another amount of it is.
 * @returns whether it stands
 */
export async function recordDifference(tx: Tx, difference: Difference): Promise<boolean> {
  const { kind, reference, workspaceId, expected, actual, at } = difference
  const money = difference.moneyPico?.toString() ?? null
  const written = await tx.$executeRaw`
    INSERT INTO reconciliation_differences (id, kind, reference, workspace_id, expected, actual, money_pico, found_at, seen_at)
    SELECT ${newId(at)}::uuid, ${kind}, ${reference}, ${workspaceId}::uuid, ${expected}, ${actual}, ${money}::numeric, ${at}, ${at}
    WHERE NOT EXISTS (SELECT FROM reconciliation_differences d WHERE d.written_off_by IS NOT NULL AND d.kind = ${kind}
      AND d.reference = ${reference} AND d.expected = ${expected} AND d.actual = ${actual} AND d.money_pico IS NOT DISTINCT FROM ${money}::numeric)
    ON CONFLICT (kind, reference) WHERE resolved_at IS NULL
    DO UPDATE SET expected = excluded.expected, actual = excluded.actual, money_pico = excluded.money_pico, seen_at = excluded.seen_at`
  if (written === 0) await resolveDifference(tx, kind, reference, at, 'as it was written off')
  return written > 0
}

/** The books agree again, or there is nothing left to compare. */
export async function resolveDifference(
  tx: Tx,
  kind: string,
  reference: string,
  at: Date,
  why = 'agrees again',
): Promise<void> {
  await tx.$executeRaw`
    UPDATE reconciliation_differences SET resolved_at = ${at}, resolution = ${why}
    WHERE kind = ${kind} AND reference = ${reference} AND resolved_at IS NULL`
}

/** References of what is open: it is compared again however old it is, for nothing else would ever close it. */
export async function openReferences(tx: Tx, kind: string, workspaceId?: string): Promise<string[]> {
  const rows = await tx.reconciliationDifference.findMany({
    where: { kind, resolvedAt: null, ...(workspaceId && { workspaceId }) },
    select: { reference: true },
    orderBy: { reference: 'asc' },
  })
  return rows.map(({ reference }) => reference)
}
