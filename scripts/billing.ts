/**
 * Month close by hand, with the functions the jobs use.
 *   npm run billing:preview [-- --month YYYY-MM] [--workspace slug]
 *   npm run billing:close -- --month YYYY-MM [--workspace slug]
 *   npm run billing:verify -- --invoice RUN|NUMBER
 */
import { parseArgs } from 'node:util'
import { type ComputedInvoice, dollarLine, monthToCloseAt, type RunState } from '#app/domain/billing/billing.ts'
import { findOpenMonths } from '#app/domain/billing/close-month.server.ts'
import { freezeInvoiceRun } from '#app/domain/billing/freeze-invoice-run.server.ts'
import { previewInvoiceOf } from '#app/domain/billing/preview-invoice.server.ts'
import { describeFinding } from '#app/domain/billing/proof.ts'
import { getFrozenInvoice } from '#app/domain/billing/queries.server.ts'
import { verifyAnyInvoice } from '#app/domain/billing/verify-invoice.server.ts'
import { writeInvoiceRun } from '#app/domain/billing/write-invoice-run.server.ts'
import { displayExact, displayMinor } from '#app/domain/pricing/currency.ts'
import { type CalendarMonth, parseMonth } from '#app/platform/calendar-month.ts'
import { systemClock } from '#app/platform/clock.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { runCommand, UsageError } from './command.ts'
import { commandLineOperator } from './operator.ts'

const USAGE =
  'Usage: npm run billing:preview | billing:close -- --month YYYY-MM [--workspace SLUG] | billing:verify -- --invoice RUN'
/** How long a run that another worker is writing is waited for. */
const BUSY_WAIT_MS = 60_000

interface Target {
  id: string
  slug: string
  name: string
}

/** Workspaces with something to bill in the month, or billed already, or the one named. */
async function targets(month: CalendarMonth, slug: string | undefined): Promise<Target[]> {
  return inSystem(async (tx) => {
    if (slug) {
      const found = await tx.workspace.findUnique({ where: { slug }, select: { id: true, slug: true, name: true } })
      if (!found) throw new AppError('not_found', 'not_found', `There is no workspace ${slug}.`)
      return [found]
    }
    const open = (await findOpenMonths(tx, month)).filter((one) => one.month === month)
    const closed = await tx.invoiceRun.findMany({ where: { month, kind: 'ai_usage' }, select: { workspaceId: true } })
    const id = { in: [...open, ...closed].map((one) => one.workspaceId) }
    return tx.workspace.findMany({
      where: { id },
      select: { id: true, slug: true, name: true },
      orderBy: { slug: 'asc' },
    })
  })
}

function print(target: Target, invoice: Omit<ComputedInvoice, 'outcome'>, state: string): void {
  console.log(`\n${target.name} (${target.slug}), ${invoice.month}: ${state}`)
  for (const line of invoice.lines) {
    console.log(`  ${displayMinor(line.amountCents, invoice.currency).padStart(14)}  ${line.description}`)
    console.log(
      `  ${''.padStart(14)}  ${line.calls} calls, exactly ${displayExact(line.exactPico, invoice.currency)}  [${line.lineKey}]`,
    )
  }
  console.log(`  ${displayMinor(invoice.totalCents, invoice.currency).padStart(14)}  total`)
  const sums = `calls ${invoice.calls}, exact ${invoice.exactPico} pico (${displayExact(invoice.exactPico, invoice.currency)})`
  console.log(
    `  ${sums}, residue ${invoice.openingResiduePico} → ${invoice.closingResiduePico} pico, lines ${invoice.linesHash.slice(0, 12)}`,
  )
}

/** What a month that is closed is billed by. Computed once more, it would take up what it left over itself. */
const runOf = (workspaceId: string, month: CalendarMonth) =>
  inSystem((tx) =>
    tx.invoiceRun.findFirst({
      where: { workspaceId, month, kind: 'ai_usage' },
      select: { id: true, state: true },
      orderBy: { revision: 'desc' },
    }),
  )

async function preview(month: CalendarMonth, slug: string | undefined): Promise<void> {
  for (const target of await targets(month, slug)) {
    const run = await runOf(target.id, month)
    if (run) {
      print(target, await getFrozenInvoice(target.id, run.id), `was closed before; ${run.state}`)
      continue
    }
    const { invoice, heldCalls } = await previewInvoiceOf(target.id, month)
    const inDollars = dollarLine(invoice)
      ? `, with amounts in USD that ${invoice.currency.toUpperCase()} cannot be billed: held once there is enough to charge`
      : ''
    const unknown = heldCalls ? `, ${heldCalls} calls held at 0` : ''
    print(target, invoice, `preview, would be ${invoice.outcome}${inDollars}${unknown}`)
  }
}

/** @returns false where a run needs a human */
async function close(month: CalendarMonth, slug: string | undefined): Promise<boolean> {
  let clean = true
  for (const target of await targets(month, slug)) {
    const frozen = await freezeInvoiceRun({ workspaceId: target.id, month, now: new Date() })
    if (!frozen) {
      console.log(`\n${target.name} (${target.slug}), ${month}: nothing to bill, nothing to close`)
      continue
    }
    const state = await writeUntilSettled(target.id, frozen.runId)
    const invoice = await getFrozenInvoice(target.id, frozen.runId)
    print(target, invoice, frozen.created ? state : `was closed before; ${state}`)
    clean &&= state !== 'held' && state !== 'uncollectable'
  }
  return clean
}

/** A running worker may have taken the run already: then wait for it. */
async function writeUntilSettled(workspaceId: string, runId: string): Promise<RunState> {
  const deadline = Date.now() + BUSY_WAIT_MS
  for (;;) {
    const state = await writeInvoiceRun({ workspaceId, runId }, systemClock)
    if (state !== 'busy') return state
    if (Date.now() > deadline) throw new Error(`Run ${runId} is being written elsewhere; look again later.`)
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
}

/** @returns false where anything differs */
async function verify(invoice: string): Promise<boolean> {
  const proof = await verifyAnyInvoice(commandLineOperator(), invoice)
  const calls = `${proof.recountedCalls} calls, exactly ${proof.recountedExactPico} pico`
  console.log(
    `${proof.runId}, ${proof.month}: ${proof.equal ? 'verified' : 'DIFFERS'}, ${calls}, Stripe: ${proof.stripe}`,
  )
  console.log(`  lines ${proof.recountedHash}\n  calls ${proof.recountedCallsHash}`)
  for (const finding of proof.findings) console.log(`  ${describeFinding(finding, proof.currency)}`)
  return proof.equal
}

function readArguments() {
  const options = { month: { type: 'string' }, workspace: { type: 'string' }, invoice: { type: 'string' } } as const
  const { positionals, values } = parseArgs({ options, allowPositionals: true })
  const [command = ''] = positionals
  const complete = { preview: true, close: values.month, verify: values.invoice }[command]
  if (!complete) throw new UsageError()
  return { ...values, command, month: values.month ? parseMonth(values.month) : monthToCloseAt(new Date()) }
}

await runCommand(USAGE, readArguments, async ({ command, month, workspace, invoice }) => {
  if (command === 'preview') return preview(month, workspace)
  const clean = command === 'verify' ? await verify(invoice ?? '') : await close(month, workspace)
  if (!clean) process.exitCode = 2
})
