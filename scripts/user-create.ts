/**
 * Makes an account, and where named a workspace and a role in it. For the first people of an installation:
 *   npm run user:create -- --email ada@example.com --name "Ada Okafor" --operator
 *   npm run user:create -- --email bo@example.com --name "Bo Sand" --workspace acme --role owner [--workspace-name Acme --plan enterprise --stripe-customer cus_…]
 * The password is read from standard input, so that it stands in no shell history.
 */
import { text } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { isRole, roles } from '#app/domain/permissions/permissions.ts'
import { openVault } from '#app/domain/vault/open-vault.server.ts'
import { createPerson } from '#app/http/create-person.server.ts'
import { closeDatabase, inSystem, type Tx } from '#app/platform/db.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { newId } from '#app/platform/ids.ts'
import { openSettings } from './settings.ts'

const options = {
  email: { type: 'string' },
  name: { type: 'string' },
  operator: { type: 'boolean', default: false },
  workspace: { type: 'string' },
  role: { type: 'string' },
  'workspace-name': { type: 'string' },
  plan: { type: 'string' },
  'stripe-customer': { type: 'string' },
} as const
type Values = ReturnType<typeof parseArgs<{ options: typeof options }>>['values']

const wrong = (message: string) => new AppError('bad_request', 'usage', message)

async function workspaceOf(tx: Tx, slug: string, values: Values): Promise<string> {
  const found = await tx.workspace.findUnique({ where: { slug } })
  if (found) return found.id
  if (!values.plan)
    throw wrong(`There is no workspace ${slug}. To make it, name its plan: --plan enterprise --workspace-name "…"`)
  if (!/^[a-z0-9][a-z0-9-]{1,38}$/.test(slug))
    throw wrong('A workspace’s short name has 2 to 39 lower-case letters, digits and dashes.')
  const id = newId()
  const name = values['workspace-name'] ?? slug
  await tx.workspace.create({
    data: { id, slug, name, planId: values.plan, stripeCustomerId: values['stripe-customer'] ?? null },
  })
  await recordAudit(tx, {
    workspaceId: id,
    actor: { kind: 'system' },
    action: 'workspace.created',
    subjectType: 'workspace',
    subjectId: id,
    detail: { slug, plan: values.plan },
    at: new Date(),
  })
  return id
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options })
  const { email, name, role } = values
  if (!email || !name) throw wrong('Name the person: --email ada@example.com --name "Ada Okafor"')
  if (values.workspace && (!role || !isRole(role)))
    throw wrong(`Say what the person is in the workspace: --role ${roles.join('|')}`)
  const done = await openSettings()
  try {
    await openVault()
    process.stderr.write('Password (12 characters or more), then Ctrl-D: ')
    const userId = await createPerson({ email, name, password: (await text(process.stdin)).trim() })
    await inSystem(async (tx) => {
      if (values.operator) {
        await tx.operator.create({ data: { userId } })
        await recordAudit(tx, {
          workspaceId: null,
          actor: { kind: 'system' },
          action: 'operator.added',
          subjectType: 'user',
          subjectId: userId,
          detail: { email },
          at: new Date(),
        })
      }
      if (!values.workspace || !role) return
      const workspaceId = await workspaceOf(tx, values.workspace, values)
      await tx.member.create({ data: { workspaceId, userId, role } })
      await recordAudit(tx, {
        workspaceId,
        actor: { kind: 'system' },
        action: 'member.added',
        subjectType: 'user',
        subjectId: userId,
        detail: { email, role },
        at: new Date(),
      })
    })
    console.log(`\n${email} can sign in now.`)
  } finally {
    await closeDatabase()
    await done()
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof AppError ? error.message : error)
  process.exitCode = 1
})
