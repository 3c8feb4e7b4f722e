/** Builds the console for production: `npm run build`. `ensureBuilt` builds only where the sources have changed since. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { holdProcessLock } from './process-lock.ts'

const root = path.resolve(import.meta.dirname, '..')
const stamp = path.join(root, 'build/.sources')
const inputs = [
  'app/**/*.{ts,tsx,css,svg}',
  'package-lock.json',
  'remix.config.js',
  'vite.config.ts',
  'prisma/schema.prisma',
]

function sourcesHash(): string {
  const hash = createHash('sha256')
  for (const file of globSync(inputs, { cwd: root }).sort()) {
    if (file.startsWith('app/generated') || file.endsWith('.test.ts')) continue
    hash
      .update(file)
      .update('\0')
      .update(readFileSync(path.join(root, file)))
  }
  return hash.digest('hex')
}

export function build(): void {
  const cli = path.join(root, 'node_modules/@remix-run/dev/dist/cli.js')
  const run = spawnSync(process.execPath, [cli, 'vite:build'], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, NODE_ENV: 'production' },
  })
  if (run.status !== 0) throw new Error(`The build failed:\n${run.stdout}\n${run.stderr}`)
  writeFileSync(stamp, sourcesHash())
}

/** Builds where a build is needed; two that ask at once build once. @returns whether one was needed */
export function ensureBuilt(onNeeded: () => void = () => {}): boolean {
  const release = holdProcessLock(path.join(root, 'node_modules/.cache/keymargin-build.lock'))
  try {
    if (existsSync(stamp) && readFileSync(stamp, 'utf8') === sourcesHash()) return false
    onNeeded()
    build()
    return true
  } finally {
    release()
  }
}

if (import.meta.main) {
  build()
  console.log('Built: build/client, build/server')
}
