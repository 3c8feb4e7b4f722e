import { setTimeout as delay } from 'node:timers/promises'
import type Stripe from 'stripe'
import { createBudget } from '#app/domain/budgets/set-budget.server.ts'
import { abilityFor, type Ctx } from '#app/domain/permissions/permissions.ts'
import { removeProviderKey } from '#app/domain/vault/remove-provider-key.server.ts'
import { saveProviderKey } from '#app/domain/vault/save-provider-key.server.ts'
import { setProviderKey } from '#app/domain/vault/set-provider-key.server.ts'
import { systemClock } from '#app/platform/clock.ts'
import { inSystem, inTenant } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'

/** Daily limits in USD: two that stop calls, and one that only tells. */
export const budgets = [
  { slug: 'birch', limit: '1.50', hard: true },
  { slug: 'ember', limit: '0.60', hard: true },
  { slug: 'acme', limit: '2', hard: false },
]

async function ownerOf(slug: string): Promise<Ctx> {
  const { id: workspaceId } = await inSystem((tx) => tx.workspace.findUniqueOrThrow({ where: { slug } }))
  const { userId } = await inSystem((tx) => tx.member.findFirstOrThrow({ where: { workspaceId, role: 'owner' } }))
  const ability = abilityFor({ role: 'owner', workspaceId, isOperator: false })
  const actor = { kind: 'user' as const, id: userId }
  return { actor, workspaceId, role: 'owner', ability, now: systemClock, requestId: newId() }
}

export async function setBudgets(): Promise<void> {
  for (const { slug, limit, hard } of budgets) {
    const scope = { scope: 'workspace', scopeId: '', period: 'day' } as const
    await createBudget(await ownerOf(slug), { name: 'Storm', limit, hard, countsOwnKey: true, ...scope })
  }
}

const freshKey = () => `sk-or-v1-${Array.from({ length: 8 }, () => newId().slice(-8)).join('')}`

/** Somebody in Acme and somebody in Ember who cannot leave the key alone: replaced, switched off and on, removed, saved. */
export async function changeKeysUntil(end: number): Promise<number> {
  let changes = 0
  for (; Date.now() < end; await delay(2_000 + Math.random() * 3_000)) {
    const ctx = await ownerOf(Math.random() < 0.7 ? 'acme' : 'ember')
    const { workspaceId } = ctx
    const key = await inTenant({ workspaceId }, (tx) => tx.providerKey.findFirst({ where: { workspaceId } }))
    const save = (keyId?: string) => saveProviderKey(ctx, { provider: 'openrouter', credential: freshKey(), keyId })
    const ways = key
      ? [
          () => save(key.id),
          () => setProviderKey(ctx, { keyId: key.id, enabled: false }),
          () => setProviderKey(ctx, { keyId: key.id, enabled: true }),
          () => removeProviderKey(ctx, { keyId: key.id }),
        ]
      : [() => save()]
    const way = ways[Math.floor(Math.random() * ways.length)] as () => Promise<unknown>
    // Refused where the plan holds no keys just now.
    changes += await way().then(
      () => 1,
      () => 0,
    )
  }
  return changes
}

/** Takes Acme off Enterprise and back again at Stripe, as a customer would: its keys are destroyed each time. */
export async function changePlansUntil(end: number, stripe: Stripe): Promise<number> {
  let changes = 0
  for (let planId = 'pro'; ; planId = planId === 'pro' ? 'enterprise' : 'pro') {
    await delay(planId === 'pro' ? 25_000 : 12_000)
    if (Date.now() > end) return changes
    const { data } = await stripe.prices.list({ product: `prod_sbx_${planId}`, limit: 1 })
    const { stripeSubscriptionId } = await inSystem((tx) => tx.workspace.findUniqueOrThrow({ where: { slug: 'acme' } }))
    const { id, items } = await stripe.subscriptions.retrieve(stripeSubscriptionId as string)
    await stripe.subscriptions.update(id, {
      items: [{ id: items.data[0]?.id as string, price: data[0]?.id as string }],
    })
    changes += 1
  }
}
