import type { Actor } from '#app/domain/permissions/permissions.ts'

export type AuditDetail = Record<string, string | number | boolean | null>

/** What was set, and of each member that was another before, that too, as `<member>Before`. */
export const changedDetail = (before: AuditDetail, after: AuditDetail): AuditDetail => ({
  ...after,
  ...Object.fromEntries(
    Object.keys(after).flatMap((name) => {
      const earlier = before[name]
      return earlier === undefined || earlier === after[name] ? [] : [[`${name}Before`, earlier]]
    }),
  ),
})

/** One thing that happened. `detail` holds names, ids, hints and numbers; never a secret. */
export interface AuditEntry {
  /** null: the operators' own chain. */
  workspaceId: string | null
  actor: Actor
  /** `noun.verb` in the past tense, such as `provider_key.saved`. */
  action: string
  subjectType: string
  subjectId: string
  detail: AuditDetail
  at: Date
}

export interface ChainedEntry extends AuditEntry {
  chain: string
  seq: bigint
}

/** The bytes that are chained: length-prefixed fields, so that no two entries can read the same. */
export function canonicalEntry(entry: ChainedEntry): Buffer {
  const detail = JSON.stringify(Object.fromEntries(Object.entries(entry.detail).sort(([a], [b]) => (a < b ? -1 : 1))))
  const fields = [
    'audit.v1',
    entry.chain,
    entry.seq.toString(),
    entry.at.toISOString(),
    entry.actor.kind,
    entry.actor.id ?? '',
    entry.action,
    entry.subjectType,
    entry.subjectId,
    detail,
  ]
  return Buffer.concat(
    fields.map((field) => {
      const bytes = Buffer.from(field, 'utf8')
      const length = Buffer.alloc(4)
      length.writeUInt32BE(bytes.length)
      return Buffer.concat([length, bytes])
    }),
  )
}
