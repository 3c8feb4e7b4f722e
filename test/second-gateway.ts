import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { afterAll } from 'vitest'
import type { TestDatabase } from './database.ts'
import type { GatewayUnderTest } from './gateway.ts'

const started: ChildProcess[] = []

/** A gateway in a process of its own, on the same database and the same sandbox. Ended with the file that asked for it. */
export async function startSecondGateway(db: TestDatabase, gateway: GatewayUnderTest): Promise<string> {
  const env = db.childEnv({ PROVIDER_BASE_URL_OPENROUTER: gateway.sandbox.baseUrl })
  const script = path.resolve(import.meta.dirname, 'gateway-process.ts')
  const child = spawn(process.execPath, [script], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  started.push(child)
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
  return JSON.parse(line.toString()).origin
}

/** Ends them before the database goes. Call it at the top of the file, after `useDatabase`. */
export function endSecondGateways(): void {
  afterAll(async () => {
    for (const child of started.splice(0)) {
      const gone = once(child, 'exit')
      child.kill('SIGTERM')
      if (child.exitCode === null && child.signalCode === null) await gone
    }
  })
}
