import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import type { GenerationReader } from '#app/domain/ledger/sweep-attempts.server.ts'
import { raiseAlert, resolveAlert } from '#app/domain/notifications/alerts.server.ts'
import { type CalendarMonth, monthOf, monthToDate, shiftMonth } from '#app/platform/calendar-month.ts'
import { inSystem, systemPool } from '#app/platform/db.server.ts'
import { type Pico, picoToUsd } from '#app/platform/pico.ts'
import { checkRollups } from './internal/check-calls.server.ts'
import { recordDifference, resolveDifference } from './internal/differences.server.ts'
import { describeFinding, MOST_FINDINGS } from './proof.ts'
import { replayInvoice } from './replay-invoice.server.ts'

export interface ReconcileResult {
  compared: number
  different: number
}

interface Comparison {
  kind: string
  reference: string
  workspaceId: string | null
  /** Empty: they agree. */
  expected: string
  actual: string
  moneyPico: Pico | null
  equal: boolean
}

/** A provider's report and our sum of a day may differ by a hundredth and a cent: calls at midnight, roundings of theirs. */
const toleranceShare = 100n
const toleranceFloor = 10_000_000_000n
/** Calls that the provider is asked about again, per night. */
const spotChecks = 20
const DAY_MS = 86_400_000
/** Re-rate runs are looked over again for calls that were settled late. */
const lateCallsMs = 40 * DAY_MS

const size = (amount: bigint): bigint => (amount < 0n ? -amount : amount)

/**
 * Compares the books (nightly, and on request): daily sums with the calls they are of; frozen lines of the last closed month with
 * the calls; credits that are kept with credits recounted; costs with what providers report, by account and day, and with the
 * provider's own record of some calls. What Stripe holds is compared by a job of its own. Differences stay open until they agree.
 */
export async function reconcileBooks(readGeneration: GenerationReader, now: Date): Promise<ReconcileResult> {
  const month = monthOf(now)
  const result = { compared: 0, different: 0 }
  for await (const comparison of all(month, readGeneration, now)) {
    result.compared += 1
    if (!comparison.equal) result.different += 1
    const { equal, ...difference } = comparison
    await inSystem((tx) =>
      equal
        ? resolveDifference(tx, difference.kind, difference.reference, now)
        : recordDifference(tx, { ...difference, at: now }),
    )
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

async function* all(month: CalendarMonth, readGeneration: GenerationReader, now: Date): AsyncGenerator<Comparison> {
  yield* compareRollups([shiftMonth(month, -1), month])
  yield* compareClosedRuns(shiftMonth(month, -2))
  yield* compareCredits()
  yield* compareReports(new Date(now.getTime() - lateCallsMs))
  yield* checkSpots(readGeneration, now)
}

async function* compareRollups(months: CalendarMonth[]): AsyncGenerator<Comparison> {
  const { rows } = await systemPool().query<{ workspaceId: string; month: CalendarMonth }>(
    `SELECT DISTINCT workspace_id::text AS "workspaceId", to_char(billing_month, 'YYYY-MM') AS month FROM metering.call_daily_rollups
      WHERE billing_month = ANY ($1::date[]) ORDER BY 1, 2`,
    [months.map(monthToDate)],
  )
  for (const { workspaceId, month } of rows) {
    const findings = await checkRollups(workspaceId, month, MOST_FINDINGS)
    const charges = findings.filter((one) => one.column === 'charge_pico')
    const [first] = findings
    yield {
      ...{ kind: 'ledger_rollups', reference: `${workspaceId} ${month}`, workspaceId, equal: !first },
      expected: `${month}: daily sums as the calls come to`,
      actual: first ? `${describeFinding(first)}${findings.length > 1 ? `, and ${findings.length - 1} more` : ''}` : '',
      moneyPico: charges.reduce((sum, one) => sum + BigInt(one.actual) - BigInt(one.expected), 0n),
    }
  }
}

/** Frozen lines of the newest closed months against a replay from the calls. */
async function* compareClosedRuns(from: CalendarMonth): AsyncGenerator<Comparison> {
  const runs = await inSystem((tx) =>
    tx.invoiceRun.findMany({
      where: { kind: 'ai_usage', month: { gte: from }, state: { not: 'superseded' } },
      orderBy: { id: 'asc' },
    }),
  )
  for (const run of runs) {
    const replayed = await replayInvoice(run)
    const frozen = BigInt(run.exactPico.toFixed(0))
    yield {
      ...{
        kind: 'invoice_calls',
        reference: run.id,
        workspaceId: run.workspaceId,
        moneyPico: frozen - replayed.exactPico,
      },
      expected: `${run.month}: ${picoToUsd(replayed.exactPico)} in ${replayed.calls} calls`,
      actual: `${picoToUsd(frozen)} in ${run.calls} calls, lines ${run.linesHash.slice(0, 12)}`,
      equal: replayed.linesHash === run.linesHash && replayed.totalCents === run.totalCents,
    }
  }
}

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
      ...{ kind: 'credits', reference: `${workspaceId} ${account}`, workspaceId, equal: kept === counted },
      ...{
        expected: `${picoToUsd(BigInt(counted))} by the transfers`,
        actual: `${picoToUsd(BigInt(kept))} kept in ${account}`,
      },
      moneyPico: BigInt(kept) - BigInt(counted),
    }
}

/** What providers say that their accounts cost, by day, against the raw costs of the calls that went out under them. */
async function* compareReports(from: Date): AsyncGenerator<Comparison> {
  const { rows } = await systemPool().query<{
    provider: string
    account: string
    day: string
    reported: string
    counted: string
    unknown: string
  }>(
    `SELECT r.provider, r.account, to_char(r.day, 'YYYY-MM-DD') AS day, sum(r.cost_pico)::text AS reported,
       (SELECT coalesce(sum(c.raw_cost_pico), 0)::text FROM metering.calls_now c WHERE c.provider = r.provider
          AND c.dispatched_at >= r.day::timestamp AT TIME ZONE 'UTC' AND c.dispatched_at < (r.day + 1)::timestamp AT TIME ZONE 'UTC'
          AND CASE r.account WHEN 'platform' THEN c.key_source = 'platform' ELSE c.key_id::text = r.account END) AS counted,
       (SELECT count(*)::text FROM metering.calls_now c WHERE c.provider = r.provider AND c.raw_cost_pico IS NULL
          AND c.dispatched_at >= r.day::timestamp AT TIME ZONE 'UTC' AND c.dispatched_at < (r.day + 1)::timestamp AT TIME ZONE 'UTC'
          AND CASE r.account WHEN 'platform' THEN c.key_source = 'platform' ELSE c.key_id::text = r.account END) AS unknown
     FROM provider_usage_reports r WHERE r.day >= $1::date GROUP BY r.provider, r.account, r.day ORDER BY 1, 2, 3`,
    [from],
  )
  for (const { provider, account, day, ...sums } of rows) {
    const [reported, counted] = [BigInt(sums.reported), BigInt(sums.counted)]
    const difference = counted - reported
    const unknown = sums.unknown === '0' ? '' : `, ${sums.unknown} calls without a known cost`
    yield {
      ...{
        kind: 'provider_usage',
        reference: `${provider} ${account} ${day}`,
        workspaceId: null,
        moneyPico: difference,
      },
      expected: `${picoToUsd(reported)} reported by ${provider} for ${day}`,
      actual: `${picoToUsd(counted)} in the ledger${unknown}`,
      equal: size(difference) <= toleranceFloor + reported / toleranceShare,
    }
  }
}

interface Spot {
  workspaceId: string
  id: string
  keySource: 'platform' | 'workspace'
  keyId: string | null
  keyVersion: number | null
  upstreamId: string
  rawCostPico: string
}

/** Some calls of the last two days whose cost the provider told with the reply, asked about again. */
async function* checkSpots(readGeneration: GenerationReader, now: Date): AsyncGenerator<Comparison> {
  const { rows } = await systemPool().query<Spot>(
    `SELECT workspace_id::text AS "workspaceId", id::text, key_source AS "keySource", key_id::text AS "keyId", key_version AS "keyVersion",
       upstream_id AS "upstreamId", raw_cost_pico::text AS "rawCostPico"
     FROM metering.inference_calls WHERE dispatched_at > $1 AND provider = 'openrouter' AND upstream_id IS NOT NULL AND cost_source = 'provider'
       AND NOT cost_clamped ORDER BY md5(id::text || $2) LIMIT ${spotChecks}`,
    [new Date(now.getTime() - 2 * DAY_MS), now.toISOString().slice(0, 10)],
  )
  for (const { upstreamId, rawCostPico, ...call } of rows) {
    const found = await readGeneration({ dispatch: call, upstreamId }).catch(() => null)
    const told = found?.kind === 'found' ? found.report.costPico : null
    if (told === null) continue
    const counted = BigInt(rawCostPico)
    yield {
      ...{
        kind: 'generation',
        reference: call.id,
        workspaceId: call.workspaceId,
        moneyPico: counted - told,
        equal: counted === told,
      },
      ...{ expected: `${picoToUsd(told)} by the provider’s record`, actual: `${picoToUsd(counted)} in the ledger` },
    }
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
