import { stringify } from 'csv-stringify/sync'
import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { inTenant } from '#app/platform/db.server.ts'
import { picoToUsd } from '#app/platform/pico.ts'
import { findMovements, type RawMovement } from './queries.server.ts'

/** Movements per query. */
const BATCH = 2_000

const header = ['at_utc', 'seq', 'kind', 'credits_from', 'call_id', 'meter', 'amount_usd']
const toLines = (rows: string[][]): string => stringify(rows, { record_delimiter: '\r\n' })

/** Every transfer of the workspace's credits as CSV, newest first, holds and what they gave back included. */
export async function* exportMovements(ctx: Ctx): AsyncGenerator<string> {
  const { workspaceId } = ctx
  authorize(ctx, 'read:Workspace', { workspaceId })
  yield toLines([header])
  let after: string | null = null
  for (;;) {
    const before: string | null = after
    const rows: RawMovement[] = await inTenant({ workspaceId }, (tx) =>
      findMovements(tx, workspaceId, before, BATCH, true),
    )
    if (rows.length)
      yield toLines(
        rows.map((row) => [
          ...[row.at.toISOString(), row.seq, row.kind, row.grantKind, row.callId ?? '', row.meter ?? ''],
          picoToUsd(BigInt(row.amountPico)),
        ]),
      )
    if (rows.length < BATCH) return
    after = rows.at(-1)?.seq ?? null
  }
}
