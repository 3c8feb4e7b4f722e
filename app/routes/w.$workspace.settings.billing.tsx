import type { MetaFunction } from '@remix-run/node'
import { useActionData, useLoaderData } from '@remix-run/react'
import { z } from 'zod'
import { parseCallFilter } from '#app/domain/analytics/analytics.ts'
import { comparePlan } from '#app/domain/analytics/counterfactual.server.ts'
import { getKeyCoverage } from '#app/domain/analytics/key-coverage.server.ts'
import { getPlanLeaving } from '#app/domain/analytics/leaving-plan.server.ts'
import { preflightKey } from '#app/domain/analytics/preflight-key.server.ts'
import { readUsage } from '#app/domain/analytics/queries.server.ts'
import {
  getPaymentState,
  listPlansOnSale,
  listReversals,
  readCheckout,
  refreshFromStripe,
} from '#app/domain/billing/payment-queries.server.ts'
import { getUsageOfMonth, listInvoices } from '#app/domain/billing/queries.server.ts'
import { allows, type Ctx } from '#app/domain/permissions/permissions.ts'
import { loadCatalogue } from '#app/domain/pricing/queries.server.ts'
import { credentialInputs, credentialOfForm } from '#app/domain/providers/credential-form.ts'
import { type ProviderId, providerIds } from '#app/domain/providers/provider.ts'
import { providerOf } from '#app/domain/providers/registry.ts'
import { listModelsOfKey, listProviderKeys, listPurgeCertificates } from '#app/domain/vault/queries.server.ts'
import { removeProviderKey } from '#app/domain/vault/remove-provider-key.server.ts'
import { type SaveKeyInput, saveProviderKey } from '#app/domain/vault/save-provider-key.server.ts'
import { setProviderKey } from '#app/domain/vault/set-provider-key.server.ts'
import {
  allowFallback,
  forbidFallback,
  getGatewaySettings,
  setLowBalance,
  setNeverPlatformKey,
} from '#app/domain/workspaces/change-gateway-settings.server.ts'
import { getWorkspaceMoney } from '#app/domain/workspaces/queries.server.ts'
import { intent, workspaceAction, workspaceLoader } from '#app/http/route.server.ts'
import { type Doorstep, enterWorkspace } from '#app/http/session.server.ts'
import { monthOf } from '#app/platform/calendar-month.ts'
import { env } from '#app/platform/env.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { BillingPage } from '#app/ui/billing/billing-page.tsx'
import {
  type BillingView,
  beforeKeyWords,
  toCertificateRow,
  toInvoiceRow,
  toUsageView,
} from '#app/ui/billing/billing-view.ts'
import type { BillingAnswer } from '#app/ui/billing/keys/keys-panel.tsx'
import {
  type KeysInput,
  type KeysView,
  toCoverage,
  toKeyForm,
  toKeysView,
  toLimits,
  toStop,
} from '#app/ui/billing/keys/keys-view.ts'
import { carriedByKeys } from '#app/ui/billing/keys/money-words.ts'
import { savedKeyMessage } from '#app/ui/billing/keys/saved-key.ts'
import { toLeavingView } from '#app/ui/billing/leaving-view.ts'
import { checkoutWords, type PaymentView, type Said, toPaymentView } from '#app/ui/billing/payment-view.ts'
import { stuckWords, toRoutingView } from '#app/ui/billing/routing-view.ts'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta: MetaFunction = () => [{ title: 'Billing · Keymargin' }]

const allowedOf = ({ allowedProviders }: Doorstep['workspace']): ProviderId[] =>
  allowedProviders.includes('*') ? [...providerIds] : providerIds.filter((id) => allowedProviders.includes(id))

/** What the address asks to open. A plan with one provider has the form for its key open from the start. */
async function loadOpen(ctx: Ctx, input: KeysInput, params: URLSearchParams): Promise<KeysView['open']> {
  const closed = { choosing: false, form: null, limits: null, coverage: null, stop: null }
  const { keys, allowed, canManage, surfaces } = input
  if (!canManage) return closed
  const formOf = (id: ProviderId, old: (typeof keys)[number] | null) => toKeyForm(id, old, env().sandboxKeys[id])
  const named = (name: string) => keys.find((key) => key.id === params.get(name))
  const [replaced, limited, covered, removed, off] = ['replace', 'limits', 'coverage', 'remove', 'off'].map(named)
  const stopped = removed ?? (off?.enabled ? off : undefined)
  const [only, ...more] = allowed
  const single = more.length === 0 && !params.has('add') ? only : undefined
  const added = allowed.find((id) => id === params.get('add')) ?? (keys.length === 0 ? single : undefined)
  const inPlace = replaced ?? (single && keys.length === 1 && !added ? keys[0] : undefined)
  const lonely = stopped && keys.length === 1 && input.rules.workspaceChargeMode !== 'pass_through'
  const carried = lonely ? (await readUsage(ctx, parseCallFilter(new URLSearchParams(), ctx.now()))).workspace : null
  return {
    choosing: params.has('add') || (keys.length === 0 && !single),
    form: inPlace ? formOf(inPlace.provider as ProviderId, inPlace) : added ? formOf(added, null) : null,
    limits: limited ? toLimits(limited, await listModelsOfKey(ctx, limited.id), surfaces) : null,
    coverage: covered ? toCoverage(await getKeyCoverage(ctx, covered.id), covered) : null,
    stop: stopped
      ? toStop(removed ? 'remove-key' : 'switch-key', stopped, input, carriedByKeys(carried, input.rules))
      : null,
  }
}

type OwnKeys = Pick<BillingView, 'keys' | 'routing' | 'stuck'>

async function loadOwnKeys({ ctx, workspace }: Doorstep, params: URLSearchParams): Promise<OwnKeys> {
  const allowed = allowedOf(workspace)
  const canManage = allows(ctx.ability, 'manage:Billing', { workspaceId: ctx.workspaceId })
  const [rules, settings] = await Promise.all([getWorkspaceMoney(ctx), getGatewaySettings(ctx)])
  if (!allowed.length) {
    const sentence = stuckWords(rules.platformChargeMode, settings)
    return { keys: null, routing: null, stuck: sentence ? { sentence, canManage } : null }
  }
  const [keys, { surfaces }] = await Promise.all([listProviderKeys(ctx), loadCatalogue()])
  const paused = workspace.subscriptionStatus === 'paused'
  const endsAt = workspace.subscriptionEndsAt
  const input: KeysInput = { keys, allowed, canManage, paused, rules, endsAt, surfaces, now: ctx.now() }
  return {
    keys: toKeysView(input, await loadOpen(ctx, input, params)),
    routing: toRoutingView({ settings, surfaces, platformChargeMode: rules.platformChargeMode, canManage }),
    stuck: null,
  }
}

async function loadMoney({ ctx, workspace }: Doorstep): Promise<BillingView['money']> {
  if (!allows(ctx.ability, 'read:Invoice', { workspaceId: ctx.workspaceId })) return null
  const [usage, invoices] = await Promise.all([getUsageOfMonth(ctx, monthOf(ctx.now())), listInvoices(ctx)])
  const { workspaceChargeMode, platformChargeMode, workspaceMarkupBp } = await getWorkspaceMoney(ctx)
  const [only, ...more] = allowedOf(workspace)
  const ownKeys = only !== undefined
  const provider = more.length ? null : providerOf(only ?? 'openrouter').name
  const root = `/w/${workspace.slug}`
  return {
    usage: toUsageView(usage, { ownKeys, provider, platformChargeMode, workspaceChargeMode, workspaceMarkupBp }),
    invoices: invoices.map((invoice) => toInvoiceRow(root, invoice)),
  }
}

/** What happened at Stripe's pages, by asking Stripe: an address that somebody typed proves nothing. */
async function lookBack(ctx: Ctx, params: URLSearchParams): Promise<{ asked: boolean; said: Said | null }> {
  const [session, back] = [params.get('checkout'), params.get('back')]
  const asked = session !== null || back === 'checkout' || back === 'portal'
  if (!asked || !allows(ctx.ability, 'manage:Billing', { workspaceId: ctx.workspaceId }))
    return { asked: false, said: null }
  try {
    if (back !== 'portal') return { asked, said: checkoutWords(await readCheckout(ctx, session)) }
    await refreshFromStripe(ctx)
    return { asked, said: null }
  } catch (error) {
    if (!(error instanceof AppError) || error.kind !== 'upstream') throw error
    return { asked, said: { tone: 'yellow', text: error.message } }
  }
}

async function loadPayment({ ctx, workspace }: Doorstep, outcome: Said | null): Promise<PaymentView | null> {
  const may = (permission: 'read:Invoice' | 'manage:Billing') =>
    allows(ctx.ability, permission, { workspaceId: ctx.workspaceId })
  if (!may('read:Invoice')) return null
  const canManage = may('manage:Billing')
  const [state, plans, reversals] = await Promise.all([getPaymentState(ctx), listPlansOnSale(ctx), listReversals(ctx)])
  return toPaymentView({ root: `/w/${workspace.slug}`, state, plans, reversals, outcome, canManage })
}

export const loader = workspaceLoader('read:ProviderKey', async (door, { request, params: { workspace: slug } }) => {
  const params = new URL(request.url).searchParams
  // First: what Stripe says may change the plan that the rest of the page is about.
  const outcome = await lookBack(door.ctx, params)
  const here = outcome.asked ? await enterWorkspace(request, slug, door.ctx.requestId) : door
  const payment = await loadPayment(here, outcome.said)
  const [ownKeys, money, certificates, leaving] = await Promise.all([
    loadOwnKeys(here, params),
    loadMoney(here),
    listPurgeCertificates(here.ctx),
    getPlanLeaving(here.ctx),
  ])
  const root = `/w/${here.workspace.slug}`
  const rows = certificates.map((certificate) => toCertificateRow(root, certificate))
  return {
    planName: here.workspace.planName,
    ...ownKeys,
    payment,
    money,
    certificates: rows,
    leaving: leaving && toLeavingView(leaving, (await loadCatalogue()).surfaces, here.ctx.now()),
    beforeKey:
      ownKeys.keys?.groups.length === 0 ? beforeKeyWords(await comparePlan(here.ctx), here.workspace.currency) : null,
  } satisfies BillingView
})

const demand = 'manage:Billing' as const
const provider = z.enum(providerIds)
const keyId = z.string()
const inputs = Object.fromEntries(credentialInputs.map((name) => [name, z.string().optional()])) as Record<
  (typeof credentialInputs)[number],
  z.ZodOptional<z.ZodString>
>

/** Saves, and says what it changes in money and which of the models in use the key cannot call. */
async function save(ctx: Ctx, input: SaveKeyInput) {
  const saved = await saveProviderKey(ctx, input)
  return {
    ...savedKeyMessage(saved, input.provider, await getWorkspaceMoney(ctx)),
    coverage: toCoverage(await preflightKey(ctx, saved.keyId), { hint: saved.hint }),
  }
}

/** Words or lines of a field as a list. */
const wordsOf = (text: string): string[] => text.split(/[\s,]+/).filter((word) => word !== '')
const done = (message: string) => ({ message })

const keyIntents = {
  'save-key': intent({
    demand,
    // as long as the form may be: how long a key may be is checked, and explained, by its own format
    schema: z.strictObject({ provider, keyId: keyId.optional(), name: z.string().optional(), ...inputs }),
    run: (ctx: Ctx, { provider, keyId, name, ...given }) =>
      save(ctx, { provider, keyId, name, credential: credentialOfForm(provider, given) }),
  }),
  'save-key-json': intent({
    demand,
    schema: z.strictObject({ provider, keyId: keyId.optional(), json: z.string() }),
    run: (ctx: Ctx, { provider, keyId, json }) => save(ctx, { provider, keyId, credential: json }),
  }),
  'switch-key': intent({
    demand,
    schema: z.strictObject({ keyId, to: z.enum(['on', 'off']) }),
    run: async (ctx: Ctx, { keyId, to }) => {
      await setProviderKey(ctx, { keyId, enabled: to === 'on' })
      const off = 'Key switched off. It is kept, and no call uses it.'
      return done(to === 'on' ? 'Key switched on. Calls may use it from now on.' : off)
    },
  }),
  'move-key': intent({
    demand,
    schema: z.strictObject({
      keyId,
      position: z
        .string()
        .regex(/^\d{1,3}$/)
        .transform(Number),
    }),
    run: async (ctx: Ctx, input) => {
      await setProviderKey(ctx, input)
      return done('Order changed. The first key that may take a call takes it.')
    },
  }),
  'limit-key': intent({
    demand,
    schema: z.strictObject({ keyId, name: z.string(), models: z.string(), surfaces: z.string() }),
    run: async (ctx: Ctx, { keyId, name, models, surfaces }) => {
      const limits = { allowedModels: wordsOf(models), allowedSurfaces: wordsOf(surfaces) }
      await setProviderKey(ctx, { keyId, name, ...limits })
      return done('Saved. The next call is decided by it.')
    },
  }),
  'remove-key': intent({
    demand,
    schema: z.strictObject({ keyId }),
    run: async (ctx: Ctx, input) => {
      await removeProviderKey(ctx, input)
      return done('Key removed. Revoke it at its provider too, if nothing else uses it.')
    },
  }),
}

const routingIntents = {
  'set-never-platform': intent({
    demand,
    schema: z.strictObject({ to: z.enum(['on', 'off']) }),
    run: async (ctx: Ctx, { to }) => {
      await setNeverPlatformKey(ctx, { on: to === 'on' })
      const off = 'Calls without a usable key of yours run on the platform key again.'
      return done(to === 'on' ? 'No call runs on the platform key any more.' : off)
    },
  }),
  'set-low-balance': intent({
    demand,
    schema: z.strictObject({ lowBalanceUsd: z.string() }),
    run: async (ctx: Ctx, { lowBalanceUsd }) => {
      await setLowBalance(ctx, { usd: lowBalanceUsd })
      return done('Threshold saved.')
    },
  }),
  'allow-fallback': intent({
    demand,
    schema: z.strictObject({ surface: z.string(), dailyCapUsd: z.string() }),
    run: async (ctx: Ctx, input) => {
      await allowFallback(ctx, input)
      return done('Fall-back allowed, up to the limit you set.')
    },
  }),
  'forbid-fallback': intent({
    demand,
    schema: z.strictObject({ surface: z.string() }),
    run: async (ctx: Ctx, input) => {
      await forbidFallback(ctx, input)
      return done('Fall-back stopped. Refused calls of this surface fail from now on.')
    },
  }),
}

export const action = workspaceAction({ ...keyIntents, ...routingIntents })

export default function Billing() {
  return <BillingPage view={useLoaderData<BillingView>()} answer={useActionData<BillingAnswer>()} />
}
