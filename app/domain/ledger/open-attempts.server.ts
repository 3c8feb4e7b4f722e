import { isRefusal, systemPool } from '#app/platform/db.server.ts'
import { GroupCommit } from '#app/platform/group-commit.ts'
import { bareArray, placeholders, textArray } from '#app/platform/pg-array.ts'
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

/** The parameters of metering.open_attempts, in their order. */
const columns = (attempts: readonly Opening[]): string[] => [
  bareArray(attempts, (attempt) => attempt.id),
  bareArray(attempts, (attempt) => attempt.workspaceId),
  bareArray(attempts, (attempt) => attempt.keyEpoch),
  bareArray(attempts, (attempt) => attempt.tokenId),
  textArray(attempts, (attempt) => attempt.processId),
  bareArray(attempts, (attempt) => attempt.dispatchedAt.toISOString()),
  textArray(attempts, (attempt) => attempt.surface),
  textArray(attempts, (attempt) => attempt.provider),
  textArray(attempts, (attempt) => attempt.model),
  textArray(attempts, (attempt) => attempt.upstreamModel),
  textArray(attempts, (attempt) => attempt.endpoint),
  bareArray(attempts, (attempt) => attempt.fallbackOf),
  textArray(attempts, (attempt) => attempt.tier),
  textArray(attempts, (attempt) => attempt.keySource),
  bareArray(attempts, (attempt) => attempt.keyId),
  bareArray(attempts, (attempt) => attempt.keyVersion),
  textArray(attempts, (attempt) => attempt.chargeMode),
  bareArray(attempts, (attempt) => attempt.priceBookVersion),
  bareArray(attempts, (attempt) => attempt.streamed),
  bareArray(attempts, (attempt) => attempt.promptTokensEstimate),
  bareArray(attempts, (attempt) => attempt.markupBp),
  bareArray(attempts, (attempt) => attempt.mostChargePico),
  bareArray(attempts, (attempt) => attempt.mostCostPico),
]

const openAll = `SELECT stale, refused, refusals FROM metering.open_attempts(${placeholders(columns([]).length)})`

/** `credits`, `budget:<id>`: there is no room for what the call may come to. */
type Opened = 'opened' | 'stale' | 'credits' | `budget:${string}`

interface OpenedRow {
  stale: number[] | null
  refused: number[] | null
  refusals: (Opened | undefined)[] | null
}

async function open(attempts: Opening[]): Promise<Opened[]> {
  const { rows } = await systemPool().query<OpenedRow>({
    name: 'open-attempts',
    text: openAll,
    values: columns(attempts),
  })
  const { stale = null, refused = null, refusals = null } = rows[0] ?? {}
  if (!stale && !refused) return attempts.map(() => 'opened')
  return attempts.map((_, index) => {
    if (stale?.includes(index + 1)) return 'stale'
    const place = refused?.indexOf(index + 1) ?? -1
    return place < 0 ? 'opened' : (refusals?.[place] ?? 'credits')
  })
}

const openings = () => singleton('ledger:openings', () => new GroupCommit<Opening, Opened>(open, { blames: isRefusal }))

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

const notes = () => singleton('ledger:notes', () => new GroupCommit<AttemptProgress, null>(note, { blames: isRefusal }))

/**
 * Notes how far an open attempt has come, for the sweeper should this process die. Nothing waits for it and its failure
 * costs nothing but precision: without it the call is settled as an estimate.
 */
export function noteProgress(progress: AttemptProgress): void {
  notes()
    .add(progress)
    .catch(() => null)
}
