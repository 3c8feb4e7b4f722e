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

/** A text as a field of `rowArray`. */
export const rowText = (value: string | null): string =>
  value === null ? '' : `\\"${special.test(value) ? value.replace(specials, '\\\\\\$&') : value}\\"`

/**
 * One composite value per item, for `unnest` of an array of a composite type: one function scan, where an array per column is
 * one each. `fields` gives them in the type's order: numbers and their like as they are, texts by `rowText`, unknowns as ''.
 */
export function rowArray<T>(items: readonly T[], fields: (item: T, place: number) => (Bare | '')[]): string {
  let text = '{'
  for (let index = 0; index < items.length; index += 1) {
    const values = fields(items[index] as T, index + 1)
    text += index === 0 ? '"(' : ',"('
    for (let field = 0; field < values.length; field += 1) {
      const value = values[field] ?? ''
      text += field === 0 ? value : `,${value}`
    }
    text += ')"'
  }
  return `${text}}`
}
