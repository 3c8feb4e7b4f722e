import type { ServerResponse } from 'node:http'
import { systemPool } from '#app/platform/db.server.ts'

const send = (response: ServerResponse, status: number, text: string) =>
  response.writeHead(status, { 'content-type': 'text/plain', 'cache-control': 'no-store' }).end(text)

/** The process answers. */
export const answerHealthz = (response: ServerResponse): void => void send(response, 200, 'ok')

/** The process can serve: its database answers, and no data key is sealed under a phrase it was not given. */
export async function answerReadyz(response: ServerResponse, knownKeks: () => Promise<string[]>): Promise<void> {
  try {
    const known = await knownKeks()
    const { rows } = await systemPool().query<{ unknown: number }>(
      'SELECT count(*)::int AS unknown FROM workspace_data_keys WHERE NOT kek_id::text = ANY($1)',
      [known],
    )
    if (rows[0]?.unknown) send(response, 503, 'keys sealed under an unknown phrase')
    else send(response, 200, 'ready')
  } catch {
    send(response, 503, 'database does not answer')
  }
}
