import { createHash } from 'node:crypto'
import { redirect } from '@remix-run/node'
import { abilityFor, type Ctx, isRole, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { systemClock } from '#app/platform/clock.ts'
import { asUser, identityPrisma } from '#app/platform/db.server.ts'
import { notFound } from '#app/platform/errors.ts'
import { auth, SESSION_ABSOLUTE_MS } from './auth.server.ts'

export interface SignedIn {
  userId: string
  name: string
  email: string
  isOperator: boolean
}

/** The person behind the request's cookie, read from the database each time: a revoked session ends at once. */
export async function findSignedIn(request: Request): Promise<SignedIn | null> {
  const session = await auth().api.getSession({ headers: request.headers })
  if (!session) return null
  if (Date.now() - session.session.createdAt.getTime() > SESSION_ABSOLUTE_MS) return null
  const operator = await identityPrisma().operator.findUnique({ where: { userId: session.user.id } })
  return { userId: session.user.id, name: session.user.name, email: session.user.email, isOperator: operator !== null }
}

/** @throws a redirect to the sign-in page that comes back here afterwards */
export async function requireSignedIn(request: Request): Promise<SignedIn> {
  const person = await findSignedIn(request)
  if (person) return person
  const { pathname, search } = new URL(request.url)
  const back = request.method === 'GET' ? `?to=${encodeURIComponent(pathname + search)}` : ''
  throw redirect(`/sign-in${back}`)
}

/**
 * SHA-256 of the request's session token: what binds something to this one session.
 * @throws a redirect to the sign-in page
 */
export async function sessionHash(request: Request): Promise<Buffer> {
  const session = await auth().api.getSession({ headers: request.headers })
  if (!session) throw redirect('/sign-in')
  return createHash('sha256').update(session.session.token).digest()
}

export interface WorkspaceHere {
  id: string
  slug: string
  name: string
  currency: string
  planId: string
  planName: string
  allowedProviders: string[]
  subscriptionStatus: string | null
  subscriptionEndsAt: string | null
}

export interface Doorstep {
  person: SignedIn
  ctx: Ctx
  workspace: WorkspaceHere
}

/** The person's context in the workspace of the URL. @throws AppError not_found, alike for missing and foreign workspaces */
export async function enterWorkspace(request: Request, slug: string | undefined, requestId: string): Promise<Doorstep> {
  const person = await requireSignedIn(request)
  if (slug?.includes('\0')) throw notFound('Workspace') // no name holds one, and PostgreSQL refuses to look for it
  const found = await asUser(person.userId, (tx) =>
    tx.workspace.findFirst({
      where: { slug: slug ?? '', members: { some: { userId: person.userId } } },
      include: { plan: true, members: { where: { userId: person.userId } } },
    }),
  )
  const role = found?.members[0]?.role ?? ''
  if (!found || !isRole(role)) throw notFound('Workspace')
  const ctx: Ctx = {
    actor: { kind: 'user', id: person.userId },
    workspaceId: found.id,
    role,
    ability: abilityFor({ role, workspaceId: found.id, isOperator: false }),
    now: systemClock,
    requestId,
  }
  const workspace = {
    id: found.id,
    slug: found.slug,
    name: found.name,
    currency: found.currency,
    planId: found.planId,
    planName: found.plan.name,
    allowedProviders: found.plan.allowedProviders,
    subscriptionStatus: found.subscriptionStatus,
    subscriptionEndsAt: found.subscriptionEndsAt?.toISOString() ?? null,
  }
  return { person, ctx, workspace }
}

/** An operator's context. @throws AppError not_found for anybody else: the console does not say that it exists */
export async function enterOperatorConsole(
  request: Request,
  requestId: string,
): Promise<{ person: SignedIn; ctx: OperatorCtx }> {
  const person = await requireSignedIn(request)
  if (!person.isOperator) throw notFound('Page')
  const ability = abilityFor({ role: null, workspaceId: null, isOperator: true })
  return { person, ctx: { actor: { kind: 'operator', id: person.userId }, ability, now: systemClock, requestId } }
}

export interface WorkspaceChoice {
  slug: string
  name: string
  plan: string
  role: string
}

/** Workspaces the person belongs to, by name: the switcher. */
export async function listOwnWorkspaces(userId: string): Promise<WorkspaceChoice[]> {
  const rows = await asUser(userId, (tx) =>
    tx.member.findMany({
      where: { userId },
      include: { workspace: { include: { plan: true } } },
      orderBy: { workspace: { name: 'asc' } },
    }),
  )
  return rows.map(({ role, workspace }) => ({
    slug: workspace.slug,
    name: workspace.name,
    plan: workspace.plan.name,
    role,
  }))
}
