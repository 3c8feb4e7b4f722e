import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import path from 'node:path'
import { afterAll, beforeAll, expect } from 'vitest'
import { createPerson } from '#app/http/create-person.server.ts'
import { ensureBuilt } from '#scripts/build.ts'
import { freePort } from '#scripts/free-port.ts'
import type { TestDatabase } from './database.ts'

const root = path.resolve(import.meta.dirname, '..')

export interface RunningProgram {
  child: ChildProcess
  /** Everything it wrote so far, both streams. */
  output(): string
  exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  /** SIGTERM, and the wait until it ended. @returns its exit code */
  stop(): Promise<number | null>
}

/** Starts one of our programs as its own process and keeps what it prints. Does not wait. */
export function launch(program: string, env: NodeJS.ProcessEnv): RunningProgram {
  const child = spawn(process.execPath, [program], { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  let written = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (piece: string) => {
      written += piece
    })
  const exited = once(child, 'close').then(([code, signal]) => ({ code, signal }))
  return {
    child,
    output: () => written,
    exited,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
      return (await exited).code
    },
  }
}

/** Starts a program and waits until it says that it is ready. @throws with its last words where it ends instead */
export async function start(program: string, env: NodeJS.ProcessEnv): Promise<RunningProgram> {
  const running = launch(program, env)
  const ended = running.exited.then(({ code }) => {
    throw new Error(`${program} ended with ${code} before it was ready: ${running.output()}`)
  })
  await Promise.race([once(running.child, 'message'), ended])
  ended.catch(() => {})
  return running
}

export interface RunningWeb extends RunningProgram {
  origin: string
}

/** The product's own web process on the built console. The caller has built it. */
export async function startWeb(childEnv: (extra: Record<string, string>) => NodeJS.ProcessEnv): Promise<RunningWeb> {
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const running = await start('server.ts', childEnv({ PORT: String(port), APP_ORIGIN: origin }))
  return { ...running, origin }
}

/** A browser's part: cookies, our own Origin on unsafe requests, redirects shown and not followed. */
export class Visitor {
  readonly origin: string
  cookie = ''

  constructor(origin: string) {
    this.origin = origin
  }

  async ask(url: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers)
    if (this.cookie && !headers.has('cookie')) headers.set('cookie', this.cookie)
    const safe = ['GET', 'HEAD'].includes(init.method ?? 'GET')
    if (!safe && !headers.has('origin') && !headers.has('sec-fetch-site')) headers.set('origin', this.origin)
    const response = await fetch(`${this.origin}${url}`, { ...init, headers, redirect: 'manual' })
    return response
  }

  /** Sends a form, as a browser without JavaScript does. */
  post(url: string, fields: Record<string, string>, init: RequestInit = {}): Promise<Response> {
    return this.ask(url, { method: 'POST', body: new URLSearchParams(fields), ...init })
  }

  /** @throws Error where the sign-in is refused */
  async signIn(email: string, password: string): Promise<Response> {
    const response = await this.post('/sign-in', { intent: 'sign-in', email, password })
    const [cookie] = response.headers.getSetCookie()
    if (response.status !== 302 || !cookie) throw new Error(`sign-in of ${email} answered ${response.status}`)
    this.cookie = cookie.split(';')[0] ?? ''
    return response
  }
}

export const personPassword = 'a password of the flows 5d1c'
let people = 0

/** A person who can sign in. @returns id and e-mail; the password is `personPassword` */
export async function makePerson(password = personPassword): Promise<{ userId: string; email: string }> {
  const email = `signer-${++people}-${process.pid}@example.com`
  return { userId: await createPerson({ name: `Signer ${people}`, email, password }), email }
}

/** A web process of its own for one test file, on the database that `useDatabase` made. */
export function useWeb(
  db: TestDatabase,
  settings: () => Record<string, string> | Promise<Record<string, string>> = () => ({}),
): RunningWeb {
  const web = {} as RunningWeb
  beforeAll(async () => {
    ensureBuilt()
    const extra = await settings()
    Object.assign(web, await startWeb((more) => db.childEnv({ LOG_LEVEL: 'info', ...extra, ...more })))
  })
  afterAll(async () => {
    expect(await web.stop?.()).toBe(0)
  })
  return web
}

export interface RawAnswer {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

/** A request with exactly these headers and bytes: for what no browser and no fetch would send. */
export function rawRequest(
  origin: string,
  options: { method?: string; path: string; headers?: Record<string, string>; body?: string | Buffer },
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', path: target, headers, body } = options
    const sent = request(`${origin}/`, { method, path: target, headers, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece
      })
      response.on('end', () => {
        sent.destroy()
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text })
      })
    })
    sent.on('error', reject)
    // Where a length is announced, the rest of the body is never sent: the answer must not wait for it.
    if (headers?.['content-length']) sent.write(body ?? '')
    else sent.end(body)
  })
}

/**
 * A form with a wrong password that the process has begun to receive, and waits for the rest of.
 * @returns sends the rest; answers with the status
 */
export async function beginForm(origin: string): Promise<() => Promise<number | undefined>> {
  const form = 'intent=sign-in&email=nobody%40example.com&password=wrong'
  const type = 'application/x-www-form-urlencoded'
  const headers = { origin, 'content-type': type, 'content-length': form.length, expect: '100-continue' }
  const sent = request(`${origin}/sign-in`, { method: 'POST', headers })
  sent.flushHeaders()
  await once(sent, 'continue') // the process has it
  return async () => {
    const answer = once(sent, 'response')
    sent.end(form)
    const [response] = (await answer) as [IncomingMessage]
    return response.resume().statusCode
  }
}
