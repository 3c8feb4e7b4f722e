import type { PlanLeaving } from '#app/domain/analytics/leaving-plan.server.ts'
import type { Surface } from '#app/domain/pricing/queries.server.ts'
import { providerName } from '#app/ui/analytics/analytics-view.ts'
import { count, money } from '#app/ui/money.ts'
import { utcMinute } from '#app/ui/time.ts'

export interface LeavingView {
  title: string
  at: string
  remaining: string
  keys: string[]
  surfaces: { name: string; calls: string }[]
  moves: string
  cost: string | null
}

const HOUR_MS = 3_600_000

/** "in 12 days", "in 5 hours": whole units, rounded down, so that nobody has less time than it says. */
export function remainingTime(at: Date, now: Date): string {
  const hours = Math.floor((at.getTime() - now.getTime()) / HOUR_MS)
  if (hours < 0) return 'now'
  if (hours < 1) return 'in less than an hour'
  if (hours < 48) return `in ${hours} ${hours === 1 ? 'hour' : 'hours'}`
  return `in ${Math.floor(hours / 24)} days`
}

function costWords({ extraPico, movesToPlatform, toPlan }: PlanLeaving): string | null {
  if (!movesToPlatform) return 'What refused calls would have done is not in any sum.'
  if (extraPico === null) return null
  if (extraPico === 0n)
    return `Your last 30 days would have come to the same under ${toPlan}, here and at your providers together.`
  const by = money(extraPico > 0n ? extraPico : -extraPico)
  return `Your last 30 days would have come to ${by} ${extraPico > 0n ? 'more' : 'less'} under ${toPlan}, here and at your providers together.`
}

export function toLeavingView(leaving: PlanLeaving, surfaces: ReadonlyMap<string, Surface>, now: Date): LeavingView {
  const { at, fromPlan, toPlan, keys, movesToPlatform } = leaving
  return {
    title: `${fromPlan} ends ${remainingTime(new Date(at), now)}`,
    at: utcMinute(at),
    remaining: remainingTime(new Date(at), now),
    keys: keys.map(({ provider, hint, name }) => `${providerName(provider)} ${hint}${name ? ` (${name})` : ''}`),
    surfaces: leaving.surfaces.map(({ surface, calls }) => ({
      name: surfaces.get(surface)?.name ?? surface,
      calls: count(calls),
    })),
    moves: movesToPlatform
      ? `Calls of these surfaces run on the platform key from then on, as ${toPlan} charges for it.`
      : `${toPlan} has no platform key that may be used: calls of these surfaces are refused from then on.`,
    cost: costWords(leaving),
  }
}
