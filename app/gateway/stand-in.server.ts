import { raiseNotice } from '#app/domain/notifications/notices.server.ts'
import { inBackground } from '#app/platform/background.server.ts'
import { inSystem, systemPool } from '#app/platform/db.server.ts'
import { env } from '#app/platform/env.server.ts'
import { log } from '#app/platform/log.server.ts'
import type { Pico } from '#app/platform/pico.ts'
import { singleton } from '#app/platform/singleton.server.ts'
import type { Call, StandIn } from './call.ts'
import { heldInputTokens } from './held-input.ts'
import { mostOfCall } from './most-of-call.ts'
import { longestAnswer } from './output-limit.ts'

const chargedToday = `
  SELECT coalesce(sum(charge_pico + credit_pico), 0)::text AS charged,
    (SELECT count(*) FROM metering.attempts
      WHERE workspace_id = $1 AND surface = $2 AND fallback_of IS NOT NULL AND process_id <> $3)::text AS elsewhere
    FROM metering.inference_calls
   WHERE workspace_id = $1 AND surface = $2 AND fallback_of IS NOT NULL
     AND dispatched_at >= date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'`

/** What stand-ins under way in this process may come to, by workspace and surface: they are in no sum yet. */
const setAside = () => singleton('gateway:stand-ins', () => new Map<string, Pico>())
const placeOf = ({ dispatch }: Call): string => `${dispatch.workspaceId} ${dispatch.surface}`

/** What is charged, and what stand-ins of other processes may come to, each taken to be like this one. */
async function chargedSoFar({ dispatch }: Call, most: Pico): Promise<Pico> {
  const values = [dispatch.workspaceId, dispatch.surface, env().processId]
  const { rows } = await systemPool().query<{ charged: string; elsewhere: string }>(chargedToday, values)
  const { charged = '0', elsewhere = '0' } = rows[0] ?? {}
  return BigInt(charged) + BigInt(elsewhere) * most
}

/** What a stand-in may be charged: one that names no limit may answer as long as its model does. */
function mostOfStandIn(standIn: Call, hosted: StandIn['hosted']): Pico {
  const inputTokens = heldInputTokens(standIn.request)
  const outputLimit = standIn.outputLimit ?? longestAnswer(hosted, true, inputTokens)
  return mostOfCall({ ...standIn, inputTokens, outputLimit }).chargePico
}

/**
 * Takes room under the workspace's cap for one stand-in. A provider that refuses, refuses a burst: every one of them asks
 * before the first is in the ledger, so what is under way counts too. The cap is passed by one call at most.
 * @returns gives the room back, once the stand-in is in the ledger; null where there is none
 */
async function takeRoom(call: Call, standIn: Call, { capPico, hosted }: StandIn): Promise<(() => void) | null> {
  const [held, place, most] = [setAside(), placeOf(call), mostOfStandIn(standIn, hosted)]
  const change = (by: Pico) => {
    const next = (held.get(place) ?? 0n) + by
    if (next > 0n) held.set(place, next)
    else held.delete(place)
  }
  change(most) // before the question: whoever asks meanwhile sees it
  const before = (held.get(place) ?? 0n) - most
  const charged = await chargedSoFar(call, most).catch((error) => {
    change(-most)
    throw error
  })
  if (charged + before < capPico) return () => change(-most)
  change(-most)
  return null
}

function tellWorkspace(call: Call, status: number): void {
  const { workspaceId, surface } = call.dispatch
  const at = new Date()
  const day = at.toISOString().slice(0, 10)
  const notice = inSystem((tx) =>
    raiseNotice(tx, {
      workspaceId,
      kind: 'fallback_used',
      reference: `${surface} ${day}`,
      title: 'Calls fell back to the platform key',
      message: `${call.provider.name} answered ${status} to calls of the surface '${surface}', so they went out under the platform key and are billed at the platform price. You allowed this for the surface.`,
      path: 'settings/billing',
      at,
      quietMs: 24 * 3_600_000, // also where it was dismissed: the reference is the day's
    }),
  )
  inBackground(notice.catch((error: Error) => log.warn({ reason: error.message }, 'a notice could not be raised')))
}

export interface AdmittedStandIn {
  call: Call
  /** The call is over, and in the ledger where it was sent. */
  release: () => void
  /** It goes out: the workspace is told. */
  sent: () => void
}

/**
 * The call that stands in for a refused one under the platform's key; null where the day's cap is used up or nothing can
 * stand in. The workspace is told once a day and surface.
 */
export async function admitStandIn(call: Call, status: number): Promise<AdmittedStandIn | null> {
  const { standIn } = call
  try {
    if (!standIn) return null
    const next = await standIn.admit()
    const release = await takeRoom(call, next, standIn)
    if (!release) {
      next.isWritten() // it never will be: what it would have set aside must not shorten the answers of others
      return null
    }
    return { call: next, release, sent: () => tellWorkspace(call, status) }
  } catch (error) {
    log.warn({ callId: call.dispatch.id, reason: (error as Error).message }, 'no call could stand in for a refused one')
    return null
  }
}
