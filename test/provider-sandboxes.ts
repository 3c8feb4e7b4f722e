import { afterAll, beforeAll } from 'vitest'
import { hangUp } from '#app/domain/providers/dispatch-call.server.ts'
import type { TestDatabase } from './database.ts'
import { type OpenRouterSandbox, startOpenRouterSandbox } from './sandbox/openrouter/server.ts'
import { type ProvidersSandbox, startProvidersSandbox } from './sandbox/providers/server.ts'

export interface ProviderSandboxes {
  openrouter: OpenRouterSandbox
  /** All other providers. */
  providers: ProvidersSandbox
}

/** Every provider's sandbox for the tests of one file, and a plan (`enterprise`) that allows keys of all of them. */
export function useProviderSandboxes(db: TestDatabase): ProviderSandboxes {
  const under = {} as ProviderSandboxes
  beforeAll(async () => {
    under.providers = await startProvidersSandbox()
    under.openrouter = await startOpenRouterSandbox()
    db.configure({ ...under.providers.settings(), PROVIDER_BASE_URL_OPENROUTER: under.openrouter.baseUrl })
    await db.owner.query("UPDATE plans SET allowed_providers = '{*}' WHERE id = 'enterprise'")
  })
  afterAll(async () => {
    await hangUp()
    await under.providers.close()
    await under.openrouter.close()
  })
  return under
}
