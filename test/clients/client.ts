/** What every client library can be asked to do, in terms that can be compared. */
export interface Target {
  /** `…/v1` of the gateway under test. */
  baseURL: string
  token: string
  model: string
}

export interface Said {
  text: string
  /** Null where the library does not tell. */
  usage: { input: number; output: number } | null
}

export interface CalledTool {
  name: string
  arguments: Record<string, unknown>
}

export interface Failure {
  status: number | null
  retryAfter: string | null
  message: string
}

export interface ClientLibrary {
  name: string
  plain: (target: Target) => Promise<Said>
  stream: (target: Target) => Promise<Said & { pieces: number }>
  /** A question that calls a tool, plain and streamed. */
  tools: (target: Target, streamed: boolean) => Promise<CalledTool[]>
  /** The failure of a plain call, as the library reports it. */
  failure: (target: Target) => Promise<Failure>
  /** Reads a stream to its end: the words of the failure it met, or null for a clean end. */
  brokenStream: (target: Target) => Promise<string | null>
  /** Leaves a stream after its first words. */
  leave: (target: Target) => Promise<void>
}

export const question = 'Say hello.'

export const weatherTool = {
  name: 'read_weather',
  description: 'Reads the weather of a city',
  parameters: {
    type: 'object' as const,
    properties: { city: { type: 'string' as const } },
    required: ['city'],
    additionalProperties: false,
  },
}

/** What a library made of an error, whichever names it gives its parts. */
export function failureOf(error: unknown): Failure {
  const { status, statusCode, headers, responseHeaders, message } = error as Record<string, unknown>
  const held = (headers ?? responseHeaders) as Headers | Record<string, string> | undefined
  const retryAfter = held instanceof Headers ? held.get('retry-after') : (held?.['retry-after'] ?? null)
  return { status: Number(status ?? statusCode ?? Number.NaN) || null, retryAfter, message: String(message) }
}

export async function failed(run: () => Promise<unknown>): Promise<Failure> {
  try {
    await run()
  } catch (error) {
    return failureOf(error)
  }
  throw new Error('the call succeeded')
}
