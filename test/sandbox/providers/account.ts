import type { ProviderId } from '#app/domain/providers/provider.ts'
import { modelListJson } from './catalogue.ts'
import { refuseKey, sendError } from './errors.ts'
import { type Exchange, pause, sendJson, sendText } from './exchange.ts'
import { rawJson } from './raw-json.ts'

/** Lists that answer to anybody (providers §2.1). */
const publicLists: ProviderId[] = ['crof', 'chutes', 'sambanova', 'vercel', 'novita', 'nvidia', 'openrouter']

/** What a key's state makes of any question about it, before the question itself. True when it was dealt with. */
async function stateAnswers(exchange: Exchange): Promise<boolean> {
  const { key, badSignature } = exchange
  if (key && key.delayMs > 0 && !(await pause(exchange, key.delayMs))) return true
  if (key?.status) sendError(exchange, key.status, 'Try again later')
  else if (!key?.live || badSignature) refuseKey(exchange)
  else return false
  return true
}

const scopes = 'You have insufficient permissions for this operation. Missing scopes: api.model.read.'

function listModels(exchange: Exchange) {
  const { provider, key, path, query, world } = exchange
  if (provider === 'azure' || provider === 'azure-responses') {
    if (key?.firewalled) return sendError(exchange, 403, 'Access denied due to Virtual Network/Firewall rules.')
    if (world.unknownApiVersions.has(query.get('api-version') ?? ''))
      return sendError(exchange, 404, 'Resource not found')
  }
  if (key?.restricted) {
    if (provider === 'openai' || provider === 'openai-responses') return sendError(exchange, 401, scopes)
    if (provider === 'bedrock')
      return sendError(exchange, 403, 'User is not authorized to perform bedrock:ListFoundationModels')
    return sendError(exchange, 403, 'This key may not list models.')
  }
  sendText(exchange, 200, modelListJson(provider, path.replace(/^\/hosts\/[^/]+/, '')))
}

/** Google's own list is where a key is proven: the API may be off in a good key's project. */
function listGoogleModels(exchange: Exchange) {
  if (!exchange.key?.disabled && !exchange.key?.restricted)
    return sendText(exchange, 200, modelListJson('google', exchange.path))
  const details = [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'SERVICE_DISABLED' }]
  const message = 'Generative Language API has not been used in project 1 before or it is disabled.'
  sendJson(exchange, 403, { error: { code: 403, message, status: 'PERMISSION_DENIED', details } })
}

function awsIdentity(exchange: Exchange) {
  const xml = { 'content-type': 'text/xml' }
  const { secret, badSignature, key } = exchange
  const refuse = (code: string) =>
    sendText(
      exchange,
      403,
      `<ErrorResponse><Error><Code>${code}</Code><Message>…</Message></Error></ErrorResponse>`,
      xml,
    )
  if (secret?.includes('EXPIRED')) return refuse('ExpiredToken')
  if (!key?.live) return refuse('InvalidClientTokenId')
  if (badSignature) return refuse('SignatureDoesNotMatch')
  if (key.restricted) return refuse('AccessDenied')
  const result = '<GetCallerIdentityResult><Account>123456789012</Account></GetCallerIdentityResult>'
  sendText(exchange, 200, `<GetCallerIdentityResponse>${result}</GetCallerIdentityResponse>`, xml)
}

const flags = (exchange: Exchange) => ({
  redacted_api_key: 'xai-...sbx',
  name: 'sandbox',
  acls: exchange.key?.restricted ? ['api-key:model:grok-4.3'] : ['api-key:model:*', 'api-key:endpoint:*'],
  api_key_blocked: exchange.key?.blocked,
  api_key_disabled: false,
  team_blocked: false,
})

const number = rawJson
const tenThousandths = (usd: string) => String(Math.round(Number(usd) * 10_000))

/** Questions that only one provider knows: by provider and path. */
const ownQuestions: Partial<Record<ProviderId, Record<string, (exchange: Exchange) => void>>> = {
  crof: {
    '/hosts/crof.ai/usage_api/': (exchange) =>
      sendJson(exchange, 200, {
        credits: number(exchange.key?.balance ?? '0'),
        requests_plan: 0,
        usable_requests: 100,
      }),
  },
  chutes: {
    '/hosts/api.chutes.ai/users/me': (exchange) =>
      exchange.key?.restricted
        ? sendJson(exchange, 403, { detail: 'The API key lacks the scope for this' })
        : sendJson(exchange, 200, { user_id: 'u', username: 'sandbox', balance: number(exchange.key?.balance ?? '0') }),
  },
  vercel: {
    '/credits': (exchange) => sendJson(exchange, 200, { balance: exchange.key?.balance, total_used: '4.50' }),
  },
  novita: {
    '/hosts/api.novita.ai/openapi/v1/billing/balance/detail': (exchange) =>
      exchange.key?.restricted
        ? sendJson(exchange, 403, { code: 403, reason: 'FORBIDDEN' })
        : sendJson(exchange, 200, { availableBalance: tenThousandths(exchange.key?.balance ?? '0'), cashBalance: '0' }),
  },
  deepseek: {
    '/user/balance': (exchange) =>
      sendJson(exchange, 200, {
        is_available: !exchange.key?.empty,
        balance_infos: [
          { currency: 'CNY', total_balance: '1.00' },
          { currency: 'USD', total_balance: exchange.key?.balance },
        ],
      }),
  },
  xai: { '/api-key': (exchange) => sendJson(exchange, 200, flags(exchange)) },
  nvidia: {
    '/hosts/api.ngc.nvidia.com/v3/keys/get-caller-info': (exchange) =>
      sendJson(exchange, 200, { type: 'PERSONAL_KEY', user: { email: 'sandbox@example.com' } }),
  },
}

const isList = (path: string): boolean =>
  /^(?:\/hosts\/[^/]+)?\/(?:models|openai\/models|foundation-models|inference-profiles|v1beta\/models)$/.test(path)

/** Questions about a key, an account or models. False where the path is none of them. */
export async function answerAccount(exchange: Exchange): Promise<boolean> {
  const { provider, path, world, request } = exchange
  const own = ownQuestions[provider]?.[path]
  if (request.method === 'GET' && isList(path) && (publicLists.includes(provider) || world.openLists.has(provider)))
    sendText(exchange, 200, modelListJson(provider, path))
  else if (provider === 'bedrock' && path.startsWith('/hosts/sts.')) {
    if (!exchange.key?.status || !(await stateAnswers(exchange))) awsIdentity(exchange)
  } else if (own || (request.method === 'GET' && isList(path))) {
    if (await stateAnswers(exchange)) return true
    if (own) own(exchange)
    else if (provider === 'google') listGoogleModels(exchange)
    else listModels(exchange)
  } else return false
  return true
}
