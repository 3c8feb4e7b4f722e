/** Every endpoint that a provider's row names is served there, under a saved key, and metered. */
import { expect, test } from 'vitest'
import type { Endpoint, ProviderId } from '#app/domain/providers/provider.ts'
import { allProviders } from '#app/domain/providers/registry.ts'
import { useDatabase } from '#test/database.ts'
import { type Customer, ledgerOf, makePayer, useGateway } from '#test/gateway.ts'
import { catalogues } from '#test/sandbox/providers/catalogue.ts'

const db = useDatabase()
const gateway = useGateway(db)

const post = ({ token }: Customer, provider: ProviderId, path: string, body: object) =>
  fetch(`${gateway.origin}/v1/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, 'x-byok-provider': provider },
    body: JSON.stringify(body),
  })

const rows = allProviders()
  .filter(({ id }) => id !== 'openrouter')
  .flatMap(({ id, routes }) =>
    (['responses', 'embeddings'] as const).filter((at) => routes[at]).map((at) => ({ id, at })),
  )

/** The model that the sandbox sells for an endpoint; of Azure, its deployment, whatever it is called. */
function modelFor(id: ProviderId, at: Endpoint): string {
  const kind = at === 'embeddings' ? 'embedding' : undefined
  const sold = catalogues[id].find((model) => model.kind === kind && !model.retired) ?? catalogues[id][0]
  return sold?.id ?? ''
}

test.each(rows)('$id serves $at', async ({ id, at }) => {
  const customer = await makePayer(id)
  const more = at === 'embeddings' ? { encoding_format: 'float' } : { max_output_tokens: 50 }
  const response = await post(customer, id, at, { model: modelFor(id, at), input: 'hello', ...more })
  const reply = (await response.json()) as { object?: string }
  expect([response.status, reply.object]).toEqual([200, at === 'embeddings' ? 'list' : 'response'])
  const [row] = await ledgerOf(db, customer.workspaceId)
  expect(row).toMatchObject({ provider: id, endpoint: at, status: 'ok', key_source: 'workspace' })
  expect(row?.input_tokens).toBeGreaterThan(0)
})

test('a chat whose client knows only the newer name of the limit is served by a strict provider', async () => {
  const customer = await makePayer('nvidia')
  const messages = [{ role: 'user', content: 'hello' }]
  const body = { model: 'moonshotai/kimi-k2.6', messages, max_completion_tokens: 5, verbosity: null }
  const response = await post(customer, 'nvidia', 'chat/completions', body)
  expect(response.status).toBe(200)
  const sent = JSON.parse(gateway.providers.calls('nvidia').at(-1)?.body ?? '{}')
  expect(sent).toMatchObject({ max_tokens: 5 })
  expect(sent).not.toHaveProperty('max_completion_tokens')
})
