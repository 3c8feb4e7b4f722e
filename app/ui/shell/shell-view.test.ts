import { expect, test } from 'vitest'
import { leadsHere } from './nav-target.ts'
import { operatorShell } from './shell-view.ts'

/** Labels of the links that are marked as the page that one is on. */
const marked = (pathname: string): string[] =>
  operatorShell({ name: 'Ola' }, [])
    .nav.flatMap(({ links }) => links)
    .filter((link) => leadsHere(link, pathname))
    .map(({ label }) => label)

test.each([
  ['/operator', ['Invoice runs']],
  ['/operator/', ['Invoice runs']],
  ['/operator/invoices/0199', ['Invoice runs']],
  ['/operator/price-book', ['Price book']],
  ['/operator/prices', ['Prices']],
  ['/operator/elsewhere', []],
])('one link at most is the one that %s belongs to', (pathname, labels) => {
  expect(marked(pathname)).toEqual(labels)
})

test('a page below a link, and a page that belongs to it, are its own', () => {
  const link = { to: '/w/acme/analytics', label: 'LLM analytics', also: '/w/acme/calls/' }
  expect(leadsHere(link, '/w/acme/calls/0199')).toBe(true)
  expect(leadsHere(link, '/w/acme/analytics/x')).toBe(true)
  expect(leadsHere(link, '/w/acme/analytics-of-others')).toBe(false)
})
