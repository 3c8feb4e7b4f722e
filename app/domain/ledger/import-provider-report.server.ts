import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { authorize, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { isProviderId } from '#app/domain/providers/provider.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { isId } from '#app/platform/ids.ts'
import { readProviderReport } from './provider-report.ts'

export interface ReportInput {
  provider: string
  /** `platform`, or the id of a workspace's key whose account it is. */
  account: string
  csv: string
}

/**
 * Stores a provider's own account of its days. A day that is imported again replaces what was there of it: reports of a day grow
 * until it is over. The nightly comparison holds it against the ledger.
 * @returns rows and days stored
 * @throws AppError bad_request `invalid_report`
 */
export async function importProviderReport(ctx: OperatorCtx, { provider, account, csv }: ReportInput) {
  authorize(ctx, 'operate:Platform', { workspaceId: '*' })
  const wrong = (field: string, text: string) => new AppError('bad_request', 'invalid_report', text, { field })
  if (!isProviderId(provider)) throw wrong('provider', 'Choose a provider.')
  if (account !== 'platform' && !isId(account)) throw wrong('account', 'Enter “platform”, or the id of a provider key.')
  const at = ctx.now()
  const rows = readProviderReport(csv, at)
  const days = [...new Set(rows.map((row) => row.day))]
  await inSystem(async (tx) => {
    // A model that the new report of a day no longer has cost nothing on it.
    await tx.$executeRaw`
      UPDATE provider_usage_reports SET cost_pico = 0, requests = 0, input_tokens = 0, output_tokens = 0
      WHERE provider = ${provider} AND account = ${account} AND day = ANY (${days}::text[]::date[])`
    await tx.$executeRaw`
      INSERT INTO provider_usage_reports (provider, account, day, model, cost_pico, requests, input_tokens, output_tokens, imported_by, imported_at)
      SELECT ${provider}, ${account}, r.day::date, r.model, r.cost, r.requests, r.input, r.output, ${ctx.actor.id}, ${at}
      FROM unnest(${rows.map((row) => row.day)}::text[], ${rows.map((row) => row.model)}::text[], ${rows.map((row) => row.costPico.toString())}::numeric[],
        ${rows.map((row) => row.requests)}::bigint[], ${rows.map((row) => row.inputTokens)}::bigint[], ${rows.map((row) => row.outputTokens)}::bigint[])
        AS r(day, model, cost, requests, input, output)
      ON CONFLICT (provider, account, day, model) DO UPDATE SET cost_pico = excluded.cost_pico, requests = excluded.requests,
        input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens, imported_by = excluded.imported_by, imported_at = excluded.imported_at`
    await recordAudit(tx, {
      workspaceId: null,
      actor: ctx.actor,
      action: 'provider_report.imported',
      subjectType: 'provider_report',
      subjectId: `${provider} ${account}`,
      detail: { rows: rows.length, from: days.toSorted()[0] ?? '', to: days.toSorted().at(-1) ?? '' },
      at,
    })
  })
  return { rows: rows.length, days: days.length }
}
