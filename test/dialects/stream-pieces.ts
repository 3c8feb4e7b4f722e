import type { Dialect, ReplyContext } from '#app/domain/providers/dialects/dialect.ts'

export const context: ReplyContext = { model: 'asked/model', callId: 'call-1', created: 1_760_000_000 }

/** What a dialect makes of a stream that arrives in these pieces. */
export function translate(dialect: Dialect, pieces: Iterable<Buffer>): { text: string; ended: boolean } {
  const reply = dialect.replies(context)
  const out: Buffer[] = []
  for (const piece of pieces) out.push(reply.push(piece))
  return { text: Buffer.concat(out).toString('utf8'), ended: reply.ended }
}

/** Every way to cut the bytes in two, and one byte at a time. */
export function* cuts(bytes: Buffer): Generator<Buffer[]> {
  yield Array.from(bytes, (_byte, at) => bytes.subarray(at, at + 1))
  for (let at = 0; at <= bytes.length; at += 1) yield [bytes.subarray(0, at), bytes.subarray(at)]
}

/** The ways of cutting that change the outcome; none should. */
export function cutsThatMatter(dialect: Dialect, bytes: Buffer): number[] {
  const whole = JSON.stringify(translate(dialect, [bytes]))
  return [...cuts(bytes)].filter((pieces) => JSON.stringify(translate(dialect, pieces)) !== whole).map((p) => p.length)
}

/** The data of each event of a translated stream, parsed; the end mark as its text. */
// biome-ignore lint/suspicious/noExplicitAny: a test reads any member of an event
export function chatEvents(text: string): any[] {
  return text
    .split('\n\n')
    .filter((event) => event !== '')
    .map((event) => (event === 'data: [DONE]' ? '[DONE]' : JSON.parse(event.slice(6))))
}

/** The reasoning that a translated stream carries; the official client keeps only the last piece of it. */
export const reasoningIn = (text: string): string =>
  chatEvents(text)
    .map((event) => event.choices?.[0]?.delta?.reasoning ?? '')
    .join('')

/** Server-sent events as a provider writes them: the event's name repeats the type in the data. */
export const sse = (events: { type: string; [name: string]: unknown }[]): Buffer =>
  Buffer.from(events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join(''))

/** A refusal's parameter, or what came back instead of one. */
export function refused(run: () => unknown): string {
  try {
    return `not refused: ${String(run())}`
  } catch (error) {
    return error instanceof Error && 'param' in error ? String(error.param) : String(error)
  }
}

/** A chat request as a dialect sends it on, parsed. */
// biome-ignore lint/suspicious/noExplicitAny: a test reads any member of a request
export function upstream(dialect: Dialect, chat: object, model = 'a-model', streamed = false): any {
  const body = Buffer.from(
    JSON.stringify({ model: 'asked/model', messages: [{ role: 'user', content: 'hi' }], ...chat }),
  )
  return JSON.parse(dialect.toUpstream({ body, model, streamed }).toString('utf8'))
}
