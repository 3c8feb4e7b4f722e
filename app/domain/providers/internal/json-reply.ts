import { isLosslessNumber } from 'lossless-json'
import { parseLossless } from '../usage.ts'

export type Json = Record<string, unknown>

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !isLosslessNumber(value)

/** A reply's JSON object, its numbers as their text; empty where it is none. */
export function readObject(text: string): Json {
  const value = parseLossless(text)
  return isObject(value) ? value : {}
}

export const objectAt = (value: Json, name: string): Json => (isObject(value[name]) ? value[name] : {})
