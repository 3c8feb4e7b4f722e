import { endsWithProcess } from '#app/platform/background.server.ts'
import { isRefusal, systemPool } from '#app/platform/db.server.ts'
import { GroupCommit } from '#app/platform/group-commit.ts'
import { bareArray, rowArray, rowText, textArray } from '#app/platform/pg-array.ts'
import type { Pico } from '#app/platform/pico.ts'
import { singleton } from '#app/platform/singleton.server.ts'
import type { Dispatch } from './ledger.ts'

/** One upstream try, as it stands before anything was sent. Its row is the promise that the call will be accounted for. */
export interface AttemptRecord extends Dispatch {
  processId: string
  promptTokensEstimate: number
  /** What it may come to at most, for the customer and at the provider; null where neither hard budgets nor credits apply. */
  mostChargePico: Pico | null
  mostCostPico: Pico | null
}

/** An attempt, and the workspace's key epoch as of the facts that it was decided on. */
export type Opening = AttemptRecord & { keyEpoch: bigint }

/** metering.opening, field by field. */
const openingFields = (attempt: Opening, place: number) => [
  place,
  attempt.id,
  attempt.workspaceId,
  attempt.keyEpoch,
  attempt.tokenId,
  rowText(attempt.processId),
  rowText(attempt.dispatchedAt.toISOString()),
  rowText(attempt.surface),
  rowText(attempt.provider),
  rowText(attempt.model),
  rowText(attempt.upstreamModel),
  rowText(attempt.endpoint),
  attempt.fallbackOf,
  rowText(attempt.tier),
  rowText(attempt.keySource),
  attempt.keyId,
  attempt.keyVersion,
  rowText(attempt.chargeMode),
  attempt.priceBookVersion,
  attempt.streamed,
  attempt.promptTokensEstimate,
  attempt.markupBp,
  attempt.mostChargePico,
  attempt.mostCostPico,
]

/** `credits`, `budget:<id>`: there is no room for what the call may come to. */
type Opened = 'opened' | 'stale' | 'credits' | `budget:${string}`

interface OpenedRow {
  stale: number[] | null
  refused: number[] | null
  refusals: (Opened | undefined)[] | null
}

/** One batch, in one statement and one transaction. */
export async function openAttempts(attempts: readonly Opening[]): Promise<Opened[]> {
  const { rows } = await systemPool().query<OpenedRow>({
    name: 'open-attempts',
    text: 'SELECT stale, refused, refusals FROM metering.open_attempts($1)',
    values: [rowArray(attempts, openingFields)],
  })
  const { stale = null, refused = null, refusals = null } = rows[0] ?? {}
  if (!stale && !refused) return attempts.map(() => 'opened')
  return attempts.map((_, index) => {
    if (stale?.includes(index + 1)) return 'stale'
    const place = refused?.indexOf(index + 1) ?? -1
    return place < 0 ? 'opened' : (refusals?.[place] ?? 'credits')
  })
}

const openings = () =>
  singleton('ledger:openings', () => new GroupCommit<Opening, Opened>(openAttempts, { blames: isRefusal }))

/**
 * Writes the attempt and answers when it is committed. Only then may the request be sent: a request that reached a provider
 * without a row could be lost with the process. Concurrent attempts share a commit.
 *
 * The same statement holds what the call was decided on against the tables: the workspace's key epoch, which every change of
 * its plan, keys and settings raises, and that its token is not revoked. So a call may be admitted from memory, and a change
 * counts from the next call on all the same, in every process.
 * Where hard budgets or credits apply, what the call may come to is set aside with it, in the same transaction.
 * @returns `stale` where that no longer holds: nothing was written, and the call is to be admitted afresh; `credits` or
 * `budget:<id>` where there is no room for it: nothing was written
 * @throws Error where the database cannot take it: nothing may be sent
 */
export const openAttempt = (attempt: Opening): Promise<Opened> => openings().add(attempt)

/** What an open attempt has come to: the provider's id of the generation, and the bytes relayed so far. */
export interface AttemptProgress {
  callId: string
  upstreamId: string | null
  relayedBytes: number
}

async function note(progress: AttemptProgress[]): Promise<null[]> {
  await systemPool().query({
    name: 'note-progress',
    text: 'SELECT metering.note_progress($1, $2, $3)',
    values: [
      bareArray(progress, (each) => each.callId),
      textArray(progress, (each) => each.upstreamId),
      bareArray(progress, (each) => each.relayedBytes),
    ],
  })
  return progress.map(() => null)
}

const notes = () =>
  singleton('ledger:notes', () => {
    const group = new GroupCommit<AttemptProgress, null>(note, { blames: isRefusal })
    endsWithProcess(() => group.idle())
    return group
  })

/**
 * Notes how far an open attempt has come, for the sweeper should this process die. Nothing waits for it and its failure
 * costs nothing but precision: without it the call is settled as an estimate.
 */
export function noteProgress(progress: AttemptProgress): void {
  notes()
    .add(progress)
    .catch(() => null)
}
