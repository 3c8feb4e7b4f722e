import { noteProgress, openAttempt } from '#app/domain/ledger/open-attempts.server.ts'
import { dispatchCall } from '#app/domain/providers/dispatch-call.server.ts'
import { noFacts } from '#app/domain/providers/usage.ts'
import { env } from '#app/platform/env.server.ts'
import { log } from '#app/platform/log.server.ts'
import type { Call, ReplyOutcome } from './call.ts'
import type { ClientResponse } from './client-response.ts'
import { GatewayError } from './gateway-error.ts'
import { drainReply, leftToSweeper, takeOff } from './in-flight.server.ts'
import { patience } from './patience.ts'
import { reportOnKey } from './report-refusal.server.ts'
import { settle } from './settle.server.ts'
import { UpstreamReply } from './upstream-reply.ts'

async function writeAttempt(call: Call): Promise<void> {
  const { dispatch, promptTokensEstimate } = call
  try {
    await openAttempt({ ...dispatch, processId: env().processId, promptTokensEstimate })
  } catch {
    throw new GatewayError(
      503,
      'ledger_unavailable',
      'The call cannot be recorded right now, so it was not sent. Try again shortly.',
    )
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
}

/** The attempt is written; now the request goes out, and this resolves when the client has its answer. */
function send(call: Call, body: Buffer, client: ClientResponse): Promise<void> {
  const { id, streamed } = call.dispatch
  return new Promise((resolve) => {
    let drain = { done: () => {} }
    let ended = false
    const onFirstByte = (upstreamId: string | null) => {
      // A reply that is over within this turn of the event loop needs no note.
      setImmediate(() => ended || noteProgress({ callId: id, upstreamId, relayedBytes: 0 }))
    }
    const onEnded = async (outcome: ReplyOutcome, answer: () => void) => {
      ended = true
      try {
        const recorded = leftToSweeper(outcome.ending) ? false : await settle(call, outcome)
        reportOnKey(call, outcome)
        if (recorded) answer()
        else client.sever()
      } catch (error) {
        // Unexpected, and nobody waits for this promise: thrown on, it would end the process and every call in it.
        log.error({ callId: id, reason: (error as Error).message }, 'a call could not be settled')
        client.sever()
      }
      // Whoever leaves from now on leaves nothing to drain.
      client.onGone = () => {}
      drain.done()
      flight.land()
      resolve()
    }
    const reply = new UpstreamReply(call, client, {
      onFirstByte,
      onEnded: (outcome, answer) => void onEnded(outcome, answer),
    })
    const flight = takeOff({ callId: id, streamed, reply })
    client.onGone = () => {
      drain = drainReply(reply)
    }
    dispatchCall(call.provider, { id, body, key: call.key, streamed, patience }, reply)
  })
}

/**
 * Runs an admitted call to its end. The attempt's row is committed before a byte goes out, and the ledger's before the
 * client sees the end.
 * @throws GatewayError 503 where the attempt cannot be written: nothing was sent
 */
export async function runCall(call: Call, body: Buffer, client: ClientResponse): Promise<void> {
  await writeAttempt(call)
  if (client.gone) await settle(call, neverSent)
  else await send(call, body, client)
}
