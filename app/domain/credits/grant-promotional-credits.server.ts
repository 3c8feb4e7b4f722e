import { authorize, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { type Pico, parsePico } from '#app/platform/pico.ts'
import { grantCredits } from './grant-credits.server.ts'

export interface PromotionalGrant {
  /** The workspace's slug, as its address shows it. */
  workspace: string
  /** As typed: USD. */
  usd: string
  /** For how many days they last, as typed; empty: they never expire. */
  days: string
  /** Why: the workspace reads it, and it stands in the audit trail. */
  note: string
  /** Made with the form: the same form sent twice grants once. */
  formId: string
}

const longestNote = 200
const DAY_MS = 86_400_000
const largestPico = 100_000n * 1_000_000_000_000n

const refuse = (field: string, text: string) => new AppError('bad_request', 'invalid_grant', text, { field })

function readAmount(text: string): Pico {
  const pico = /^\d{1,6}(\.\d{1,6})?$/.test(text.trim()) ? parsePico(text.trim()) : undefined
  if (pico === undefined || pico <= 0n || pico > largestPico)
    throw refuse('usd', 'Enter an amount in dollars above 0 and up to 100,000, such as 5 or 12.50.')
  return pico
}

function readDays(text: string, at: Date): Date | null {
  if (text.trim() === '') return null
  const days = /^\d{1,4}$/.test(text.trim()) ? Number(text) : 0
  if (days < 1 || days > 3_650) throw refuse('days', 'Enter a number of days from 1 to 3650, or nothing.')
  return new Date(at.getTime() + days * DAY_MS)
}

/**
 * Gives a workspace credits that nobody paid for, with the reason in the audit trail of both sides.
 * @throws AppError bad_request `invalid_grant`
 */
export async function grantPromotionalCredits(
  ctx: OperatorCtx,
  given: PromotionalGrant,
): Promise<{ granted: boolean }> {
  authorize(ctx, 'operate:Platform', { workspaceId: '*' })
  const at = ctx.now()
  const amountPico = readAmount(given.usd)
  const expiresAt = readDays(given.days, at)
  const note = given.note.trim()
  if (!note || note.length > longestNote) throw refuse('note', `Say why, in at most ${longestNote} characters.`)
  if (!/^[\w-]{8,64}$/.test(given.formId)) throw refuse('formId', 'Reload the page and try again.')
  return inSystem(async (tx) => {
    const workspace = await tx.workspace.findUnique({ where: { slug: given.workspace.trim() }, select: { id: true } })
    if (!workspace) throw refuse('workspace', 'There is no workspace of this name.')
    const reference = `operator:${given.formId}`
    const actor = { ...ctx.actor, kind: 'operator' as const }
    const grant = {
      workspaceId: workspace.id,
      kind: 'promotional',
      amountPico,
      reference,
      expiresAt,
      actor,
      note,
      at,
    } as const
    return { granted: await grantCredits(tx, grant) }
  })
}
