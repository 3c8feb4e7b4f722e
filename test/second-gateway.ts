import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { afterAll } from 'vitest'
import type { TestDatabase } from './database.ts'
import type { GatewayUnderTest } from './gateway.ts'

const started: ChildProcess[] = []

export interface SecondGateway {
  origin: string
  /** As a power cut would: no goodbye, no clean-up. */
  kill(): Promise<void>
}

/** A gateway in a process of its own, on the same database and the same sandbox. Ended with the file that asked for it. */
export async function startSecondGateway(db: TestDatabase, gateway: GatewayUnderTest): Promise<SecondGateway> {
  const env = db.childEnv({ PROVIDER_BASE_URL_OPENROUTER: gateway.sandbox.baseUrl })
  const script = path.resolve(import.meta.dirname, 'gateway-process.ts')
  const child = spawn(process.execPath, [script], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  started.push(child)
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
  const kill = async () => {
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
  return { origin: JSON.parse(line.toString()).origin, kill }
}

/** Ends them before the database goes. Call it at the top of the file, after `useDatabase`. */
export function endSecondGateways(): void {
  afterAll(async () => {
    for (const child of started.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      const gone = once(child, 'exit')
      child.kill('SIGTERM')
      await gone
    }
  })
}
