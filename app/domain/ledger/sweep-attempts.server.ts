import { SILENCE_MAX_S } from '#app/domain/jobs/heartbeat.server.ts'
import { raiseAlert } from '#app/domain/notifications/alerts.server.ts'
import { priceBookAt } from '#app/domain/pricing/pricing.ts'
import { type Catalogue, loadCatalogue } from '#app/domain/pricing/queries.server.ts'
import type { GenerationLookup } from '#app/domain/providers/fetch-generation.server.ts'
import { inSystem, systemPool } from '#app/platform/db.server.ts'
import { log } from '#app/platform/log.server.ts'
import { singleton } from '#app/platform/singleton.server.ts'
import { type CallRecord, type Dispatch, settleCall } from './ledger.ts'
import { markupBasis } from './markup-basis.server.ts'
import { recordCalls } from './record-calls.server.ts'
import { estimatedUsage, type UsageOutcome, usageOutcome } from './usage-outcome.ts'

/** An attempt that its process did not settle. */
interface LeftAttempt {
  dispatch: Dispatch
  openedAt: Date
  upstreamId: string | null
  promptTokensEstimate: number
  relayedBytes: number
}

/** Asks the provider for the record of an attempt, under the key that paid for it. */
export type GenerationReader = (attempt: {
  dispatch: Pick<Dispatch, 'workspaceId' | 'keySource' | 'keyId' | 'keyVersion'>
  upstreamId: string
}) => Promise<GenerationLookup>

/**
 * No reply lives this long: an attempt still open then was forgotten by a living process. Until then a silent process may
 * be alive, cut off from the database, and know what no provider would tell us; so nothing is estimated before.
 */
const forgottenAfterMs = 20 * 60_000
/** How long a record that is not there yet, or a provider that cannot be asked, is waited for before an estimate is made. */
const missingPatienceMs = 15 * 60_000
const unreachablePatienceMs = 60 * 60_000
const batch = 200
/** How long one sweep may take, in ms: the next begins a minute after this one. */
const longestSweepMs = 50_000

const select = `
  SELECT a.call_id::text, a.workspace_id::text, a.dispatched_at, a.opened_at, a.token_id::text, a.surface, a.provider, a.model,
    a.upstream_model, a.endpoint, a.fallback_of::text, a.tier, a.key_source, a.key_id::text, a.key_version, a.charge_mode, a.markup_bp, a.price_book_version, a.streamed, a.upstream_id,
    a.prompt_tokens_estimate, a.relayed_bytes::text
  FROM metering.attempts a
  WHERE ($4::uuid IS NULL OR a.call_id > $4) AND (
    a.opened_at < $1::timestamptz
    OR NOT EXISTS (SELECT FROM process_heartbeats h WHERE h.process_id = a.process_id AND h.seen_at > $2::timestamptz))
  ORDER BY a.call_id LIMIT $3`

// biome-ignore lint/suspicious/noExplicitAny: a database row; the query above says what is in it
function toAttempt(row: Record<string, any>): LeftAttempt {
  return {
    dispatch: {
      id: row.call_id,
      workspaceId: row.workspace_id,
      dispatchedAt: row.dispatched_at,
      tokenId: row.token_id,
      surface: row.surface,
      provider: row.provider,
      model: row.model,
      upstreamModel: row.upstream_model,
      endpoint: row.endpoint,
      fallbackOf: row.fallback_of,
      tier: row.tier,
      keySource: row.key_source,
      keyId: row.key_id,
      keyVersion: row.key_version,
      chargeMode: row.charge_mode,
      markupBp: row.markup_bp,
      priceBookVersion: row.price_book_version,
      streamed: row.streamed,
    },
    openedAt: row.opened_at,
    upstreamId: row.upstream_id,
    promptTokensEstimate: row.prompt_tokens_estimate,
    relayedBytes: Number(row.relayed_bytes),
  }
}

async function leftAttempts(now: Date, after: string | null): Promise<LeftAttempt[]> {
  const before = (ms: number) => new Date(now.getTime() - ms)
  const values = [before(forgottenAfterMs), before(SILENCE_MAX_S * 1000), batch, after]
  const { rows } = await systemPool().query(select, values)
  return rows.map(toAttempt)
}

/** What the call used, or null to ask again later. */
async function usageOf(
  attempt: LeftAttempt,
  catalogue: Catalogue,
  readGeneration: GenerationReader,
  now: Date,
): Promise<UsageOutcome | null> {
  const { dispatch, upstreamId, openedAt } = attempt
  const list = catalogue.models.get(dispatch.model)?.list ?? null
  const found: GenerationLookup =
    upstreamId === null ? { kind: 'refused' } : await readGeneration({ dispatch, upstreamId })
  if (found.kind === 'found' && found.report.tokens)
    return usageOutcome({
      tokens: found.report.tokens,
      usageSource: 'generation',
      costPico: found.report.costPico,
      costSource: 'generation',
      list,
    })
  const age = now.getTime() - openedAt.getTime()
  if (found.kind === 'refused' && age < forgottenAfterMs) return null
  if (found.kind === 'missing' && age < missingPatienceMs) return null
  if (found.kind === 'unreachable' && age < unreachablePatienceMs) return null
  return estimatedUsage({ ...attempt, streamed: dispatch.streamed })
}

async function toRecord(attempt: LeftAttempt, usage: UsageOutcome, catalogue: Catalogue): Promise<CallRecord> {
  const { dispatch, upstreamId } = attempt
  const book =
    catalogue.books.find((known) => known.version === dispatch.priceBookVersion) ??
    priceBookAt(catalogue.books, dispatch.dispatchedAt, { tier: dispatch.tier === 'none' ? undefined : dispatch.tier })
  if (!book) throw new Error(`price book ${dispatch.priceBookVersion} is gone`)
  const outcome = {
    origin: 'sweeper' as const,
    status: 'interrupted' as const,
    httpStatus: null,
    errorCode: 'process_died',
    responseModel: null,
    latencyMs: null,
    firstByteMs: null,
    upstreamId,
    ...usage,
  }
  return settleCall(dispatch, outcome, book, await markupBasis(dispatch, usage))
}

export interface SweepResult {
  settled: number
  /** Asked for in vain; the next sweep asks again. */
  waiting: number
}

/** Where the last sweep of this process ran out of time: the next goes on behind it. */
const cutShort = () => singleton('ledger:sweep', () => ({ after: null as string | null }))

/**
 * Settles what dead processes left open: from the provider's own record, else as a marked estimate. Every request that can
 * have reached a provider has an attempt row, and an attempt is settled once, by whoever comes first; so a call killed at
 * any moment appears exactly once. `now` is the database's: it is compared with what the database dated.
 *
 * All of them are looked at, page by page: with the oldest only, those that have to wait would keep the others from being
 * asked about. A sweep that takes longer than `longestMs` ends, and the next takes up where it stopped.
 */
export async function sweepAttempts(
  readGeneration: GenerationReader,
  now: Date,
  longestMs = longestSweepMs,
): Promise<SweepResult> {
  const deadline = performance.now() + longestMs
  const result = { settled: 0, waiting: 0 }
  let { after } = cutShort()
  cutShort().after = null
  for (;;) {
    const attempts = await leftAttempts(now, after)
    const catalogue = attempts.length > 0 ? await loadCatalogue() : null
    for (const attempt of attempts) {
      if (!catalogue || performance.now() > deadline) {
        cutShort().after = after
        return result
      }
      const became = await settleLeft(attempt, catalogue, readGeneration, now)
      if (became !== 'taken') result[became] += 1
      after = attempt.dispatch.id
    }
    if (attempts.length < batch) return result
  }
}

/** What became of an attempt; `taken`: somebody else settled it. One that cannot be must not keep the others open behind it. */
async function settleLeft(
  attempt: LeftAttempt,
  catalogue: Catalogue,
  readGeneration: GenerationReader,
  now: Date,
): Promise<'settled' | 'waiting' | 'taken'> {
  try {
    const usage = await usageOf(attempt, catalogue, readGeneration, now)
    if (usage === null) return 'waiting'
    const [taken] = await recordCalls([await toRecord(attempt, usage, catalogue)])
    return taken ? 'settled' : 'taken'
  } catch (error) {
    await reportUnsettled(attempt, error as Error, now)
    return 'waiting'
  }
}

async function reportUnsettled({ dispatch }: LeftAttempt, error: Error, at: Date): Promise<void> {
  log.error({ callId: dispatch.id, reason: error.message }, 'an attempt could not be settled')
  await inSystem((tx) =>
    raiseAlert(tx, {
      kind: 'attempt_not_settled',
      reference: dispatch.id,
      workspaceId: dispatch.workspaceId,
      message: `A call that was sent cannot be written to the ledger, and is billed to nobody until it can: ${error.message}`,
      at,
    }),
  )
}
