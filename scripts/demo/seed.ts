import { readFileSync } from 'node:fs'
import path from 'node:path'
import type Stripe from 'stripe'
import { grantCredits } from '#app/domain/credits/grant-credits.server.ts'
import { grantMonthlyCredits } from '#app/domain/credits/grant-monthly-credits.server.ts'
import { ensurePartitions, importCalls } from '#app/domain/ledger/record-calls.server.ts'
import { loadCatalogueFile } from '#app/domain/operations/load-catalogue-file.server.ts'
import { refreshCatalogues } from '#app/domain/operations/refresh-catalogues.server.ts'
import { abilityFor, type Ctx, type Role, roleNames, roles } from '#app/domain/permissions/permissions.ts'
import { listPlans } from '#app/domain/plans/queries.server.ts'
import { loadCatalogue } from '#app/domain/pricing/queries.server.ts'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { createGatewayToken } from '#app/domain/tokens/create-gateway-token.server.ts'
import { refreshKeyModels } from '#app/domain/vault/refresh-key-models.server.ts'
import { saveProviderKey } from '#app/domain/vault/save-provider-key.server.ts'
import { createPerson } from '#app/http/create-person.server.ts'
import { monthOf, monthStart } from '#app/platform/calendar-month.ts'
import { inSystem, inTenant } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'
import { sandboxAccessKeyId, sandboxAwsSecret, sandboxKey } from '#test/sandbox/providers/keys.ts'
import { sdkClient } from '#test/sandbox/stripe/sdk-client.ts'
import { closeIntoReview, closeLastMonth } from './close-month.ts'
import { daysOfCalls } from './history.ts'
import type { LocalSystem } from './system.ts'

export const demoPassword = 'keymargin-demo'
export const operatorEmail = 'operator@keymargin.example'
export const demoEmail = (slug: string, role: Role): string => `${role.replace('_', '-')}@${slug}.example`

const DAY_MS = 86_400_000
/** The key that Acme's billing admin saved: a key of the sandbox, of no use anywhere else. */
export const acmeKey = `sk-or-v1-${'5b'.repeat(30)}acme`
const ownKey = (slug: string) => (slug === 'acme' ? acmeKey : `sk-or-v1-${'6c'.repeat(30)}${slug.slice(0, 4)}`)

const people: Record<string, Record<Role, string>> = {
  acme: { owner: 'Ada Okafor', billing_admin: 'Bruno Keller', developer: 'Chen Li', member: 'Dora Nagy' },
  birch: { owner: 'Emil Sand', billing_admin: 'Farah Idris', developer: 'Goran Vuk', member: 'Hana Mori' },
  cedar: { owner: 'Ines Prado', billing_admin: 'Jonas Wirth', developer: 'Kaya Demir', member: 'Lars Holm' },
  dune: { owner: 'Mira Costa', billing_admin: 'Nils Berg', developer: 'Omar Said', member: 'Pia Lund' },
  ember: { owner: 'Quinn Adler', billing_admin: 'Rosa Vidal', developer: 'Sven Falk', member: 'Tara Shah' },
}

const demoWorkspaces = [
  { slug: 'acme', name: 'Acme', planId: 'enterprise', callsPerDay: 190, seed: 11 },
  { slug: 'birch', name: 'Birch', planId: 'pro', callsPerDay: 55, seed: 23 },
  { slug: 'cedar', name: 'Cedar', planId: 'every-provider', callsPerDay: 0, seed: 31 },
  { slug: 'dune', name: 'Dune', planId: 'harness-team', callsPerDay: 0, seed: 43 },
  { slug: 'ember', name: 'Ember', planId: 'markup', callsPerDay: 20, seed: 59 },
] as const

async function seedStripeCatalogue(stripe: Stripe): Promise<Record<string, string>> {
  const prices: Record<string, string> = {}
  for (const [planId, name, cents] of [
    ['plus', 'Plus', 2_000],
    ['pro', 'Pro', 9_900],
    ['enterprise', 'Enterprise', 99_000],
    ['every-provider', 'Every provider', 4_900],
    ['harness-team', 'Harness Team', 19_900],
    ['markup', 'At cost', 500],
  ] as const) {
    const product = await stripe.products.create({ id: `prod_sbx_${planId}`, name })
    prices[planId] = (
      await stripe.prices.create({
        product: product.id,
        currency: 'usd',
        unit_amount: cents,
        recurring: { interval: 'month' },
      })
    ).id
  }
  return prices
}

type DemoWorkspace = (typeof demoWorkspaces)[number]

async function seedWorkspace(demo: DemoWorkspace, stripe: Stripe, price: string): Promise<string> {
  const id = newId()
  const card = 'pm_card_visa'
  const customer = await stripe.customers.create({
    name: demo.name,
    email: demoEmail(demo.slug, 'billing_admin'),
    payment_method: card,
    invoice_settings: { default_payment_method: card },
    metadata: { workspace_id: id },
  })
  const subscription = await stripe.subscriptions.create({ customer: customer.id, items: [{ price }] })
  await inSystem((tx) =>
    tx.workspace.create({
      data: {
        id,
        slug: demo.slug,
        name: demo.name,
        planId: demo.planId,
        stripeCustomerId: customer.id,
        stripeSubscriptionId: subscription.id,
        subscriptionStatus: subscription.status,
      },
    }),
  )
  return id
}

async function seedPeople(workspaceId: string, slug: string): Promise<Record<Role, Ctx>> {
  const contexts: Partial<Record<Role, Ctx>> = {}
  for (const role of roles) {
    const name = people[slug]?.[role] ?? roleNames[role]
    const userId = await createPerson({ name, email: demoEmail(slug, role), password: demoPassword })
    await inTenant({ workspaceId }, (tx) => tx.member.create({ data: { workspaceId, userId, role } }))
    const ability = abilityFor({ role, workspaceId, isOperator: false })
    contexts[role] = {
      actor: { kind: 'user', id: userId },
      workspaceId,
      role,
      ability,
      now: () => new Date(),
      requestId: newId(),
    }
  }
  return contexts as Record<Role, Ctx>
}

interface Seeding {
  demo: DemoWorkspace
  contexts: Record<Role, Ctx>
  /** First day of the history. */
  from: Date
  now: Date
}

const aws = { accessKeyId: sandboxAccessKeyId(), region: 'us-east-1' }

/** Keys of the sandbox, of no use anywhere else: one of each kind of credential. */
const cedarKeys: [ProviderId, string | Record<string, string>][] = [
  ['openai', sandboxKey('openai')],
  ['anthropic', sandboxKey('anthropic')],
  ['crof', sandboxKey('crof')],
  ['groq', sandboxKey('groq')],
  ['bedrock', { ...aws, secretAccessKey: sandboxAwsSecret(aws.accessKeyId) }],
  [
    'azure',
    {
      endpoint: 'https://cedar.openai.azure.com',
      apiKey: sandboxKey('azure'),
      deploymentName: 'gpt-5-mini',
      apiVersion: '2024-10-21',
    },
  ],
]

/** Cedar pays its providers itself, several of them. What each key can call is asked at once: the demo's worker is not up yet. */
async function seedCedar(owner: Ctx): Promise<void> {
  for (const [provider, credential] of cedarKeys) {
    const { keyId } = await saveProviderKey(owner, { provider, credential })
    await refreshKeyModels(owner.workspaceId, keyId, new Date())
  }
}

/** Dune pays by credits, beside a fee while its key is enabled: background surfaces still draw on them. */
async function seedDune({ owner }: Record<Role, Ctx>, now: Date): Promise<void> {
  const { workspaceId } = owner
  const grant = {
    workspaceId,
    kind: 'promotional',
    amountPico: 25_000_000_000_000n,
    reference: 'demo',
    note: 'Trial credits',
    expiresAt: null,
  } as const
  await inSystem((tx) => grantCredits(tx, { ...grant, actor: { kind: 'system' }, at: now }))
  await grantMonthlyCredits(workspaceId, now)
  await saveProviderKey(owner, { provider: 'crof', credential: sandboxKey('crof') })
}

/** The own keys of Acme and Ember pay from about twelve days ago on; Birch's plan has none. */
async function seedKey({ demo, contexts, now }: Seeding): Promise<{ id: string; version: number; since: Date } | null> {
  if (demo.planId !== 'enterprise' && demo.planId !== 'markup') return null
  const thisMonth = monthStart(monthOf(now))
  const since = new Date(Math.max(thisMonth.getTime() + DAY_MS / 2, now.getTime() - 12 * DAY_MS))
  const past = since < now ? since : new Date(now.getTime() - 3_600_000)
  await saveProviderKey(
    { ...contexts.billing_admin, now: () => past },
    { provider: 'openrouter', credential: ownKey(demo.slug) },
  )
  const { workspaceId } = contexts.owner
  const row = await inTenant({ workspaceId }, (tx) => tx.providerKey.findFirstOrThrow({ where: { workspaceId } }))
  // The database notes by its own clock when keys and plans changed; the demo's past is older than that.
  await inSystem((tx) => tx.providerKeyPeriod.updateMany({ where: { workspaceId }, data: { enabledFrom: past } }))
  return { id: row.id, version: row.version, since: past }
}

async function seedHistory(seeding: Seeding, tokenId: string): Promise<number> {
  const { demo, contexts, from, now } = seeding
  const catalogue = await loadCatalogue()
  const plans = await inSystem(listPlans)
  const plan = plans.find((one) => one.id === demo.planId)
  if (!plan) throw new Error(`no plan ${demo.planId}`)
  const past = {
    workspaceId: contexts.owner.workspaceId,
    plan,
    tokenId,
    callsPerDay: demo.callsPerDay,
    from,
    until: now,
    key: await seedKey(seeding),
    seed: demo.seed,
  }
  let calls = 0
  let tokenUsedAt = from
  let keyUsedAt: Date | null = null
  for (const day of daysOfCalls(past, catalogue)) {
    calls += (await importCalls(day)).size
    for (const { keyId, dispatchedAt } of day) {
      if (dispatchedAt > tokenUsedAt) tokenUsedAt = dispatchedAt
      if (keyId && (!keyUsedAt || dispatchedAt > keyUsedAt)) keyUsedAt = dispatchedAt
    }
  }
  await noteLastUse(past.workspaceId, tokenUsedAt, keyUsedAt)
  return calls
}

/** Imported calls leave no trace on a token or a key, for they were made elsewhere; in the demo's story these took and paid them. */
async function noteLastUse(workspaceId: string, tokenUsedAt: Date, keyUsedAt: Date | null): Promise<void> {
  await inSystem(async (tx) => {
    await tx.gatewayToken.updateMany({ where: { workspaceId }, data: { lastUsedAt: tokenUsedAt } })
    if (!keyUsedAt) return
    await tx.providerKey.updateMany({
      where: { workspaceId },
      data: { lastUsedAt: keyUsedAt, lastSuccessAt: keyUsedAt },
    })
  })
}

/** For `/v1/embeddings`: the presets name models that write text. */
const embeddingsModel = {
  id: 'openai/text-embedding-3-small',
  name: 'Text Embedding 3 Small',
  tier: 'cost_effective',
  listInputUsd: '0.00000002',
  listOutputUsd: '0',
  contextLength: 8_192,
} as const

/** Gateway tokens of the workspaces' developers by slug, for the snippets. */
export type DemoTokens = Record<string, string>

const seedFile = (name: string) =>
  JSON.parse(readFileSync(path.resolve(import.meta.dirname, '../../prisma/seed', name), 'utf8'))

/** Loads the catalogue; where there is no workspace yet, makes the demo's five with people, a key and about 30 days of calls. */
export async function seedDemo(system: LocalSystem, say: (line: string) => void): Promise<DemoTokens | null> {
  for (const preset of ['tier-margin', 'pass-through', 'harness-fee', 'credits', 'markup'])
    await loadCatalogueFile(seedFile(`${preset}.json`), new Date())
  const planIds = ['plus', 'pro', 'enterprise', 'every-provider', 'harness-team', 'markup']
  const planProducts = planIds.map((planId) => ({ productId: `prod_sbx_${planId}`, planId }))
  await loadCatalogueFile({ planProducts, models: [embeddingsModel] }, new Date())
  await refreshCatalogues(new Date())
  if (await inSystem((tx) => tx.workspace.count())) return null
  const now = new Date()
  // Far enough back that the month before this one is there to be closed, however early in the month it is.
  const from = new Date(Math.min(now.getTime() - 32 * DAY_MS, monthStart(monthOf(now)).getTime() - 12 * DAY_MS))
  await ensurePartitions([from, now])
  const stripe = sdkClient(system.stripe)
  const prices = await seedStripeCatalogue(stripe)
  const operator = await createPerson({ name: 'Ola Operator', email: operatorEmail, password: demoPassword })
  await inSystem((tx) => tx.operator.create({ data: { userId: operator } }))
  const tokens: DemoTokens = {}
  for (const demo of demoWorkspaces) {
    const workspaceId = await seedWorkspace(demo, stripe, prices[demo.planId] as string)
    const contexts = await seedPeople(workspaceId, demo.slug)
    const { id, token } = await createGatewayToken(
      { ...contexts.developer, now: () => from },
      { name: 'Production app' },
    )
    tokens[demo.slug] = token
    await inSystem((tx) => tx.workspacePlanPeriod.updateMany({ where: { workspaceId }, data: { since: from } }))
    if (demo.slug === 'cedar') {
      await seedCedar(contexts.owner)
      say(`  ${demo.name}: keys of ${cedarKeys.length} providers`)
      continue
    }
    if (demo.slug === 'dune') {
      await seedDune(contexts, now)
      say(`  ${demo.name}: credits, and a key of CrofAI`)
      continue
    }
    const calls = await seedHistory({ demo, contexts, from, now }, id)
    await (demo.slug === 'ember' ? closeIntoReview : closeLastMonth)(workspaceId, now)
    say(`  ${demo.name}: ${calls.toLocaleString('en-US')} calls since ${from.toISOString().slice(0, 10)}`)
  }
  return tokens
}
