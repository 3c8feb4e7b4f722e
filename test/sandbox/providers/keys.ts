import { createHash } from 'node:crypto'
import type { ProviderId } from '#app/domain/providers/provider.ts'

/** What the sandbox knows of a key: words in its text decide how it starts out; tests change it later. */
export interface SandboxKey {
  live: boolean
  /** No credit: calls are a 402, balances are zero. */
  empty: boolean
  /** Alive, but without the permission that the provider's own question needs. */
  restricted: boolean
  /** xAI: the key or its team is blocked. */
  blocked: boolean
  /** Azure: only from other networks. */
  firewalled: boolean
  /** Google: the API is off in the key's project. */
  disabled: boolean
  /** Status that questions about the key get in place of their reply. */
  status: number | null
  /** Milliseconds that they wait. */
  delayMs: number
  /** What is left to spend, decimal text in USD. */
  balance: string
}

export const fingerprintOf = (key: string): string => createHash('sha256').update(key).digest('hex')

/** Every key of the sandbox holds this mark, so that a key which somebody made up is none. */
const MARK = 'sbx'

const prefixes: Partial<Record<ProviderId, string>> = {
  openai: 'sk-proj-',
  'openai-responses': 'sk-proj-',
  anthropic: 'sk-ant-api03-',
  google: 'AIza',
  xai: 'xai-',
  deepseek: 'sk-',
  groq: 'gsk_',
  fireworks: 'fw_',
  vercel: 'vck_',
  chutes: 'cpk_',
  nvidia: 'nvapi-',
  morpheus: 'sk-',
  openrouter: 'sk-or-v1-',
}

/** A key of a provider, as it looks there. `word` says how it stands: `live`, `revoked`, `empty`, `restricted`, … */
export function sandboxKey(provider: ProviderId, word = 'live', seed = ''): string {
  const body = fingerprintOf(`${provider} ${word} ${seed}`).slice(0, 24)
  return `${prefixes[provider] ?? ''}${MARK}${word}${body}`
}

/** An access key id of the sandbox's AWS: sixteen letters and digits after AKIA, the word among them. */
export function sandboxAccessKeyId(word = 'LIVE', temporary = false): string {
  return `${temporary ? 'ASIA' : 'AKIA'}${`SBX${word.toUpperCase()}0123456789ABCDEF`.slice(0, 16)}`
}

/** The secret that the sandbox's AWS issued with an access key id. */
export const sandboxAwsSecret = (accessKeyId: string): string =>
  createHash('sha256').update(`secret of ${accessKeyId}`).digest('base64').slice(0, 40)

/** The token that goes with a temporary access key id. */
export const sandboxSessionToken = (accessKeyId: string): string =>
  createHash('sha512').update(`token of ${accessKeyId}`).digest('base64')

function freshKey(text: string): SandboxKey {
  const says = (word: string) => text.toLowerCase().includes(`${MARK}${word}`)
  return {
    live: !says('revoked'),
    empty: says('empty'),
    restricted: says('restricted'),
    blocked: says('blocked'),
    firewalled: says('firewalled'),
    disabled: says('disabled'),
    status: says('broken') ? 503 : says('busy') ? 429 : null,
    delayMs: says('slow') ? 20_000 : 0,
    balance: says('empty') ? '0' : '12.5',
  }
}

export class KeyRing {
  readonly #keys = new Map<string, SandboxKey>()

  /** The state of a key; undefined for a text that the sandbox never issued. */
  find(text: string): SandboxKey | undefined {
    if (!text.toLowerCase().includes(MARK)) return undefined
    const name = fingerprintOf(text)
    const key = this.#keys.get(name) ?? freshKey(text)
    this.#keys.set(name, key)
    return key
  }

  change(text: string, change: Partial<SandboxKey>): void {
    Object.assign(this.find(text) ?? {}, change)
  }
}
