/**
 * Month close by hand, with the functions the jobs use.
 *   npm run billing:preview [-- --month YYYY-MM] [--workspace slug]
 *   npm run billing:close -- --month YYYY-MM [--workspace slug]
 */
import { parseArgs } from 'node:util'
import { type ComputedInvoice, monthToCloseAt, type RunState } from '#app/domain/billing/billing.ts'
import { freezeInvoiceRun } from '#app/domain/billing/freeze-invoice-run.server.ts'
import { previewInvoiceOf } from '#app/domain/billing/preview-invoice.server.ts'
import { getFrozenInvoice } from '#app/domain/billing/queries.server.ts'
import { writeInvoiceRun } from '#app/domain/billing/write-invoice-run.server.ts'
import { openVault } from '#app/domain/vault/open-vault.server.ts'
import { type CalendarMonth, monthToDate, parseMonth } from '#app/platform/calendar-month.ts'
import { systemClock } from '#app/platform/clock.ts'
import { closeDatabase, inSystem } from '#app/platform/db.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { displayCents, displayUsd, picoToUsd } from '#app/platform/pico.ts'
import { openSettings } from './settings.ts'

const USAGE = 'Usage: npm run billing:preview | billing:close -- --month YYYY-MM [--workspace SLUG]'
/** How long a run that another worker is writing is waited for. */
const BUSY_WAIT_MS = 60_000

interface Target {
  id: string
  slug: string
  name: string
}

/** Workspaces with calls billed in the month, or the one named. */
async function targets(month: CalendarMonth, slug: string | undefined): Promise<Target[]> {
  return inSystem(async (tx) => {
    if (slug) {
      const found = await tx.workspace.findUnique({ where: { slug }, select: { id: true, slug: true, name: true } })
      if (!found) throw new AppError('not_found', 'not_found', `There is no workspace ${slug}.`)
      return [found]
    }
    return tx.$queryRaw<Target[]>`
      SELECT id::text, slug, name FROM workspaces w
      WHERE EXISTS (SELECT FROM metering.call_daily_rollups r WHERE r.workspace_id = w.id AND r.billing_month = ${monthToDate(month)}::date)
      ORDER BY slug`
  })
}

function print(target: Target, invoice: Omit<ComputedInvoice, 'outcome'>, state: string): void {
  console.log(`\n${target.name} (${target.slug}), ${invoice.month}: ${state}`)
  for (const line of invoice.lines) {
    console.log(`  ${displayCents(line.amountCents).padStart(14)}  ${line.description}`)
    console.log(
      `  ${''.padStart(14)}  ${line.calls} calls, exactly ${picoToUsd(line.exactPico)} USD  [${line.lineKey}]`,
    )
  }
  console.log(`  ${displayCents(invoice.totalCents).padStart(14)}  total`)
  const sums = `calls ${invoice.calls}, exact ${invoice.exactPico} pico (${displayUsd(invoice.exactPico)})`
  console.log(
    `  ${sums}, residue ${invoice.openingResiduePico} → ${invoice.closingResiduePico} pico, lines ${invoice.linesHash.slice(0, 12)}`,
  )
}

async function preview(month: CalendarMonth, slug: string | undefined): Promise<void> {
  for (const target of await targets(month, slug)) {
    const { invoice, heldCalls } = await previewInvoiceOf(target.id, month)
    print(target, invoice, `preview, would be ${invoice.outcome}${heldCalls ? `, ${heldCalls} calls held at 0` : ''}`)
  }
}

/** @returns false where a run needs a human */
async function close(month: CalendarMonth, slug: string | undefined): Promise<boolean> {
  let clean = true
  for (const target of await targets(month, slug)) {
    const frozen = await freezeInvoiceRun({ workspaceId: target.id, month, now: new Date() })
    if (!frozen) {
      console.log(`\n${target.name} (${target.slug}), ${month}: no calls, nothing to close`)
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

async function main(): Promise<void> {
  const options = { month: { type: 'string' }, workspace: { type: 'string' } } as const
  const { positionals, values } = parseArgs({ options, allowPositionals: true })
  const [command] = positionals
  if ((command !== 'preview' && command !== 'close') || (command === 'close' && !values.month)) throw new Error(USAGE)
  const month = values.month ? parseMonth(values.month) : monthToCloseAt(new Date())
  const done = await openSettings()
  try {
    await openVault()
    if (command === 'preview') await preview(month, values.workspace)
    else if (!(await close(month, values.workspace))) process.exitCode = 2
  } finally {
    await closeDatabase()
    await done()
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof AppError || error instanceof RangeError ? error.message : error)
  process.exitCode = 1
})
