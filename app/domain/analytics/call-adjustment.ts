import type { CalendarMonth } from '#app/platform/calendar-month.ts'
import type { Pico } from '#app/platform/pico.ts'

/** A difference entry: on the invoice of its billing month, unless what is charged stays and the cost alone was corrected. */
export interface CallAdjustment {
  at: Date
  reason: 're_rate' | 'cost_corrected'
  billingMonth: CalendarMonth
  priceBookVersion: number
  rawCostPico: Pico | null
  tierPricePico: Pico | null
  chargeBeforePico: Pico
  chargeAfterPico: Pico
}
