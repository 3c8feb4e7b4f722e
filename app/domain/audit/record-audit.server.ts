import { createHmac } from 'node:crypto'
import type { Tx } from '#app/platform/db.server.ts'
import { processSecret } from '#app/platform/process-secrets.server.ts'
import { type AuditEntry, type ChainedEntry, canonicalEntry } from './audit.ts'

const GENESIS = Buffer.alloc(32)

const chainHash = (previous: Uint8Array, entry: ChainedEntry): Buffer =>
  createHmac('sha256', processSecret('audit_mac')).update(previous).update(canonicalEntry(entry)).digest()

/**
 * Appends to the workspace's audit chain inside the caller's transaction: no audit row, no action.
 * The chain's lock is held until that transaction ends, so entries are gapless and in commit order.
 */
export async function recordAudit(tx: Tx, entry: AuditEntry): Promise<void> {
  const chain = entry.workspaceId ?? 'operators'
  await tx.$queryRaw`SELECT 1 FROM (SELECT pg_advisory_xact_lock(7303, hashtext(${chain}))) AS locked`
  const last = await tx.auditEvent.findFirst({
    where: { chain },
    orderBy: { seq: 'desc' },
    select: { seq: true, hash: true },
  })
  const seq = (last?.seq ?? 0n) + 1n
  const previousHash = last?.hash ?? GENESIS
  const at = new Date(entry.at.getTime())
  await tx.auditEvent.create({
    data: {
      chain,
      seq,
      workspaceId: entry.workspaceId,
      at,
      actorKind: entry.actor.kind,
      actorId: entry.actor.id ?? null,
      action: entry.action,
      subjectType: entry.subjectType,
      subjectId: entry.subjectId,
      detail: entry.detail,
      previousHash: new Uint8Array(previousHash),
      hash: new Uint8Array(chainHash(previousHash, { ...entry, at, chain, seq })),
    },
  })
}

export interface ChainVerdict {
  entries: number
  /** The first entry whose hash or position is wrong. */
  brokenAt: bigint | null
}

/** Recomputes a workspace's chain from its first entry. */
export async function verifyAuditChain(tx: Tx, workspaceId: string | null): Promise<ChainVerdict> {
  const chain = workspaceId ?? 'operators'
  const rows = await tx.auditEvent.findMany({ where: { chain }, orderBy: { seq: 'asc' } })
  let previous: Uint8Array = GENESIS
  let expected = 1n
  for (const row of rows) {
    const entry: ChainedEntry = {
      chain,
      seq: row.seq,
      workspaceId: row.workspaceId,
      actor: {
        kind: row.actorKind as AuditEntry['actor']['kind'],
        ...(row.actorId === null ? {} : { id: row.actorId }),
      },
      action: row.action,
      subjectType: row.subjectType,
      subjectId: row.subjectId,
      detail: row.detail as AuditEntry['detail'],
      at: row.at,
    }
    const intact =
      row.seq === expected &&
      Buffer.from(row.previousHash).equals(previous) &&
      chainHash(previous, entry).equals(Buffer.from(row.hash))
    if (!intact) return { entries: rows.length, brokenAt: row.seq }
    previous = row.hash
    expected += 1n
  }
  return { entries: rows.length, brokenAt: null }
}
