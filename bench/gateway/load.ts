import { Pool } from 'undici'

export interface Target {
  name: string
  origin: string
  path: string
  token: string
  pid: number | null
}

export interface Measured {
  perSecond: number
  /** Milliseconds to the last byte, and to the first. */
  p50: number
  p99: number
  firstP50: number
  errors: number
}

const body = (streamed: boolean): Buffer =>
  Buffer.from(
    JSON.stringify({
      model: 'openai/gpt-5-mini',
      stream: streamed,
      messages: [{ role: 'user', content: 'word '.repeat(190) }],
    }),
  )

const at = (sorted: number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN

interface Reply {
  first: number
  total: number
  ok: boolean
}

function once(pool: Pool, target: Target, payload: Buffer, streamed: boolean): Promise<Reply> {
  const start = performance.now()
  let first = 0
  let status = 0
  let tail = ''
  return new Promise((resolve) => {
    const finish = (ok: boolean) => resolve({ first: first - start, total: performance.now() - start, ok })
    const headers = ['authorization', `Bearer ${target.token}`, 'content-type', 'application/json']
    pool.dispatch(
      { method: 'POST', path: target.path, headers, body: payload },
      {
        onRequestStart: () => {},
        onResponseStart: (_controller, code) => {
          status = code
        },
        onResponseData: (_controller, piece) => {
          first ||= performance.now()
          tail = piece.toString('latin1', Math.max(0, piece.length - 16))
        },
        onResponseEnd: () => finish(status === 200 && (!streamed || tail.includes('[DONE]'))),
        onResponseError: () => finish(false),
      },
    )
  })
}

/** Keeps `concurrency` requests under way for `seconds`. */
export async function load(target: Target, concurrency: number, streamed: boolean, seconds: number): Promise<Measured> {
  const pool = new Pool(target.origin, { connections: concurrency, pipelining: 1 })
  const payload = body(streamed)
  const replies: Reply[] = []
  const end = performance.now() + seconds * 1000
  const worker = async () => {
    while (performance.now() < end) replies.push(await once(pool, target, payload, streamed))
  }
  const started = performance.now()
  await Promise.all(Array.from({ length: concurrency }, worker))
  const took = (performance.now() - started) / 1000
  await pool.close()
  const totals = replies.map((reply) => reply.total).sort((a, b) => a - b)
  const firsts = replies.map((reply) => reply.first).sort((a, b) => a - b)
  return {
    perSecond: replies.length / took,
    p50: at(totals, 0.5),
    p99: at(totals, 0.99),
    firstP50: at(firsts, 0.5),
    errors: replies.filter((reply) => !reply.ok).length,
  }
}
