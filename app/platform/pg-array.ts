/**
 * Columns of a batch as PostgreSQL array literals, for `unnest`. Written by hand because the driver's own way, through
 * generic values, costs more than the statement does when a batch holds a handful of rows.
 */
type Bare = string | number | bigint | boolean | null

/** One element per item, without quotes: for uuids, numbers and truth values, which hold nothing that needs any. */
export function bareArray<T>(items: readonly T[], read: (item: T) => Bare): string {
  let text = '{'
  for (const [index, item] of items.entries()) text += `${index === 0 ? '' : ','}${read(item) ?? 'NULL'}`
  return `${text}}`
}

const special = /["\\]/
const specials = /["\\]/g

/** One quoted element per item: for any text. */
export function textArray<T>(items: readonly T[], read: (item: T) => string | null): string {
  let text = '{'
  for (const [index, item] of items.entries()) {
    const value = read(item)
    text += index === 0 ? '' : ','
    if (value === null) text += 'NULL'
    else text += `"${special.test(value) ? value.replace(specials, '\\$&') : value}"`
  }
  return `${text}}`
}

/** `$1, $2, …` for as many parameters. */
export const placeholders = (count: number): string =>
  Array.from({ length: count }, (_, index) => `$${index + 1}`).join(', ')
