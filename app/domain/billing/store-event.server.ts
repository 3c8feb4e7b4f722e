import type Stripe from 'stripe'
import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { raiseAlert } from '#app/domain/notifications/alerts.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { env } from '#app/platform/env.server.ts'
import { looksAfter, referencesOf } from './internal/event-table.ts'

/** `ignored`: an event type or a mode that is not ours; it is answered 200 all the same. */
export type ReceivedEvent = 'stored' | 'duplicate' | 'ignored'

/** Secret and restricted keys alike: taking a restricted one for a test key would ignore every event there is. */
const liveKey = /^[a-z]+_live_/

/** Stores an event's id once and enqueues the job that reads its object again, in one transaction (stripe §2.6). */
export async function storeEvent(event: Stripe.Event, now: Date): Promise<ReceivedEvent> {
  if (!looksAfter(event.type)) return 'ignored'
  if (event.livemode !== liveKey.test(env().stripeSecretKey)) {
    await countOtherMode(event.livemode ? 'live' : 'test', now)
    return 'ignored'
  }
  const { objectId, customerId } = referencesOf(event)
  return inSystem(async (tx) => {
    const stored = await tx.$executeRaw`
      INSERT INTO stripe_events (id, type, object_id, customer_id, created_at, livemode, received_at)
      VALUES (${event.id}, ${event.type}, ${objectId}, ${customerId}, ${new Date(event.created * 1000)}, ${event.livemode}, ${now})
      ON CONFLICT (id) DO NOTHING`
    if (stored === 0) return 'duplicate'
    await enqueueJob(tx, 'sync-stripe-object', { eventId: event.id }, { jobKey: `stripe:${objectId}` })
    return 'stored'
  })
}

/** An endpoint of the other mode sends here: nothing of it is believed, and an operator sees how often it came. */
const countOtherMode = (mode: 'live' | 'test', at: Date) =>
  inSystem((tx) =>
    raiseAlert(tx, {
      kind: 'stripe_other_mode',
      reference: mode,
      message: `Stripe sends events of ${mode} mode here, which are ignored: this installation has a key of the other mode. Remove that webhook endpoint.`,
      at,
    }),
  )
