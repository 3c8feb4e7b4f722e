import { json } from '@remix-run/node'
import { z } from 'zod'
import { AppError, httpStatusOf } from '#app/platform/errors.ts'
import { log } from '#app/platform/log.server.ts'

export interface PageError {
  code: string
  message: string
  field: string | null
  requestId: string
}

/** What an action answers. A page shows `error` beside the field it names; nothing that was typed is sent back. */
export type ActionAnswer<T = Record<string, never>> =
  | ({ ok: true; intent: string } & T)
  | { ok: false; intent: string; error: PageError }

export const noStore = { 'Cache-Control': 'no-store' }

/** Any failure as an AppError: known ones as they are, the rest logged under the request's id and shown as a fault of ours. */
export function toAppError(error: unknown, requestId: string): AppError {
  if (error instanceof AppError) {
    if (error.internal) log.info({ requestId, code: error.code, internal: error.internal }, 'request refused')
    return error
  }
  if (error instanceof z.ZodError) {
    const [issue] = error.issues
    const field = issue?.path.join('.') || 'form'
    // zod repeats the names it does not know; a name is input too, and may be a secret pasted into the wrong place.
    const message = issue?.code === 'unrecognized_keys' ? 'it holds a field that does not belong to it' : issue?.message
    return new AppError('bad_request', 'invalid_input', `${field}: ${message ?? 'not valid'}`, { field })
  }
  const fault = error as Error
  log.error({ requestId, name: fault?.name, reason: fault?.message, stack: fault?.stack }, 'unexpected failure')
  return new AppError(
    'unavailable',
    'internal_error',
    'Something failed on our side. Nothing was changed. Try again; if it stays, tell your operator the reference below.',
  )
}

const headersOf = ({ retryAfterS }: AppError): Record<string, string> =>
  retryAfterS === undefined ? noStore : { ...noStore, 'Retry-After': String(retryAfterS) }

/** A failed page: status, stable code and public text, for the error boundary. */
export function errorResponse(error: unknown, requestId: string): Response {
  const known = toAppError(error, requestId)
  const status = known.code === 'internal_error' ? 500 : httpStatusOf[known.kind]
  const body: PageError = { code: known.code, message: known.message, field: known.field ?? null, requestId }
  return json(body, { status, headers: headersOf(known) })
}

/**
 * A page that computes nothing, since its address asks for what cannot be: `toView` makes its form of it, with the field
 * named. Status 400.
 * @throws the error itself where it is of another kind
 */
export function refusedPage(error: unknown, toView: (refusal: { field: string; message: string }) => object): Response {
  if (!(error instanceof AppError) || error.code !== 'invalid_filter' || !error.field) throw error
  const { field } = error
  const said = error.message.startsWith(`${field}: `) ? error.message.slice(field.length + 2) : error.message
  const message = said.charAt(0).toUpperCase() + said.slice(1)
  return json(toView({ field, message }), { status: httpStatusOf.bad_request, headers: noStore })
}

/** A failed action that the page it came from can show in place. */
export function actionError(intent: string, error: unknown, requestId: string): Response {
  const known = toAppError(error, requestId)
  const status = known.code === 'internal_error' ? 500 : httpStatusOf[known.kind]
  const body: ActionAnswer = {
    ok: false,
    intent,
    error: { code: known.code, message: known.message, field: known.field ?? null, requestId },
  }
  return json(body, { status, headers: headersOf(known) })
}
