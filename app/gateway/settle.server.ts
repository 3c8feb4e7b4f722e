import { setTimeout as delay } from 'node:timers/promises'
import { type CallRecord, type CallStatus, type Outcome, settleCall } from '#app/domain/ledger/ledger.ts'
import { markupBasis } from '#app/domain/ledger/markup-basis.server.ts'
import { recordCalls } from '#app/domain/ledger/record-calls.server.ts'
import type { UsageOutcome } from '#app/domain/ledger/usage-outcome.ts'
import { isRefusal } from '#app/platform/db.server.ts'
import { GroupCommit } from '#app/platform/group-commit.ts'
import { log } from '#app/platform/log.server.ts'
import { singleton } from '#app/platform/singleton.server.ts'
import type { Call, ReplyOutcome } from './call.ts'
import { resolveUsage } from './resolve-usage.server.ts'

/** How long a call waits for a database that is away before it is left to the sweeper, in ms. */
const patienceMs = 30_000

const record = (calls: CallRecord[]): Promise<boolean[]> => recordCalls(calls)

/** However many wait: each has its attempt, whose number is bounded, and nobody else knows what the call came to. */
const settling = { blames: isRefusal, mostWaiting: Number.POSITIVE_INFINITY }
const records = () => singleton('gateway:records', () => new GroupCommit<CallRecord, boolean>(record, settling))

function statusOf(outcome: ReplyOutcome): CallStatus {
  if (outcome.ending === 'refused') return 'rejected_upstream'
  if (outcome.clientGone) return 'client_closed'
  return outcome.ending === 'complete' && !outcome.facts.failed ? 'ok' : 'upstream_error'
}

function toOutcome(call: Call, outcome: ReplyOutcome, usage: UsageOutcome): Outcome {
  return {
    origin: 'gateway',
    status: statusOf(outcome),
    httpStatus: outcome.httpStatus,
    errorCode: outcome.errorCode,
    responseModel: outcome.facts.model,
    latencyMs: Math.round(performance.now() - call.arrivedAt),
    firstByteMs: outcome.firstByteMs,
    upstreamId: outcome.generationId,
    ...usage,
  }
}

/**
 * Puts the call into the ledger and answers when it is committed there. Concurrent calls share a commit. While the database
 * is away it is tried again; false means that the attempt stays open and the sweeper settles it.
 */
export async function settle(call: Call, reply: ReplyOutcome): Promise<boolean> {
  const usage = await resolveUsage(call, reply)
  const basis = await markupBasis(call.dispatch, usage)
  const settled = settleCall(call.dispatch, toOutcome(call, reply, usage), call.book, basis)
  const deadline = performance.now() + patienceMs
  for (let wait = 50; ; wait = Math.min(wait * 2, 2_000)) {
    try {
      const taken = await records().add(settled)
      // Tried again after a lost answer, or the sweeper came first: the call is in the ledger once, by whoever it was.
      if (!taken) log.warn({ callId: call.dispatch.id }, 'a call was in the ledger already')
      return true
    } catch (error) {
      const code = (error as { code?: string }).code ?? 'error'
      log.error({ callId: call.dispatch.id, code }, 'a call could not be written to the ledger')
      if (performance.now() + wait > deadline || /^(?:22|23)/.test(code)) return false
    }
    await delay(wait)
  }
}
