/** A migration that was released is never edited: an installation that has applied it would refuse to start. */
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { migrationsFolder, readSeals, sealFaults, sealMigrations } from './migration-checksums.ts'

it('holds for this repository: every migration is listed, none that is listed was edited or removed', () => {
  expect(sealFaults(readSeals(migrationsFolder))).toEqual([])
})

let folder: string
const migration = (name: string) => path.join(folder, name, 'migration.sql')
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'migrations-'))
  for (const name of ['1_first', '2_second']) {
    mkdirSync(path.join(folder, name))
    writeFileSync(migration(name), `-- ${name}\n`)
  }
  writeFileSync(path.join(folder, 'migration_lock.toml'), '')
})
afterEach(() => rmSync(folder, { recursive: true }))

it('names a new one with the command that lists it, which only ever adds', () => {
  expect(sealFaults(readSeals(folder))).toEqual(
    ['1_first', '2_second'].map((name) => `${name} is not listed: npm run db:seal`),
  )
  expect(sealMigrations(folder)).toEqual(['1_first', '2_second'])
  const before = readFileSync(path.join(folder, 'checksums.txt'), 'utf8')
  mkdirSync(path.join(folder, '0_earlier'))
  writeFileSync(migration('0_earlier'), '')
  expect(sealMigrations(folder)).toEqual(['0_earlier'])
  expect(sealMigrations(folder)).toEqual([])
  expect(sealFaults(readSeals(folder))).toEqual([])
  expect(readFileSync(path.join(folder, 'checksums.txt'), 'utf8').startsWith(before)).toBe(true)
})

it('names one that was edited or removed, and lists nothing over it', () => {
  sealMigrations(folder)
  appendFileSync(migration('1_first'), ' ')
  rmSync(path.join(folder, '2_second'), { recursive: true })
  mkdirSync(path.join(folder, '3_third'))
  writeFileSync(migration('3_third'), '')
  const edited = '1_first was edited after its release: take the edit back and write a new migration.'
  const gone = '2_second was released and is gone: bring it back.'
  expect(sealFaults(readSeals(folder))).toEqual([edited, gone, '3_third is not listed: npm run db:seal'])
  expect(() => sealMigrations(folder)).toThrow(`${edited}\n${gone}`)
  expect(readFileSync(path.join(folder, 'checksums.txt'), 'utf8')).not.toContain('3_third')
})
