import { PassThrough } from 'node:stream'
import {
  type ActionFunctionArgs,
  createReadableStreamFromReadable,
  type EntryContext,
  type LoaderFunctionArgs,
} from '@remix-run/node'
import { isRouteErrorResponse, RemixServer } from '@remix-run/react'
import { renderToPipeableStream } from 'react-dom/server'
import { log } from '#app/platform/log.server.ts'
import { NonceContext } from './ui/nonce.ts'

const RENDER_MS_MAX = 10_000

/** A form that was posted without scripts is answered with a page, which drops the headers of the action unless it takes them over. */
const retryAfterOf = ({ staticHandlerContext }: EntryContext): string | undefined =>
  Object.values(staticHandlerContext.actionHeaders)
    .map((headers) => headers.get('Retry-After'))
    .find((value) => value !== null) ?? undefined

export default function handleRequest(
  request: Request,
  status: number,
  headers: Headers,
  remixContext: EntryContext,
  { nonce }: { nonce: string },
): Promise<Response> {
  return new Promise((resolve, reject) => {
    let started = false
    const page = (
      <NonceContext.Provider value={nonce}>
        <RemixServer context={remixContext} url={request.url} nonce={nonce} />
      </NonceContext.Provider>
    )
    const { pipe, abort } = renderToPipeableStream(page, {
      nonce,
      onAllReady() {
        started = true
        const body = new PassThrough()
        headers.set('Content-Type', 'text/html; charset=utf-8')
        headers.set('Cache-Control', 'no-store')
        const retryAfter = retryAfterOf(remixContext)
        if (retryAfter) headers.set('Retry-After', retryAfter)
        resolve(new Response(createReadableStreamFromReadable(body), { headers, status }))
        pipe(body)
      },
      onShellError: reject,
      onError(error) {
        if (started) log.error({ reason: (error as Error).message }, 'page broke while rendering')
      },
    })
    setTimeout(abort, RENDER_MS_MAX).unref()
  })
}

/**
 * Expected refusals are answers, and a loader's or action's faults are logged where they happen. What is left failed in
 * between, in Remix itself, which answers 500 and would say nothing to anybody.
 */
export function handleError(error: unknown, { request, context }: LoaderFunctionArgs | ActionFunctionArgs): void {
  if (request.signal.aborted || isRouteErrorResponse(error)) return
  const { name, message } = error as Error
  log.error({ requestId: context.requestId, name, reason: message }, 'request failed between routes')
}
