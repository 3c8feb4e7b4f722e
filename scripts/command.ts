import { ZodError } from 'zod'
import { openVault } from '#app/domain/vault/open-vault.server.ts'
import { closeDatabase } from '#app/platform/db.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { openSettings } from './settings.ts'

/** The command was written wrongly: its usage is told. */
export class UsageError extends Error {}

/** What PostgreSQL, Prisma and the network say of a database that cannot be used, and what its owner does about it. */
const databaseTrouble: [codes: string[], told: string][] = [
  [
    ['P1001', 'P1002', 'P1017', 'ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT', 'EHOSTUNREACH'],
    'The database does not answer. Look at DATABASE_URL, and whether PostgreSQL runs there.',
  ],
  [['P1000', 'P1010', '28P01', '28000'], 'The database refuses the login that DATABASE_URL names.'],
  [['P1003', '3D000'], 'The database that DATABASE_URL names does not exist.'],
  [['P2021', '42P01', '3F000'], 'The database has no tables of Keymargin yet. Run npm run db:migrate first.'],
]

/** Files that a command was pointed at. */
const fileTrouble = new Set(['ENOENT', 'EACCES', 'EISDIR', 'EEXIST'])

/**
 * What whoever runs a command can do something about, in words; null for what nobody expected, which is worth its whole trace.
 */
export function explain(error: unknown): string | null {
  if (error instanceof ZodError)
    return error.issues.map((issue) => `${issue.path.join('.') || 'file'}: ${issue.message}`).join('\n')
  if (!(error instanceof Error)) return null
  const { code = '' } = error as NodeJS.ErrnoException
  if (/role "keymargin_/.test(error.message))
    return 'The login that DATABASE_URL names may not act for Keymargin: grant it the two roles (docs/operations.md, Roles).'
  const trouble = databaseTrouble.find(([codes]) => codes.includes(code))
  if (trouble) return trouble[1]
  const expected = error instanceof AppError || error instanceof RangeError || error instanceof SyntaxError
  // Its class is inside of billing; its message names the call and what Stripe said, and nothing that was sent.
  if (error.name === 'StripeCallError') return error.message
  return expected || error.constructor === Error || fileTrouble.has(code) ? error.message : null
}

function tell(error: unknown, usage: string): void {
  const isUsage = error instanceof UsageError || String((error as { code?: string }).code).startsWith('ERR_PARSE_ARGS')
  process.exitCode = 1
  if (isUsage) console.error([(error as Error).message.split('. To specify')[0], usage].filter(Boolean).join('\n'))
  else console.error(explain(error) ?? error)
}

/**
 * One of the operator's commands: looks at its arguments, opens settings and vault, works, and closes what it opened. What goes
 * wrong is told in a line that says what to do, or with the usage where it was written wrongly, and the exit code is 1.
 * @param readArguments throws UsageError; what util.parseArgs throws is taken for one
 */
export async function runCommand<Given>(
  usage: string,
  readArguments: () => Given,
  work: (given: Given) => Promise<void>,
): Promise<void> {
  try {
    const given = readArguments()
    const close = await openSettings()
    try {
      await openVault()
      await work(given)
    } finally {
      await closeDatabase().finally(close)
    }
  } catch (error) {
    tell(error, usage)
  }
}
