import { isRawNumber, parseExact } from './exact-json.ts'

export type Json = Record<string, unknown>

/** A JSON object: no array, and no number that was kept as its text. */
export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !isRawNumber(value)

/** Parses a JSON object with its numbers kept; null when it is no object. */
export function parseObject(text: string): Json | null {
  const value = parseExact(text)
  return isObject(value) ? value : null
}

export const objectOf = (value: unknown): Json => (isObject(value) ? value : {})

export const arrayOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])

export const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null)

/** Leaves out what is undefined or null: in requests both mean that the caller said nothing. */
export function compact(members: Json): Json {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined && value !== null))
}
