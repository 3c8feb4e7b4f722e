import { describe, expect, test } from 'vitest'
import type { ProviderKeyStatus } from '#app/domain/vault/vault.ts'
import { ago, balanceOf, errorOf, limitsOf, remarksOf, stateOf } from './key-words.ts'

const now = new Date('2026-11-21T12:00:00Z')
const before = (minutes: number): string => new Date(now.getTime() - minutes * 60_000).toISOString()

const key = (parts: Partial<ProviderKeyStatus> = {}): ProviderKeyStatus => ({
  id: 'id',
  provider: 'openrouter',
  hint: 'sk-or-v1-…a1b2',
  version: 1,
  enabled: true,
  name: '',
  position: 0,
  allowedModels: [],
  allowedSurfaces: [],
  verification: 'valid',
  verifiedAt: null,
  savedAt: before(60),
  savedBy: null,
  lastUsedAt: null,
  lastSuccessAt: null,
  lastErrorCode: null,
  lastErrorText: null,
  lastErrorAt: null,
  balance: null,
  modelCount: null,
  ...parts,
})
const balance = (parts: Partial<NonNullable<ProviderKeyStatus['balance']>>) =>
  key({ balance: { kind: 'key_limit', usd: '7.5', at: before(3), low: false, ...parts } })

test.each([
  [0, 'just now'],
  [1, '1 minute ago'],
  [59, '59 minutes ago'],
  [60, '1 hour ago'],
  [47 * 60, '47 hours ago'],
  [48 * 60, '2 days ago'],
  [-5, 'just now'],
])('%i minutes before is "%s"', (minutes, words) => {
  expect(ago(before(minutes), now)).toBe(words)
})

describe('a balance', () => {
  test.each([
    [balance({}), '$7.50 left of the key’s own limit (asked 3 minutes ago)'],
    [balance({ kind: 'account', usd: '0.000000004' }), '<$0.000001 left in the account (asked 3 minutes ago)'],
    [balance({ kind: 'account', usd: '-0.5' }), '−$0.50 left in the account (asked 3 minutes ago)'],
  ])('says how much, of what, and how old that is', (status, words) => {
    expect(balanceOf(status, 'OpenRouter', true, now)).toBe(words)
  })

  test('without a limit is no amount, and says who would know more', () => {
    const words = balanceOf(balance({ kind: 'no_limit', usd: null }), 'OpenRouter', true, now)
    expect(words).toContain('no limit set on this key')
    expect(words).toContain('management key')
    expect(words).not.toContain('$')
  })

  test('is not asked yet, or never told', () => {
    expect(balanceOf(key(), 'OpenRouter', true, now)).toBe('not asked yet')
    expect(balanceOf(key({ provider: 'openai' }), 'OpenAI', false, now)).toBe('OpenAI does not tell it')
  })
})

describe('the last error', () => {
  test.each(['refused', 'payment_required', 'permission_denied', 'management_key'])(
    '%s is said in our words, the provider’s own quoted after them',
    (lastErrorCode) => {
      const words = errorOf(key({ lastErrorCode, lastErrorText: 'No auth', lastErrorAt: before(3) }), 'OpenRouter')
      expect(words).toMatch(
        /^OpenRouter (refuses|says|does not).*OpenRouter says: “No auth” Last seen 21 Nov 2026, 11:57 UTC\.$/,
      )
    },
  )

  test('that a re-probe wrote is a sentence already', () => {
    const text = 'OpenRouter does not accept this key.'
    expect(errorOf(key({ lastErrorCode: 'expired', lastErrorText: text }), 'OpenRouter')).toBe(text)
  })

  test('is none without one', () => expect(errorOf(key(), 'OpenRouter')).toBeNull())
})

test.each<[Partial<ProviderKeyStatus>, string]>([
  [{}, 'Verified'],
  [{ verification: 'restricted' }, 'Restricted'],
  [{ verification: 'unverified' }, 'Not verified yet'],
  [{ lastErrorCode: 'refused' }, 'Refused'],
  [{ enabled: false, lastErrorCode: 'refused' }, 'Off'],
])('the state of %o is "%s"', (parts, label) => {
  expect(stateOf(key(parts)).label).toBe(label)
})

test('a key that is off says whether its holder or the pause of the subscription did it', () => {
  const [off] = remarksOf(key({ enabled: false }), 'OpenRouter', false)
  const [paused] = remarksOf(key({ enabled: false }), 'OpenRouter', true)
  expect([off?.text, paused?.text]).toEqual([
    expect.stringContaining('switched off'),
    expect.stringContaining('The subscription is paused'),
  ])
  expect(remarksOf(key(), 'OpenRouter', false)).toEqual([])
})

test('long limits are cut and counted, surfaces go by their names', () => {
  const limited = key({ allowedModels: ['a', 'b', 'c', 'd', 'e', 'f', 'g'], allowedSurfaces: ['agent_run'] })
  expect(limitsOf(limited, (id) => ({ agent_run: 'Agent runs' })[id] ?? id)).toEqual([
    ['Models', 'only a, b, c, d, e and 2 more'],
    ['Surfaces', 'only Agent runs'],
  ])
  expect(limitsOf(key({ modelCount: 12 }), (id) => id)[0]).toEqual(['Models', 'all (12 models listed by the provider)'])
})
