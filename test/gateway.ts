import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll } from 'vitest'
import { type Heartbeat, startHeartbeat } from '#app/domain/jobs/heartbeat.server.ts'
import type { Ctx } from '#app/domain/permissions/permissions.ts'
import { checkCredential } from '#app/domain/providers/check-credential.ts'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { forgetAllOpenKeys } from '#app/domain/vault/open-provider-key.server.ts'
import { refreshKeyModels } from '#app/domain/vault/refresh-key-models.server.ts'
import { createGatewayHandler, drainGateway } from '#app/gateway/gateway.server.ts'
import { takeCallsAgain } from '#app/gateway/in-flight.server.ts'
import { env } from '#app/platform/env.server.ts'
import type { TestDatabase } from './database.ts'
import { makeGatewayToken, makeMember, makeWorkspace, saveKeyDirectly } from './factories.ts'
import type { JournalLine } from './sandbox/openrouter/journal.ts'
import { type OpenRouterSandbox, startOpenRouterSandbox } from './sandbox/openrouter/server.ts'
import { sandboxCredential } from './sandbox/providers/credentials.ts'
import { type ProvidersSandbox, startProvidersSandbox } from './sandbox/providers/server.ts'

export const customerKey = `sk-or-v1-${'c0ffee00'.repeat(8)}`

/** A workspace with a token, and a key of its own where it has one. */
export interface Customer {
  owner: Ctx
  workspaceId: string
  token: string
  key: string | null
}

export interface GatewayUnderTest {
  sandbox: OpenRouterSandbox
  /** All other providers. */
  providers: ProvidersSandbox
  /** `http://127.0.0.1:PORT`; the API is below `/v1`. */
  origin: string
}

export async function makeCustomer(options: { key?: string | null; planId?: string } = {}): Promise<Customer> {
  const { key = customerKey, planId = 'enterprise' } = options
  const workspace = await makeWorkspace({ planId })
  const owner = await makeMember(workspace.id, 'owner')
  if (key !== null) await saveKeyDirectly(owner, key)
  return { owner, workspaceId: workspace.id, token: await makeGatewayToken(owner), key }
}

/** A live key of a kind, as the vault seals it. */
export function sealedKey(kind: ProviderId): string {
  if (kind === 'openrouter') return customerKey
  const checked = checkCredential(kind, sandboxCredential(kind))
  if (!checked.ok) throw new Error(checked.message)
  return checked.sealedText
}

/** A workspace that pays its providers itself: a key of each kind named, with the models that it can call listed. */
export async function makePayer(...kinds: ProviderId[]): Promise<Customer & { keyIds: Record<string, string> }> {
  const customer = await makeCustomer({ key: null, planId: 'every-provider' })
  const keyIds: Record<string, string> = {}
  for (const kind of kinds) {
    const keyId = await saveKeyDirectly(customer.owner, sealedKey(kind), kind)
    await refreshKeyModels(customer.workspaceId, keyId, new Date())
    keyIds[kind] = keyId
  }
  return { ...customer, keyIds }
}

/** A sandbox upstream and a gateway in this process, for the tests of one file. */
export function useGateway(db: TestDatabase): GatewayUnderTest {
  const under = {} as GatewayUnderTest
  const server = createServer(createGatewayHandler())
  let heartbeat: Heartbeat
  beforeAll(async () => {
    under.sandbox = await startOpenRouterSandbox()
    under.providers = await startProvidersSandbox()
    db.configure({ PROVIDER_BASE_URL_OPENROUTER: under.sandbox.baseUrl, ...under.providers.settings() })
    await db.owner.query('SELECT metering.ensure_month_partition(current_date)')
    heartbeat = await startHeartbeat('web')
    takeCallsAgain()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    under.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterAll(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    await drainGateway(5_000)
    await heartbeat.stop()
    forgetAllOpenKeys()
    await under.sandbox.close()
    await under.providers.close()
  })
  return under
}

// biome-ignore lint/suspicious/noExplicitAny: rows of many shapes, compared by name
export type Row = Record<string, any>

/** The ledger's rows of a workspace, newest last. Amounts as bigint. */
export async function ledgerOf(db: TestDatabase, workspaceId: string): Promise<Row[]> {
  const { rows } = await db.owner.query(
    'SELECT * FROM metering.inference_calls WHERE workspace_id = $1 ORDER BY dispatched_at, id',
    [workspaceId],
  )
  return rows.map((row) => ({
    ...row,
    raw_cost_pico: row.raw_cost_pico === null ? null : BigInt(row.raw_cost_pico),
    tier_price_pico: row.tier_price_pico === null ? null : BigInt(row.tier_price_pico),
    charge_pico: row.charge_pico === null ? null : BigInt(row.charge_pico),
    input_tokens: row.input_tokens === null ? null : Number(row.input_tokens),
    output_tokens: row.output_tokens === null ? null : Number(row.output_tokens),
  }))
}

export async function openAttemptsOf(db: TestDatabase): Promise<number> {
  const { rows } = await db.owner.query('SELECT count(*)::int AS open FROM metering.attempts')
  return rows[0].open
}

/** Waits for a condition, not for a time. */
export async function until<T>(
  ask: () => Promise<T | false | null | undefined> | T | false | null | undefined,
  what = 'the condition',
  ms = 180_000,
): Promise<T> {
  const deadline = Date.now() + ms
  for (;;) {
    const answer = await ask()
    if (answer) return answer
    if (Date.now() > deadline) throw new Error(`${what} never came true`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

export const lastChat = (sandbox: OpenRouterSandbox): JournalLine => {
  const line = sandbox.chats().at(-1)
  if (!line) throw new Error('nothing reached the sandbox')
  return line
}

export const platformKey = (): string => env().openrouterPlatformKey

/** The pieces of a reply's body as they arrive. */
export async function* piecesOf(response: Response): AsyncGenerator<Buffer> {
  const reader = response.body?.getReader()
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) yield Buffer.from(part.value)
}
