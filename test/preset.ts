/** Common ground of the five presets: a workspace on one of their plans, keys saved as an admin saves them, calls, rows. */
import { expect } from 'vitest'
import { grantCredits } from '#app/domain/credits/grant-credits.server.ts'
import type { Ctx } from '#app/domain/permissions/permissions.ts'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { refreshKeyModels } from '#app/domain/vault/refresh-key-models.server.ts'
import { removeProviderKey } from '#app/domain/vault/remove-provider-key.server.ts'
import { saveProviderKey } from '#app/domain/vault/save-provider-key.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { parsePico } from '#app/platform/pico.ts'
import { type TestDatabase, useDatabase } from './database.ts'
import { makeGatewayToken, makeMember, makeWorkspace } from './factories.ts'
import { customerKey, type GatewayUnderTest, type Row, useGateway } from './gateway.ts'
import type { Scenario } from './sandbox/openrouter/scenario.ts'
import { sandboxCredential } from './sandbox/providers/credentials.ts'

export interface Holder {
  owner: Ctx
  workspaceId: string
  token: string
}

interface Asked {
  surface?: string
  /** `x-byok-provider`. */
  provider?: string
  /** What OpenRouter's sandbox does with the call. */
  scenario?: Scenario
  output?: number
}

export interface Answered {
  status: number
  /** The error's code. */
  code: string | null
  headers: Headers
  /** The call's row in the ledger; undefined where nothing was sent. */
  row: Row | undefined
}

const amounts = ['raw_cost_pico', 'tier_price_pico', 'basis_pico', 'charge_pico', 'credit_pico'] as const

export interface Preset {
  db: TestDatabase
  gateway: GatewayUnderTest
  join(planId: string): Promise<Holder>
  save(holder: Holder, provider: ProviderId): Promise<string>
  remove(holder: Holder, keyId: string): Promise<void>
  ask(holder: Holder, model: string, asked?: Asked): Promise<Answered>
  /** What is left in credits, pico-dollars. */
  credits(holder: Holder): Promise<bigint>
  grant(holder: Holder, usd: string): Promise<void>
}

export const pico = (usd: string): bigint => {
  const value = parsePico(usd)
  if (value === undefined) throw new Error(`${usd} is no amount`)
  return value
}

export function usePreset(): Preset {
  const db = useDatabase()
  const gateway = useGateway(db)
  return {
    db,
    gateway,
    async join(planId) {
      const { id } = await makeWorkspace({ planId })
      const owner = await makeMember(id, 'owner')
      return { owner, workspaceId: id, token: await makeGatewayToken(owner) }
    },
    async save(holder, provider) {
      const credential = provider === 'openrouter' ? customerKey : sandboxCredential(provider)
      const saved = await saveProviderKey(holder.owner, { provider, credential })
      expect(saved.verification).toBe('valid')
      await refreshKeyModels(holder.workspaceId, saved.keyId, new Date())
      return saved.keyId
    },
    remove: async (holder, keyId) => void (await removeProviderKey(holder.owner, { keyId })),
    async ask(holder, model, { surface, provider, scenario, output } = {}) {
      if (scenario) gateway.sandbox.fault({ scenario })
      const response = await fetch(`${gateway.origin}/v1/chat/completions`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${holder.token}`,
          ...(surface ? { 'x-keymargin-surface': surface } : {}),
          ...(provider ? { 'x-byok-provider': provider } : {}),
        },
        body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }], max_tokens: output ?? 500 }),
      })
      const body = (await response.json()) as { error?: { code: string } }
      const id = response.headers.get('x-keymargin-call-id')
      const { rows } = await db.owner.query<Row>(
        'SELECT * FROM metering.calls_now WHERE workspace_id = $1 AND id = $2',
        [holder.workspaceId, id],
      )
      const [row] = rows
      for (const name of amounts) if (row && row[name] !== null) row[name] = BigInt(row[name])
      return { status: response.status, code: body.error?.code ?? null, headers: response.headers, row }
    },
    async credits({ workspaceId }) {
      const { rows } = await db.owner.query(
        'SELECT coalesce(sum(available_pico), 0)::text AS left FROM metering.credit_grants WHERE workspace_id = $1',
        [workspaceId],
      )
      return BigInt(rows[0].left)
    },
    async grant({ workspaceId }, usd) {
      const at = new Date()
      const given = { kind: 'promotional', reference: `test ${at.getTime()}`, expiresAt: null, at } as const
      const granted = await inSystem((tx) =>
        grantCredits(tx, { workspaceId, amountPico: pico(usd), actor: { kind: 'system' }, ...given }),
      )
      expect(granted).toBe(true)
    },
  }
}
