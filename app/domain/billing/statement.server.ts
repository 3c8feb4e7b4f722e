import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { type CalendarMonth, monthEnd, monthStart } from '#app/platform/calendar-month.ts'
import { inTenant } from '#app/platform/db.server.ts'
import { getInvoice, type InvoiceDetail } from './queries.server.ts'

/** An own key that could be used in the month: what is public of it. */
export interface StatementKey {
  provider: string
  hint: string
  /** First 8 bytes of its fingerprint, hex. */
  fingerprint: string
}

export interface Statement {
  invoice: InvoiceDetail
  workspaceName: string
  keys: StatementKey[]
}

/** Everything a printed statement of one month says. @throws AppError not_found, alike for a missing and a foreign invoice */
export async function getStatement(ctx: Ctx, runId: string): Promise<Statement> {
  authorize(ctx, 'read:Invoice', { workspaceId: ctx.workspaceId })
  const invoice = await getInvoice(ctx, runId)
  const month = invoice.month as CalendarMonth
  const { workspaceId } = ctx
  return inTenant({ workspaceId }, async (tx) => {
    const { name } = await tx.workspace.findUniqueOrThrow({ where: { id: workspaceId }, select: { name: true } })
    const keys = await tx.$queryRaw<StatementKey[]>`
      WITH enabled AS (
        SELECT DISTINCT key_id FROM provider_key_periods WHERE workspace_id = ${workspaceId}::uuid
          AND enabled_from < ${monthEnd(month)} AND coalesce(enabled_to, 'infinity') > ${monthStart(month)}
      ), known AS (
        SELECT id AS key_id, provider, hint, fingerprint FROM provider_keys WHERE workspace_id = ${workspaceId}::uuid
        UNION SELECT key_id, provider, hint, fingerprint FROM key_purges WHERE workspace_id = ${workspaceId}::uuid
      )
      SELECT provider, hint, encode(substr(fingerprint, 1, 8), 'hex') AS fingerprint
      FROM known JOIN enabled USING (key_id) ORDER BY provider, hint`
    return { invoice, workspaceName: name, keys }
  })
}
