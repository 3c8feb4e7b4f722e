import { randomBytes, randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import path from 'node:path'
import { createRequestHandler } from '@remix-run/express'
import type { ServerBuild } from '@remix-run/node'
import express, { type Express, type NextFunction, type Request, type Response } from 'express'
import helmet from 'helmet'
import { paymentOrigins } from '#app/domain/billing/start-checkout.server.ts'
import { connectOrigin } from '#app/domain/providers/connect-openrouter.server.ts'
import { endUnread } from '#app/platform/end-unread.ts'
import { env } from '#app/platform/env.server.ts'
import { log } from '#app/platform/log.server.ts'
import { isSameOrigin, ownOrigins } from './origin-guard.ts'

/** No form of the console is larger: a pasted 10 MB "key" is refused before anything reads it. */
const BODY_BYTES_MAX = 64 * 1024

export interface ConsoleOptions {
  build: ServerBuild | (() => Promise<ServerBuild>)
  /** Folder of the built client files; absent under the development server, which serves them itself. */
  clientDir?: string
  developmentMiddleware?: express.RequestHandler
}

interface Locals {
  nonce: string
  requestId: string
}
const localsOf = (response: Response) => response.locals as Locals

function stampRequest(request: Request, response: Response, next: NextFunction): void {
  Object.assign(response.locals, { nonce: randomBytes(16).toString('base64'), requestId: randomUUID() })
  response.setHeader('X-Request-Id', localsOf(response).requestId)
  // Remix compares Origin with Host on its own and answers an empty 500 where a proxy rewrote Host. `guardUnsafe` knows
  // our origin from the settings, so in production nobody else has a say in what our host is.
  if (env().production) {
    request.headers.host = new URL(env().appOrigin).host
    delete request.headers['x-forwarded-host']
  }
  // Remix believes these headers too; only a trusted proxy may set them.
  if (!env().trustProxy)
    for (const name of Object.keys(request.headers)) if (name.startsWith('x-forwarded-')) delete request.headers[name]
  next()
}

/**
 * Where forms may lead. Browsers hold the redirect that answers a form to this too, so the pages that send a person to
 * OpenRouter or to Stripe name it, and no others.
 */
function formTargets({ url = '' }: IncomingMessage): string {
  const [, page] = /^\/w\/[^/?]+\/settings\/(billing(?:\/connect|\/payment)?|credits)\/?(?:\?|$)/.exec(url) ?? []
  const connects = page === 'billing' || page === 'billing/connect' ? [connectOrigin()] : []
  const pays = page === undefined || page === 'billing/connect' ? [] : paymentOrigins()
  return ["'self'", ...connects, ...pays].join(' ')
}

function securityHeaders(development: boolean) {
  const nonce = (_: unknown, response: unknown) => `'nonce-${localsOf(response as Response).nonce}'`
  return helmet({
    referrerPolicy: { policy: 'same-origin' },
    strictTransportSecurity: env().production ? { maxAge: 63_072_000, includeSubDomains: true } : false,
    crossOriginEmbedderPolicy: false,
    contentSecurityPolicy: development
      ? false
      : {
          useDefaults: false,
          directives: {
            defaultSrc: ["'none'"],
            scriptSrc: ["'self'", "'strict-dynamic'", nonce],
            styleSrc: ["'self'", nonce],
            styleSrcAttr: ["'unsafe-inline'"],
            imgSrc: ["'self'", 'data:'],
            fontSrc: ["'self'"],
            connectSrc: ["'self'"],
            manifestSrc: ["'self'"],
            formAction: [formTargets],
            frameAncestors: ["'none'"],
            baseUri: ["'none'"],
            objectSrc: ["'none'"],
          },
        },
  })
}

/** Methods a page or a form can be asked with. Others never reach Remix, which fails on some of them (TRACE). */
const methods = new Set(['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE'])

function refuseOtherMethods(request: Request, response: Response, next: NextFunction): void {
  if (methods.has(request.method)) next()
  else response.status(405).type('text').send('This method is not possible here.')
}

/**
 * What fails before or around Remix, such as an address that is no text (`/%`). Express's own last resort would show and
 * print the stack.
 */
function answerFailure(
  error: Error & { status?: number },
  _request: Request,
  response: Response,
  _next: NextFunction, // Express knows an error handler by its four parameters
): void {
  const { requestId } = localsOf(response)
  const isTheirs = error.status === 400 || error.status === 404
  if (!isTheirs) log.error({ requestId, name: error.name, reason: error.message }, 'request failed outside a route')
  if (response.headersSent) {
    response.destroy() // half an answer must not look whole
    return
  }
  const text = isTheirs ? 'This address cannot be read.' : `Something failed on our side. Reference ${requestId}`
  response
    .status(isTheirs ? (error.status as number) : 500)
    .set('Cache-Control', 'no-store')
    .type('text')
    .send(text)
}

/** In front of Remix on every unsafe method: foreign pages, and bodies no form of ours has. */
function guardUnsafe(request: Request, response: Response, next: NextFunction): void {
  const facts = {
    method: request.method,
    origin: request.headers.origin,
    secFetchSite: request.headers['sec-fetch-site'] as string | undefined,
  }
  if (!isSameOrigin(facts, ownOrigins(env().appOrigin, env().production))) {
    log.warn({ requestId: localsOf(response).requestId, path: request.path }, 'cross-origin request refused')
    response
      .status(403)
      .type('text')
      .send('This request did not come from a page of this site. Open the page here and try again.')
    return
  }
  const length = Number(request.headers['content-length'] ?? 0)
  const unmeasured = request.headers['transfer-encoding'] !== undefined
  if (request.method !== 'GET' && request.method !== 'HEAD' && (length > BODY_BYTES_MAX || unmeasured)) {
    const text = `Forms are at most ${BODY_BYTES_MAX / 1024} KB.`
    response
      .status(413)
      .set({ Connection: 'close', 'Content-Length': String(text.length) })
      .type('text')
    endUnread(request, response, text)
    return
  }
  next()
}

/** The Remix pages behind their guards. */
export function createConsole(options: ConsoleOptions): Express {
  const app = express()
  app.disable('x-powered-by')
  // One hop: the address that our own proxy saw. Believing the whole header would let a client choose its address.
  app.set('trust proxy', env().trustProxy ? 1 : false)
  app.use(stampRequest)
  app.use(securityHeaders(options.developmentMiddleware !== undefined))
  app.use(refuseOtherMethods)
  if (options.developmentMiddleware) app.use(options.developmentMiddleware)
  if (options.clientDir) {
    app.use('/assets', express.static(path.join(options.clientDir, 'assets'), { immutable: true, maxAge: '1y' }))
    app.use(express.static(options.clientDir, { maxAge: '1h' }))
  }
  app.use(guardUnsafe)
  app.all(
    '*',
    createRequestHandler({
      build: options.build,
      mode: options.developmentMiddleware ? 'development' : 'production',
      getLoadContext: (request, response) => ({ ...localsOf(response as Response), clientAddress: request.ip ?? '' }),
    }),
  )
  app.use(answerFailure)
  return app
}
