import type { Ctx, Role } from '#app/domain/permissions/permissions.ts'
import { abilityFor } from '#app/domain/permissions/permissions.ts'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { createGatewayToken } from '#app/domain/tokens/create-gateway-token.server.ts'
import { storeSealedKey } from '#app/domain/vault/store-sealed-key.server.ts'
import { identityPrisma, inSystem, inTenant } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'

let serial = 0

export interface TestWorkspace {
  id: string
  slug: string
}

export async function makeWorkspace(
  options: { planId?: string; stripeCustomerId?: string; name?: string } = {},
): Promise<TestWorkspace> {
  const n = ++serial
  const row = {
    id: newId(),
    slug: `workspace-${n}-${process.pid}`,
    name: options.name ?? `Workspace ${n}`,
    planId: options.planId ?? 'enterprise',
  }
  await inSystem((tx) => tx.workspace.create({ data: { ...row, stripeCustomerId: options.stripeCustomerId ?? null } }))
  return { id: row.id, slug: row.slug }
}

/** A person of the workspace, and the context in which they act. `now` may be replaced on the result. */
export async function makeMember(workspaceId: string, role: Role, now: () => Date = () => new Date()): Promise<Ctx> {
  const n = ++serial
  const userId = newId()
  await identityPrisma().user.create({
    data: { id: userId, name: `Person ${n}`, email: `person-${n}-${process.pid}@example.com`, updatedAt: new Date() },
  })
  await inTenant({ workspaceId }, (tx) => tx.member.create({ data: { workspaceId, userId, role } }))
  const ability = abilityFor({ role, workspaceId, isOperator: false })
  return { actor: { kind: 'user', id: userId }, workspaceId, role, ability, now, requestId: newId() }
}

/** A live gateway token's text. */
export async function makeGatewayToken(owner: Ctx, name = 'test token'): Promise<string> {
  return (await createGatewayToken(owner, { name })).token
}

/** Seals a key (or the JSON of a credential with fields) into the workspace without asking a provider. @returns its id */
export async function saveKeyDirectly(
  owner: Ctx,
  sealedText: string,
  provider: ProviderId = 'openrouter',
  keyId?: string,
): Promise<string> {
  const sealing = { ctx: owner, provider, sealedText, verification: 'valid' as const, keyId }
  return (await inTenant({ workspaceId: owner.workspaceId }, (tx) => storeSealedKey(tx, sealing))).keyId
}
