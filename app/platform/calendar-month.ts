/** A UTC calendar month, written `YYYY-MM`; half-open: it ends where the next one starts. */
export type CalendarMonth = string & { readonly brand: 'CalendarMonth' }

const SHAPE = /^\d{4}-(0[1-9]|1[0-2])$/

/** @throws RangeError where the text is not `YYYY-MM` */
export function parseMonth(text: string): CalendarMonth {
  if (!SHAPE.test(text)) throw new RangeError(`"${text.slice(0, 20)}" is not a month: write YYYY-MM, such as 2026-10.`)
  return text as CalendarMonth
}

/** The UTC month that holds the instant. */
export const monthOf = (at: Date): CalendarMonth => at.toISOString().slice(0, 7) as CalendarMonth

export const monthStart = (month: CalendarMonth): Date => new Date(`${month}-01T00:00:00.000Z`)

/** First instant after the month. */
export const monthEnd = (month: CalendarMonth): Date => monthStart(shiftMonth(month, 1))

/** The month's last whole second: Stripe's line periods are inclusive. */
export const monthLastSecond = (month: CalendarMonth): Date => new Date(monthEnd(month).getTime() - 1000)

export function shiftMonth(month: CalendarMonth, months: number): CalendarMonth {
  const start = monthStart(month)
  return monthOf(new Date(Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + months, 1)))
}

/** The month as PostgreSQL's `date` columns hold it: its first day. */
export const monthToDate = (month: CalendarMonth): string => `${month}-01`

/** "October 2026". */
export const monthName = (month: CalendarMonth): string =>
  monthStart(month).toLocaleDateString('en-US', { month: 'long', year: 'numeric', timeZone: 'UTC' })
