import { PassThrough } from 'node:stream'
import { createReadableStreamFromReadable, type EntryContext } from '@remix-run/node'
import { RemixServer } from '@remix-run/react'
import { renderToPipeableStream } from 'react-dom/server'
import { log } from '#app/platform/log.server.ts'
import { NonceContext } from './ui/nonce.ts'

const RENDER_MS_MAX = 10_000

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

/** Expected refusals are answers, not faults; the rest is already logged where it happened. */
export function handleError(): void {}
