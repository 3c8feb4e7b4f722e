import { authorize, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { inSystem } from '#app/platform/db.server.ts'
import type { GrantKind } from './credits.ts'

/** What one workspace has in credits. Integers of pico-dollars as text. */
export interface WorkspaceCredits {
  slug: string
  name: string
  plan: string
  /** Whether its plan draws on credits now. */
  inUse: boolean
  availablePico: string
  heldPico: string
  shortfallPico: string
  /** When the first of what is available ends; null: never, or there is none. */
  nextExpiry: string | null
}

export interface PastGrant {
  id: string
  workspace: string
  slug: string
  kind: GrantKind
  amountPico: string
  /** What is left of it; what calls under way hold is not in it. */
  availablePico: string
  grantedAt: string
  expiresAt: string | null
  expired: boolean
  note: string
  /** Name of the operator; `system`: by the plan or a payment; empty: not known. */
  grantedBy: string
}

export interface CreditsOverview {
  workspaces: WorkspaceCredits[]
  grants: PastGrant[]
  /** There are more of them than are shown: look for one by name. */
  moreWorkspaces: boolean
  moreGrants: boolean
}

const mostWorkspaces = 100
const mostGrants = 100

type Raw<T, Dates extends keyof T> = Omit<T, Dates> & { [D in Dates]: Date | (null extends T[D] ? null : never) }

/**
 * Workspaces that draw on credits or have some, those with the least first, and what was granted, newest first.
 * @param find part of a workspace's name or slug; empty: all
 */
export async function listCreditsOverview(ctx: OperatorCtx, find: string): Promise<CreditsOverview> {
  authorize(ctx, 'operate:Platform', { workspaceId: '*' })
  const like = `%${find.trim().replaceAll(/[\\%_]/g, '\\$&')}%`
  return inSystem(async (tx) => {
    const workspaces = await tx.$queryRaw<Raw<WorkspaceCredits, 'nextExpiry'>[]>`
      SELECT w.slug, w.name, p.name AS plan, p.platform_charge_mode = 'credits' AS "inUse",
        coalesce(g.available, 0)::text AS "availablePico", g.ends AS "nextExpiry",
        (SELECT coalesce(sum(h.amount_pico), 0)::text FROM metering.credit_holds h WHERE h.workspace_id = w.id) AS "heldPico",
        (SELECT coalesce(sum(s.amount_pico), 0)::text FROM metering.credit_shortfalls s WHERE s.workspace_id = w.id) AS "shortfallPico"
      FROM workspaces w JOIN plans p ON p.id = w.plan_id
      LEFT JOIN LATERAL (SELECT count(*) AS grants, min(x.expires_at) FILTER (WHERE x.available_pico > 0 AND x.expires_at > clock_timestamp()) AS ends,
          sum(x.available_pico) FILTER (WHERE x.expires_at IS NULL OR x.expires_at > clock_timestamp()) AS available
        FROM metering.credit_grants x WHERE x.workspace_id = w.id) g ON true
      WHERE (w.name ILIKE ${like} OR w.slug ILIKE ${like}) AND (p.platform_charge_mode = 'credits' OR g.grants > 0)
      ORDER BY (p.platform_charge_mode = 'credits') DESC, coalesce(g.available, 0), w.name, w.slug LIMIT ${mostWorkspaces + 1}`
    const grants = await tx.$queryRaw<Raw<PastGrant, 'grantedAt' | 'expiresAt'>[]>`
      SELECT g.id::text, w.name AS workspace, w.slug, g.kind, g.amount_pico::text AS "amountPico", g.available_pico::text AS "availablePico",
        g.granted_at AS "grantedAt", g.expires_at AS "expiresAt", coalesce(g.expires_at <= clock_timestamp(), false) AS expired, g.note,
        coalesce((SELECT u.name FROM users u WHERE g.granted_by LIKE '% %' AND u.id = split_part(g.granted_by, ' ', 2)), g.granted_by) AS "grantedBy"
      FROM metering.credit_grants g JOIN workspaces w ON w.id = g.workspace_id
      WHERE w.name ILIKE ${like} OR w.slug ILIKE ${like}
      ORDER BY g.granted_at DESC, g.id LIMIT ${mostGrants + 1}`
    return {
      workspaces: workspaces
        .slice(0, mostWorkspaces)
        .map((row) => ({ ...row, nextExpiry: row.nextExpiry?.toISOString() ?? null })),
      grants: grants.slice(0, mostGrants).map((row) => ({
        ...row,
        grantedAt: row.grantedAt.toISOString(),
        expiresAt: row.expiresAt?.toISOString() ?? null,
      })),
      moreWorkspaces: workspaces.length > mostWorkspaces,
      moreGrants: grants.length > mostGrants,
    }
  })
}
