import type { PlanRules } from '#app/domain/plans/plans.ts'
import { isRefusal, systemPool } from '#app/platform/db.server.ts'
import { GroupCommit } from '#app/platform/group-commit.ts'
import { singleton } from '#app/platform/singleton.server.ts'

/** What the database says at this moment of a token: whose it is, on which plan, with which key. */
export interface AdmissionRow {
  tokenId: string
  workspaceId: string
  revoked: boolean
  /** Whether `last_used_at` is more than an hour behind. */
  stale: boolean
  plan: PlanRules
  /** The workspace's OpenRouter key, enabled or not. */
  key: { id: string; version: number; enabled: boolean } | null
}

const select = `
  SELECT encode(t.hash, 'base64') AS hash, t.id::text AS token_id, t.workspace_id::text, t.revoked_at IS NOT NULL AS revoked,
    coalesce(t.last_used_at < now() - interval '1 hour', true) AS stale,
    p.id AS plan_id, p.name, p.rank, p.allowed_providers, p.platform_charge_mode, p.workspace_charge_mode,
    k.id::text AS key_id, k.version, k.enabled
  FROM gateway_tokens t
  JOIN workspaces w ON w.id = t.workspace_id
  JOIN plans p ON p.id = w.plan_id
  LEFT JOIN provider_keys k ON k.workspace_id = w.id AND k.provider = 'openrouter'
  WHERE t.hash = ANY ($1::bytea[])`

// biome-ignore lint/suspicious/noExplicitAny: a database row; the query above says what is in it
function toRow(row: Record<string, any>): AdmissionRow {
  return {
    tokenId: row.token_id,
    workspaceId: row.workspace_id,
    revoked: row.revoked,
    stale: row.stale,
    plan: {
      id: row.plan_id,
      name: row.name,
      rank: row.rank,
      allowedProviders: row.allowed_providers,
      platformChargeMode: row.platform_charge_mode,
      workspaceChargeMode: row.workspace_charge_mode,
    },
    key: row.key_id === null ? null : { id: row.key_id, version: row.version, enabled: row.enabled },
  }
}

async function readRows(hashes: string[]): Promise<(AdmissionRow | null)[]> {
  const distinct = [...new Set(hashes)].map((hash) => Buffer.from(hash, 'base64'))
  const { rows } = await systemPool().query({ name: 'admission', text: select, values: [distinct] })
  const byHash = new Map(rows.map((row) => [row.hash as string, toRow(row)]))
  return hashes.map((hash) => byHash.get(hash) ?? null)
}

const reads = () =>
  singleton('gateway:admission', () => new GroupCommit<string, AdmissionRow | null>(readRows, { blames: isRefusal }))

/**
 * Reads a token's row afresh for every call, so that a revoked token, a purged key or a changed plan counts from the next
 * call on, in every process, without any message between them. Concurrent calls share one query.
 */
export const readAdmission = (tokenHash: Buffer): Promise<AdmissionRow | null> =>
  reads().add(tokenHash.toString('base64'))

/** Marks a token as used, at most once an hour. Nothing waits for it. */
export function markTokenUsed(row: AdmissionRow): void {
  systemPool()
    .query(
      `UPDATE gateway_tokens SET last_used_at = now()
        WHERE workspace_id = $1 AND id = $2 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 hour')`,
      [row.workspaceId, row.tokenId],
    )
    .catch(() => null)
}
