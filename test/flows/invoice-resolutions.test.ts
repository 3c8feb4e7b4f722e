/** What operators do about runs: a window to look at drafts, one click per held reason, credit notes exactly once. */
import { beforeEach, describe, expect, test } from 'vitest'
import { adoptInvoice } from '#app/domain/billing/adopt-invoice.server.ts'
import { compareWorkspace } from '#app/domain/billing/compare-stripe.server.ts'
import { creditInvoice, issueCreditNote } from '#app/domain/billing/credit-invoice.server.ts'
import { resolveInvoiceRun } from '#app/domain/billing/release-invoice-run.server.ts'
import { approveInvoiceRun, holdInvoiceRun, setReviewHours } from '#app/domain/billing/review-invoice.server.ts'
import { abilityFor, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { inSystem } from '#app/platform/db.server.ts'
import {
  billingWorld,
  CLOSE_TIME,
  type Customer,
  clock,
  expectOneInvoice,
  freezeOctober,
  makeCustomer,
  OCTOBER_USAGE,
  recordUsage,
  runRow,
  stripeInvoices,
  write,
} from './billing-world.ts'

const world = billingWorld()
const operator: OperatorCtx = {
  actor: { kind: 'operator', id: 'operator-1' },
  ability: abilityFor({ role: null, workspaceId: null, isOperator: true }),
  now: clock,
  requestId: 'flow',
}
const hours = (n: number) => () => new Date(CLOSE_TIME.getTime() + n * 3_600_000)

beforeEach(() => setReviewHours(operator, { hours: 0 }))

async function frozen(options: Parameters<typeof makeCustomer>[1] = {}) {
  const customer = await makeCustomer(world, options)
  await recordUsage(customer.workspaceId, OCTOBER_USAGE)
  const runId = await freezeOctober(customer)
  return { customer, runId, of: { workspaceId: customer.workspaceId, runId } }
}

const statusOf = (customer: Customer) => stripeInvoices(world, customer).map((invoice) => invoice.status)
const auditOf = async (workspaceId: string) =>
  (await inSystem((tx) => tx.auditEvent.findMany({ where: { workspaceId }, orderBy: { seq: 'asc' } }))).map(
    (row) => row.action,
  )

/** Makes the writer stop after its lines, as a crash would. */
async function writeUpToFinalising(customer: Customer, runId: string) {
  world.sandbox.faults.add({ operation: 'invoices.finalizeInvoice', times: 20, when: 'before', effect: 'socket_close' })
  await expect(write(customer, runId)).rejects.toThrow()
  world.sandbox.faults.clear()
}

describe('the review window', () => {
  test('a written draft waits, is finalised on its own when its time is over, and not before', async () => {
    await setReviewHours(operator, { hours: 24 })
    const { customer, runId } = await frozen()
    expect(await write(customer, runId)).toBe('review')
    expect(statusOf(customer)).toEqual(['draft'])
    expect(await write(customer, runId, hours(23))).toBe('review')
    const { rows } = await world.db.owner.query(`SELECT run_at FROM graphile_worker.jobs WHERE key = $1`, [
      `review:${runId}`,
    ])
    expect(rows[0]?.run_at).toEqual(hours(24)())
    expect(await write(customer, runId, hours(24))).toBe('done')
    await expectOneInvoice(world, customer, runId)
  })

  test('approved it goes out at once; an edit while it waits holds it', async () => {
    await setReviewHours(operator, { hours: 24 })
    const approved = await frozen()
    await write(approved.customer, approved.runId)
    await approveInvoiceRun(operator, approved.of)
    expect(await write(approved.customer, approved.runId)).toBe('done')
    await expect(approveInvoiceRun(operator, approved.of)).rejects.toMatchObject({ code: 'run_not_in_review' })
    const edited = await frozen()
    await write(edited.customer, edited.runId)
    const items = Object.values(world.sandbox.world.state.invoiceItems)
    const item = items.find((one) => one.invoice === stripeInvoices(world, edited.customer)[0]?.id)
    await world.stripe.invoiceItems.update(item?.id ?? '', { amount: 1 })
    await approveInvoiceRun(operator, edited.of)
    expect(await write(edited.customer, edited.runId)).toBe('held')
    expect(await runRow(edited.customer, edited.runId)).toMatchObject({ heldReason: 'lines_differ' })
  })

  test('held by an operator it stays, with the reason, until it is resumed', async () => {
    await setReviewHours(operator, { hours: 24 })
    const { customer, runId, of } = await frozen()
    await write(customer, runId)
    await expect(holdInvoiceRun(operator, { ...of, reason: ' ' })).rejects.toMatchObject({ code: 'note_missing' })
    await holdInvoiceRun(operator, { ...of, reason: 'the customer asked us to wait' })
    expect(await write(customer, runId, hours(48))).toBe('held')
    expect(statusOf(customer)).toEqual(['draft'])
    await resolveInvoiceRun(operator, { ...of, resolution: 'resume' })
    expect(await write(customer, runId, hours(48))).toBe('done')
    expect(await auditOf(of.workspaceId)).toEqual(expect.arrayContaining(['invoice_run.held', 'invoice_run.released']))
  })
})

describe('one click per held reason', () => {
  test('case 16: finalised elsewhere with lines missing: the missing amount is billed by a correction run', async () => {
    const { customer, runId, of } = await frozen()
    await writeUpToFinalising(customer, runId)
    const [draft] = stripeInvoices(world, customer)
    const items = Object.values(world.sandbox.world.state.invoiceItems).filter((item) => item.invoice === draft?.id)
    const lost = items.find((item) => item.amount === 340)
    await world.stripe.invoiceItems.del(lost?.id ?? '')
    await world.stripe.invoices.finalizeInvoice(draft?.id ?? '', { auto_advance: true })
    expect(await write(customer, runId)).toBe('held')
    await expect(resolveInvoiceRun(operator, { ...of, resolution: 'resume' })).rejects.toMatchObject({
      code: 'resolution_not_possible',
    })
    const next = await adoptInvoice(operator, { ...of, resolution: 'correct' })
    expect(await write(customer, next.runId)).toBe('done')
    expect(
      stripeInvoices(world, customer).map((invoice) => [invoice.status, invoice.amounts.reduce((a, b) => a + b, 0)]),
    ).toEqual([
      ['paid', 2_074 - 340],
      ['paid', 340],
    ])
    expect(await runRow(customer, runId)).toMatchObject({ state: 'done', heldReason: null })
    expect(await runRow(customer, next.runId)).toMatchObject({
      kind: 'correction',
      totalCents: 340n,
      correctsRunId: runId,
    })
    expect(await auditOf(of.workspaceId)).toContain('invoice_run.corrected')
  })

  test('case 18: a draft that was edited is taken as it is, and the difference let go', async () => {
    const { customer, runId, of } = await frozen()
    await writeUpToFinalising(customer, runId)
    const items = Object.values(world.sandbox.world.state.invoiceItems)
    const item = items.find((one) => one.invoice === stripeInvoices(world, customer)[0]?.id && one.amount === 500)
    await world.stripe.invoiceItems.update(item?.id ?? '', { amount: 100 })
    expect(await write(customer, runId)).toBe('held')
    await adoptInvoice(operator, { ...of, resolution: 'adopt' })
    expect(statusOf(customer)).toEqual(['paid'])
    const run = await runRow(customer, runId)
    expect(run).toMatchObject({
      state: 'done',
      settledNote: 'Stripe’s invoice of $16.74 was taken as it is; frozen were $20.74.',
    })
    expect(await auditOf(of.workspaceId)).toContain('invoice_run.adopted')
    expect(await compareWorkspace(of.workspaceId, CLOSE_TIME)).toMatchObject({ runs: 1, differences: 0 })
  })

  test('case 24: what cannot be collected is settled by hand, with a note, and nothing goes to Stripe any more', async () => {
    const { customer, runId, of } = await frozen()
    await world.stripe.customers.del(customer.customerId)
    expect(await write(customer, runId)).toBe('uncollectable')
    await expect(resolveInvoiceRun(operator, { ...of, resolution: 'settle' })).rejects.toMatchObject({
      code: 'note_missing',
    })
    await resolveInvoiceRun(operator, { ...of, resolution: 'settle', note: 'paid by bank transfer' })
    expect(await runRow(customer, runId)).toMatchObject({ state: 'settled', settledNote: 'paid by bank transfer' })
    expect(await write(customer, runId)).toBe('settled')
    expect(await auditOf(of.workspaceId)).toContain('invoice_run.settled')
  })
})

describe('credit notes', () => {
  const lineKey = '2026-10/tier/frontier/platform/v1'
  const credit = (
    of: { workspaceId: string; runId: string },
    amountCents: bigint,
    back: 'balance' | 'refund' = 'balance',
  ) =>
    creditInvoice(operator, {
      ...of,
      lines: [{ lineKey, amountCents }],
      reason: 'order_change',
      memo: 'counted twice',
      back,
    })
  const notesOf = (customer: Customer) =>
    Object.values(world.sandbox.world.state.creditNotes).filter((note) =>
      stripeInvoices(world, customer).some((invoice) => invoice.id === note.invoice),
    )

  test('never more than a line was billed, in all', async () => {
    const { customer, runId, of } = await frozen()
    await expect(credit(of, 1n)).rejects.toMatchObject({ code: 'invoice_not_creditable' })
    await write(customer, runId)
    await expect(credit(of, 501n)).rejects.toMatchObject({ code: 'credit_too_large' })
    await credit(of, 300n)
    await expect(credit(of, 201n)).rejects.toThrow('at most $2.00 can be credited')
    await expect(credit(of, 0n)).rejects.toMatchObject({ code: 'credit_too_large' })
  })

  // Decided all the same, Stripe refused it by night.
  test('in steps that Stripe takes: krónur by the whole', async () => {
    const { customer, runId, of } = await frozen()
    await write(customer, runId)
    await inSystem((tx) => tx.invoiceRun.updateMany({ where: { id: runId }, data: { currency: 'isk' } }))
    await expect(credit(of, 250n)).rejects.toMatchObject({
      code: 'amount_not_possible',
      message: 'Stripe takes ISK in steps of ISK 1.00 only.',
    })
    await inSystem((tx) => tx.invoiceRun.updateMany({ where: { id: runId }, data: { currency: 'usd' } }))
  })

  test('decided on two pages at once, or by a double click, is decided once', async () => {
    const { customer, runId, of } = await frozen()
    await write(customer, runId)
    const decide = () =>
      creditInvoice(operator, {
        ...{ ...of, lines: [{ lineKey, amountCents: 100n }], reason: 'order_change', memo: 'twice', back: 'balance' },
        seenNotes: 0,
      })
    const outcomes = await Promise.allSettled([decide(), decide()])
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    await expect(decide()).rejects.toMatchObject({ code: 'credited_meanwhile' })
    expect(await inSystem((tx) => tx.creditNote.count({ where: { runId } }))).toBe(1)
  })

  test('is issued exactly once, also where Stripe’s answer is lost; the invoice and the ledger stay', async () => {
    const { customer, runId, of } = await frozen()
    await write(customer, runId)
    const { id } = await credit(of, 300n, 'refund')
    const payload = { ...of, creditNoteId: id }
    world.sandbox.faults.add({ operation: 'creditNotes.create', times: 3, when: 'after', effect: 'socket_close' })
    await issueCreditNote(payload, clock).catch(() => undefined)
    world.sandbox.faults.clear()
    expect(await issueCreditNote(payload, clock)).toBe('issued')
    expect(await issueCreditNote(payload, clock)).toBe('issued')
    expect(notesOf(customer)).toMatchObject([{ amount: 300, refundAmount: 300 }])
    const row = await inSystem((tx) => tx.creditNote.findFirstOrThrow({ where: { id } }))
    expect(row).toMatchObject({ state: 'issued', stripeCreditNoteId: notesOf(customer)[0]?.id })
    expect((await runRow(customer, runId)).totalCents).toBe(2_074n)
  })

  test('of an open invoice it lowers what is owed', async () => {
    const { customer, runId, of } = await frozen({ card: 'none' })
    await write(customer, runId)
    const { id } = await credit(of, 500n)
    expect(await issueCreditNote({ ...of, creditNoteId: id }, clock)).toBe('issued')
    expect(notesOf(customer)).toMatchObject([{ amount: 500, refundAmount: 0, creditAmount: 0 }])
  })
})
