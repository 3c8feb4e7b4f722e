import { isRefusal, systemPool } from '#app/platform/db.server.ts'
import { GroupCommit } from '#app/platform/group-commit.ts'
import { singleton } from '#app/platform/singleton.server.ts'
import type { Dispatch } from './ledger.ts'

/** One upstream try, as it stands before anything was sent. Its row is the promise that the call will be accounted for. */
export interface AttemptRecord extends Dispatch {
  processId: string
  promptTokensEstimate: number
}

const insertAttempts = `
  INSERT INTO metering.attempts (call_id, workspace_id, process_id, dispatched_at, token_id, surface, provider, model, tier,
    key_source, key_id, key_version, charge_mode, price_book_version, streamed, prompt_tokens_estimate)
  SELECT id, "workspaceId", "processId", "dispatchedAt", "tokenId", surface, provider, model, tier,
    "keySource", "keyId", "keyVersion", "chargeMode", "priceBookVersion", streamed, "promptTokensEstimate"
  FROM json_to_recordset($1) AS r(id uuid, "workspaceId" uuid, "processId" text, "dispatchedAt" timestamptz, "tokenId" uuid,
    surface text, provider text, model text, tier text, "keySource" text, "keyId" uuid, "keyVersion" integer,
    "chargeMode" text, "priceBookVersion" integer, streamed boolean, "promptTokensEstimate" integer)
  ON CONFLICT (call_id, attempt) DO NOTHING`

async function insert(attempts: AttemptRecord[]): Promise<null[]> {
  await systemPool().query({ name: 'open-attempts', text: insertAttempts, values: [JSON.stringify(attempts)] })
  return attempts.map(() => null)
}

const openings = () =>
  singleton('ledger:openings', () => new GroupCommit<AttemptRecord, null>(insert, { blames: isRefusal }))

/**
 * Writes the attempt and answers when it is committed. Only then may the request be sent: a request that reached a provider
 * without a row could be lost with the process. Concurrent attempts share a commit.
 * @throws Error where the database cannot take it: nothing may be sent
 */
export async function openAttempt(attempt: AttemptRecord): Promise<void> {
  await openings().add(attempt)
}

/** What an open attempt has come to: the provider's id of the generation, and the bytes relayed so far. */
export interface AttemptProgress {
  callId: string
  upstreamId: string | null
  relayedBytes: number
}

const updateAttempts = `
  UPDATE metering.attempts a
     SET upstream_id = coalesce(r."upstreamId", a.upstream_id), relayed_bytes = greatest(a.relayed_bytes, r."relayedBytes")
    FROM json_to_recordset($1) AS r("callId" uuid, "upstreamId" text, "relayedBytes" bigint)
   WHERE a.call_id = r."callId" AND a.attempt = 1 AND a.state = 'open'`

async function update(progress: AttemptProgress[]): Promise<null[]> {
  await systemPool().query({ name: 'note-progress', text: updateAttempts, values: [JSON.stringify(progress)] })
  return progress.map(() => null)
}

const notes = () =>
  singleton('ledger:notes', () => new GroupCommit<AttemptProgress, null>(update, { blames: isRefusal }))

/**
 * Notes how far an open attempt has come, for the sweeper should this process die. Nothing waits for it and its failure
 * costs nothing but precision: without it the call is settled as an estimate.
 */
export function noteProgress(progress: AttemptProgress): void {
  notes()
    .add(progress)
    .catch(() => null)
}
