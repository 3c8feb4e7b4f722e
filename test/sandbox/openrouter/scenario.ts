/** What a chat request makes the sandbox do. Every field is optional; an empty scenario is a healthy provider. */
export interface Scenario {
  /** Answer this HTTP status with OpenRouter's error body instead of a completion. */
  error?: number
  /** `Retry-After` text on the error, sent as given (also nonsense such as `9e99`). */
  retryAfter?: string
  /** Put the caller's key into the error text, as careless providers do. */
  echoKey?: boolean
  /** HTTP 200 with `{ error }` in a JSON body (providers §1.8). */
  errorIn200?: boolean
  /** In a stream: after this many content chunks send the error event with `finish_reason: "error"` and end. */
  midStreamError?: number
  /** Destroy the socket after this many content chunks (0: after the headers). */
  cut?: number
  /** Destroy the socket before any header. */
  reset?: boolean
  /** `start`: never answer. `headers`: answer the headers and then nothing. */
  hang?: 'start' | 'headers'
  /** Milliseconds before the first chunk and between chunks. */
  firstMs?: number
  gapMs?: number
  /** In-process only: a plain answer waits for it, and so does a stream after its first chunk. */
  until?: Promise<unknown>
  usage?: 'none' | 'zero'
  /** Raw JSON text that replaces the usage object, for replies no honest provider would send. */
  usageText?: string
  /** Raw JSON text that replaces `usage.cost`, such as `1000`, `-5`, `1e309`, `"0.1"`. */
  cost?: string
  input?: number
  output?: number
  /** Tokens that the model would write if the request's limit let it. */
  wanted?: number
  cached?: number
  cacheWrite?: number
  reasoning?: number
  /** Number of content chunks a stream is split into; by default one per token, 64 at most. */
  chunks?: number
  /** The account has its own key at OpenRouter: `cost` is their fee and the spend is upstream. Decimal texts. */
  byokFee?: string
  byokUpstream?: string
  /** Line ends of the stream. */
  eol?: 'crlf' | 'cr' | 'mixed'
  /** Write multi-byte characters in two pieces. */
  splitUtf8?: boolean
  done?: 'none' | 'twice' | 'then-data'
  /** No blank line after the last event. */
  noFinalBlank?: boolean
  /** Attach usage to the chunk with the finish reason, not to one of its own. */
  usageOnFinish?: boolean
  /** Model name in the reply. */
  replyModel?: string
  /** Stop and bill the part when the client goes away (providers §1.8 lists who can). */
  cancel?: boolean
  redirect?: string
  /** Content of the reply. */
  text?: string
  /** End a tool call in the middle of its arguments. */
  openTool?: boolean
  /** An arbitrary reply: for anything the fields above cannot say. */
  raw?: RawReply
}

export interface RawReply {
  status: number
  headers?: [string, string][]
  /** Pieces are written apart; `base64:` in front means bytes. */
  pieces: string[]
  /** After the last piece: end the response, destroy the socket, or leave it open. */
  then?: 'end' | 'destroy' | 'hang'
  /** Repeat the pieces so many times: long replies without long messages. */
  repeat?: number
}

type ScenarioField = keyof Scenario

const numbers = new Set<ScenarioField>([
  'error',
  'midStreamError',
  'cut',
  'firstMs',
  'gapMs',
  'input',
  'output',
  'wanted',
  'cached',
  'cacheWrite',
  'reasoning',
  'chunks',
])
const switches = new Set<ScenarioField>([
  'echoKey',
  'errorIn200',
  'reset',
  'splitUtf8',
  'noFinalBlank',
  'usageOnFinish',
  'cancel',
  'openTool',
])
const texts = new Set<ScenarioField>([
  'retryAfter',
  'hang',
  'usage',
  'cost',
  'byokFee',
  'byokUpstream',
  'eol',
  'done',
  'replyModel',
  'redirect',
  'text',
])

/**
 * Reads `error=429;retryAfter=2;echoKey`. The same grammar serves the `x-sandbox` header, a `[[sandbox …]]` mark in the
 * last user message, and a model id ending in `:sandbox:…`; the mark survives every proxy between caller and sandbox.
 */
function parseScenario(text: string): Scenario {
  const scenario: Record<string, unknown> = {}
  for (const part of text.split(';')) {
    const at = part.indexOf('=')
    const name = (at < 0 ? part : part.slice(0, at)).trim() as ScenarioField
    const value = at < 0 ? '' : part.slice(at + 1).trim()
    if (name === ('' as ScenarioField)) continue
    if (numbers.has(name)) scenario[name] = Number(value)
    else if (switches.has(name)) scenario[name] = true
    else if (texts.has(name)) scenario[name] = value
    else throw new Error(`sandbox: unknown scenario field ${name}`)
  }
  return scenario as Scenario
}

const mark = /\[\[sandbox ([^\]]*)\]\]/

/** The scenario of a request: model suffix, then text mark, then header; the later one wins field by field. */
export function scenarioOf(model: string, lastUserText: string, header: string | undefined): Scenario {
  const suffix = model.indexOf(':sandbox:')
  return {
    ...(suffix < 0 ? {} : parseScenario(model.slice(suffix + ':sandbox:'.length))),
    ...parseScenario(mark.exec(lastUserText)?.[1] ?? ''),
    ...parseScenario(header ?? ''),
  }
}

export function modelWithoutScenario(model: string): string {
  const suffix = model.indexOf(':sandbox:')
  return suffix < 0 ? model : model.slice(0, suffix)
}
