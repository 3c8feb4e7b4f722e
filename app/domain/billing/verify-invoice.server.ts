import { authorize, type Ctx, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import type { InvoiceDayDigest, InvoiceRun } from '#app/generated/prisma/client.ts'
import type { CalendarMonth } from '#app/platform/calendar-month.ts'
import { inSystem, inTenant } from '#app/platform/db.server.ts'
import { notFound } from '#app/platform/errors.ts'
import { isId } from '#app/platform/ids.ts'
import type { ComputedInvoice, InvoiceLine } from './billing.ts'
import { hashLines } from './compute-invoice.ts'
import { checkCalls, checkRollups } from './internal/check-calls.server.ts'
import { compareWithFrozen } from './internal/compare-lines.ts'
import { type DayDigest, type DaySums, findByWeights, hashDigests, takeDigests } from './internal/digests.server.ts'
import { suspicionsOf } from './internal/locate-change.ts'
import { loadRun } from './internal/run-store.server.ts'
import { findInvoice, listLines } from './internal/stripe.server.ts'
import { StripeCallError } from './internal/stripe-call-error.ts'
import { residueBefore } from './internal/usage-buckets.server.ts'
import { type Finding, type InvoiceProof, MOST_FINDINGS } from './proof.ts'
import { replayInvoice } from './replay-invoice.server.ts'

/** A page answers in a moment: beyond this many calls they are counted and hashed there, and rated again by the command only. */
const MOST_RATED_ON_A_PAGE = 200_000n

/**
 * Recomputes an invoice from its single calls and says what differs (stripe §4 case 78): the calls' hashes against those frozen with
 * the run, which name a call that was changed; each call's tier price and charge from its price book, tokens and cost; the rollups; the
 * lines, the total; Stripe's lines. Anybody who may read the invoice may ask for it. Nothing is changed.
 * @throws AppError not_found, alike for a missing and a foreign id
 */
export async function verifyInvoice(ctx: Ctx, runId: string): Promise<InvoiceProof> {
  authorize(ctx, 'read:Invoice', { workspaceId: ctx.workspaceId })
  if (!isId(runId)) throw notFound('Invoice')
  const { workspaceId } = ctx
  const run = await inTenant({ workspaceId }, (tx) =>
    tx.invoiceRun.findUnique({ where: { workspaceId_id: { workspaceId, id: runId } }, select: { calls: true } }),
  )
  if (!run) throw notFound('Invoice')
  return prove(workspaceId, runId, run.calls <= MOST_RATED_ON_A_PAGE)
}

/** The same for operators, of any workspace and size. `run`: its id, or the number of its Stripe invoice. @throws AppError not_found */
export async function verifyAnyInvoice(
  ctx: OperatorCtx,
  run: string,
): Promise<InvoiceProof & { runId: string; month: string }> {
  authorize(ctx, 'operate:Platform', { workspaceId: '*' })
  const where = isId(run) ? { id: run } : { OR: [{ stripeInvoiceNumber: run }, { stripeInvoiceId: run }] }
  const found = await inSystem((tx) =>
    tx.invoiceRun.findFirst({ where, select: { workspaceId: true, id: true, month: true } }),
  )
  if (!found) throw notFound('Invoice')
  return { ...(await prove(found.workspaceId, found.id, true)), runId: found.id, month: found.month }
}

async function prove(workspaceId: string, runId: string, rateAgain: boolean): Promise<InvoiceProof> {
  const { run, lines } = await loadRun(workspaceId, runId)
  const month = run.month as CalendarMonth
  const ofUsage = run.kind === 'ai_usage'
  const replayed = ofUsage ? await replayInvoice(run) : null
  const digests = ofUsage ? await takeDigests(workspaceId, month) : []
  const findings = [
    ...(run.callsHash ? await digestFindings(run, digests) : []),
    ...(ofUsage && rateAgain ? await checkCalls(workspaceId, month, MOST_FINDINGS) : []),
    ...(ofUsage ? await checkRollups(workspaceId, month, MOST_FINDINGS) : []),
    ...lineFindings(run, lines, replayed),
    ...(ofUsage ? await residueFindings(run) : []),
  ]
  const stripe = await stripeFindings(workspaceId, runId)
  const all = unique([...findings, ...stripe.findings])
  return {
    equal: all.length === 0,
    frozenHash: run.linesHash,
    recountedHash: replayed?.linesHash ?? hashLines(lines),
    frozenCallsHash: run.callsHash,
    recountedCallsHash: hashDigests(digests),
    recountedCalls: (replayed?.calls ?? run.calls).toString(),
    recountedExactPico: (replayed?.exactPico ?? BigInt(run.exactPico.toFixed(0))).toString(),
    currency: run.currency,
    ratedAgain: ofUsage && rateAgain,
    stripe: stripe.state,
    findings: all.slice(0, MOST_FINDINGS),
  }
}

/** The same call found by its hash and by its price is said once, with the numbers where they are known. */
function unique(findings: Finding[]): Finding[] {
  const known = new Map<string, Finding>()
  for (const finding of findings) {
    const key = [finding.what, finding.reference, finding.column].join('|')
    if (!known.has(key) || known.get(key)?.expected === '') known.set(key, finding)
  }
  return [...known.values()]
}

const toDigest = (row: InvoiceDayDigest): DayDigest => ({
  kind: row.kind as DayDigest['kind'],
  day: row.day.toISOString().slice(0, 10),
  entries: row.entries.toString(),
  hash: row.hash,
  sums: row.sums as DaySums,
})

/** Days whose entries are not what they were when the run was sealed, and which call of them it is. */
async function digestFindings(run: InvoiceRun, now: DayDigest[]): Promise<Finding[]> {
  const { workspaceId, id: runId } = run
  const rows = await inSystem((tx) => tx.invoiceDayDigest.findMany({ where: { workspaceId, runId } }))
  const frozen = rows.map(toDigest)
  const findings: Finding[] = []
  if (hashDigests(frozen) !== run.callsHash)
    findings.push({
      what: 'hash',
      reference: 'digests of the run',
      column: 'hash',
      expected: run.callsHash ?? '',
      actual: hashDigests(frozen),
    })
  const keyOf = ({ kind, day }: DayDigest) => `${kind} ${day}`
  const before = new Map(frozen.map((digest) => [keyOf(digest), digest]))
  const after = new Map(now.map((digest) => [keyOf(digest), digest]))
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    if (before.get(key)?.hash === after.get(key)?.hash) continue
    findings.push(...(await dayFindings(workspaceId, before.get(key), after.get(key))))
  }
  return findings
}

async function dayFindings(
  workspaceId: string,
  before: DayDigest | undefined,
  after: DayDigest | undefined,
): Promise<Finding[]> {
  const { kind, day } = (before ?? after) as DayDigest
  if (kind !== 'calls')
    return [
      {
        what: 'usage',
        reference: `${kind} of ${day}`,
        column: 'hash',
        expected: before?.hash ?? 'nothing',
        actual: after?.hash ?? '',
      },
    ]
  const [was, is] = [before?.entries ?? '0', after?.entries ?? '0']
  const findings: Finding[] = []
  if (was !== is) findings.push({ what: 'calls', reference: day, column: 'number of calls', expected: was, actual: is })
  for (const { column, weights } of suspicionsOf(before, after, day)) {
    const ids = weights ? await findByWeights(workspaceId, day, weights) : []
    const gone = weights && was !== is ? `${day}, id …${hex(weights[1])}${hex(weights[0])}` : null
    const reference = ids[0] ?? gone
    findings.push({ what: reference ? 'call' : 'calls', reference: reference ?? day, column, expected: '', actual: '' })
  }
  // What no sum watches: times, surfaces, statuses, reasoning tokens.
  if (!findings.length)
    findings.push({ what: 'calls', reference: day, column: 'another column', expected: '', actual: '' })
  return findings
}

const hex = (weight: bigint): string => weight.toString(16).padStart(5, '0')

/** Residues are a chain: one that began with another amount than the last left would bill it twice, or lose it. */
async function residueFindings(run: InvoiceRun): Promise<Finding[]> {
  const expected = await inSystem((tx) => residueBefore(tx, run))
  const actual = BigInt(run.openingResiduePico.toFixed(0))
  const column = 'opening_residue_pico'
  return expected === actual
    ? []
    : [{ what: 'total', reference: run.id, column, expected: `${expected}`, actual: `${actual}` }]
}

const compared = [
  'calls',
  'inputTokens',
  'outputTokens',
  'tierPricePico',
  'rawCostPico',
  'exactPico',
  'amountCents',
  'creditPico',
] as const

function lineFindings(run: InvoiceRun, lines: InvoiceLine[], replayed: ComputedInvoice | null): Finding[] {
  const findings: Finding[] = []
  if (hashLines(lines) !== run.linesHash)
    findings.push({
      what: 'hash',
      reference: 'frozen lines',
      column: 'lines_hash',
      expected: run.linesHash,
      actual: hashLines(lines),
    })
  const sum = lines.reduce((total, line) => total + line.amountCents, 0n)
  const totals: [string, bigint, bigint][] = [['sum of lines', run.totalCents, sum]]
  if (replayed) {
    totals.push(['total_cents', replayed.totalCents, run.totalCents])
    totals.push(['exact_pico', replayed.exactPico, BigInt(run.exactPico.toFixed(0))])
    totals.push(['closing_residue_pico', replayed.closingResiduePico, BigInt(run.closingResiduePico.toFixed(0))])
    totals.push(['calls', replayed.calls, run.calls])
  }
  for (const [column, expected, actual] of totals)
    if (expected !== actual)
      findings.push({ what: 'total', reference: run.id, column, expected: `${expected}`, actual: `${actual}` })
  return replayed ? [...findings, ...changedLines(lines, replayed.lines)] : findings
}

function changedLines(frozen: InvoiceLine[], replayed: InvoiceLine[]): Finding[] {
  const byKey = new Map(frozen.map((line) => [line.lineKey, line]))
  const missing = replayed.filter((line) => !byKey.has(line.lineKey))
  const extra = frozen.filter((line) => !replayed.some((one) => one.lineKey === line.lineKey))
  return [
    ...missing.map(
      ({ lineKey }): Finding => ({ what: 'line', reference: lineKey, column: 'line', expected: 'a line', actual: '' }),
    ),
    ...extra.map(
      ({ lineKey }): Finding => ({
        what: 'line',
        reference: lineKey,
        column: 'line',
        expected: 'no line',
        actual: 'a line',
      }),
    ),
    ...replayed.flatMap((line) => {
      const held = byKey.get(line.lineKey)
      return compared
        .filter((name) => held && held[name] !== line[name])
        .map(
          (name): Finding => ({
            what: 'line',
            reference: line.lineKey,
            column: name,
            expected: `${line[name]}`,
            actual: `${held?.[name]}`,
          }),
        )
    }),
  ]
}

/** Stripe's lines, sum and hashes against the frozen ones. */
async function stripeFindings(
  workspaceId: string,
  runId: string,
): Promise<{ state: InvoiceProof['stripe']; findings: Finding[] }> {
  const bundle = await loadRun(workspaceId, runId)
  const { run } = bundle
  if (!run.stripeInvoiceId || run.state !== 'done') return { state: 'none', findings: [] }
  try {
    const invoice = await findInvoice(run.stripeInvoiceId)
    const found = invoice ? await listLines(invoice.id) : []
    const difference = invoice ? compareWithFrozen(bundle, invoice, found) : 'the invoice is gone'
    const said = invoice?.metadata?.calls_hash
    const hash = said && said !== run.callsHash ? 'calls_hash in its metadata' : null
    const column = difference ?? hash
    return column
      ? {
          state: 'different',
          findings: [{ what: 'stripe', reference: run.stripeInvoiceId, column, expected: '', actual: '' }],
        }
      : { state: 'equal', findings: [] }
  } catch (error) {
    if (error instanceof StripeCallError) return { state: 'unreachable', findings: [] }
    throw error
  }
}
