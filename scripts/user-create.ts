/**
 * Makes an account, and where named a workspace and a role in it. For the first people of an installation:
 *   npm run user:create -- --email ada@example.com --name "Ada Okafor" --operator
 *   npm run user:create -- --email bo@example.com --name "Bo Sand" --workspace acme --role owner [--workspace-name Acme --plan enterprise --stripe-customer cus_…]
 * The password is read from standard input, so that it stands in no shell history. Somebody who has an account already keeps
 * it, and comes into the workspace, or becomes an operator, beside what they are.
 */
import { text } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { isRole, roles } from '#app/domain/permissions/permissions.ts'
import { createPerson } from '#app/http/create-person.server.ts'
import { inSystem, type Tx } from '#app/platform/db.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { newId } from '#app/platform/ids.ts'
import { runCommand } from './command.ts'

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

/** Looked at before anybody is made: a person who is left without the workspace has an address that is taken at the second try. */
async function requirePossible(tx: Tx, slug: string, { plan, 'stripe-customer': customer }: Values): Promise<void> {
  const found = await tx.workspace.findUnique({ where: { slug } })
  if (found && customer && found.stripeCustomerId !== customer)
    throw wrong(`There is a workspace ${slug} already. Its customer is changed with npm run stripe:customer.`)
  if (found) return
  if (!plan)
    throw wrong(`There is no workspace ${slug}. To make it, name its plan: --plan enterprise --workspace-name "…"`)
  if (!/^[a-z0-9][a-z0-9-]{1,38}$/.test(slug))
    throw wrong('A workspace’s short name has 2 to 39 lower-case letters, digits and dashes.')
  if (!(await tx.plan.findUnique({ where: { id: plan } }))) throw wrong(`There is no plan ${plan}.`)
  if (customer === undefined) return
  if (!/^cus_\w{1,250}$/.test(customer)) throw wrong('Name a customer as cus_….')
  const held = await tx.stripeCustomer.findUnique({ where: { id: customer }, include: { workspace: true } })
  if (held) throw wrong(`${customer} is, or was, the customer of ${held.workspace.slug}.`)
}

/** What an account that there is already can still be given. */
async function requireNews(tx: Tx, { id, email }: { id: string; email: string }, values: Values): Promise<void> {
  const { workspace: slug, operator } = values
  if (!slug && !operator)
    throw wrong(`${email} has an account already. Say what to add: --workspace acme --role member, or --operator.`)
  if (slug && (await tx.member.findFirst({ where: { userId: id, workspace: { slug } } })))
    throw wrong(`${email} is in ${slug} already. Roles are changed under Settings → Members.`)
  if (operator && (await tx.operator.findUnique({ where: { userId: id } })))
    throw wrong(`${email} is an operator already.`)
}

async function newPerson(email: string, name: string): Promise<string> {
  process.stderr.write('Password (12 characters or more), then Ctrl-D: ')
  return createPerson({ email, name, password: (await text(process.stdin)).trim() })
}

async function workspaceOf(tx: Tx, slug: string, values: Values): Promise<string> {
  const found = await tx.workspace.findUnique({ where: { slug } })
  if (found) return found.id
  const id = newId()
  const name = values['workspace-name'] ?? slug
  const plan = values.plan as string
  await tx.workspace.create({
    data: { id, slug, name, planId: plan, stripeCustomerId: values['stripe-customer'] ?? null },
  })
  await recordAudit(tx, {
    workspaceId: id,
    actor: { kind: 'system' },
    action: 'workspace.created',
    subjectType: 'workspace',
    subjectId: id,
    detail: { slug, plan },
    at: new Date(),
  })
  return id
}

function readArguments() {
  const { values } = parseArgs({ options })
  const { email, name, role } = values
  if (!email || !name) throw wrong('Name the person: --email ada@example.com --name "Ada Okafor"')
  if (values.workspace && (!role || !isRole(role)))
    throw wrong(`Say what the person is in the workspace: --role ${roles.join('|')}`)
  return { ...values, email, name, role }
}

const USAGE =
  'Usage: npm run user:create -- --email ADDRESS --name NAME [--operator] [--workspace SLUG --role ROLE [--workspace-name NAME --plan ID --stripe-customer cus_…]]'

await runCommand(USAGE, readArguments, async ({ email, name, role, ...values }) => {
  const { workspace } = values
  if (workspace) await inSystem((tx) => requirePossible(tx, workspace, values))
  const known = await inSystem((tx) => tx.user.findUnique({ where: { email: email.trim().toLowerCase() } }))
  if (known) await inSystem((tx) => requireNews(tx, known, values))
  const userId = known?.id ?? (await newPerson(email, name))
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
  console.log(known ? `${email} keeps their account and password.` : `\n${email} can sign in now.`)
})
