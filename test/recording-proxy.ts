import { createServer, type IncomingHttpHeaders, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface RecordedRequest {
  /** Method and path with its query. */
  line: string
  headers: IncomingHttpHeaders
  body: string
}

export interface RecordingProxy {
  origin: string
  requests: RecordedRequest[]
  close(): Promise<void>
}

/** Stands between a process of ours and a sandbox and keeps everything that we sent, header by header. */
export async function startRecordingProxy(target: string): Promise<RecordingProxy> {
  const requests: RecordedRequest[] = []
  const server = createServer((incoming, outgoing) => {
    const pieces: Buffer[] = []
    incoming.on('data', (piece: Buffer) => pieces.push(piece))
    incoming.on('end', () => {
      const body = Buffer.concat(pieces)
      requests.push({
        line: `${incoming.method} ${incoming.url}`,
        headers: incoming.headers,
        body: body.toString('latin1'),
      })
      const { host: _, ...headers } = incoming.headers
      const onward = send(`${target}${incoming.url}`, { method: incoming.method, headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(outgoing)
        answer.on('error', () => outgoing.destroy())
      })
      onward.on('error', () => outgoing.destroy())
      onward.end(body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

/** Everything of the requests but the Authorization header. */
export const withoutAuthorization = (requests: RecordedRequest[]): string =>
  requests
    .map(({ line, headers: { authorization: _, ...headers }, body }) => `${line}\n${JSON.stringify(headers)}\n${body}`)
    .join('\n')
