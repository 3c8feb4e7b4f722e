import { execFileSync } from 'node:child_process'
import path from 'node:path'
import type { SystemUnderTest } from './system.ts'

/** One of the operator's commands, on the system under test. */
export function runScript(system: SystemUnderTest, [script, ...args]: string[], input = ''): string {
  const file = path.resolve(import.meta.dirname, '../../scripts', script as string)
  return execFileSync(process.execPath, [file, ...args], {
    env: { ...process.env, ...system.settings },
    input,
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}
