import type { ProviderId } from '#app/domain/providers/provider.ts'
import type { Exchange } from './exchange.ts'
import { sendJson } from './exchange.ts'

const types: Record<number, string> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  402: 'insufficient_quota',
  403: 'permission_error',
  404: 'not_found_error',
  429: 'rate_limit_error',
}

const awsTypes: Record<number, string> = {
  400: 'ValidationException',
  403: 'AccessDeniedException',
  404: 'ResourceNotFoundException',
  429: 'ThrottlingException',
  503: 'ServiceUnavailableException',
}

const googleStatus: Record<number, string> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  429: 'RESOURCE_EXHAUSTED',
  503: 'UNAVAILABLE',
}

/** An error reply in the provider's own words and shape. `code`: its machine-readable name, where it has one. */
export function errorOf(provider: ProviderId, status: number, message: string, code: string | null = null) {
  const type = types[status] ?? 'server_error'
  const headers: Record<string, string> = {}
  switch (provider) {
    case 'anthropic': {
      const anthropicType = status === 529 ? 'overloaded_error' : status >= 500 ? 'api_error' : type
      return { headers, body: { type: 'error', error: { type: anthropicType, message }, request_id: 'req_sandbox' } }
    }
    case 'bedrock':
      headers['x-amzn-errortype'] = code ?? awsTypes[status] ?? 'InternalServerException'
      return { headers, body: { message } }
    case 'google':
      // the compatible endpoint wraps its error in an array
      return { headers, body: [{ error: { code: status, message, status: googleStatus[status] ?? 'INTERNAL' } }] }
    case 'morpheus':
      return {
        headers,
        body: { detail: status === 400 ? [{ loc: ['body'], msg: message, type: 'value_error' }] : message },
      }
    case 'azure':
    case 'azure-responses':
      return { headers, body: { error: { code: code ?? String(status), message } } }
    case 'xai':
      return { headers, body: { code: code ?? type, error: message } }
    default:
      return { headers, body: { error: { message, type, param: null, code } } }
  }
}

export function sendError(
  exchange: Exchange,
  status: number,
  message: string,
  more: { code?: string | null; headers?: Record<string, string> } = {},
) {
  const { body, headers } = errorOf(exchange.provider, status, message, more.code ?? null)
  sendJson(exchange, status, body, { ...headers, ...more.headers })
}

/** How each provider refuses a key that it does not know. */
export function refuseKey(exchange: Exchange) {
  const { provider } = exchange
  if (provider === 'novita') return sendError(exchange, 403, 'fail to authenticate the request')
  if (provider === 'xai') return sendError(exchange, 400, 'Incorrect API key provided. Obtain one at console.x.ai')
  if (provider === 'bedrock')
    return sendError(exchange, 403, 'The security token included in the request is invalid.', {
      code: exchange.badSignature ? 'InvalidSignatureException' : 'UnrecognizedClientException',
    })
  if (provider === 'google') {
    const details = [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'API_KEY_INVALID' }]
    const error = {
      code: 400,
      message: 'API key not valid. Please pass a valid API key.',
      status: 'INVALID_ARGUMENT',
      details,
    }
    return sendJson(exchange, 400, exchange.path.startsWith('/hosts/') ? { error } : [{ error }])
  }
  return sendError(exchange, 401, 'Incorrect API key provided.', { code: 'invalid_api_key' })
}
