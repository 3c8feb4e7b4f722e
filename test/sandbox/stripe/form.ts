import { invalid } from './errors.ts'

type FormValue = string | FormValue[] | { [key: string]: FormValue }
export type Form = { [key: string]: FormValue }

const FORBIDDEN = new Set(['__proto__', 'constructor', 'prototype'])

/** Reads `a[b][0][c]=v` and `a[]=v` as Stripe does: brackets nest, numbered or empty brackets make arrays, values are text. */
export function parseForm(text: string): Form {
  const root: Form = {}
  for (const [key, value] of new URLSearchParams(text)) {
    const segments = key.split('[').map((part, index) => (index === 0 ? part : part.replace(/\]$/, '')))
    if (segments.some((segment) => FORBIDDEN.has(segment))) throw invalid(`Received unknown parameter: ${key}`)
    place(root, segments, value)
  }
  return Object.fromEntries(Object.entries(root).map(([key, value]) => [key, withArrays(value)]))
}

function place(root: Form, segments: string[], value: string): void {
  let node = root
  for (const [index, segment] of segments.entries()) {
    const key = segment === '' ? String(Object.keys(node).length) : segment
    if (index === segments.length - 1) {
      node[key] = value
      return
    }
    const next = node[key]
    if (typeof next === 'string') throw invalid(`Invalid object: ${segments.join('.')}`)
    node[key] ??= {}
    node = node[key] as Form
  }
}

function withArrays(value: FormValue): FormValue {
  if (typeof value === 'string' || Array.isArray(value)) return value
  const entries = Object.entries(value)
  if (entries.length && entries.every(([key]) => /^\d+$/.test(key))) {
    return entries.sort(([a], [b]) => Number(a) - Number(b)).map(([, item]) => withArrays(item))
  }
  return Object.fromEntries(entries.map(([key, item]) => [key, withArrays(item)]))
}
