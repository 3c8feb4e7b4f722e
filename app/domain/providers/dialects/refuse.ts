import { DialectRefusal } from './dialect.ts'
import { isObject, type Json } from './json-object.ts'

/** Refuses a request. The text goes to the caller and never quotes what was sent, only the parameter's name. */
export function refuse(param: string, why: string): never {
  throw new DialectRefusal(param, `Parameter '${param}' ${why}`)
}

export const unsupported = (param: string, provider: string): never =>
  refuse(param, `cannot be expressed in ${provider}.`)

/** JSON mode without a schema, at providers that have none: nothing says what is wanted, and any JSON would pass for it. */
export const refuseJsonObject = (provider: string): never =>
  refuse(
    'response_format.type',
    `must be 'json_schema' with a schema: ${provider} has no JSON mode without one. Vercel's AI SDK sends the schema once createOpenAICompatible is given supportsStructuredOutputs: true.`,
  )

/** The name of a member of `at`, cut to a sane length: names are the caller's to choose. */
export const within = (at: string, name: string): string =>
  at === '' ? name.slice(0, 64) : `${at}.${name.slice(0, 64)}`

export function objectAt(value: unknown, at: string): Json {
  return isObject(value) ? value : refuse(at, 'must be an object.')
}

export function arrayAt(value: unknown, at: string): unknown[] {
  return Array.isArray(value) ? value : refuse(at, 'must be an array.')
}

export function textAt(value: unknown, at: string): string {
  return typeof value === 'string' ? value : refuse(at, 'must be a string.')
}

/** Refuses the first member that is neither known nor null: a member nobody reads would be dropped in silence. */
export function onlyMembers(object: Json, at: string, known: readonly string[]): void {
  for (const name of Object.keys(object))
    if (!known.includes(name) && object[name] !== null) refuse(within(at, name), 'is not accepted for this provider.')
}
