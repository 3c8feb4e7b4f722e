/** Delivers events by real HTTP POST with Stripe's signature, as badly as a test asks for. */
import { createHmac } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { renderEvent } from './events.ts'
import type { EventRecord } from './records.ts'
import type { World } from './world.ts'

export interface WebhookEndpoint {
  url: string
  secret: string
  /** While a secret is being rolled, every delivery carries a signature of each. */
  secondSecret?: string
}

export interface WebhookKnobs {
  /** Deliveries of each event. Default 1. */
  copies?: number
  /** Shuffles what waits at each delivery round, the same way for the same seed. */
  reorderSeed?: number
  /** How long an event waits before the round it goes out with. Default 0. */
  delayMs?: number
  /** Events that are never delivered (they stay undelivered in the event list). */
  drop?: (event: EventRecord) => boolean
  /** Seconds added to the signature's timestamp. */
  timestampSkewSeconds?: number
  /** Retries after a non-2xx answer. Default 5, after 50, 100, 200 … ms. */
  retries?: number
  /** How long an event rests when these are used up, before the same again. Default 10 s. */
  restMs?: number
}

/** Where a delivery goes; `id` is empty for the endpoint that was set by hand. */
interface Target extends WebhookEndpoint {
  id: string
  /** Events carry the endpoint's API version, not the SDK's (stripe §2.6). */
  apiVersion: string | null
}

interface Waiting {
  event: EventRecord
  target: Target
}

export interface Delivery {
  eventId: string
  /** The endpoint's id; empty: the one that was set by hand. */
  endpoint: string
  type: string
  status: number
}

const RETRY_BASE_MS = 50
const ANSWER_WITHIN_MS = 10_000
const REST_MS = 10_000

export class WebhookPump {
  endpoint: WebhookEndpoint | undefined
  knobs: WebhookKnobs = {}
  readonly deliveries: Delivery[] = []
  #waiting: Waiting[] = []
  #timer: NodeJS.Timeout | undefined
  readonly #resting = new Set<NodeJS.Timeout>()
  #running = 0
  #paused = false
  #closed = false
  readonly #world: World

  constructor(world: World, endpoint: WebhookEndpoint | undefined) {
    this.#world = world
    this.endpoint = endpoint
  }

  /** Events that no endpoint has taken yet, from before a restart too. */
  resumeUndelivered(): void {
    for (const event of Object.values(this.#world.state.events)) if (event.pendingWebhooks > 0) this.enqueue(event)
  }

  enqueue(event: EventRecord): void {
    const targets = this.#closed ? [] : this.#targetsOf(event)
    event.pendingWebhooks = targets.length
    if (targets.length && this.knobs.drop?.(event)) {
      event.failed = true
      return
    }
    for (const target of targets) this.#add({ event, target })
  }

  #add(waiting: Waiting): void {
    for (let copy = 0; copy < (this.knobs.copies ?? 1); copy++) this.#waiting.push(waiting)
    if (!this.#paused) this.#schedule()
  }

  /** The endpoint that was set by hand, and those made through the API that are enabled and want this type. */
  #targetsOf(event: EventRecord): Target[] {
    const made = Object.values(this.#world.state.webhookEndpoints).filter(
      ({ status, enabledEvents }) =>
        status === 'enabled' && (enabledEvents.includes('*') || enabledEvents.includes(event.type)),
    )
    return [...(this.endpoint ? [{ ...this.endpoint, id: '', apiVersion: null }] : []), ...made]
  }

  /** Holds events back; `resume` sends all of them in one round, which is what reordering needs. */
  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#schedule()
  }

  /** Resolves when nothing waits and nothing is on its way. */
  async settled(timeoutMs = 180_000): Promise<void> {
    const deadline = Date.now() + timeoutMs
    while (this.#running > 0 || (!this.#paused && this.#waiting.length > 0)) {
      if (Date.now() > deadline) throw new Error('Webhook deliveries did not settle.')
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  /** One delivery of any payload, with nothing checked: for tests of the receiver. @returns the HTTP status. */
  async post(payload: string, headers: Record<string, string>): Promise<number> {
    if (!this.endpoint) throw new Error('No webhook endpoint is set.')
    return post(this.endpoint.url, payload, headers)
  }

  close(): void {
    this.#closed = true
    this.#waiting = []
    clearTimeout(this.#timer)
    for (const timer of this.#resting) clearTimeout(timer)
  }

  #schedule(): void {
    if (this.#timer || this.#closed || this.#waiting.length === 0) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      void this.#round()
    }, this.knobs.delayMs ?? 0)
  }

  async #round(): Promise<void> {
    const batch = this.#waiting
    this.#waiting = []
    if (this.knobs.reorderSeed !== undefined) shuffle(batch, this.knobs.reorderSeed)
    this.#running += 1
    try {
      for (const waiting of batch) await this.#deliver(waiting)
    } finally {
      this.#running -= 1
      if (!this.#paused) this.#schedule()
    }
  }

  async #deliver(waiting: Waiting): Promise<void> {
    const { event, target } = waiting
    const retries = this.knobs.retries ?? 5
    for (let attempt = 0; attempt <= retries && !this.#closed; attempt++) {
      const shown = { ...event, apiVersion: target.apiVersion ?? event.apiVersion }
      const payload = JSON.stringify(renderEvent(shown), null, 2)
      const timestamp = Math.floor(Date.now() / 1000) + (this.knobs.timestampSkewSeconds ?? 0)
      const status = await post(target.url, payload, { 'stripe-signature': signature(payload, target, timestamp) })
      this.deliveries.push({ eventId: event.id, endpoint: target.id, type: event.type, status })
      if (status >= 200 && status < 300) {
        event.pendingWebhooks = Math.max(0, event.pendingWebhooks - 1)
        event.failed = false
        this.#world.persist()
        return
      }
      event.failed = true
      await new Promise((resolve) => setTimeout(resolve, RETRY_BASE_MS * 2 ** attempt))
    }
    if (!this.#closed) this.#rest(waiting)
  }

  /** The receiver may only just be starting: Stripe goes on for three days, so an event is not given up either. */
  #rest(waiting: Waiting): void {
    const timer = setTimeout(() => {
      this.#resting.delete(timer)
      const gone = waiting.target.id !== '' && !this.#world.state.webhookEndpoints[waiting.target.id]
      if (!gone && !this.#closed) this.#add(waiting)
    }, this.knobs.restMs ?? REST_MS)
    timer.unref()
    this.#resting.add(timer)
  }
}

/** `t=…,v1=…` over `t.payload`; real time, because the receiver compares it with its own clock. */
export function signature(
  payload: string,
  secrets: Pick<WebhookEndpoint, 'secret' | 'secondSecret'>,
  timestamp: number,
): string {
  const keys = [secrets.secret, secrets.secondSecret].filter((key) => key !== undefined)
  const digests = keys.map((key) => `v1=${createHmac('sha256', key).update(`${timestamp}.${payload}`).digest('hex')}`)
  return [`t=${timestamp}`, ...digests].join(',')
}

/** @returns the status, 0 when nobody answered. */
function post(url: string, payload: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve) => {
    const options = {
      method: 'POST',
      agent: false,
      timeout: ANSWER_WITHIN_MS,
      headers: { 'content-type': 'application/json; charset=utf-8', 'user-agent': 'Stripe/1.0 (sandbox)', ...headers },
    }
    const request = httpRequest(url, options, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode ?? 0))
      response.on('error', () => resolve(0))
    })
    request.on('timeout', () => request.destroy())
    request.on('error', () => resolve(0))
    request.end(payload)
  })
}

/** Fisher–Yates with a small seeded generator, so that a failing order can be had again. */
function shuffle<T>(items: T[], seed: number): void {
  let state = seed >>> 0 || 1
  for (let i = items.length - 1; i > 0; i--) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    const j = state % (i + 1)
    const kept = items[i] as T
    items[i] = items[j] as T
    items[j] = kept
  }
}
