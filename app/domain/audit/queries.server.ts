import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { inTenant, type Tx } from '#app/platform/db.server.ts'
import { isId } from '#app/platform/ids.ts'
import { type ChainVerdict, verifyAuditChain } from './record-audit.server.ts'

export interface AuditRow {
  seq: string
  at: string
  actorKind: string
  /** A person's name where it is known. */
  actorName: string | null
  action: string
  subjectType: string
  subjectId: string
  detail: Record<string, unknown>
}

export interface AuditPage {
  rows: AuditRow[]
  /** Pass as `before` for the next page. */
  next: string | null
  verdict: ChainVerdict
  /** Of the people, tokens, keys, plans and surfaces that the rows name by id; what is gone is missing. */
  names: Record<string, string>
  /** Of the invoice runs that the rows are about, by id. */
  currencies: Record<string, string>
}

const PAGE = 50

interface Found {
  actorKind: string
  actorId: string | null
  subjectType: string
  subjectId: string
  detail: unknown
}

const idsIn = ({ actorKind, actorId, subjectType, subjectId, detail }: Found): string[] => {
  const { scopeId } = detail as { scopeId?: string }
  const person = actorKind === 'user' ? actorId : null
  const subject = ['member', 'user'].includes(subjectType) ? subjectId : null
  return [person, subject, scopeId].filter((id) => typeof id === 'string')
}

async function namesOf(tx: Tx, workspaceId: string, found: Found[]): Promise<Record<string, string>> {
  const ids = [...new Set(found.flatMap(idsIn))]
  const here = { workspaceId, id: { in: ids.filter(isId) } }
  const [users, tokens, keys, plans, surfaces] = [
    await tx.user.findMany({ where: { id: { in: ids } }, select: { id: true, name: true } }),
    await tx.gatewayToken.findMany({ where: here, select: { id: true, name: true } }),
    await tx.providerKey.findMany({ where: here, select: { id: true, name: true, hint: true } }),
    await tx.plan.findMany({ select: { id: true, name: true } }),
    await tx.surface.findMany({ select: { id: true, name: true } }),
  ]
  const named = [...plans, ...surfaces, ...users, ...tokens].map(({ id, name }) => [id, name])
  return Object.fromEntries([...named, ...keys.map(({ id, name, hint }) => [id, name || hint])])
}

async function currenciesOf(tx: Tx, workspaceId: string, found: Found[]): Promise<Record<string, string>> {
  const ids = found
    .filter((row) => row.subjectType === 'invoice_run')
    .map((row) => row.subjectId)
    .filter(isId)
  const where = { workspaceId, id: { in: ids } }
  const runs = await tx.invoiceRun.findMany({ where, select: { id: true, currency: true } })
  return Object.fromEntries(runs.map(({ id, currency }) => [id, currency]))
}

/** The workspace's audit trail, newest first, with the verdict on its hash chain. */
export async function listAuditEvents(ctx: Ctx, before?: bigint): Promise<AuditPage> {
  authorize(ctx, 'read:AuditEvent', { workspaceId: ctx.workspaceId })
  const { workspaceId } = ctx
  return inTenant({ workspaceId }, async (tx) => {
    const found = await tx.auditEvent.findMany({
      where: { workspaceId, ...(before === undefined ? {} : { seq: { lt: before } }) },
      orderBy: { seq: 'desc' },
      take: PAGE + 1,
    })
    const page = found.slice(0, PAGE)
    const names = await namesOf(tx, workspaceId, page)
    const rows = page.map((row) => ({
      seq: row.seq.toString(),
      at: row.at.toISOString(),
      actorKind: row.actorKind,
      actorName: (row.actorKind === 'user' && names[row.actorId ?? '']) || null,
      action: row.action,
      subjectType: row.subjectType,
      subjectId: row.subjectId,
      detail: row.detail as Record<string, unknown>,
    }))
    return {
      rows,
      next: found.length > PAGE ? (page.at(-1)?.seq.toString() ?? null) : null,
      verdict: await verifyAuditChain(tx, workspaceId),
      names,
      currencies: await currenciesOf(tx, workspaceId, page),
    }
  })
}
