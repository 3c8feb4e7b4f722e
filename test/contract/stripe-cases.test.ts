import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'

/** docs/stripe-cases.md names the tests that prove each case: names that nobody keeps are no proof. */
const root = path.resolve(import.meta.dirname, '../..')
const CASES = 82
const rows = readFileSync(path.join(root, 'docs/stripe-cases.md'), 'utf8')
  .split('\n')
  .flatMap((line) => {
    const [, number, file, title] = /^\| (\d+) \| .*? \| `([^`]+)` \| (.+) \|$/.exec(line) ?? []
    return number && file && title ? [{ number: Number(number), file, title }] : []
  })

test('every case has at least one test', () => {
  const covered = new Set(rows.map(({ number }) => number))
  const missing = Array.from({ length: CASES }, (_, index) => index + 1).filter((number) => !covered.has(number))
  expect(missing).toEqual([])
  expect([...covered].filter((number) => number < 1 || number > CASES)).toEqual([])
})

test('every test that is named stands in its file under exactly this title, which begins with its case', () => {
  const texts = new Map<string, string>()
  const read = (file: string): string => {
    const known = texts.get(file) ?? readFileSync(path.join(root, file), 'utf8')
    texts.set(file, known)
    return known
  }
  const wrong = rows.filter(({ number, file, title }) => {
    const quoted = ["'", '"', '`'].some((quote) => read(file).includes(`${quote}${title}${quote}`))
    const numbers = [...title.matchAll(/case (\d+)(?=[:,])/g)].map((match) => Number(match[1]))
    return !quoted || !title.startsWith('case ') || !numbers.includes(number)
  })
  expect(wrong).toEqual([])
})
