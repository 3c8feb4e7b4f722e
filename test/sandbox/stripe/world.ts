/** The state of one sandbox account, its clock and its ids. Operations are synchronous over it, hence atomic. */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type EventRecord, emptyState, type SandboxState } from './records.ts'

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

export interface RequestMark {
  id: string | null
  idempotency_key: string | null
}

export class World {
  readonly state: SandboxState
  readonly apiVersion: string
  /** Where the sandbox listens; hosted invoice pages live there. */
  baseUrl = ''
  /** The request being executed; events name it. */
  request: RequestMark | null = null
  onEvent: (event: EventRecord) => void = () => {}
  readonly #stateFile: string | undefined
  #instant: number | null = null

  constructor(options: { stateFile?: string; apiVersion: string; now?: Date }) {
    this.#stateFile = options.stateFile
    this.apiVersion = options.apiVersion
    this.state = readState(options.stateFile)
    if (options.now) this.setClock(options.now)
  }

  /** Milliseconds. The clock ticks with real time from wherever it was set; a customer's test clock stands still. */
  now(): number {
    return this.#instant ?? Date.now() + this.state.clockOffsetMs
  }

  /** Does something at another instant: of a test clock, or of a moment that was passed over. `null`: the account's own time. */
  at<T>(seconds: number | null, act: () => T): T {
    const kept = this.#instant
    this.#instant = seconds === null ? null : seconds * 1000
    try {
      return act()
    } finally {
      this.#instant = kept
    }
  }

  seconds(): number {
    return Math.floor(this.now() / 1000)
  }

  setClock(to: Date): void {
    this.state.clockOffsetMs = to.getTime() - Date.now()
  }

  advanceClock(milliseconds: number): void {
    this.state.clockOffsetMs += milliseconds
  }

  newId(prefix: string): string {
    let id = ''
    for (const byte of randomBytes(14)) id += ALPHABET[byte % ALPHABET.length]
    return `${prefix}_sbx_${id}`
  }

  /** The fields every new object starts with. */
  base(prefix: string) {
    this.state.sequence += 1
    return { id: this.newId(prefix), created: this.seconds(), sequence: this.state.sequence }
  }

  emit(type: string, object: object, previous?: Record<string, unknown>): EventRecord {
    const event: EventRecord = {
      ...this.base('evt'),
      type,
      data: {
        object: structuredClone(object) as Record<string, unknown>,
        ...(previous && { previous_attributes: previous }),
      },
      livemode: false,
      apiVersion: this.apiVersion,
      request: this.request ?? { id: null, idempotency_key: null },
      pendingWebhooks: 0,
    }
    this.state.events[event.id] = event
    this.onEvent(event)
    return event
  }

  /** Called before an answer leaves: what was answered survives a restart. */
  persist(): void {
    if (!this.#stateFile) return
    const draft = `${this.#stateFile}.${process.pid}.tmp`
    writeFileSync(draft, JSON.stringify(this.state))
    renameSync(draft, this.#stateFile)
  }
}

function readState(file: string | undefined): SandboxState {
  if (!file) return emptyState()
  if (existsSync(file)) return { ...emptyState(), ...(JSON.parse(readFileSync(file, 'utf8')) as SandboxState) }
  mkdirSync(path.dirname(file), { recursive: true })
  return emptyState()
}
