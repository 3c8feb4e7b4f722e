import { badSignature, eventTooLarge } from './errors.ts'
import { verifyEvent } from './internal/stripe-events.server.ts'
import { type ReceivedEvent, storeEvent } from './store-event.server.ts'

export interface RawEvent {
  /** Exactly the bytes that came: a re-serialised body does not verify. */
  rawBody: Buffer
  /** The `Stripe-Signature` header. */
  signature: string | undefined
  now: Date
}

const MAX_BODY_BYTES = 1_048_576
const TOLERANCE_SECONDS = 300

/**
 * Takes a webhook: verifies it, stores its id once and enqueues the job that re-reads the object, in one transaction
 * (stripe §2.6). The payload itself is believed in nothing but whom to ask about: it may be late, early or of another version.
 * @throws AppError bad_request, too_large · anything else: the database is down, and Stripe must send it again
 */
export async function receiveStripeEvent({ rawBody, signature, now }: RawEvent): Promise<ReceivedEvent> {
  if (rawBody.length > MAX_BODY_BYTES) throw eventTooLarge()
  const event = verify(rawBody, signature, now)
  return storeEvent(event, now)
}

/** The SDK rejects the past beyond 300 s but accepts any future; we reject both (stripe §1.3, case 35). */
function verify(rawBody: Buffer, signature: string | undefined, now: Date) {
  if (!signature) throw badSignature('no Stripe-Signature header')
  const timestamp = Number(/(?:^|,)t=(\d{1,12})(?:,|$)/.exec(signature)?.[1])
  const age = Math.abs(Math.floor(now.getTime() / 1000) - timestamp)
  if (!(age <= TOLERANCE_SECONDS)) throw badSignature('timestamp missing or more than 300 s away')
  const event = verifyEvent(rawBody, signature, now)
  if (!event) throw badSignature('no secret fits')
  return event
}
