import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import OpenAI from 'openai'

/** What a caller was told of one call. */
export interface Answer {
  workspace: string
  callId: string
  status: number
  /** The whole answer came, with its end. */
  whole: boolean
  inputTokens: number | null
  outputTokens: number | null
  keySource: string | null
  chargeMode: string | null
}

export interface Traffic {
  answers: Answer[]
  /** How often what was seen, by status and code. */
  seen: Map<string, number>
  /** Usage events that were acknowledged, by id. */
  events: Set<string>
}

export interface Callers {
  /** Gateway tokens by workspace. */
  tokens: Record<string, string>
  /** Base URLs of the web processes, with /v1. */
  origins: string[]
  /** The workspace that sends usage events, and their meter. */
  meter: { workspace: string; type: string }
}

/** What one usage event comes to: 1.5 seconds at 0.00005 USD. */
export const eventPico = 75_000_000n

const pick = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)] as T

/** What the sandbox providers are asked to do, as often as each stands here. */
const scenarios = [
  ...['', '', '', '', 'output=200;gapMs=2', 'output=900;gapMs=1', 'cached=5;input=40', 'done=none', 'usageOnFinish'],
  ...['cut=3', 'midStreamError=2', 'usage=none', 'error=429;retryAfter=1', 'error=503', 'reset'],
]
const surfaces = ['agent_run', 'agent_run', 'search_indexer']

function bodyOf(model: string): { stream: boolean; body: string } {
  const scenario = pick(scenarios)
  const stream = Math.random() < 0.6
  const content = `Hello ${'word '.repeat(Math.random() * 200)}${scenario && `[[sandbox ${scenario}]]`}`
  return { stream, body: JSON.stringify({ model, stream, max_tokens: 1000, messages: [{ role: 'user', content }] }) }
}

const lastNumber = (text: string, name: string): number | null => {
  const found = text.slice(text.lastIndexOf('"usage":{')).match(new RegExp(`"${name}":(\\d+)`))
  return found ? Number(found[1]) : null
}

function readAnswer(workspace: string, response: Response, text: string, stream: boolean): Answer | null {
  const callId = response.headers.get('x-keymargin-call-id')
  if (callId === null) return null
  const ended = stream ? text.includes('data: [DONE]') && !text.includes('"error"') : text.trimEnd().endsWith('}')
  return {
    ...{ workspace, callId, status: response.status, whole: response.status === 200 && ended },
    inputTokens: lastNumber(text, 'prompt_tokens'),
    outputTokens: lastNumber(text, 'completion_tokens'),
    keySource: response.headers.get('x-keymargin-key-source'),
    chargeMode: response.headers.get('x-keymargin-charge-mode'),
  }
}

async function callOnce(
  { tokens, origins }: Callers,
  models: Map<string, string[]>,
  traffic: Traffic,
): Promise<string> {
  const workspace = pick(Object.keys(tokens))
  const token = tokens[workspace] as string
  const origin = pick(origins)
  if (!models.has(workspace)) {
    const list = await new OpenAI({ baseURL: origin, apiKey: token, maxRetries: 0 }).models.list()
    const ids = list.data.map(({ id }) => id).filter((id) => !/embed|rerank|tts|whisper|image/.test(id))
    models.set(workspace, ids.slice(0, 60))
  }
  const { stream, body } = bodyOf(pick(models.get(workspace) ?? []))
  const leaver = new AbortController()
  const leaves = Math.random() < 0.12 && setTimeout(() => leaver.abort(), Math.random() * 300)
  try {
    const headers = {
      ...{ authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      'x-keymargin-surface': pick(surfaces),
    }
    const response = await fetch(`${origin}/chat/completions`, { method: 'POST', headers, body, signal: leaver.signal })
    const text = await response.text()
    const answer = readAnswer(workspace, response, text, stream)
    if (answer) traffic.answers.push(answer)
    const [, code = ''] = (response.status !== 200 && /"code":"([a-z_]+)"/.exec(text)) || []
    return `${response.status} ${response.status === 200 ? (answer?.whole ? 'whole' : 'part') : code}`
  } finally {
    if (leaves) clearTimeout(leaves)
  }
}

/** Sends batches of usage events, each batch again until it was acknowledged, and now and then once more after that. */
async function sendEvents({ tokens, origins, meter }: Callers, end: number, { events }: Traffic): Promise<void> {
  const headers = {
    authorization: `Bearer ${tokens[meter.workspace]}`,
    'content-type': 'application/cloudevents-batch+json',
  }
  while (Date.now() < end) {
    const batch = Array.from({ length: 20 }, () => ({
      ...{ specversion: '1.0', source: '/storm', id: randomUUID(), type: meter.type },
      data: { quantity: '1.5' },
    }))
    for (let acknowledged = 0; acknowledged < (Math.random() < 0.3 ? 2 : 1); ) {
      const request = { method: 'POST', headers, body: JSON.stringify(batch) }
      const response = await fetch(`${pick(origins)}/usage/events`, request).catch(() => null)
      if (
        await response?.text().then(
          (text) => response.status === 200 && text,
          () => false,
        )
      )
        acknowledged += 1
      else await delay(100)
    }
    for (const { id } of batch) events.add(id)
    await delay(200)
  }
}

const toWords = ({ name }: Error): string =>
  name === 'AbortError' ? 'the caller left' : name === 'TypeError' ? 'the process was dead, or died' : name

/** Fourteen callers on all web processes and workspaces, and one that reports usage, until the time is over. */
export async function callUntil(end: number, callers: Callers): Promise<Traffic> {
  const traffic: Traffic = { answers: [], seen: new Map(), events: new Set() }
  const models = new Map<string, string[]>()
  const caller = async () => {
    while (Date.now() < end) {
      const seen = await callOnce(callers, models, traffic).catch(toWords)
      traffic.seen.set(seen, (traffic.seen.get(seen) ?? 0) + 1)
      if (!seen.startsWith('200')) await delay(30)
    }
  }
  await Promise.all([...Array.from({ length: 14 }, caller), sendEvents(callers, end, traffic)])
  return traffic
}
