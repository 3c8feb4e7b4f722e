/** The secrets of the leak scan, and the calls and events that carry them through the product. */
import { expect } from 'vitest'
import { makeCanary } from '#test/leak-search.ts'
import type { OpenRouterSandbox } from '#test/sandbox/openrouter/server.ts'

export const canary = {
  providerKey: makeCanary('provider key', 'sk-or-v1-', 'hint'),
  replacedKey: makeCanary('replaced provider key', 'sk-or-v1-', 'gone'),
  refusedKey: makeCanary('refused provider key', 'sk-or-v1-revoked', 'none'),
  unverifiedKey: makeCanary('unverified provider key', 'sk-or-v1-broken', 'late'),
  mintedKey: makeCanary('provider key that OpenRouter minted', 'sk-or-v1-', 'mint'),
  malformedKey: makeCanary('malformed provider key', 'sk-or-v1-', ' x'),
  platformKey: makeCanary('platform key', 'sk-or-v1-', 'plat'),
  phrase: makeCanary('phrase'),
  stripeSecret: makeCanary('Stripe secret', 'sk_test_'),
  webhookSecret: makeCanary('webhook secret', 'whsec_'),
  password: makeCanary('password'),
  wrongPassword: makeCanary('wrong password'),
  prompt: makeCanary('prompt'),
  reply: makeCanary('reply'),
}

interface Traffic {
  /** Of the web process. */
  origin: string
  upstream: OpenRouterSandbox
  /** Everything that was answered. */
  answers: string[]
}

async function call(
  { origin, answers }: Traffic,
  token: string,
  scenario: string,
  more: { stream?: boolean; surface?: string } = {},
): Promise<number> {
  const content = `${canary.prompt.text} [[sandbox ${scenario}]]`
  const response = await fetch(`${origin}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      ...(more.surface && { 'x-keymargin-surface': more.surface }),
    },
    body: JSON.stringify({ model: 'openai/gpt-5-mini', stream: more.stream, messages: [{ role: 'user', content }] }),
  })
  answers.push(JSON.stringify([...response.headers]), await response.text().catch(() => 'cut'))
  return response.status
}

/** Calls that end well, that the provider refuses with the key in its words, and that break. */
export async function callEverything(under: Traffic, token: string): Promise<void> {
  const { origin, upstream, answers } = under
  expect(await call(under, token, `text=${canary.reply.text}`)).toBe(200)
  expect(await call(under, token, `text=${canary.reply.text}`, { stream: true })).toBe(200)
  expect(await call(under, token, 'error=401;echoKey')).toBe(401)
  expect(await call(under, token, 'error=429;retryAfter=2;echoKey')).toBe(429)
  expect(await call(under, token, 'error=401;echoKey', { surface: 'search_indexer' })).toBe(502)
  for (const scenario of ['midStreamError=2;echoKey', 'cut=2', 'usage=none'])
    await call(under, token, scenario, { stream: true })
  const key = canary.providerKey.text
  for (const form of [key, Buffer.from(key).toString('base64'), encodeURIComponent(key)]) {
    const body = JSON.stringify({ error: { message: `Incorrect API key provided: ${form}`, code: 401 } })
    for (const status of [400, 500])
      upstream.fault({
        scenario: { raw: { status, headers: [['content-type', 'application/json']], pieces: [body] } },
      })
    await call(under, token, 'error=500')
    await call(under, token, 'error=500')
  }
  for (const pieces of [[`<html>${key}</html>`], [`{"choices": "${key}`], ['']]) {
    upstream.fault({ scenario: { raw: { status: 200, headers: [['content-type', 'application/json']], pieces } } })
    await call(under, token, '')
  }
  expect(await call(under, `${token.slice(0, -1)}!`, '')).toBe(401)
  expect(await call(under, canary.providerKey.text, '')).toBe(401)
  const inQuery = await fetch(`${origin}/v1/models?api_key=${token}`)
  answers.push(await inQuery.text())
  await upstream.settled()
}

/** Events that nobody signed. */
export async function sendBadWebhooks({ origin, answers }: Traffic): Promise<void> {
  for (const header of [
    't=1,v1=00',
    canary.webhookSecret.text,
    `t=${Math.floor(Date.now() / 1000)},v1=${'0'.repeat(64)}`,
  ]) {
    const response = await fetch(`${origin}/webhooks/stripe`, {
      method: 'POST',
      headers: { 'stripe-signature': header },
      body: JSON.stringify({ id: 'evt_1', note: canary.prompt.text }),
    })
    expect(response.status).toBe(400)
    answers.push(await response.text())
  }
}
