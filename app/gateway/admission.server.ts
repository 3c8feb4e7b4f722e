import type { PlanRules } from '#app/domain/plans/plans.ts'
import { toPlanRules } from '#app/domain/plans/queries.server.ts'
import { isProviderId, type ProviderId } from '#app/domain/providers/provider.ts'
import { inBackground } from '#app/platform/background.server.ts'
import { isRefusal, systemPool } from '#app/platform/db.server.ts'
import { GroupCommit } from '#app/platform/group-commit.ts'
import { type Pico, parsePico } from '#app/platform/pico.ts'
import { singleton } from '#app/platform/singleton.server.ts'

export interface AdmissionKey {
  id: string
  provider: ProviderId
  version: number
  /** Empty: all. */
  allowedModels: string[]
  allowedSurfaces: string[]
}

/** What the database said of a token when it was read: whose it is, on which plan, with which keys and settings. */
export interface Admission {
  tokenId: string
  workspaceId: string
  revoked: boolean
  /** Nobody pays for the workspace: its Stripe customer was deleted. */
  suspended: boolean
  /** As Stripe has it; null: the workspace is not sold through Stripe. */
  subscriptionStatus: string | null
  /** Whether `last_used_at` is more than an hour behind. */
  stale: boolean
  plan: PlanRules
  /** The workspace's epoch: any change of its plan, keys or settings raises it. */
  keyEpoch: bigint
  neverPlatformKey: boolean
  /** What the workspace is billed in. */
  currency: string
  /** Whether it has hard budgets: what a call may come to is set aside then. */
  hardBudgets: boolean
  /** Enabled keys, in their holder's order. */
  keys: AdmissionKey[]
  /** Surfaces that may fall back to the platform key, with what that may come to in a UTC day. */
  fallbackCaps: ReadonlyMap<string, Pico>
}

const select = `
  SELECT encode(t.hash, 'base64') AS hash, t.id::text AS token_id, t.workspace_id::text, t.revoked_at IS NOT NULL AS revoked,
    w.suspended_at IS NOT NULL AS suspended, w.subscription_status,
    coalesce(t.last_used_at < now() - interval '1 hour', true) AS stale, w.key_epoch::text, w.never_platform_key,
    w.currency, EXISTS (SELECT FROM budgets b WHERE b.workspace_id = w.id AND b.enabled AND b.hard) AS hard_budgets,
    json_build_object('id', p.id, 'name', p.name, 'rank', p.rank, 'allowedProviders', p.allowed_providers,
      'platformChargeMode', p.platform_charge_mode, 'workspaceChargeMode', p.workspace_charge_mode,
      'providerPrecedence', p.provider_precedence, 'platformMarkupBp', p.platform_markup_bp,
      'workspaceMarkupBp', p.workspace_markup_bp, 'keyFeeUsd', p.key_fee_usd::text, 'keyFeeProration', p.key_fee_proration,
      'monthlyCreditsUsd', p.monthly_credits_usd::text, 'minimumCreditsUsd', p.minimum_credits_usd::text,
      'creditOverage', p.credit_overage) AS plan,
    (SELECT json_agg(json_build_object('id', k.id, 'provider', k.provider, 'version', k.version,
              'allowedModels', k.allowed_models, 'allowedSurfaces', k.allowed_surfaces) ORDER BY k.position, k.created_at, k.id)
       FROM provider_keys k WHERE k.workspace_id = w.id AND k.enabled) AS keys,
    (SELECT json_agg(json_build_array(f.surface, f.daily_cap_usd::text)) FROM surface_fallbacks f WHERE f.workspace_id = w.id) AS fallbacks
  FROM gateway_tokens t
  JOIN workspaces w ON w.id = t.workspace_id
  JOIN plans p ON p.id = w.plan_id
  WHERE t.hash = ANY ($1::bytea[])`

// biome-ignore lint/suspicious/noExplicitAny: a database row; the query above says what is in it
function toAdmission(row: Record<string, any>): Admission {
  const caps = (row.fallbacks ?? []) as [string, string][]
  return {
    tokenId: row.token_id,
    workspaceId: row.workspace_id,
    revoked: row.revoked,
    suspended: row.suspended,
    subscriptionStatus: row.subscription_status,
    stale: row.stale,
    plan: toPlanRules(row.plan),
    currency: row.currency,
    hardBudgets: row.hard_budgets,
    keyEpoch: BigInt(row.key_epoch),
    neverPlatformKey: row.never_platform_key,
    keys: ((row.keys ?? []) as AdmissionKey[]).filter((key) => isProviderId(key.provider)),
    fallbackCaps: new Map(caps.map(([surface, usd]) => [surface, parsePico(usd) ?? 0n])),
  }
}

async function readRows(hashes: string[]): Promise<(Admission | null)[]> {
  const distinct = [...new Set(hashes)].map((hash) => Buffer.from(hash, 'base64'))
  const { rows } = await systemPool().query({ name: 'admission', text: select, values: [distinct] })
  const byHash = new Map(rows.map((row) => [row.hash as string, toAdmission(row)]))
  return hashes.map((hash) => byHash.get(hash) ?? null)
}

/** How long a process may work with what it read, in ms, and of how many tokens it remembers that. */
const ageMaxMs = 30_000
const mostRemembered = 10_000

interface Remembered {
  admission: Admission
  readAt: number
}

const memory = () => singleton('gateway:admissions', () => new Map<string, Remembered>())
const reads = () =>
  singleton('gateway:admission', () => new GroupCommit<string, Admission | null>(readRows, { blames: isRefusal }))

export interface Admitted {
  admission: Admission
  /** Read for this very call: what it says is not out of date. */
  fresh: boolean
}

/**
 * What is known of a token. What is remembered is only ever a guess: the statement that writes the attempt checks the epoch
 * and the token again and takes nothing on a stale one (docs/decisions/0011), and a refusal is never given on a guess. So a
 * revoked token, a purged key or a changed plan counts from the next call on, in every process, without any message.
 * @returns null for a token that nobody knows
 */
export async function readAdmission(tokenHash: Buffer, { fresh }: { fresh: boolean }): Promise<Admitted | null> {
  const known = memory()
  const hash = tokenHash.toString('base64')
  const held = fresh ? undefined : known.get(hash)
  if (held && performance.now() - held.readAt < ageMaxMs) return { admission: held.admission, fresh: false }
  const readAt = performance.now()
  const admission = await reads().add(hash)
  if (!admission || admission.revoked) {
    known.delete(hash)
    return admission && { admission, fresh: true }
  }
  if (known.size >= mostRemembered) known.delete(known.keys().next().value as string)
  known.set(hash, { admission, readAt })
  return { admission, fresh: true }
}

/** Marks a token as used, at most once an hour. Nothing waits for it. */
export function markTokenUsed(admission: Admission): void {
  admission.stale = false
  const written = systemPool().query(
    `UPDATE gateway_tokens SET last_used_at = now()
      WHERE workspace_id = $1 AND id = $2 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 hour')`,
    [admission.workspaceId, admission.tokenId],
  )
  inBackground(written.catch(() => null))
}
