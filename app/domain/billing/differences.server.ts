import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { resolveAlert } from '#app/domain/notifications/alerts.server.ts'
import { authorize, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import type { ReconciliationDifference } from '#app/generated/prisma/client.ts'
import { inSystem, type Tx } from '#app/platform/db.server.ts'
import { AppError, notFound } from '#app/platform/errors.ts'
import { isId } from '#app/platform/ids.ts'
import { DIFFERENCES_IN_DOLLARS } from './billing.ts'
import { settlementNeedsNote } from './errors.ts'
import { STRIPE_KINDS } from './internal/differences.server.ts'

export interface DifferenceRow {
  id: string
  kind: string
  reference: string
  workspace: string | null
  expected: string
  actual: string
  moneyPico: string | null
  currency: string
  foundAt: string
  seenAt: string
}

export type WrittenOffRow = Omit<DifferenceRow, 'seenAt'> & { reason: string; at: string; by: string }

/** Calls whose cost nobody knows yet, by where they went. */
export interface HeldCallsRow {
  provider: string
  model: string
  calls: string
  oldest: string
  newest: string
}

export interface Reconciliation {
  differences: DifferenceRow[]
  /** How many stand in all. */
  open: number
  /** Closed by an operator without the books agreeing, newest first. */
  writtenOff: WrittenOffRow[]
  held: HeldCallsRow[]
  reports: { provider: string; account: string; from: string; to: string; costPico: string; importedAt: string }[]
}

const mostShown = 200
const writtenOffShown = 20

/** Books that do not agree, calls that are held, and which providers' reports there are. */
export async function readReconciliation(ctx: OperatorCtx): Promise<Reconciliation> {
  authorize(ctx, 'operate:Platform', { workspaceId: '*' })
  return inSystem(async (tx) => {
    const rows = await tx.reconciliationDifference.findMany({
      where: { resolvedAt: null },
      orderBy: [{ seenAt: 'desc' }, { foundAt: 'desc' }],
      take: mostShown,
    })
    const open = await tx.reconciliationDifference.count({ where: { resolvedAt: null } })
    const off = await tx.reconciliationDifference.findMany({
      where: { writtenOffBy: { not: null } },
      orderBy: { resolvedAt: 'desc' },
      take: writtenOffShown,
    })
    const ids = [...rows, ...off].flatMap((row) => row.workspaceId ?? [])
    const workspaces = await tx.workspace.findMany({
      where: { id: { in: ids } },
      select: { id: true, name: true, currency: true },
    })
    const named = new Map(workspaces.map((one) => [one.id, one]))
    const held = await tx.$queryRaw<HeldCallsRow[]>`
      SELECT c.provider, c.model, count(*)::text AS calls, to_char(min(c.dispatched_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS oldest,
        to_char(max(c.dispatched_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS newest
      FROM metering.inference_calls c WHERE c.charge_pico IS NULL
        AND NOT EXISTS (SELECT FROM metering.call_corrections k WHERE k.workspace_id = c.workspace_id AND k.call_id = c.id)
      GROUP BY 1, 2 ORDER BY count(*) DESC, 1, 2 LIMIT ${mostShown}`
    const reports = await tx.$queryRaw<Reconciliation['reports']>`
      SELECT provider, account, to_char(min(day), 'YYYY-MM-DD') AS "from", to_char(max(day), 'YYYY-MM-DD') AS "to",
        sum(cost_pico)::text AS "costPico", to_char(max(imported_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS "importedAt"
      FROM provider_usage_reports GROUP BY provider, account ORDER BY provider, account LIMIT ${mostShown}`
    const toRow = (row: ReconciliationDifference): DifferenceRow => ({
      ...{ id: row.id, kind: row.kind, reference: row.reference, expected: row.expected, actual: row.actual },
      workspace: (row.workspaceId && named.get(row.workspaceId)?.name) || null,
      currency:
        (!DIFFERENCES_IN_DOLLARS.has(row.kind) && row.workspaceId && named.get(row.workspaceId)?.currency) || 'usd',
      moneyPico: row.moneyPico?.toFixed(0) ?? null,
      ...{ foundAt: row.foundAt.toISOString(), seenAt: row.seenAt.toISOString() },
    })
    return {
      differences: rows.map(toRow),
      open,
      writtenOff: off.map((row) => ({
        ...toRow(row),
        ...{ reason: row.resolution ?? '', at: row.resolvedAt?.toISOString() ?? '', by: row.writtenOffBy ?? '' },
      })),
      held,
      reports,
    }
  })
}

export interface WriteOff {
  id: string
  reason: string
  /** What stood there when it was decided: books are compared every night, and a difference grows under the same name. */
  seen?: { actual: string; moneyPico: string }
}

/**
 * Closes a difference whose cause an operator knows, such as a refund that was made in the Dashboard. Nothing else changes: no book
 * is touched, and the very same difference is not opened again; one of another amount is.
 * @throws AppError not_found, conflict `difference_closed`, `difference_changed`, bad_request `note_missing`
 */
export async function writeOffDifference(ctx: OperatorCtx, input: WriteOff): Promise<void> {
  authorize(ctx, 'operate:Platform', { workspaceId: '*' })
  const { id } = input
  const reason = input.reason.trim()
  if (!reason) throw settlementNeedsNote('reason')
  if (!isId(id)) throw notFound('Difference')
  const at = ctx.now()
  await inSystem(async (tx) => {
    await tx.$queryRaw`SELECT 1 FROM reconciliation_differences WHERE id = ${id}::uuid FOR UPDATE`
    const row = await tx.reconciliationDifference.findUnique({ where: { id } })
    if (!row) throw notFound('Difference')
    if (row.resolvedAt) throw new AppError('conflict', 'difference_closed', 'This difference is closed already.')
    if (input.seen) requireUnchanged(row, input.seen)
    const data = { resolvedAt: at, resolution: reason, writtenOffBy: ctx.actor.id }
    await tx.reconciliationDifference.update({ where: { id }, data })
    // The alert of the same name says the same thing.
    await resolveAlert(tx, row.kind, row.reference, at)
    const { kind, reference, moneyPico } = row
    const currency = await currencyOf(tx, row)
    await recordAudit(tx, {
      workspaceId: row.workspaceId,
      actor: ctx.actor,
      action: 'difference.written_off',
      subjectType: 'reconciliation',
      subjectId: id,
      detail: { kind, reference, reason, ...(moneyPico && { moneyPico: moneyPico.toFixed(0), currency }) },
      at,
    })
  })
}

/** What a difference of money is in. */
async function currencyOf(tx: Tx, { kind, workspaceId }: ReconciliationDifference): Promise<string> {
  if (DIFFERENCES_IN_DOLLARS.has(kind) || !workspaceId) return 'usd'
  const found = await tx.workspace.findUnique({ where: { id: workspaceId }, select: { currency: true } })
  return found?.currency ?? 'usd'
}

function requireUnchanged(row: ReconciliationDifference, seen: NonNullable<WriteOff['seen']>): void {
  if (row.actual === seen.actual && (row.moneyPico?.toFixed(0) ?? '') === seen.moneyPico) return
  throw new AppError(
    'conflict',
    'difference_changed',
    'The books were compared again meanwhile and differ by something else now. Look at it, then decide again.',
  )
}

/** Workspaces of which something stands beside Stripe's books: whoever put it right there wants to see it gone. */
async function compareOpenAgain(tx: Tx): Promise<void> {
  const rows = await tx.reconciliationDifference.findMany({
    where: { kind: { in: [...STRIPE_KINDS] }, resolvedAt: null, workspaceId: { not: null } },
    select: { workspaceId: true },
    distinct: ['workspaceId'],
  })
  for (const { workspaceId } of rows)
    if (workspaceId)
      await enqueueJob(tx, 'compare-workspace-stripe', { workspaceId }, { jobKey: `compare:${workspaceId}` })
}

/** Has the books compared, or providers asked about held calls, now instead of at their hour. */
export async function requestCheck(ctx: OperatorCtx, what: 'books' | 'held_calls'): Promise<void> {
  authorize(ctx, 'operate:Platform', { workspaceId: '*' })
  await inSystem(async (tx) => {
    const name = what === 'books' ? 'reconcile-books' : 'reconcile-held-calls'
    await enqueueJob(tx, name, {}, { jobKey: `${name}:by-hand` })
    if (what === 'books') await compareOpenAgain(tx)
    await recordAudit(tx, {
      workspaceId: null,
      actor: ctx.actor,
      action: 'reconciliation.requested',
      subjectType: 'reconciliation',
      subjectId: what,
      detail: {},
      at: ctx.now(),
    })
  })
}
