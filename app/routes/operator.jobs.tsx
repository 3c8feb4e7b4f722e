import type { MetaFunction } from '@remix-run/node'
import { useActionData, useLoaderData } from '@remix-run/react'
import { z } from 'zod'
import { dismissAlert } from '#app/domain/operations/dismiss-alert.server.ts'
import { readHealth } from '#app/domain/operations/queries.server.ts'
import { retryJob } from '#app/domain/operations/retry-job.server.ts'
import { intent, operatorAction, operatorLoader } from '#app/http/route.server.ts'
import { type HealthAnswer, HealthPage, type HealthView } from '#app/ui/operator/health-page.tsx'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta: MetaFunction = () => [{ title: 'Jobs and alerts · Keymargin' }]

export const loader = operatorLoader((ctx) => readHealth(ctx))

export const action = operatorAction({
  'retry-job': intent({
    demand: 'operate:Platform',
    schema: z.strictObject({
      id: z
        .string()
        .regex(/^\d{1,18}$/)
        .transform(BigInt),
    }),
    run: async (ctx, input) => ({ message: `${(await retryJob(ctx, input)).name} runs again within moments.` }),
  }),
  'resolve-alert': intent({
    demand: 'operate:Platform',
    schema: z.strictObject({ id: z.uuid() }),
    run: async (ctx, input) => {
      await dismissAlert(ctx, input)
      return { message: 'Resolved. It comes back by itself if its cause does.' }
    },
  }),
})

export default function Jobs() {
  return <HealthPage view={useLoaderData<HealthView>()} answer={useActionData<HealthAnswer>()} />
}
