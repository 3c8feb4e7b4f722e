import dns from 'node:dns'
import { createServer as createHttpServer, type IncomingMessage, type RequestListener } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo, LookupFunction } from 'node:net'
import tls from 'node:tls'
import { vi } from 'vitest'
import { selfSigned } from './certificate.ts'

const closers: (() => void)[] = []

/** Closes the servers, and trusts none of their certificates any more. */
export function closeGround(): void {
  for (const close of closers.splice(0)) close()
}

/** What the system's resolver says from now on. */
export const resolveTo = (...addresses: string[]) =>
  vi.spyOn(dns, 'lookup').mockImplementation(((
    _host: string,
    _options: unknown,
    callback: (...answer: unknown[]) => void,
  ) => {
    process.nextTick(
      callback,
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    )
  }) as never)

export interface Arrived {
  connections: number
  requests: {
    host: string | undefined
    sni: string | false | undefined
    authorization: string | undefined
    body: string
  }[]
}

function readInto(arrived: Arrived, request: IncomingMessage, done: () => void): void {
  let body = ''
  request.on('data', (piece) => void (body += piece))
  request.on('end', () => {
    const { host, authorization } = request.headers
    const sni = (request.socket as tls.TLSSocket).servername ?? undefined
    arrived.requests.push({ host, authorization, body, sni })
    done()
  })
}

async function listen(
  server: ReturnType<typeof createHttpServer> | ReturnType<typeof createHttpsServer>,
): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** A TLS server that this process trusts as `host`. */
export async function trustedServer(host: string, trust = true) {
  const certificate = selfSigned(host)
  if (trust) {
    const before = tls.getCACertificates('default')
    tls.setDefaultCACertificates([...before, certificate.cert])
    closers.push(() => tls.setDefaultCACertificates(before))
  }
  const arrived: Arrived = { connections: 0, requests: [] }
  const server = createHttpsServer(certificate, (request, response) =>
    readInto(arrived, request, () => response.setHeader('content-type', 'application/json').end('{}')),
  )
  server.on('connection', () => void (arrived.connections += 1))
  server.on('tlsClientError', () => {})
  return { port: await listen(server), arrived }
}

export async function httpServer(answer: RequestListener): Promise<string> {
  return `http://127.0.0.1:${await listen(createHttpServer(answer))}`
}

/** Leads every TLS connection to a port of this machine, whatever was resolved and checked: a network that lies. */
export function divertTo(port: number, pretend?: string): { lookups: LookupFunction[] } {
  const connect = tls.connect.bind(tls) as (options: tls.ConnectionOptions) => tls.TLSSocket
  const seen: { lookups: LookupFunction[] } = { lookups: [] }
  vi.spyOn(tls, 'connect').mockImplementation(((options: tls.ConnectionOptions & { lookup: LookupFunction }) => {
    seen.lookups.push(options.lookup)
    const lookup: LookupFunction = (_host, asked, answer) =>
      asked.all ? answer(null, [{ address: '127.0.0.1', family: 4 }]) : answer(null, '127.0.0.1', 4)
    const socket = connect({ ...options, port, lookup } as tls.ConnectionOptions)
    if (pretend) Object.defineProperty(socket, 'remoteAddress', { value: pretend })
    return socket
  }) as never)
  return seen
}
