import { useActionData, useLoaderData } from '@remix-run/react'
import { z } from 'zod'
import { adoptInvoice } from '#app/domain/billing/adopt-invoice.server.ts'
import { creditInvoice, creditReasons } from '#app/domain/billing/credit-invoice.server.ts'
import { operateInvoice } from '#app/domain/billing/operate-invoice.server.ts'
import { resolveInvoiceRun } from '#app/domain/billing/release-invoice-run.server.ts'
import { approveInvoiceRun, holdInvoiceRun } from '#app/domain/billing/review-invoice.server.ts'
import { verifyAnyInvoice } from '#app/domain/billing/verify-invoice.server.ts'
import { intent, operatorAction, operatorLoader } from '#app/http/route.server.ts'
import { toVerdict } from '#app/ui/billing/invoice-view.ts'
import { type RunAnswer, RunPage } from '#app/ui/operator/run-page.tsx'
import { type RunView, readCredit, toRunView } from '#app/ui/operator/run-view.ts'
import { titleOfView } from '#app/ui/page-title.ts'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta = titleOfView('Invoice run')

export const loader = operatorLoader(async (ctx, { params }) =>
  toRunView(await operateInvoice(ctx, params.runId ?? '')),
)

const demand = 'operate:Platform' as const
const workspaceId = z.uuid()
const note = z.string().max(500).default('')
const run = (params: { runId?: string }) => params.runId ?? ''

export const action = operatorAction({
  resolve: intent({
    demand,
    schema: z.strictObject({ workspaceId, resolution: z.enum(['resume', 'reissue', 'settle']), note }),
    run: async (ctx, input, { params }) => {
      await resolveInvoiceRun(ctx, { ...input, runId: run(params) })
      return { message: 'Done. A run that goes on is written within moments.' }
    },
  }),
  adopt: intent({
    demand,
    schema: z.strictObject({ workspaceId, resolution: z.enum(['adopt', 'correct']) }),
    run: async (ctx, input, { params }) => {
      await adoptInvoice(ctx, { ...input, runId: run(params) })
      const also = input.resolution === 'correct' ? ' What is missing is billed by a correction run.' : ''
      return { message: `Stripe’s invoice was taken as it is.${also}` }
    },
  }),
  hold: intent({
    demand,
    schema: z.strictObject({ workspaceId, note }),
    run: async (ctx, input, { params }) => {
      await holdInvoiceRun(ctx, { workspaceId: input.workspaceId, runId: run(params), reason: input.note })
      return { message: 'Held. It stays a draft until it is resumed.' }
    },
  }),
  approve: intent({
    demand,
    schema: z.strictObject({ workspaceId }),
    run: async (ctx, input, { params }) => {
      await approveInvoiceRun(ctx, { ...input, runId: run(params) })
      return { message: 'Approved. It is finalised within moments.' }
    },
  }),
  credit: intent({
    demand,
    schema: z
      .object({
        workspaceId,
        memo: z.string().max(500),
        reason: z.enum(creditReasons),
        back: z.enum(['balance', 'refund']),
        seenNotes: z.coerce.number().int(),
      })
      .catchall(z.string().max(20)),
    run: async (ctx, input, { params }) => {
      const { invoice, lines } = await operateInvoice(ctx, run(params))
      const { memo, reason, back, seenNotes } = input
      const amounts = readCredit(input as unknown as Record<string, string>, lines, invoice.currency)
      await creditInvoice(ctx, {
        workspaceId: input.workspaceId,
        runId: run(params),
        lines: amounts,
        memo,
        reason,
        back,
        seenNotes,
      })
      return { message: 'Decided. Stripe issues the credit note within moments.' }
    },
  }),
  verify: intent({
    demand,
    schema: z.strictObject({}),
    run: async (ctx, _, { params }) => {
      const { message, findings } = toVerdict(await verifyAnyInvoice(ctx, run(params)))
      return { message: [message, ...findings].join(' ') }
    },
  }),
})

export default function InvoiceRun() {
  return <RunPage view={useLoaderData<RunView>()} answer={useActionData<RunAnswer>()} />
}
