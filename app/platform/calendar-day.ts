const DAY = /^\d{4}-\d{2}-\d{2}$/

/**
 * Whether a text is a day that the calendar has, as `YYYY-MM-DD`. `Date` alone is no judge of that: it takes 31 February for
 * 3 March, so what was meant for one month would be counted in another.
 */
export function isCalendarDay(text: string): boolean {
  if (!DAY.test(text)) return false
  const at = new Date(`${text}T00:00:00Z`)
  return !Number.isNaN(at.getTime()) && at.toISOString().slice(0, 10) === text
}
