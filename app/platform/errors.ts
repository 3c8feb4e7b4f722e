/** What went wrong, in terms of who must act. */
export type ErrorKind =
  | 'bad_request'
  | 'unauthenticated'
  | 'forbidden'
  | 'not_found'
  | 'conflict'
  | 'too_large'
  | 'rate_limited'
  | 'unavailable'
  | 'upstream'

/** The only map from what went wrong to an HTTP status. */
export const httpStatusOf: Record<ErrorKind, number> = {
  bad_request: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  too_large: 413,
  rate_limited: 429,
  unavailable: 503,
  upstream: 502,
}

export interface AppErrorOptions {
  /** The input field the text speaks of. */
  field?: string
  /** For operators only: never shown to a customer, never holds a secret. */
  internal?: string
  /** In how many seconds it may be tried again: the answer's Retry-After. */
  retryAfterS?: number
  cause?: unknown
}

/**
 * An expected failure. `code` is stable snake_case for programs; `message` is for the person who must act and says the
 * remedy; what only operators may know goes into `internal`.
 */
export class AppError extends Error {
  readonly kind: ErrorKind
  readonly code: string
  readonly field: string | undefined
  readonly internal: string | undefined
  readonly retryAfterS: number | undefined

  constructor(kind: ErrorKind, code: string, publicMessage: string, options: AppErrorOptions = {}) {
    super(publicMessage, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'AppError'
    this.kind = kind
    this.code = code
    this.field = options.field
    this.internal = options.internal
    this.retryAfterS = options.retryAfterS
  }
}

/** Foreign and missing rows look the same, so that ids cannot be probed. */
export const notFound = (what: string) => new AppError('not_found', 'not_found', `${what} not found.`)
