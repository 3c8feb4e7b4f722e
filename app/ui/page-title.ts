import type { MetaFunction } from '@remix-run/node'

/** A page's title in the browser: what its view is called, or `fallback` where it could not be loaded. */
export const titleOfView =
  (fallback: string): MetaFunction =>
  ({ data }) => [{ title: `${(data as { title?: string } | undefined)?.title ?? fallback} · Keymargin` }]
