import { raiseAlert } from '#app/domain/notifications/alerts.server.ts'
import { inBackground } from '#app/platform/background.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { singleton } from '#app/platform/singleton.server.ts'
import type { Call, ReplyOutcome } from './call.ts'

/** The operators are told at most this often of each provider and model, in ms. */
const reportEveryMs = 60_000
/** Of so many it is remembered when they were told: a caller may name any model. */
const mostRemembered = 1_000

/**
 * Tells the operators of a provider that reports usage which cannot be true: negative, broken, beyond any model. Such counts are
 * taken out of billing (stripe §4 case 67); somebody has to see that they come. Nothing waits for it.
 */
export function reportRefusedUsage({ provider, upstreamModel }: Call, { facts }: ReplyOutcome): void {
  if (!facts.usageRefused) return
  const told = singleton('gateway:refused-usage', () => new Map<string, number>())
  const reference = `${provider.id} ${upstreamModel.slice(0, 200)}`
  if (performance.now() - (told.get(reference) ?? Number.NEGATIVE_INFINITY) < reportEveryMs) return
  if (told.size >= mostRemembered) told.clear()
  told.set(reference, performance.now())
  const message = `${provider.name} reports usage of ${upstreamModel.slice(0, 200)} that cannot be true. It is not billed; its calls are held or estimated until the provider's record is there.`
  const alert = { kind: 'usage_refused', reference, message, at: new Date() }
  inBackground(inSystem((tx) => raiseAlert(tx, alert)).catch(() => told.delete(reference)))
}
