/** The vocabulary in which operations declare their parameters, and the refusal of everything undeclared. */
import { z } from 'zod'
import { invalid } from './errors.ts'
import type { Form } from './form.ts'

export const text = z.string().max(5000)
export const integer = z
  .string()
  .regex(/^-?\d{1,15}$/)
  .transform(Number)
export const boolean = z.enum(['true', 'false']).transform((value) => value === 'true')
/** `''` unsets. */
export const clearable = text.transform((value) => (value === '' ? null : value))
/** ≤ 50 keys of ≤ 40 characters, values ≤ 500; `''` as a value removes the key, `''` as the whole removes all (stripe §2.2). */
export const metadata = z.union([
  z.literal('').transform(() => null),
  z.record(z.string().max(40), z.string().max(500)).refine((value) => Object.keys(value).length <= 50),
])
export const expand = z.array(text)
export const address = z.strictObject({
  city: clearable.optional(),
  country: clearable.optional(),
  line1: clearable.optional(),
  line2: clearable.optional(),
  postal_code: clearable.optional(),
  state: clearable.optional(),
})
const instant = z.union([
  integer,
  z.strictObject({ gt: integer.optional(), gte: integer.optional(), lt: integer.optional(), lte: integer.optional() }),
])
export const page = {
  limit: integer.optional(),
  starting_after: text.optional(),
  ending_before: text.optional(),
  expand: expand.optional(),
}
export const createdFilter = { created: instant.optional() }

export type Metadata = Record<string, string>

export function mergeMetadata(old: Metadata, change: Metadata | null | undefined): Metadata {
  if (change === undefined) return old
  if (change === null) return {}
  return Object.fromEntries(Object.entries({ ...old, ...change }).filter(([, value]) => value !== ''))
}

/** @throws StripeApiError 400 in Stripe's words for the first thing wrong; nothing is executed or stored then. */
export function parseParams<T>(schema: z.ZodType<T>, form: Form): T {
  const result = schema.safeParse(form)
  if (result.success) return result.data
  const [issue] = result.error.issues
  if (!issue) throw invalid('Invalid request')
  if (issue.code === 'unrecognized_keys') {
    const name = bracketed([...issue.path, issue.keys[0] ?? ''])
    throw invalid(`Received unknown parameter: ${name}`, 'parameter_unknown', name)
  }
  const name = bracketed(issue.path)
  if (valueAt(form, issue.path) === undefined)
    throw invalid(`Missing required param: ${name}.`, 'parameter_missing', name)
  throw invalid(`Invalid value for ${name}`, 'parameter_invalid', name)
}

function bracketed(path: PropertyKey[]): string {
  return path.map((part, index) => (index === 0 ? String(part) : `[${String(part)}]`)).join('')
}

function valueAt(form: Form, path: PropertyKey[]): unknown {
  return path.reduce<unknown>((node, key) => (node as Record<PropertyKey, unknown> | undefined)?.[key], form)
}
