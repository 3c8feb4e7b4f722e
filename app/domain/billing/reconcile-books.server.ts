import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import type { GenerationReader } from '#app/domain/ledger/sweep-attempts.server.ts'
import { raiseAlert, resolveAlert } from '#app/domain/notifications/alerts.server.ts'
import { displayExact } from '#app/domain/pricing/currency.ts'
import { type CalendarMonth, monthOf, monthToDate, shiftMonth } from '#app/platform/calendar-month.ts'
import { inSystem, systemPool } from '#app/platform/db.server.ts'
import { chargesApart, checkRollups } from './internal/check-calls.server.ts'
import { checkSpots, compareReports } from './internal/compare-providers.server.ts'
import { type Books, type Comparison, keepDifferences, type ReconcileResult } from './internal/comparison.server.ts'
import { describeFinding, MOST_FINDINGS } from './proof.ts'
import { replayInvoice } from './replay-invoice.server.ts'

const DAY_MS = 86_400_000
/** Re-rate runs are looked over again for calls that were settled late. */
const lateCallsMs = 40 * DAY_MS

/**
 * Compares the books (nightly, and on request): daily sums with the calls they are of; frozen lines of the last closed month with
 * the calls; credits that are kept with credits recounted; costs with what providers report, by account and day, and with the
 * provider's own record of some calls. What Stripe holds is compared by a job of its own. A difference is looked at again every
 * time, however old, until the books agree or an operator writes it off.
 */
export async function reconcileBooks(readGeneration: GenerationReader, now: Date): Promise<ReconcileResult> {
  const month = monthOf(now)
  const since = new Date(now.getTime() - lateCallsMs)
  const books: Books[] = [
    {
      kind: 'ledger_rollups',
      compare: (open) => compareRollups([shiftMonth(month, -1), month], open),
      complete: true,
    },
    { kind: 'invoice_calls', compare: (open) => compareClosedRuns(shiftMonth(month, -2), open), complete: true },
    { kind: 'credits', compare: compareCredits, complete: true },
    { kind: 'provider_usage', compare: (open) => compareReports(since, open), complete: true },
    { kind: 'generation', compare: (open) => checkSpots(readGeneration, now, open), complete: false },
  ]
  const result = { compared: 0, different: 0 }
  for (const one of books) {
    const { compared, different } = await keepDifferences(one, now)
    result.compared += compared
    result.different += different
  }
  await repeatRerates(now)
  await tellOperators(result, now)
  return result
}

function tellOperators({ compared, different }: ReconcileResult, at: Date): Promise<void> {
  const about = { kind: 'books_differ', reference: 'nightly' }
  const message = `${different} of ${compared} comparisons of books differ: see Operator → Reconciliation.`
  return inSystem((tx) =>
    different ? raiseAlert(tx, { ...about, message, at }) : resolveAlert(tx, about.kind, about.reference, at),
  )
}

/** @param open `<workspace> <month>` of what differed before */
async function* compareRollups(months: CalendarMonth[], open: string[]): AsyncGenerator<Comparison> {
  const { rows } = await systemPool().query<{ workspaceId: string; month: CalendarMonth; currency: string }>(
    `SELECT d."workspaceId", d.month, w.currency FROM (
       SELECT DISTINCT workspace_id::text AS "workspaceId", to_char(billing_month, 'YYYY-MM') AS month FROM metering.call_daily_rollups
        WHERE billing_month = ANY ($1::date[])
       UNION SELECT split_part(reference, ' ', 1), split_part(reference, ' ', 2) FROM unnest($2::text[]) o(reference)) d
     JOIN workspaces w ON w.id = d."workspaceId"::uuid ORDER BY 1, 2`,
    [months.map(monthToDate), open],
  )
  for (const { workspaceId, month, currency } of rows) {
    const findings = await checkRollups(workspaceId, month, MOST_FINDINGS)
    const [first] = findings
    // Not all of them may be named: the money is that of all.
    const many = findings.length >= MOST_FINDINGS ? 'at least ' : ''
    yield {
      ...{ reference: `${workspaceId} ${month}`, workspaceId, equal: !first },
      expected: `${month}: daily sums as the calls come to`,
      actual: first
        ? `${describeFinding(first, currency)}${findings.length > 1 ? `, and ${many}${findings.length - 1} more` : ''}`
        : '',
      moneyPico: first ? await chargesApart(workspaceId, month) : 0n,
    }
  }
}

/** Frozen lines of the newest closed months against a replay from the calls. */
async function* compareClosedRuns(from: CalendarMonth, open: string[]): AsyncGenerator<Comparison> {
  const runs = await inSystem((tx) =>
    tx.invoiceRun.findMany({
      where: {
        kind: 'ai_usage',
        state: { not: 'superseded' },
        OR: [{ month: { gte: from } }, { id: { in: open } }],
      },
      orderBy: { id: 'asc' },
    }),
  )
  for (const run of runs) {
    const replayed = await replayInvoice(run)
    const frozen = BigInt(run.exactPico.toFixed(0))
    yield {
      ...{ reference: run.id, workspaceId: run.workspaceId, moneyPico: frozen - replayed.exactPico },
      expected: `${run.month}: ${displayExact(replayed.exactPico, run.currency)} in ${replayed.calls} calls`,
      actual: `${displayExact(frozen, run.currency)} in ${run.calls} calls, lines ${run.linesHash.slice(0, 12)}`,
      equal: replayed.linesHash === run.linesHash && replayed.totalCents === run.totalCents,
    }
  }
}

/** What differs, and what did: thousands of accounts agree every night. */
async function* compareCredits(): AsyncGenerator<Comparison> {
  const { rows } = await systemPool().query<{ workspaceId: string; account: string; kept: string; counted: string }>(
    `WITH kept AS (
       SELECT workspace_id, 'grant:' || id AS account, available_pico::numeric AS amount FROM metering.credit_grants
       UNION ALL SELECT workspace_id, 'held', sum(amount_pico) FROM metering.credit_holds GROUP BY workspace_id
     ), counted AS (
       SELECT workspace_id, account, balance_pico AS amount FROM metering.credit_recount WHERE account = 'held' OR account LIKE 'grant:%'
     )
     SELECT workspace_id::text AS "workspaceId", account, coalesce(k.amount, 0)::text AS kept, coalesce(c.amount, 0)::text AS counted
     FROM kept k FULL JOIN counted c USING (workspace_id, account)
     WHERE coalesce(k.amount, 0) <> coalesce(c.amount, 0) OR EXISTS (SELECT FROM reconciliation_differences d
       WHERE d.kind = 'credits' AND d.resolved_at IS NULL AND d.reference = workspace_id || ' ' || account)`,
  )
  for (const { workspaceId, account, kept, counted } of rows)
    yield {
      ...{ reference: `${workspaceId} ${account}`, workspaceId, equal: kept === counted },
      ...{
        expected: `${displayExact(BigInt(counted), 'usd')} by the transfers`,
        actual: `${displayExact(BigInt(kept), 'usd')} kept in ${account}`,
      },
      moneyPico: BigInt(kept) - BigInt(counted),
    }
}

/** A call that was under way when its prices were replaced is settled by the old ones: it is found on a later night. */
async function repeatRerates(now: Date): Promise<void> {
  await inSystem(async (tx) => {
    const recent = await tx.rerateRun.findMany({
      where: { state: 'done', createdAt: { gt: new Date(now.getTime() - lateCallsMs) } },
      select: { id: true },
    })
    for (const { id } of recent) await enqueueJob(tx, 'rerate-calls', { rerateId: id }, { jobKey: `rerate:${id}` })
  })
}
