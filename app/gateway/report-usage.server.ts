import { raiseAlert } from '#app/domain/notifications/alerts.server.ts'
import { inBackground } from '#app/platform/background.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { singleton } from '#app/platform/singleton.server.ts'
import type { Call, ReplyOutcome } from './call.ts'
import { allowedOutput } from './most-of-call.ts'

/** The operators are told at most this often of each provider and model, in ms. */
const reportEveryMs = 60_000
/** Of so many it is remembered when they were told: a caller may name any model. */
const mostRemembered = 1_000

interface News {
  kind: 'usage_refused' | 'usage_beyond_limit'
  words: string
}

const refused: News = {
  kind: 'usage_refused',
  words: 'cannot be true. It is not billed; its calls are held or estimated until the provider’s record is there.',
}
const beyondLimit: News = {
  kind: 'usage_beyond_limit',
  words:
    'is more than twice the output that its callers allow. It is billed as reported: compare it with the provider’s bill.',
}

/** What the operators should hear of a reply's usage; null: nothing. */
function newsIn({ request, outputLimit }: Call, { facts }: ReplyOutcome): News | null {
  if (facts.usageRefused) return refused
  const allowed = allowedOutput(request, outputLimit)
  return allowed !== null && BigInt(facts.tokens?.output ?? 0) > 2n * allowed ? beyondLimit : null
}

/**
 * Tells the operators of a provider that reports usage which cannot be true (negative, broken, beyond any model; stripe §4 case
 * 67), or hardly (security §4c, item 147). Somebody has to see that it comes. Nothing waits for it.
 */
export function reportOddUsage(call: Call, outcome: ReplyOutcome): void {
  const news = newsIn(call, outcome)
  if (!news) return
  const { provider, upstreamModel } = call
  const told = singleton('gateway:told-usage', () => new Map<string, number>())
  const model = upstreamModel.slice(0, 200)
  const reference = `${provider.id} ${model}`
  const what = `${news.kind} ${reference}`
  if (performance.now() - (told.get(what) ?? Number.NEGATIVE_INFINITY) < reportEveryMs) return
  if (told.size >= mostRemembered) told.clear()
  told.set(what, performance.now())
  const message = `${provider.name} reports usage of ${model} that ${news.words}`
  const alert = { kind: news.kind, reference, message, at: new Date() }
  inBackground(inSystem((tx) => raiseAlert(tx, alert)).catch(() => told.delete(what)))
}
