import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { usesCredits } from '#app/domain/plans/plans.ts'
import { toPlanRules } from '#app/domain/plans/queries.server.ts'
import { Prisma } from '#app/generated/prisma/client.ts'
import { inTenant, type Tx } from '#app/platform/db.server.ts'
import { AppError } from '#app/platform/errors.ts'
import type { Pico } from '#app/platform/pico.ts'
import type { GrantKind, TransferKind } from './credits.ts'

export interface GrantRow {
  id: string
  kind: GrantKind
  amountPico: string
  availablePico: string
  grantedAt: string
  /** Null: never. */
  expiresAt: string | null
  expired: boolean
  note: string
}

export interface CreditsStanding {
  /** Whether the plan draws on credits; what was granted under an earlier one is kept all the same. */
  inUse: boolean
  overage: 'stop' | 'bill'
  monthlyPico: Pico
  minimumPico: Pico
  /** Decimal text, USD: below it the workspace is told. */
  lowCreditsUsd: string
  availablePico: Pico
  /** Set aside for calls under way. */
  heldPico: Pico
  spentPico: Pico
  expiredPico: Pico
  /** Used beyond all credits, and paid by nobody. */
  shortfallPico: Pico
  /** Those that can be drawn on, soonest to expire first, then the latest of the others. */
  grants: GrantRow[]
}

/** Grants that are over and still shown. */
const mostPast = 50

const sumsOf = (tx: Tx, workspaceId: string) => tx.$queryRaw<Record<string, string>[]>`
  SELECT
    (SELECT coalesce(sum(available_pico), 0)::text FROM metering.credit_grants WHERE workspace_id = ${workspaceId}::uuid
       AND available_pico > 0 AND (expires_at IS NULL OR expires_at > clock_timestamp())) AS available,
    (SELECT coalesce(sum(amount_pico), 0)::text FROM metering.credit_holds WHERE workspace_id = ${workspaceId}::uuid) AS held,
    (SELECT coalesce(sum(amount_pico), 0)::text FROM metering.credit_shortfalls WHERE workspace_id = ${workspaceId}::uuid) AS shortfall,
    (SELECT coalesce(sum(amount_pico), 0)::text FROM metering.credit_grants WHERE workspace_id = ${workspaceId}::uuid) AS granted,
    (SELECT coalesce(sum(available_pico), 0)::text FROM metering.credit_grants WHERE workspace_id = ${workspaceId}::uuid) AS kept,
    (SELECT coalesce(sum(amount_pico), 0)::text FROM metering.credit_transfers WHERE workspace_id = ${workspaceId}::uuid
       AND to_account = 'expired') AS expired`

const grantsOf = (tx: Tx, workspaceId: string) => tx.$queryRaw<
  (Omit<GrantRow, 'grantedAt' | 'expiresAt'> & { grantedAt: Date; expiresAt: Date | null })[]
>`
  SELECT id::text, kind, amount_pico::text AS "amountPico", available_pico::text AS "availablePico", granted_at AS "grantedAt",
    expires_at AS "expiresAt", coalesce(expires_at <= clock_timestamp(), false) AS expired, note
  FROM metering.credit_grants WHERE workspace_id = ${workspaceId}::uuid
  ORDER BY (available_pico > 0 AND (expires_at IS NULL OR expires_at > clock_timestamp())) DESC,
    CASE WHEN available_pico > 0 THEN expires_at END NULLS LAST, granted_at DESC, id
  LIMIT ${mostPast + 200}`

/** What a workspace has in credits, and where it stands with them. Every member reads it. */
export async function getCredits(ctx: Ctx): Promise<CreditsStanding> {
  const { workspaceId } = ctx
  authorize(ctx, 'read:Workspace', { workspaceId })
  return inTenant({ workspaceId }, async (tx) => {
    const workspace = await tx.workspace.findUniqueOrThrow({ where: { id: workspaceId }, include: { plan: true } })
    const plan = toPlanRules(workspace.plan)
    const [sums = {}] = await sumsOf(tx, workspaceId)
    const sum = (name: string) => BigInt(sums[name] ?? '0')
    return {
      inUse: usesCredits(plan),
      overage: plan.creditOverage,
      monthlyPico: plan.monthlyCreditsPico,
      minimumPico: plan.minimumCreditsPico,
      lowCreditsUsd: workspace.lowCreditsUsd.toFixed(),
      availablePico: sum('available'),
      heldPico: sum('held'),
      // by what is missing: the transfers are as many as the calls, and nobody waits for their sum
      spentPico: sum('granted') - sum('kept') - sum('held') - sum('expired'),
      expiredPico: sum('expired'),
      shortfallPico: sum('shortfall'),
      grants: (await grantsOf(tx, workspaceId)).map((row) => ({
        ...row,
        grantedAt: row.grantedAt.toISOString(),
        expiresAt: row.expiresAt?.toISOString() ?? null,
      })),
    }
  })
}

/** Whether credits are anything to the workspace: its plan draws on them, or it was granted some at any time. */
export async function hasCredits(ctx: Ctx): Promise<boolean> {
  const { workspaceId } = ctx
  authorize(ctx, 'read:Workspace', { workspaceId })
  const [row] = await inTenant(
    { workspaceId },
    (tx) => tx.$queryRaw<{ has: boolean }[]>`
      SELECT p.platform_charge_mode = 'credits'
          OR EXISTS (SELECT FROM metering.credit_grants g WHERE g.workspace_id = ${workspaceId}::uuid) AS has
        FROM workspaces w JOIN plans p ON p.id = w.plan_id WHERE w.id = ${workspaceId}::uuid`,
  )
  return row?.has ?? false
}

export interface Movement {
  seq: string
  at: string
  kind: TransferKind
  amountPico: string
  grantKind: GrantKind
  /** The call that it paid, or the usage event. */
  callId: string | null
  meter: string | null
}

export interface MovementPage {
  movements: Movement[]
  /** `after` of the next page; null: there is none. */
  next: string | null
}

/** Holds and what they give back are left out unless they are asked for: they change nothing in the end. */
const shownKinds = ['grant', 'settle', 'draw', 'expire']

/** One transfer as the table has it. */
export type RawMovement = Omit<Movement, 'at'> & { at: Date }

export function findMovements(
  tx: Tx,
  workspaceId: string,
  after: string | null,
  limit: number,
  all: boolean,
): Promise<RawMovement[]> {
  const older = after === null ? Prisma.empty : Prisma.sql`AND t.seq < ${BigInt(after)}`
  const kinds = all ? Prisma.empty : Prisma.sql`AND t.kind = ANY (${shownKinds})`
  return tx.$queryRaw<RawMovement[]>`
    SELECT t.seq::text, t.at, t.kind, t.amount_pico::text AS "amountPico", g.kind AS "grantKind",
      CASE WHEN u.id IS NULL THEN t.subject_id::text END AS "callId", u.meter
    FROM metering.credit_transfers t
    JOIN metering.credit_grants g ON g.workspace_id = t.workspace_id AND g.id = t.grant_id
    LEFT JOIN LATERAL (SELECT e.id, e.meter FROM metering.usage_events e
      WHERE t.kind = 'draw' AND e.workspace_id = t.workspace_id AND e.id = t.subject_id LIMIT 1) u ON true
    WHERE t.workspace_id = ${workspaceId}::uuid ${older} ${kinds}
    ORDER BY t.seq DESC LIMIT ${limit}`
}

/** @throws AppError bad_request `invalid_filter` for what is no place in the list */
export async function listCreditMovements(ctx: Ctx, after: string | null, limit = 50): Promise<MovementPage> {
  const { workspaceId } = ctx
  authorize(ctx, 'read:Workspace', { workspaceId })
  if (after !== null && !/^\d{1,18}$/.test(after))
    throw new AppError('bad_request', 'invalid_filter', 'after: this is no place in the list.', { field: 'after' })
  const rows = await inTenant({ workspaceId }, (tx) => findMovements(tx, workspaceId, after, limit + 1, false))
  const movements = rows.slice(0, limit).map((row) => ({ ...row, at: row.at.toISOString() }))
  return { movements, next: rows.length > limit ? (movements.at(-1)?.seq ?? null) : null }
}
