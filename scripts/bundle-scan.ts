/**
 * What reaches a browser holds no server module, no sealed field, no secret; and no part of the sandbox is in the build.
 * Run on build/ after `npm run build`.
 */
import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { isMainThread } from 'node:worker_threads'

const root = path.resolve(import.meta.dirname, '..')

/** Each with why it must not be in a client file. */
const forbiddenInClient: [RegExp, string][] = [
  [/\.server[."'/]/, 'name of a server module'],
  [/ciphertext|associatedData|dataKeyId/, 'field of a sealed key'],
  [/crypto_aead|libsodium|argon2/, 'cryptography of the vault'],
  [/process\.env|SECRETS_PHRASE|DATABASE_URL/, 'server settings'],
  [/graphile|PrismaClient|set_config/, 'database access'],
  [/sk_(live|test)_\w|whsec_\w|sk-or-v1-[0-9a-f]{8}/, 'a secret'],
  [/sourceMappingURL/, 'a source map'],
]
const forbiddenInServer: [RegExp, string][] = [
  [/startStripeSandbox|startOpenRouterSandbox|_sandbox\//, 'part of the sandbox'],
  [/keymargin-demo|sk-or-v1-[0-9a-f]{16}/, 'a demo credential'],
]

export interface Finding {
  file: string
  why: string
}

const scan = (files: string[], rules: [RegExp, string][]): Finding[] =>
  files.flatMap((file) => {
    const text = readFileSync(path.join(root, file), 'utf8')
    return rules.filter(([pattern]) => pattern.test(text)).map(([, why]) => ({ file, why }))
  })

export function scanBuild(): { files: number; findings: Finding[] } {
  const client = globSync('build/client/**/*.{js,css,json,html,map}', { cwd: root })
  const server = globSync('build/server/**/*.js', { cwd: root })
  if (!client.length || !server.length) throw new Error('There is no build to scan: run `npm run build` first.')
  return {
    files: client.length + server.length,
    findings: [...scan(client, forbiddenInClient), ...scan(server, forbiddenInServer)],
  }
}

/** The scan must find what it looks for: each rule is tried on a text that breaks it. */
export function selfTest(): void {
  const planted = [
    '"./open-vault.server.ts"',
    'ciphertext',
    'argon2',
    'process.env',
    'PrismaClient',
    'whsec_x',
    '//# sourceMappingURL=x',
  ]
  for (const [at, [pattern, why]] of forbiddenInClient.entries())
    if (!pattern.test(planted[at] ?? '')) throw new Error(`the bundle scan no longer finds ${why}`)
}

if (import.meta.main && isMainThread) {
  selfTest()
  const { files, findings } = scanBuild()
  for (const { file, why } of findings) console.error(`${file}: holds ${why}`)
  console.log(`${files} built files scanned, ${findings.length} findings`)
  process.exit(findings.length ? 1 : 0)
}
