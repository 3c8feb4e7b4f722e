import { AppError, httpStatusOf } from '#app/platform/errors.ts'

/** OpenAI's error types, by status class; clients switch on the status, people read the message, programs the code. */
type ErrorType =
  | 'invalid_request_error'
  | 'authentication_error'
  | 'permission_error'
  | 'rate_limit_error'
  | 'upstream_error'
  | 'server_error'

/** A refusal that a caller of the gateway sees, in OpenAI's error shape. `message` never holds what was sent. */
export class GatewayError extends Error {
  readonly status: number
  readonly code: string
  readonly type: ErrorType
  readonly param: string | null
  readonly retryAfterSeconds: number | null

  constructor(
    status: number,
    code: string,
    message: string,
    options: { type?: ErrorType; param?: string; retryAfterSeconds?: number | null } = {},
  ) {
    super(message)
    this.status = status
    this.code = code
    this.type = options.type ?? typeOf(status)
    this.param = options.param ?? null
    this.retryAfterSeconds = options.retryAfterSeconds ?? null
  }
}

function typeOf(status: number): ErrorType {
  if (status === 401) return 'authentication_error'
  if (status === 403) return 'permission_error'
  if (status === 429) return 'rate_limit_error'
  return status >= 500 ? 'server_error' : 'invalid_request_error'
}

/** A mistake in the request: 400, naming the parameter. */
export const badRequest = (code: string, message: string, param?: string): GatewayError =>
  new GatewayError(400, code, message, { param })

/** Whatever was thrown, as a caller may see it. The unexpected says nothing of its cause. */
export function asGatewayError(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error
  if (error instanceof AppError)
    return new GatewayError(httpStatusOf[error.kind], error.code, error.message, { param: error.field })
  return new GatewayError(
    503,
    'service_unavailable',
    'The gateway cannot serve this call right now. Try again shortly.',
  )
}

/** The body of an error: OpenAI's fields, and the call's id for support. */
export function errorJson(error: GatewayError, requestId: string): string {
  const { message, type, param, code } = error
  return JSON.stringify({ error: { message, type, param, code, request_id: requestId } })
}
