import { noteProgress, openAttempt } from '#app/domain/ledger/open-attempts.server.ts'
import { dispatchCall } from '#app/domain/providers/dispatch-call.server.ts'
import { noFacts } from '#app/domain/providers/usage.ts'
import { env } from '#app/platform/env.server.ts'
import { log } from '#app/platform/log.server.ts'
import type { Call, ReplyOutcome } from './call.ts'
import type { ClientResponse } from './client-response.ts'
import { GatewayError } from './gateway-error.ts'
import { land, leftToSweeper, takeOff } from './in-flight.server.ts'
import { patience } from './patience.ts'
import type { NoRoom } from './refuse-spend.server.ts'
import { reportOnKey } from './report-refusal.server.ts'
import { reportOddUsage } from './report-usage.server.ts'
import { settle } from './settle.server.ts'
import { UpstreamReply } from './upstream-reply.ts'

/**
 * Writes the attempt, the promise that the call will be accounted for.
 * @returns `stale` where the call was decided on facts that no longer hold: nothing was written, decide again; `credits` or a
 * budget where there is no room for what it may come to: nothing was written either
 * @throws GatewayError 503 where it cannot be written: nothing may be sent
 */
export async function writeAttempt(call: Call): Promise<'opened' | 'stale' | NoRoom> {
  const { dispatch, request, keyEpoch, most } = call
  const { promptTokensEstimate } = request
  try {
    return await openAttempt({
      ...dispatch,
      processId: env().processId,
      promptTokensEstimate,
      keyEpoch,
      mostChargePico: most?.chargePico ?? null,
      mostCostPico: most?.costPico ?? null,
    })
  } catch {
    throw new GatewayError(
      503,
      'ledger_unavailable',
      'The call cannot be recorded right now, so it was not sent. Try again shortly.',
    )
  } finally {
    call.isWritten()
  }
}

const neverSent: ReplyOutcome = {
  ending: 'unsent',
  httpStatus: null,
  facts: noFacts,
  generationId: null,
  bytes: 0,
  firstByteMs: null,
  clientGone: true,
  errorCode: 'client_closed',
  refusalText: null,
  tail: () => '',
}

/** What a call came to: answered, or refused in a way that another key may stand in for, with the answer still to be given. */
export type CallEnd = { kind: 'answered' } | { kind: 'refused'; status: number; answer: () => void }

const answered: CallEnd = { kind: 'answered' }

/** A refusal that says nothing against the request or the account: the provider is busy or broken. */
const mayStandIn = (call: Call, { ending, httpStatus, errorCode, clientGone }: ReplyOutcome): boolean =>
  call.standIn !== null &&
  !clientGone &&
  ending === 'refused' &&
  errorCode !== 'provider_payment_required' &&
  httpStatus !== null &&
  (httpStatus === 429 || httpStatus >= 500)

/** The attempt is written; now the request goes out, and this resolves when the client has its answer. */
function send(call: Call, client: ClientResponse): Promise<CallEnd> {
  const { id, streamed, endpoint } = call.dispatch
  return new Promise((resolve) => {
    let ended = false
    const onFirstByte = (upstreamId: string | null) => {
      // A reply that is over within this turn of the event loop needs no note.
      setImmediate(() => ended || noteProgress({ callId: id, upstreamId, relayedBytes: 0 }))
    }
    const onEnded = async (outcome: ReplyOutcome, answer: () => void) => {
      ended = true
      let end = answered
      try {
        const recorded = leftToSweeper(outcome.ending) ? false : await settle(call, outcome)
        reportOnKey(call, outcome)
        reportOddUsage(call, outcome)
        if (!recorded) client.sever()
        else if (mayStandIn(call, outcome)) end = { kind: 'refused', status: outcome.httpStatus ?? 0, answer }
        else answer()
      } catch (error) {
        // Unexpected, and nobody waits for this promise: thrown on, it would end the process and every call in it.
        log.error({ callId: id, reason: (error as Error).message }, 'a call could not be settled')
        client.sever()
      }
      // Whoever leaves from now on leaves nothing to drain.
      client.seat = null
      land(seat)
      resolve(end)
    }
    const reply = new UpstreamReply(call, client, {
      onFirstByte,
      onEnded: (outcome, answer) => void onEnded(outcome, answer),
    })
    const seat = takeOff({ callId: id, streamed, reply })
    client.seat = seat
    const { upstreamModel: model, body, credential } = call
    dispatchCall(call.provider.id, { id, endpoint, model, body, credential, streamed, patience }, reply)
  })
}

/**
 * Runs a call whose attempt is written to its end. The ledger's row is committed before the client sees the end of the
 * answer.
 */
export async function runCall(call: Call, client: ClientResponse): Promise<CallEnd> {
  client.answers(call.dispatch.id)
  if (!client.gone) return send(call, client)
  await settle(call, neverSent)
  return answered
}
