import { AbilityBuilder, createMongoAbility, type MongoAbility, subject } from '@casl/ability'
import type { Clock } from '#app/platform/clock.ts'
import { AppError } from '#app/platform/errors.ts'

export const roles = ['owner', 'billing_admin', 'developer', 'member'] as const
export type Role = (typeof roles)[number]
export const isRole = (text: string): text is Role => (roles as readonly string[]).includes(text)

export const roleNames: Record<Role, string> = {
  owner: 'Owner',
  billing_admin: 'Billing admin',
  developer: 'Developer',
  member: 'Member',
}

type Action = 'read' | 'manage' | 'operate'
type SubjectName =
  | 'Workspace'
  | 'Billing'
  | 'ProviderKey'
  | 'InferenceCall'
  | 'Invoice'
  | 'GatewayToken'
  | 'Member'
  | 'AuditEvent'
  | 'Platform'

/** What a route, an intent or a use case demands. `Manage billing` is `manage:Billing`: the permission on keys. */
export type Permission =
  | 'read:Workspace'
  | 'read:InferenceCall'
  | 'read:ProviderKey'
  | 'manage:Billing'
  | 'read:Invoice'
  | 'read:GatewayToken'
  | 'manage:GatewayToken'
  | 'read:Member'
  | 'manage:Member'
  | 'read:AuditEvent'
  | 'operate:Platform'

const everyMember: Permission[] = ['read:Workspace', 'read:InferenceCall', 'read:ProviderKey', 'read:Member']
const tokens: Permission[] = ['read:GatewayToken', 'manage:GatewayToken']
const billing: Permission[] = ['manage:Billing', 'read:Invoice']

/** The whole policy. A permission holds inside the person's own workspace only. */
export const permissionsByRole: Record<Role, readonly Permission[]> = {
  member: everyMember,
  developer: [...everyMember, ...tokens],
  billing_admin: [...everyMember, ...billing],
  owner: [...everyMember, ...tokens, ...billing, 'manage:Member', 'read:AuditEvent'],
}

export type AppAbility = MongoAbility

export interface Principal {
  role: Role | null
  workspaceId: string | null
  isOperator: boolean
}

/** What this person may do. Without a role and without operator standing: nothing. */
export function abilityFor({ role, workspaceId, isOperator }: Principal): AppAbility {
  const { can, build } = new AbilityBuilder<AppAbility>(createMongoAbility)
  if (role && workspaceId) {
    for (const permission of permissionsByRole[role]) {
      const [action, name] = permission.split(':') as [Action, SubjectName]
      can(action, name, { workspaceId })
    }
  }
  if (isOperator) can('operate', 'Platform')
  return build()
}

export interface Actor {
  kind: 'user' | 'operator' | 'system' | 'token'
  id?: string
}

/** Who is doing what, where and when: the first argument of every use case. */
export interface Ctx {
  actor: Actor & { id: string }
  workspaceId: string
  role: Role | null
  ability: AppAbility
  now: Clock
  requestId: string
}

/** What an operator acts with: no workspace of their own. */
export type OperatorCtx = Omit<Ctx, 'workspaceId' | 'role'>

export function allows(ability: AppAbility, permission: Permission, row: { workspaceId: string }): boolean {
  const [action, name] = permission.split(':') as [Action, SubjectName]
  if (name === 'Platform') return ability.can(action, name)
  // A condition on a field that the row lacks would pass: such a row is a programming error, so fail closed.
  if (!row.workspaceId) throw new Error(`authorize(${permission}) needs the row's workspaceId`)
  return ability.can(action, subject(name, { workspaceId: row.workspaceId }))
}

/**
 * The first line of every use case.
 * @param row the full row that is acted on, or `{ workspaceId }` where it does not exist yet
 * @throws AppError forbidden
 */
export function authorize(ctx: Pick<Ctx, 'ability'>, permission: Permission, row: { workspaceId: string }): void {
  if (!allows(ctx.ability, permission, row)) throw forbidden(permission)
}

const needed: Partial<Record<Permission, string>> = {
  'manage:Billing': 'Only an owner or a billing admin of this workspace can do this. Ask one of them.',
  'manage:GatewayToken': 'Only an owner or a developer of this workspace can do this. Ask one of them.',
  'manage:Member': 'Only an owner of this workspace can do this. Ask an owner.',
}

export const forbidden = (permission: Permission): AppError =>
  new AppError('forbidden', 'forbidden', needed[permission] ?? 'Your role in this workspace does not allow this.', {
    internal: `lacks ${permission}`,
  })
