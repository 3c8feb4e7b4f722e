import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import path from 'node:path'

const PAUSE_MS = 50
const pause = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS)

export function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function tryToHold(file: string): boolean {
  try {
    const handle = openSync(file, 'wx')
    writeSync(handle, String(process.pid))
    closeSync(handle)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return false
  }
}

/** A lock whose holder was killed is nobody's. An empty file is one whose holder is about to write its id. */
function forgetDeadHolder(file: string): void {
  try {
    const holder = readFileSync(file, 'utf8')
    if (holder && !isProcessAlive(Number(holder))) rmSync(file, { force: true })
  } catch {
    // released meanwhile
  }
}

/**
 * Waits until this process alone holds the lock `file`; blocks the thread meanwhile, which start-up work may do.
 * @returns gives it back
 * @throws Error after `waitMs`, naming the process that holds it
 */
export function holdProcessLock(file: string, waitMs = 180_000): () => void {
  mkdirSync(path.dirname(file), { recursive: true })
  const deadline = Date.now() + waitMs
  while (!tryToHold(file)) {
    forgetDeadHolder(file)
    if (Date.now() > deadline) throw new Error(`${file} is held by process ${readFileSync(file, 'utf8')}`)
    pause()
  }
  return () => rmSync(file, { force: true })
}
