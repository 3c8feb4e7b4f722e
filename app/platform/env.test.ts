import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseEnv, settingNames } from './env.server.ts'

const strong = 'pX4v9Qz1Lm8Rt6Wy3Bn7Kc2Hd5Jf0Gs+aEiOuTyPqRs='
const good = {
  NODE_ENV: 'production',
  APP_ORIGIN: 'https://ai.example.com',
  DATABASE_URL: 'postgresql://app:db-password@db.example.com/keymargin',
  SECRETS_PHRASE: strong,
  STRIPE_SECRET_KEY: 'sk_live_abc',
  STRIPE_WEBHOOK_SECRET: 'whsec_new, whsec_old',
  OPENROUTER_PLATFORM_KEY: 'sk-or-v1-abc',
}
const refusal = (changes: Record<string, string | undefined>) => {
  try {
    parseEnv({ ...good, ...changes })
    return 'accepted'
  } catch (error) {
    return (error as Error).message
  }
}

describe('settings at boot', () => {
  it('takes a complete production set, with two webhook secrets during a rotation', () => {
    expect(parseEnv(good)).toMatchObject({
      production: true,
      stripeWebhookSecrets: ['whsec_new', 'whsec_old'],
    })
  })
  it('names everything that is missing in one message', () => {
    const message = refusal({
      DATABASE_URL: undefined,
      SECRETS_PHRASE: undefined,
      STRIPE_SECRET_KEY: undefined,
      STRIPE_WEBHOOK_SECRET: undefined,
      OPENROUTER_PLATFORM_KEY: '',
      APP_ORIGIN: undefined,
    })
    const missing = ['DATABASE_URL', 'STRIPE_SECRET_KEY', 'STRIPE_WEBHOOK_SECRET', 'OPENROUTER_PLATFORM_KEY']
    for (const name of [...missing, 'SECRETS_PHRASE_FILE', 'APP_ORIGIN']) expect(message).toContain(`${name}: missing`)
  })
  it.each([
    ['sandbox mode', { KEYMARGIN_SANDBOX: '1' }, /KEYMARGIN_SANDBOX/],
    ['keys of the sandbox', { KEYMARGIN_SANDBOX_KEYS: '{}' }, /KEYMARGIN_SANDBOX_KEYS/],
    ['insecure cookies', { APP_ORIGIN: 'http://ai.example.com' }, /APP_ORIGIN: must be https/],
    ['a missing origin', { APP_ORIGIN: undefined }, /APP_ORIGIN: missing/],
    ['a sample phrase', { SECRETS_PHRASE: 'changeme-changeme-changeme-changeme-changeme' }, /sample phrase/],
    ['a weak phrase', { SECRETS_PHRASE: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' }, /too weak/],
    ['a sandbox Stripe key', { STRIPE_SECRET_KEY: 'sk_test_sbx' }, /STRIPE_SECRET_KEY: is a sandbox key/],
    [
      'a Stripe on this machine',
      { STRIPE_API_BASE: 'http://127.0.0.1:3101' },
      /STRIPE_API_BASE: points at this machine/,
    ],
    [
      'a provider on this machine',
      { PROVIDER_BASE_URL_OPENROUTER: 'http://localhost:3102/api/v1' },
      /PROVIDER_BASE_URL_OPENROUTER: points/,
    ],
    ['another on this machine', { PROVIDER_BASE_URL_AZURE_RESPONSES: 'http://[::1]/' }, /AZURE_RESPONSES: points/],
    ['no address at all', { PROVIDER_BASE_URL_GROQ: 'localhost' }, /PROVIDER_BASE_URL_GROQ: /],
  ])('refuses %s in production', (_name, changes, message) => expect(refusal(changes)).toMatch(message))
  it('never repeats a value', () => {
    const message = refusal({
      APP_ORIGIN: 'http://x',
      STRIPE_SECRET_KEY: 'sk_test_sbx_hidden',
      DATABASE_URL: 'mysql://app:db-password@x/y',
    })
    for (const value of ['db-password', 'sbx_hidden', strong]) expect(message).not.toContain(value)
  })

  it('reads a base URL for each provider by its id', () => {
    const urls = {
      PROVIDER_BASE_URL_OPENAI: 'https://a.example/v1',
      PROVIDER_BASE_URL_AZURE_RESPONSES: 'https://b.example',
    }
    expect(parseEnv({ ...good, ...urls }).providerBaseUrls).toEqual({
      openai: 'https://a.example/v1',
      'azure-responses': 'https://b.example',
    })
    expect(parseEnv({ ...good, PROVIDER_BASE_URL_OPENAI: '' }).providerBaseUrls).toEqual({})
  })

  describe('secrets from files', () => {
    let folder: string
    beforeAll(() => {
      folder = mkdtempSync(path.join(tmpdir(), 'keymargin-env-'))
      writeFileSync(path.join(folder, 'phrase'), `${strong}\n`)
    })
    afterAll(() => rmSync(folder, { recursive: true }))
    it('are read and trimmed', () => {
      expect(
        parseEnv({
          ...good,
          SECRETS_PHRASE: undefined,
          SECRETS_PHRASE_FILE: path.join(folder, 'phrase'),
        }).secretsPhrase,
      ).toBe(strong)
    })
    it('that cannot be read are named', () => {
      expect(refusal({ SECRETS_PHRASE: undefined, SECRETS_PHRASE_FILE: path.join(folder, 'gone') })).toContain(
        'SECRETS_PHRASE_FILE: cannot be read (ENOENT)',
      )
    })
  })
})

it('keys of the sandbox are there with the sandbox alone', () => {
  const keys = { openai: [{ text: 'sk-proj-sbx', means: 'valid' }] }
  const given = { ...good, NODE_ENV: 'test', KEYMARGIN_SANDBOX_KEYS: JSON.stringify(keys) }
  expect(parseEnv({ ...given, KEYMARGIN_SANDBOX: '1' }).sandboxKeys).toEqual(keys)
  expect(parseEnv(given).sandboxKeys).toEqual({})
  expect(refusal({ KEYMARGIN_SANDBOX_KEYS: 'openai' })).toContain('KEYMARGIN_SANDBOX_KEYS: must be JSON')
})

it('mail needs a server and a sender, and takes neither from anything else', () => {
  const smtp = { SMTP_URL: 'smtps://mailer:mail-password@mail.example.com', MAIL_FROM: 'Keymargin <km@example.com>' }
  expect(refusal(smtp)).toBe('accepted')
  expect(refusal({ ...smtp, MAIL_FROM: undefined })).toContain('MAIL_FROM: missing')
  expect(refusal({ ...smtp, SMTP_URL: undefined })).toContain('SMTP_URL: missing')
  expect(refusal({ ...smtp, SMTP_URL: 'https://mail.example.com' })).toContain('SMTP_URL')
  expect(refusal({ ...smtp, MAIL_FROM: 'km@example.com\r\nBcc: x@example.com' })).toContain(
    'MAIL_FROM: must be an address',
  )
  expect(refusal({ ...smtp, MAIL_FROM: undefined })).not.toContain('mail-password')
})

it('every setting stands in the table of docs/operations.md, and no other', () => {
  const table = readFileSync(path.resolve(import.meta.dirname, '../../docs/operations.md'), 'utf8')
  const rows = table.split('\n').filter((line) => /^\| `[A-Z_]+`/.test(line))
  const named = rows.flatMap((line) =>
    [...(line.split('|')[1] ?? '').matchAll(/`([A-Z_]+)`/g)].map((match) => match[1]),
  )
  // of the first, only scripts know; the others are one setting for each provider
  const elsewhere = (name = '') => name === 'DATABASE_OWNER_URL' || name.startsWith('PROVIDER_BASE_URL_')
  expect(named.filter((name) => !elsewhere(name)).sort()).toEqual([...settingNames].sort())
})
