import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import type { Generation } from './generations.ts'
import { Journal } from './journal.ts'
import { KeyRing, type KeyState } from './keys.ts'
import type { Scenario } from './scenario.ts'

/** Milliseconds before the first chunk and between chunks. */
export interface Pace {
  firstMs: number
  gapMs: number
}

/** A fault laid out for requests to come: the first `times` chat requests that match get the scenario. */
export interface Fault {
  match?: { model?: string; key?: string }
  scenario: Scenario
  times: number
}

/** An approved code: single use, ten minutes, exchanged for a key against the verifier of its challenge (providers §1.1). */
export interface AuthCode {
  challenge: string
  limit: string | null
  /** Milliseconds since 1970. */
  expiresAt: number
  used: boolean
}

export interface Settings {
  pace: Pace
  /** How long `GET /generation` answers 404 after the generation ended. */
  generationDelayMs: number
  /** Status `GET /generation` answers instead of a record; null for the usual reply. */
  generationStatus: number | null
  /** Whether a client that goes away stops the generation and its bill. Off: the whole of it is billed. */
  cancelStopsBilling: boolean
  /** Send `: OPENROUTER PROCESSING` before the first chunk. */
  processingComment: boolean
  /** The key that an exchanged code is worth; null: a new one each time. */
  mintedKey: string | null
  /** Status `POST /auth/keys` answers instead of a key. */
  exchangeStatus: number | null
  /** In-process only: what `POST /auth/keys` waits for before it answers. */
  exchangeUntil: Promise<unknown> | null
}

interface SavedState {
  keys: KeyState[]
  generations: Generation[]
}

/** Everything one sandbox remembers. With a state file, keys and generations outlive the process. */
export class World {
  readonly keys = new KeyRing()
  readonly generations = new Map<string, Generation>()
  /** Approved codes; they do not outlive the process. */
  readonly codes = new Map<string, AuthCode>()
  readonly faults: Fault[] = []
  readonly journal: Journal
  readonly settings: Settings
  /** Generations that go on after their client left; closing waits for them. */
  readonly running = new Set<Promise<void>>()
  /** Replies that wait for a slow reader. */
  blocked = 0
  readonly #stateFile: string | undefined
  #saving: NodeJS.Timeout | null = null

  constructor(options: { journalFile?: string; stateFile?: string; pace?: Partial<Pace> }) {
    this.journal = new Journal(options.journalFile)
    this.#stateFile = options.stateFile
    this.settings = {
      pace: { firstMs: 0, gapMs: 0, ...options.pace },
      generationDelayMs: 0,
      generationStatus: null,
      cancelStopsBilling: false,
      processingComment: true,
      mintedKey: null,
      exchangeStatus: null,
      exchangeUntil: null,
    }
    if (this.#stateFile && existsSync(this.#stateFile)) this.#load(this.#stateFile)
  }

  takeFault(model: string, key: string): Scenario {
    const at = this.faults.findIndex(({ match }) => (match?.model ?? model) === model && (match?.key ?? key) === key)
    const fault = this.faults[at]
    if (!fault) return {}
    fault.times -= 1
    if (fault.times <= 0) this.faults.splice(at, 1)
    return fault.scenario
  }

  /** Remembers the change on disk within a quarter of a second; a burst of changes is one write. */
  changed(): void {
    if (!this.#stateFile || this.#saving) return
    this.#saving = setTimeout(() => this.save(), 250)
    this.#saving.unref()
  }

  save(): void {
    if (this.#saving) clearTimeout(this.#saving)
    this.#saving = null
    if (!this.#stateFile) return
    const state: SavedState = { keys: [...this.keys.states.values()], generations: [...this.generations.values()] }
    writeFileSync(`${this.#stateFile}.new`, JSON.stringify(state), { mode: 0o600 })
    renameSync(`${this.#stateFile}.new`, this.#stateFile)
  }

  #load(file: string): void {
    const state = JSON.parse(readFileSync(file, 'utf8')) as SavedState
    for (const key of state.keys) this.keys.states.set(key.fingerprint, key)
    for (const generation of state.generations) this.generations.set(generation.id, generation)
  }
}
