import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type OpenRouterSandbox, startOpenRouterSandbox } from './server.ts'

const verifier = 'a verifier of forty-three characters or more, plainly'
const challenge = createHash('sha256').update(verifier).digest('base64url')
const callback = 'http://127.0.0.1:1/back/nonce?kept=yes'

describe('OpenRouter’s OAuth', () => {
  let sandbox: OpenRouterSandbox
  beforeAll(async () => {
    sandbox = await startOpenRouterSandbox()
  })
  afterAll(() => sandbox.close())

  const asked = (more: Record<string, string> = {}) =>
    new URLSearchParams({ callback_url: callback, code_challenge: challenge, code_challenge_method: 'S256', ...more })

  async function decide(decision: 'approve' | 'deny', more: Record<string, string> = {}): Promise<URL> {
    const body = asked({ decision, ...more })
    const response = await fetch(`${sandbox.origin}/auth`, { method: 'POST', body, redirect: 'manual' })
    expect(response.status).toBe(302)
    return new URL(response.headers.get('location') ?? '')
  }

  async function exchange(code: string | null, change: Record<string, string> = {}) {
    const response = await fetch(`${sandbox.baseUrl}/auth/keys`, {
      method: 'POST',
      body: JSON.stringify({ code, code_verifier: verifier, code_challenge_method: 'S256', ...change }),
    })
    return { status: response.status, body: (await response.json()) as { key?: string; error?: { message: string } } }
  }

  test('shows who asks, and takes no challenge but S256', async () => {
    const shown = await fetch(`${sandbox.origin}/auth?${asked({ limit: '25' })}`)
    expect(await shown.text()).toMatch(/127\.0\.0\.1:1<\/b> asks for .* may spend \$25/)
    const plain = await fetch(`${sandbox.origin}/auth?${asked({ code_challenge_method: 'plain' })}`)
    expect(plain.status).toBe(400)
    const elsewhere = await fetch(`${sandbox.origin}/auth?${asked({ callback_url: 'http://evil.example/' })}`)
    expect(elsewhere.status).toBe(400)
  })

  test('mints one key for one code, with its limit', async () => {
    const back = await decide('approve', { limit: '25' })
    expect(back.href).toContain('http://127.0.0.1:1/back/nonce?kept=yes&code=')
    const code = back.searchParams.get('code')
    const { status, body } = await exchange(code)
    expect(status).toBe(200)
    expect(body.key).toMatch(/^sk-or-v1-[0-9a-f]{64}$/)
    const known = await fetch(`${sandbox.baseUrl}/key`, { headers: { authorization: `Bearer ${body.key}` } })
    expect(await known.json()).toMatchObject({ data: { limit: 25, limit_remaining: 25 } })
    expect(await exchange(code)).toMatchObject({
      status: 403,
      body: { error: { message: 'Invalid code or code_verifier' } },
    })
  })

  test('refuses another verifier, another method and an old code', async () => {
    const code = (await decide('approve')).searchParams.get('code')
    expect(await exchange(code, { code_verifier: 'another' })).toMatchObject({ status: 403 })
    expect(await exchange(code, { code_challenge_method: 'plain' })).toMatchObject({ status: 400 })
    sandbox.expireCodes()
    expect(await exchange(code)).toMatchObject({
      status: 403,
      body: { error: { message: 'Authorization code expired' } },
    })
  })

  test('comes back without a code where it was denied', async () => {
    const back = await decide('deny')
    expect(back.searchParams.get('code')).toBeNull()
    expect(back.searchParams.get('error')).toBe('access_denied')
  })
})
