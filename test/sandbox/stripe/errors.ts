export type StripeErrorType = 'api_error' | 'card_error' | 'idempotency_error' | 'invalid_request_error'

interface ErrorDetail {
  code?: string
  param?: string
  decline_code?: string
}

/** What Stripe would answer instead of an object. Thrown before execution it is not stored under the idempotency key, during it is. */
export class StripeApiError extends Error {
  readonly status: number
  readonly type: StripeErrorType
  readonly detail: ErrorDetail

  constructor(status: number, type: StripeErrorType, message: string, detail: ErrorDetail = {}) {
    super(message)
    this.status = status
    this.type = type
    this.detail = detail
  }

  body(): { error: object } {
    return { error: { type: this.type, message: this.message, ...this.detail } }
  }
}

export function invalid(message: string, code?: string, param?: string): StripeApiError {
  return new StripeApiError(400, 'invalid_request_error', message, { code, param })
}

export function missing(noun: string, id: string, param = 'id'): StripeApiError {
  const detail = { code: 'resource_missing', param }
  return new StripeApiError(404, 'invalid_request_error', `No such ${noun}: '${id}'`, detail)
}
