import type { IncomingMessage } from 'node:http'
import { type RecordedEvent, recordUsageEvents } from '#app/domain/ledger/record-usage-events.server.ts'
import type { FieldError, ReadEvent } from '#app/domain/ledger/usage-event.ts'
import { usesCredits } from '#app/domain/plans/plans.ts'
import { loadCatalogue } from '#app/domain/pricing/queries.server.ts'
import { picoToUsd } from '#app/platform/pico.ts'
import { otherCurrency } from './admit.server.ts'
import { authenticate, readToken } from './authenticate.ts'
import { badRequest, GatewayError } from './gateway-error.ts'
import { checkBodyHeaders, readBody } from './read-body.ts'
import { readUsageEvents } from './read-usage-events.ts'

export const usageEventsPath = '/v1/usage/events'

const accepted = /^application\/(?:json|cloudevents\+json|cloudevents-batch\+json)\s*(?:;|$)/i

/** What became of one event, as its sender reads it. */
interface EventAnswer {
  source: string | null
  id: string | null
  status: 'recorded' | 'duplicate' | 'conflict' | 'invalid'
  amount_usd?: string
  credits_usd?: string
  charge_usd?: string
  billed_month?: string
  errors?: FieldError[]
}

const conflictError: FieldError = {
  field: 'id',
  code: 'usage_event_conflict',
  message: "Another event of this 'source' has this 'id'. Nothing was recorded; an id is given to one event only.",
}

function toAnswer(read: ReadEvent, recorded: RecordedEvent | undefined): EventAnswer {
  if (!read.ok) return { source: read.source, id: read.id, status: 'invalid', errors: read.errors }
  const { source, id } = read.event
  if (!recorded) throw new Error('an event that can be read was not looked at')
  if (recorded.outcome === 'refused') return { source, id, status: 'invalid', errors: [recorded.error] }
  if (recorded.outcome === 'conflict') return { source, id, status: 'conflict', errors: [conflictError] }
  return {
    ...{ source, id, status: recorded.outcome, amount_usd: picoToUsd(recorded.amountPico) },
    ...{ credits_usd: picoToUsd(recorded.creditPico), charge_usd: picoToUsd(recorded.chargePico) },
    billed_month: recorded.billingMonth,
  }
}

/** One event that was not recorded is an error of the request, with every wrong field in its message. */
function refusalOf({ status, errors = [] }: EventAnswer): GatewayError | null {
  const [first] = errors
  if (!first) return null
  const message = errors.map((error) => error.message).join(' ')
  if (status === 'conflict') return new GatewayError(409, first.code, message, { param: first.field })
  return badRequest('invalid_event', message, first.field)
}

/**
 * Takes one CloudEvent, or an array of them. Of a batch each event is answered by itself and the good ones are recorded: sending
 * the whole batch again is harmless.
 * @throws GatewayError 400, 401, 409, 413, 415, 503
 */
export async function answerUsageEvents(request: IncomingMessage): Promise<unknown> {
  const token = readToken(request)
  checkBodyHeaders(request, accepted)
  const body = readBody(request)
  body.catch(() => null) // where the token is refused, that is the answer, whatever the body was
  const { admission } = await authenticate(token, { fresh: true })
  // Credits are dollars: what is priced in another currency cannot be drawn from them.
  if (admission.currency !== 'usd' && usesCredits(admission.plan)) throw otherCurrency()
  const bytes = await body
  const now = new Date()
  const { surfaces, books } = await loadCatalogue()
  const { isBatch, read } = await readUsageEvents(bytes, surfaces, now)
  const events = read.flatMap((one) => (one.ok ? [one.event] : []))
  const recorded = await recordUsageEvents(admission, books, events, now)
  const answers = read.map((one) => toAnswer(one, one.ok ? recorded[events.indexOf(one.event)] : undefined))
  if (!isBatch) {
    const [answer] = answers as [EventAnswer]
    const refusal = refusalOf(answer)
    if (refusal) throw refusal
    return answer
  }
  const count = (status: EventAnswer['status']) => answers.filter((answer) => answer.status === status).length
  return {
    ...{ recorded: count('recorded'), duplicates: count('duplicate') },
    ...{ conflicts: count('conflict'), invalid: count('invalid'), events: answers },
  }
}
