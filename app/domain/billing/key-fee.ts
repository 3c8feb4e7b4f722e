/** The monthly fee for having an own key enabled (stripe §2.5, §4 case 69), as pure arithmetic over the times that are kept. */
import { type CalendarMonth, monthEnd, monthStart } from '#app/platform/calendar-month.ts'
import { divideHalfEven, type Pico } from '#app/platform/pico.ts'

/** Half-open; `to` null: still going on. */
export interface Period {
  from: Date
  to: Date | null
}

/** What a plan charges per month with an enabled key, as it stood when the month was closed. */
export interface FeeTerms {
  planId: string
  planName: string
  feePico: Pico
  proration: 'seconds' | 'whole_month'
}

export interface KeyFeeInput {
  month: CalendarMonth
  terms: FeeTerms[]
  planPeriods: (Period & { planId: string })[]
  keyPeriods: Period[]
}

/** One plan's fee for the month. */
export interface KeyFee extends FeeTerms {
  /** When a key was enabled under the plan; apart, in order, inside the month. */
  periods: { from: Date; to: Date }[]
  activeMs: bigint
  monthMs: bigint
  exactPico: Pico
}

interface Stretch {
  from: number
  to: number
}

const clip = ({ from, to }: Period, bounds: Stretch): Stretch => ({
  from: Math.max(from.getTime(), bounds.from),
  to: Math.min(to?.getTime() ?? bounds.to, bounds.to),
})

/** Several keys at once are one fee: their times are joined before they are counted. */
function join(stretches: Stretch[]): Stretch[] {
  const joined: Stretch[] = []
  for (const { from, to } of stretches.filter((one) => one.to > one.from).sort((a, b) => a.from - b.from)) {
    const last = joined.at(-1)
    if (last && from <= last.to) last.to = Math.max(last.to, to)
    else joined.push({ from, to })
  }
  return joined
}

const overlap = (a: Stretch[], b: Stretch[]): Stretch[] =>
  a.flatMap((one) =>
    b
      .map((other) => ({ from: Math.max(one.from, other.from), to: Math.min(one.to, other.to) }))
      .filter(({ from, to }) => to > from),
  )

function feeOf(terms: FeeTerms, periods: Stretch[], monthMs: bigint): KeyFee {
  const activeMs = BigInt(periods.reduce((sum, { from, to }) => sum + to - from, 0))
  const prorated = divideHalfEven(terms.feePico * activeMs, monthMs)
  return {
    ...terms,
    periods: periods.map(({ from, to }) => ({ from: new Date(from), to: new Date(to) })),
    activeMs,
    monthMs,
    exactPico: terms.proration === 'seconds' ? prorated : terms.feePico,
  }
}

/**
 * The month's fees: one per plan under which a key was enabled. By seconds, a plan's fee is taken for its share of the month,
 * exact, rounded once to whole pico-dollars. Of plans that charge whole months only the dearest is charged, once.
 */
export function keyFees({ month, terms, planPeriods, keyPeriods }: KeyFeeInput): KeyFee[] {
  const bounds = { from: monthStart(month).getTime(), to: monthEnd(month).getTime() }
  const enabled = join(keyPeriods.map((period) => clip(period, bounds)))
  const fees = terms
    .filter((one) => one.feePico > 0n)
    .map((one) => {
      const onPlan = join(
        planPeriods.filter(({ planId }) => planId === one.planId).map((period) => clip(period, bounds)),
      )
      return feeOf(one, overlap(onPlan, enabled), BigInt(bounds.to - bounds.from))
    })
    .filter((fee) => fee.activeMs > 0n)
  const whole = fees
    .filter((fee) => fee.proration === 'whole_month')
    .sort((a, b) => (a.feePico === b.feePico ? a.planId.localeCompare(b.planId, 'en') : a.feePico > b.feePico ? -1 : 1))
  return fees.filter((fee) => fee.proration === 'seconds' || fee === whole[0])
}
