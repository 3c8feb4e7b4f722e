import type { MetaFunction } from '@remix-run/node'
import { useActionData, useLoaderData } from '@remix-run/react'
import { z } from 'zod'
import { readReconciliation, requestCheck, writeOffDifference } from '#app/domain/billing/differences.server.ts'
import { enterCosts } from '#app/domain/ledger/enter-costs.server.ts'
import { importProviderReport } from '#app/domain/ledger/import-provider-report.server.ts'
import { intent, operatorAction, operatorLoader } from '#app/http/route.server.ts'
import { counted } from '#app/ui/money.ts'
import { type ReconciliationAnswer, ReconciliationPage } from '#app/ui/operator/reconciliation-page.tsx'
import { type ReconciliationView, toReconciliationView } from '#app/ui/operator/reconciliation-view.ts'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta: MetaFunction = () => [{ title: 'Reconciliation · Keymargin' }]

export const loader = operatorLoader(async (ctx, { request }) => {
  const asked = new URL(request.url).searchParams.get('write-off')
  return toReconciliationView(await readReconciliation(ctx), ctx.now(), asked)
})

const demand = 'operate:Platform' as const

export const action = operatorAction({
  'check-books': intent({
    demand,
    schema: z.strictObject({}),
    run: async (ctx) => {
      await requestCheck(ctx, 'books')
      return { message: 'The books are being compared. Reload in a moment.' }
    },
  }),
  'write-off': intent({
    demand,
    schema: z.strictObject({ id: z.uuid(), reason: z.string().max(500), actual: z.string(), moneyPico: z.string() }),
    run: async (ctx, { id, reason, ...seen }) => {
      await writeOffDifference(ctx, { id, reason, seen })
      return { message: 'Written off. It is not shown again unless it changes.' }
    },
  }),
  'ask-again': intent({
    demand,
    schema: z.strictObject({}),
    run: async (ctx) => {
      await requestCheck(ctx, 'held_calls')
      return { message: 'Providers are being asked about the held calls. Reload in a moment.' }
    },
  }),
  'import-report': intent({
    demand,
    schema: z.strictObject({ provider: z.string(), account: z.string(), csv: z.string() }),
    run: async (ctx, { account, ...input }) => {
      const { rows, days } = await importProviderReport(ctx, { ...input, account: account.trim() || 'platform' })
      await requestCheck(ctx, 'books')
      return {
        message: `${counted(BigInt(rows), 'row')} of ${counted(BigInt(days), 'day')} stored. The books are being compared with them.`,
      }
    },
  }),
  'enter-costs': intent({
    demand,
    schema: z.strictObject({ csv: z.string() }),
    run: async (ctx, input) => {
      const { resolved, corrected, kept, unchanged } = await enterCosts(ctx, input)
      return {
        message: `${counted(BigInt(resolved), 'held call')} charged, ${counted(BigInt(corrected), 'charged call')} corrected, ${counted(BigInt(kept), 'cost')} kept without a change of the charge, ${unchanged} unchanged.`,
      }
    },
  }),
})

export default function Reconciliation() {
  return (
    <ReconciliationPage view={useLoaderData<ReconciliationView>()} answer={useActionData<ReconciliationAnswer>()} />
  )
}
