import { createHash, randomBytes } from 'node:crypto'
import { type Exchange, sendError, sendJson } from './exchange.ts'
import type { AuthCode, Settings, World } from './world.ts'

const codeLivesMs = 10 * 60_000
const badCallback = '<p>callback_url must be https, or on localhost.</p>'

const escapeHtml = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`)

const page = (body: string): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Sandbox OpenRouter</title><link rel="icon" href="data:,">
<style>body{font:16px/1.5 system-ui;max-width:34rem;margin:10vh auto;padding:0 1rem}button{font:inherit;padding:.5rem 1rem;margin-right:.5rem}</style>
</head><body><h1>Sandbox OpenRouter</h1>${body}</body></html>`

function sendPage(exchange: Exchange, status: number, body: string): void {
  exchange.line.status = status
  exchange.response.writeHead(status, { 'content-type': 'text/html; charset=utf-8' }).end(page(body))
}

function redirect(exchange: Exchange, url: URL): void {
  exchange.line.status = 302
  exchange.response.writeHead(302, { location: url.href }).end()
}

/** Callbacks are https, or any port of this machine. */
function callbackOf(given: URLSearchParams): URL | null {
  const text = given.get('callback_url') ?? ''
  if (!URL.canParse(text)) return null
  const url = new URL(text)
  return url.protocol === 'https:' || ['localhost', '127.0.0.1'].includes(url.hostname) ? url : null
}

/** `GET /auth`: who asks, and the two buttons. */
export function answerAuthPage(exchange: Exchange, query: URLSearchParams): void {
  const callback = callbackOf(query)
  if (!callback) {
    sendPage(exchange, 400, badCallback)
    return
  }
  if (query.get('code_challenge_method') !== 'S256' || !/^[\w-]{43}$/.test(query.get('code_challenge') ?? '')) {
    sendPage(exchange, 400, '<p>Invalid code_challenge_method</p>')
    return
  }
  const hidden = [...query]
    .map(([name, value]) => `<input type="hidden" name="${escapeHtml(name)}" value="${escapeHtml(value)}">`)
    .join('')
  const limit = query.get('limit')
  sendPage(
    exchange,
    200,
    `<p><b>${escapeHtml(callback.host)}</b> asks for an API key of your account${limit ? ` that may spend $${escapeHtml(limit)}` : ', without a limit'}.</p>
<form method="post" action="/auth">${hidden}
<button name="decision" value="approve">Approve</button><button name="decision" value="deny">Deny</button></form>`,
  )
}

/** `POST /auth`: back to the callback, with a code where it was approved. */
export function answerDecision(exchange: Exchange, text: string): void {
  const form = new URLSearchParams(text)
  const callback = callbackOf(form)
  if (!callback) {
    sendPage(exchange, 400, badCallback)
    return
  }
  if (form.get('decision') !== 'approve') {
    callback.searchParams.set('error', 'access_denied')
    redirect(exchange, callback)
    return
  }
  const code = randomBytes(24).toString('base64url')
  const challenge = form.get('code_challenge') ?? ''
  const expiresAt = Date.now() + codeLivesMs
  exchange.world.codes.set(code, { challenge, limit: form.get('limit'), expiresAt, used: false })
  callback.searchParams.set('code', code)
  redirect(exchange, callback)
}

function refuse(exchange: Exchange, status: number, message: string): void {
  sendError(exchange, status, { type: status === 403 ? 'permission_denied' : 'invalid_request', message })
}

/** A key of its own for each exchange, with the limit that was approved. */
function mint(world: World, { mintedKey }: Settings, code: AuthCode): string {
  const key = mintedKey ?? `sk-or-v1-${randomBytes(32).toString('hex')}`
  if (code.limit !== null) world.keys.change(key, { limit: code.limit })
  world.changed()
  return key
}

/** `POST /auth/keys`: 200 with the key, 403 for a wrong or used code or verifier, and for one that expired. */
export async function answerExchange(exchange: Exchange, text: string): Promise<void> {
  const { world } = exchange
  const { settings } = world
  await settings.exchangeUntil
  if (settings.exchangeStatus !== null) return refuse(exchange, settings.exchangeStatus, 'Try again later')
  const input = JSON.parse(text) as { code?: string; code_verifier?: string; code_challenge_method?: string }
  if (input.code_challenge_method !== 'S256') return refuse(exchange, 400, 'Invalid code_challenge_method')
  const code = world.codes.get(input.code ?? '')
  const challenge = createHash('sha256')
    .update(input.code_verifier ?? '')
    .digest('base64url')
  if (!code || code.used || code.challenge !== challenge) return refuse(exchange, 403, 'Invalid code or code_verifier')
  if (code.expiresAt < Date.now()) return refuse(exchange, 403, 'Authorization code expired')
  code.used = true
  const key = mint(world, settings, code)
  sendJson(exchange, 200, JSON.stringify({ key, user_id: 'user_sandbox' }))
}
