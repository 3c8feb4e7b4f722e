import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { resolveStateDir } from '../postgres/embedded.ts'

/** Everything a local system keeps: one folder, which `--fresh` empties. */
export interface LocalState {
  dir: string
  postgresDir: string
  stripeStateFile: string
  openrouterStateFile: string
  openrouterJournalFile: string
  has(name: string): boolean
  /** A file of this name that holds one secret, made at first use. */
  secret(name: string, make?: () => string): string
}

export function localState(name: 'demo' | 'dev' | 'e2e' | 'storm'): LocalState {
  const dir = resolveStateDir(path.resolve(import.meta.dirname, '../../.keymargin', name))
  mkdirSync(dir, { recursive: true, mode: 0o755 })
  return {
    dir,
    postgresDir: path.join(dir, 'postgres'),
    stripeStateFile: path.join(dir, 'stripe.json'),
    openrouterStateFile: path.join(dir, 'openrouter.json'),
    openrouterJournalFile: path.join(dir, 'openrouter.jsonl'),
    has: (file) => existsSync(path.join(dir, file)),
    secret(file, make = () => randomBytes(48).toString('base64')) {
      const at = path.join(dir, file)
      if (!existsSync(at)) writeFileSync(at, make(), { mode: 0o600 })
      return readFileSync(at, 'utf8')
    },
  }
}

export function forgetLocalState(state: LocalState): void {
  rmSync(state.dir, { recursive: true, force: true })
  mkdirSync(state.dir, { recursive: true, mode: 0o755 })
}
