import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { holdProcessLock } from './process-lock.ts'

describe('a process lock', () => {
  let file: string
  beforeEach(() => {
    file = path.join(mkdtempSync(path.join(os.tmpdir(), 'lock-')), 'lock')
  })
  afterEach(() => rmSync(path.dirname(file), { recursive: true }))

  it('is held by one and given back', () => {
    const release = holdProcessLock(file)
    expect(() => holdProcessLock(file, 60)).toThrow(`held by process ${process.pid}`)
    release()
    expect(existsSync(file)).toBe(false)
    holdProcessLock(file, 60)()
  })

  it('of a killed process is nobody’s', () => {
    const gone = spawnSync(process.execPath, ['-e', ''])
    writeFileSync(file, String(gone.pid))
    holdProcessLock(file, 1_000)()
  })
})
