/** Want of credit is news for people, and stops a fall-back: it is heard where a provider says it, and nowhere else. */
import { expect, test } from 'vitest'
import { asksForMoney } from './payment-refusal.ts'

const said = (status: number, body: object | string) =>
  asksForMoney(status, typeof body === 'string' ? body : JSON.stringify(body))
const xai = 'Your team abc has either used all available credits or reached its monthly spending limit. Visit x.ai'

test.each<[number, object | string]>([
  [402, ''],
  [
    429,
    { error: { message: 'You exceeded your current quota.', type: 'insufficient_quota', code: 'insufficient_quota' } },
  ],
  [429, { error: { message: 'Unpaid.', type: 'insufficient_quota', code: null } }],
  [400, { error: { message: 'Billing hard limit has been reached', code: 'billing_hard_limit_reached' } }],
  [429, { error: { message: 'Your account is not active', code: 'billing_not_active' } }],
  [400, { type: 'error', error: { message: 'Your credit balance is too low to access the API.' } }],
  [403, { code: 'permission-denied', error: xai }],
  [429, { code: 'resource-exhausted', error: xai }],
  [403, { error: { code: 403, message: 'Key limit exceeded (total limit). Manage it online' } }],
  [403, { code: 403, reason: 'NOT_ENOUGH_BALANCE', message: 'not enough balance' }],
  [429, [{ error: { message: "You've run out of credits. It's time to add some." } }]],
  [403, 'Key limit exceeded'],
])('%i %j', (status, body) => expect(said(status, body)).toBe(true))

test.each<[number, object | string]>([
  [429, { error: { message: 'Rate limit reached: 500000 tokens per minute of your quota. Credits reset in 2s.' } }],
  [429, { error: { message: 'API key limit exceeded: 60 requests per minute' } }],
  [429, { error: { status: 'RESOURCE_EXHAUSTED', message: 'You exceeded your current quota, check your billing.' } }],
  [401, { error: { code: 'insufficient_quota' } }],
  [503, { error: { message: 'credit balance is too low' } }],
  [429, '<html>Too many requests</html>'],
])('is not meant by %i %j', (status, body) => expect(said(status, body)).toBe(false))

test('a page of quotes holds nobody up', () => {
  expect(said(403, { error: { message: "'a".repeat(30_000) } })).toBe(false)
})

test('what a refusal repeats of the request says nothing', () => {
  const own = 'key limit exceeded: credit balance is too low'
  expect(said(403, { error: { message: 'Flagged', metadata: { reasons: ['x'], flagged_input: own } } })).toBe(false)
  expect(said(400, { error: { message: `Invalid value: '${own}'. Supported values are: 'auto'.` } })).toBe(false)
  expect(said(400, { error: { message: 'Invalid value', param: own } })).toBe(false)
  expect(said(400, { error: { message: 'x/not_enough_balance is not a valid model ID' } })).toBe(false)
})
