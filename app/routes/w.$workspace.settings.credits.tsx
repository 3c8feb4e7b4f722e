import { type MetaFunction, redirect } from '@remix-run/node'
import { useActionData, useLoaderData } from '@remix-run/react'
import { z } from 'zod'
import { readCheckout } from '#app/domain/billing/payment-queries.server.ts'
import { startTopUp } from '#app/domain/billing/start-checkout.server.ts'
import { topUpCents } from '#app/domain/billing/top-up.ts'
import { getCredits, listCreditMovements } from '#app/domain/credits/queries.server.ts'
import { setLowCredits } from '#app/domain/credits/set-low-credits.server.ts'
import { allows, type Ctx } from '#app/domain/permissions/permissions.ts'
import { loadCatalogue } from '#app/domain/pricing/queries.server.ts'
import { intent, workspaceAction, workspaceLoader } from '#app/http/route.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { checkoutWords, type Said } from '#app/ui/billing/payment-view.ts'
import { type CreditsAnswer, CreditsPage } from '#app/ui/credits/credits-page.tsx'
import { type CreditsView, toCreditsView } from '#app/ui/credits/credits-view.ts'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta: MetaFunction = () => [{ title: 'Credits · Keymargin' }]

export const loader = workspaceLoader('read:Workspace', async ({ ctx, workspace }, { request }) => {
  const params = new URL(request.url).searchParams
  const after = params.get('after')
  const canManage = allows(ctx.ability, 'manage:Billing', { workspaceId: ctx.workspaceId })
  // before the sums are read: what was just paid for is among them
  const bought = canManage ? await lookBack(ctx, params) : null
  const [standing, page, { books }] = await Promise.all([
    getCredits(ctx),
    listCreditMovements(ctx, after),
    loadCatalogue(),
  ])
  const meterNames = new Map(books.flatMap((book) => Object.entries(book.meters).map(([id, { name }]) => [id, name])))
  return toCreditsView({ root: `/w/${workspace.slug}`, standing, page, after, canManage, meterNames, bought })
})

/** What Checkout came to, by asking Stripe: an address that somebody typed proves nothing. Null: nobody comes from there. */
async function lookBack(ctx: Ctx, params: URLSearchParams): Promise<Said | null> {
  const session = params.get('checkout')
  if (session === null && params.get('back') !== 'checkout') return null
  try {
    return checkoutWords(await readCheckout(ctx, session))
  } catch (error) {
    if (!(error instanceof AppError) || error.kind !== 'upstream') throw error
    return { tone: 'yellow', text: error.message }
  }
}

export const action = workspaceAction({
  /** Answers with a page of Stripe's. */
  'top-up': intent({
    demand: 'manage:Billing',
    schema: z.strictObject({ amountUsd: z.string().max(20) }),
    run: async (ctx, { amountUsd }) => redirect(await startTopUp(ctx, { amountCents: topUpCents(amountUsd) })),
  }),
  'set-low-credits': intent({
    demand: 'manage:Billing',
    schema: z.strictObject({ lowCreditsUsd: z.string() }),
    run: async (ctx, { lowCreditsUsd }) => {
      await setLowCredits(ctx, { usd: lowCreditsUsd })
      return { message: 'Threshold saved.' }
    },
  }),
})

export default function Credits() {
  return <CreditsPage view={useLoaderData<CreditsView>()} answer={useActionData<CreditsAnswer>()} />
}
