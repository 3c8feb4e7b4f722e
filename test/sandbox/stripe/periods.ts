import { priceNamed } from './catalogue.ts'
import type { SubscriptionRecord } from './records.ts'
import type { World } from './world.ts'

const DAY_SECONDS = 86_400

/** So many months after an instant; the 31st clamps to the month's last day, and comes back where the month has one (stripe §2.9). */
function monthsAfter(anchor: number, months: number): number {
  const date = new Date(anchor * 1000)
  const first = new Date(date)
  first.setUTCDate(1)
  first.setUTCMonth(first.getUTCMonth() + months)
  const lastDay = new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + 1, 0)).getUTCDate()
  first.setUTCDate(Math.min(date.getUTCDate(), lastDay))
  return Math.floor(first.getTime() / 1000)
}

/** The end of the period that begins at `start`, in seconds, for a subscription anchored at `anchor`. */
export function periodEndAfter(
  world: World,
  items: SubscriptionRecord['items'],
  anchor: number,
  start: number,
): number {
  const price = items[0] && priceNamed(world, items[0].price).recurring
  const count = price?.interval_count ?? 1
  if (price?.interval === 'day' || price?.interval === 'week') {
    return start + count * DAY_SECONDS * (price.interval === 'week' ? 7 : 1)
  }
  const step = count * (price?.interval === 'year' ? 12 : 1)
  for (let months = step; ; months += step) {
    const end = monthsAfter(anchor, months)
    if (end > start) return end
  }
}
