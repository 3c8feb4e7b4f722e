import type { z } from 'zod'
import type { World } from './world.ts'

export interface Operation {
  /** Resource and verb as the SDK names them, e.g. `invoices.finalizeInvoice`: faults and the journal speak of these. */
  name: string
  method: 'GET' | 'POST' | 'DELETE'
  /** `/v1/invoices/{id}/finalize` */
  path: string
  params: z.ZodType
  /** @param id the path's id, '' where there is none. @throws StripeApiError */
  run(world: World, params: unknown, id: string): object
  /** What Stripe does after it has answered, such as collecting a finalised invoice. */
  after?: (world: World, id: string) => void
}

/** Ties the types of `params` and `run` together. */
export function operation<P>(
  name: string,
  route: `${'GET' | 'POST' | 'DELETE'} /v1/${string}`,
  params: z.ZodType<P>,
  run: (world: World, params: P, id: string) => object,
  after?: Operation['after'],
): Operation {
  const [method, path] = route.split(' ') as ['GET' | 'POST' | 'DELETE', string]
  return { name, method, path, params, run: (world, input, id) => run(world, input as P, id), after }
}

/** Top-level fields that differ, with their old values: `data.previous_attributes` of an `updated` event. */
export function previousAttributes(before: object, after: object): Record<string, unknown> {
  const old = before as Record<string, unknown>
  const changed = Object.entries(after).filter(([key, value]) => JSON.stringify(old[key]) !== JSON.stringify(value))
  return Object.fromEntries(changed.map(([key]) => [key, old[key] ?? null]))
}
