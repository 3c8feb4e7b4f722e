/** Credit notes, refunds and disputes, mirrored as Stripe has them; usage and ledger stay untouched (stripe §4 case 28). */
import { raiseAlert, resolveAlert } from '#app/domain/notifications/alerts.server.ts'
import { raiseNotice } from '#app/domain/notifications/notices.server.ts'
import { displayMinor } from '#app/domain/pricing/currency.ts'
import { inSystem, type Tx } from '#app/platform/db.server.ts'
import { credited, refunded, type Words } from '../stripe-words.ts'
import { checkoutOfPayment } from './stripe-checkout.server.ts'
import { findCharge, findCreditNote, findDispute, invoiceOfPayment } from './stripe-reversals.server.ts'

interface Reversal {
  id: string
  kind: 'credit_note' | 'refund' | 'dispute'
  stripeInvoiceId: string | null
  number: string | null
  amountCents: bigint
  currency: string
  status: string
  reason: string | null
  createdAt: Date
}

const idOf = (value: string | { id: string } | null | undefined): string | null =>
  typeof value === 'string' ? value : (value?.id ?? null)

/** @returns whether it is new, or more than it was. */
async function mirror(tx: Tx, workspaceId: string, reversal: Reversal, now: Date): Promise<boolean> {
  const { id, stripeInvoiceId } = reversal
  const run = stripeInvoiceId
    ? await tx.invoiceRun.findFirst({ where: { workspaceId, stripeInvoiceId }, select: { id: true } })
    : null
  const before = await tx.stripeReversal.findUnique({ where: { workspaceId_id: { workspaceId, id } } })
  const data = { ...reversal, runId: run?.id ?? null, updatedAt: now }
  await tx.stripeReversal.upsert({
    where: { workspaceId_id: { workspaceId, id } },
    create: { workspaceId, ...data },
    update: data,
  })
  return !before || reversal.amountCents > before.amountCents
}

const tell = (tx: Tx, workspaceId: string, reversal: Reversal, words: Words, at: Date) =>
  raiseNotice(tx, {
    workspaceId,
    kind: reversal.kind,
    reference: `${reversal.id}:${reversal.amountCents}`,
    path: 'settings/billing',
    at,
    ...words,
  })

export async function syncCreditNote(workspaceId: string, id: string, now: Date): Promise<string> {
  const note = await findCreditNote(id)
  if (!note) return 'credit_note_missing'
  const reversal: Reversal = {
    id,
    kind: 'credit_note',
    stripeInvoiceId: idOf(note.invoice),
    number: note.number,
    amountCents: BigInt(note.amount),
    currency: note.currency,
    status: note.status,
    reason: note.reason,
    createdAt: new Date(note.created * 1000),
  }
  await inSystem(async (tx) => {
    const news = await mirror(tx, workspaceId, reversal, now)
    if (news && note.status === 'issued') await tell(tx, workspaceId, reversal, credited(reversal), now)
  })
  return `credit_note_${note.status}`
}

/** All that was refunded of one charge. */
export async function syncRefund(workspaceId: string, chargeId: string, now: Date): Promise<string> {
  const charge = await findCharge(chargeId)
  if (!charge) return 'charge_missing'
  if (charge.amount_refunded === 0) return 'not_refunded'
  const reversal: Reversal = {
    id: chargeId,
    kind: 'refund',
    stripeInvoiceId: await invoiceOfPayment(idOf(charge.payment_intent)),
    number: null,
    amountCents: BigInt(charge.amount_refunded),
    currency: charge.currency,
    status: charge.refunded ? 'whole' : 'partial',
    reason: null,
    createdAt: new Date(charge.created * 1000),
  }
  const checkout = await checkoutOfPayment(idOf(charge.payment_intent))
  await inSystem(async (tx) => {
    const news = await mirror(tx, workspaceId, reversal, now)
    if (news) await tell(tx, workspaceId, reversal, refunded(reversal), now)
    if (news && checkout?.metadata?.purpose === 'top_up') await tellTopUpRefunded(tx, workspaceId, reversal, now)
  })
  return `refund_${reversal.status}`
}

/** Credits are taken back by nobody but an operator: some of them may be used already. */
const tellTopUpRefunded = (tx: Tx, workspaceId: string, { id, amountCents, currency }: Reversal, at: Date) =>
  raiseAlert(tx, {
    kind: 'top_up_refunded',
    reference: id,
    workspaceId,
    message: `${displayMinor(amountCents, currency)} of a payment for credits was refunded, and the credits are still there. Settle with the customer what was used of them.`,
    at,
  })

const CLOSED = new Set(['won', 'lost', 'warning_closed', 'prevented'])

/** A dispute is between the vendor and a bank: the operator is told, and nothing is credited by itself. */
export async function syncDispute(workspaceId: string, id: string, now: Date): Promise<string> {
  const dispute = await findDispute(id)
  if (!dispute) return 'dispute_missing'
  const reversal: Reversal = {
    id,
    kind: 'dispute',
    stripeInvoiceId: await invoiceOfPayment(idOf(dispute.payment_intent)),
    number: null,
    amountCents: BigInt(dispute.amount),
    currency: dispute.currency,
    status: dispute.status,
    reason: dispute.reason,
    createdAt: new Date(dispute.created * 1000),
  }
  const money = displayMinor(reversal.amountCents, reversal.currency)
  await inSystem(async (tx) => {
    await mirror(tx, workspaceId, reversal, now)
    if (CLOSED.has(dispute.status)) await resolveAlert(tx, 'dispute_opened', id, now)
    else
      await raiseAlert(tx, {
        kind: 'dispute_opened',
        reference: id,
        workspaceId,
        message: `A payment of ${money} is disputed (${dispute.reason}). Answer it in Stripe before its deadline. Usage and ledger stay as they are.`,
        at: now,
      })
    if (dispute.status === 'lost')
      await raiseAlert(tx, {
        kind: 'dispute_lost',
        reference: id,
        workspaceId,
        message: `A dispute over ${money} was lost: the money is gone, the invoice still counts as paid. Issue a credit note by hand if it is to be corrected.`,
        at: now,
      })
  })
  return `dispute_${dispute.status}`
}

/** The customer of a dispute, which names only its charge. @returns null where neither is known */
export async function customerOfDispute(id: string): Promise<string | null> {
  const dispute = await findDispute(id)
  const charge = dispute && (await findCharge(idOf(dispute.charge) ?? ''))
  return idOf(charge?.customer)
}
