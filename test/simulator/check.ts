/** What must hold at the end of every run, whatever happened in it. Each failure names what it found. */
import { compareWithFrozen } from '#app/domain/billing/internal/compare-lines.ts'
import { priceTokens, shareOf, tierPricePico } from '#app/domain/pricing/pricing.ts'
import { PICO_PER_CENT } from '#app/platform/pico.ts'
import type { ModelCall, ModelWorkspace } from './ledger-model.ts'
import { bundleOf } from './run-log.ts'
import { book, list, paidElsewhere, type Served, type SimulatedWorld } from './world.ts'

function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what)
}

const half = (dividend: bigint, divisor: bigint): bigint => {
  const [quotient, twice] = [dividend / divisor, (dividend % divisor) * 2n]
  return twice > divisor || (twice === divisor && quotient % 2n === 1n) ? quotient + 1n : quotient
}

/** What a call must come to by the provider's own truth, in words of the charge rule. */
function owed(call: ModelCall, served: Served): bigint {
  const tier = book.tiers[call.tier as 'frontier']
  if (!tier) throw new Error('no tier')
  const { inputTokens, outputTokens, cacheReadTokens } = served
  const read = cacheReadTokens * (tier.cacheReadAtto ?? tier.inputAtto)
  const price = half(
    (inputTokens - cacheReadTokens) * tier.inputAtto + read + outputTokens * tier.outputAtto,
    1_000_000n,
  )
  const listed = half(inputTokens * list.inputAtto + outputTokens * list.outputAtto, 1_000_000n)
  const cost = served.costPico > 5n * listed ? 5n * listed : served.costPico
  if (call.chargeMode === 'tier') return price
  if (call.chargeMode === 'tier_margin') return price > cost ? price - cost : 0n
  if (call.chargeMode !== 'markup') return 0n
  const basis = cost > 0n ? cost : priceTokens(paidElsewhere, { inputTokens, outputTokens })
  return shareOf(basis, call.markupBp ?? 0)
}

/** Every call that reached the provider is in the ledger once, at what the charge rule makes of the truth, or marked. */
function checkCalls(world: SimulatedWorld, workspace: ModelWorkspace): void {
  must(workspace.attempts.size === 0, `${workspace.attempts.size} attempts were never settled`)
  for (const call of workspace.calls.values()) {
    const served = world.journal.get(call.id)
    const correction = workspace.corrections.get(call.id)
    const charge = call.chargePico ?? correction?.chargePico ?? null
    must(charge !== null && charge >= 0n, `call ${call.id} has no charge at the end`)
    if (!served || served.refused) {
      must(charge === 0n && call.creditPico === 0n, `call ${call.id} did no work and is charged ${charge}`)
      continue
    }
    must(served.keySource === call.keySource, `call ${call.id} went out under another key than is billed`)
    const known = call.usageSource === 'provider' || call.usageSource === 'generation'
    if (correction?.reason === 'cost_cutoff') must(charge === 0n, `call ${call.id} was cut off at ${charge}`)
    else if (correction)
      must(charge === owed(call, served), `call ${call.id} was corrected to ${charge}, not ${owed(call, served)}`)
    else if (known && call.costSource !== 'unknown')
      must(
        charge === owed(call, served),
        `call ${call.id} (${call.chargeMode}) is charged ${charge}, not ${owed(call, served)}`,
      )
    else
      must(charge <= owed(call, served), `estimated call ${call.id} is charged ${charge}, above ${owed(call, served)}`)
    if (call.chargeMode === 'credits' && known) {
      const { inputTokens, outputTokens, cacheReadTokens } = served
      const price = tierPricePico(book, call.tier as 'frontier', { inputTokens, outputTokens, cacheReadTokens })
      must(call.creditPico === price, `call ${call.id} drew ${call.creditPico}, not ${price}`)
    }
  }
}

/** The rollups are the calls, and every call is on exactly one invoice. */
function checkInvoices(world: SimulatedWorld, workspace: ModelWorkspace): void {
  const chain = world.chain.get(workspace.id) ?? []
  const chargeOf = (call: ModelCall) => call.chargePico ?? workspace.corrections.get(call.id)?.chargePico ?? 0n
  const sum = (values: Iterable<bigint>) => [...values].reduce((total, value) => total + value, 0n)
  const calls = [...workspace.calls.values()]
  for (const run of chain) {
    const billed = calls.filter((call) => call.billingMonth === run.month)
    must(run.calls === BigInt(billed.length), `run ${run.month} holds ${run.calls} calls, the ledger ${billed.length}`)
    must(run.exactPico === sum(billed.map(chargeOf)), `run ${run.month} is ${run.exactPico}, its calls are not`)
    const lines = sum(run.lines.map((line) => line.amountCents))
    must(lines === run.totalCents, `run ${run.month}: lines ${lines}, total ${run.totalCents}`)
  }
  const rolled = sum([...workspace.rollups.values()].map((row) => row.chargePico))
  must(rolled === sum(calls.map(chargeOf)), 'the rollups are not the calls')
  const billedCents = sum(chain.map((run) => run.totalCents))
  const residue = chain.at(-1)?.closingResiduePico ?? 0n
  const exact = sum(calls.map(chargeOf))
  must(
    billedCents * PICO_PER_CENT + residue === exact,
    `billed ${billedCents} cents + residue ${residue} is not ${exact}`,
  )
}

/** Nobody pays twice, and nobody who was not interfered with is left unbilled. */
function checkStripe(world: SimulatedWorld): void {
  for (const run of world.runs.values()) {
    const invoices = world.stripe.invoices.filter((one) => one.metadata.run_id === run.id && !one.deleted)
    const final = invoices.filter((one) => one.status === 'open' || one.status === 'paid')
    const meddled = world.meddled.has(run.id)
    must(final.length <= 1, `run ${run.month} has ${final.length} invoices that are owed`)
    if (run.state === 'done') {
      must(final.length === 1, `run ${run.month} is done without an invoice`)
      const items = final[0]?.items ?? []
      const total = items.reduce((sum, item) => sum + item.amount, 0)
      must(BigInt(total) === run.totalCents, `Stripe has ${total} cents for run ${run.month} of ${run.totalCents}`)
      must(new Set(items.map((item) => item.lineKey)).size === items.length, `a line twice on run ${run.month}`)
      // And by the product's own comparison, which the writer, Verify and the daily compare share.
      const held = world.stripe.holds(run.stripeInvoiceId ?? '')
      const difference = held && compareWithFrozen(bundleOf(run), held.invoice, held.lines)
      must(held !== null && !difference, `run ${run.month} differs from Stripe: ${difference ?? 'no such invoice'}`)
    } else if (run.totalCents === 0n)
      must(final.length === 0 && ['done_zero', 'carried'].includes(run.state), `run ${run.month}: ${run.state}`)
    else
      must(
        meddled && run.state === 'held',
        `run ${run.month} ended ${run.state} (${run.stopped?.message ?? 'no reason'})`,
      )
    if (!meddled) must(invoices.length <= 1, `run ${run.month} left ${invoices.length} invoices in Stripe`)
  }
}

/** Credits never fall below zero, and every one of them is somewhere. */
function checkCredits(workspace: ModelWorkspace): void {
  must(workspace.holds.size === 0, `${workspace.holds.size} holds were never settled`)
  for (const grant of workspace.grants) {
    must(grant.availablePico >= 0n, `grant ${grant.id} is overdrawn`)
    const kept = workspace.accounts.get(`grant:${grant.id}`) ?? 0n
    must(kept === grant.availablePico, `grant ${grant.id}: ${grant.availablePico} kept, ${kept} counted`)
  }
  must((workspace.accounts.get('held') ?? 0n) === 0n, 'something is held for no call')
  const drawn = [...workspace.calls.values()].reduce((sum, call) => sum + call.creditPico, 0n)
  const short = [...workspace.shortfalls.values()].reduce((sum, value) => sum + value, 0n)
  const spent = workspace.accounts.get('spent') ?? 0n
  must(spent + short === drawn, `${spent} spent and ${short} short are not the ${drawn} that calls drew`)
  must(
    [...workspace.accounts.values()].reduce((sum, value) => sum + value, 0n) === 0n,
    'the accounts do not sum to zero',
  )
}

/** @throws Error naming the first guarantee that does not hold */
export function check(world: SimulatedWorld): void {
  for (const workspace of world.workspaces) {
    checkCalls(world, workspace)
    checkInvoices(world, workspace)
    checkCredits(workspace)
  }
  const recorded = new Set(world.workspaces.flatMap((workspace) => [...workspace.calls.keys()]))
  for (const id of world.journal.keys()) must(recorded.has(id), `call ${id} reached the provider and is in no ledger`)
  checkStripe(world)
}
