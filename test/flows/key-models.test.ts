import { afterEach, expect, test, vi } from 'vitest'
import type { AdmissionKey } from '#app/gateway/admission.server.ts'
import { modelsOfKey } from '#app/gateway/key-models.server.ts'
import { systemPool } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'
import { useDatabase } from '#test/database.ts'
import { makeMember, makeWorkspace, saveKeyDirectly } from '#test/factories.ts'

const db = useDatabase()

afterEach(() => void vi.restoreAllMocks())

async function keyWithoutList(): Promise<{
  workspaceId: string
  key: AdmissionKey
  list: (id: string) => Promise<void>
}> {
  const { id: workspaceId } = await makeWorkspace()
  const id = await saveKeyDirectly(await makeMember(workspaceId, 'owner'), `sk-or-v1-${newId()}`)
  const key: AdmissionKey = { id, provider: 'openrouter', version: 1, allowedModels: [], allowedSurfaces: [] }
  const list = async (model: string) =>
    void (await db.owner.query(
      'INSERT INTO provider_key_models (workspace_id, key_id, key_version, models, fetched_at) VALUES ($1, $2, 1, $3, now())',
      [workspaceId, id, [model]],
    ))
  return { workspaceId, key, list }
}

const asked = (query: ReturnType<typeof countQueries>): number =>
  query.mock.calls.filter(([first]) => (first as { name?: string }).name === 'key-models').length

const countQueries = () => vi.spyOn(systemPool(), 'query')

test('a key whose list of models is not there costs no query per call, and a list that came counts within a second', async () => {
  const { workspaceId, key, list } = await keyWithoutList()
  const query = countQueries()
  const start = performance.now()
  const clock = vi.spyOn(performance, 'now').mockReturnValue(start)
  for (let call = 0; call < 5; call += 1) expect(await modelsOfKey(workspaceId, key)).toBeNull()
  expect(asked(query)).toBe(1)
  await list('openai/gpt-5-mini')
  clock.mockReturnValue(start + 1_001)
  expect(await modelsOfKey(workspaceId, key)).not.toBeNull()
  expect(asked(query)).toBe(2)
})

test('a list is read once a minute', async () => {
  const { workspaceId, key, list } = await keyWithoutList()
  await list('openai/gpt-5-mini')
  const query = countQueries()
  const start = performance.now()
  const clock = vi.spyOn(performance, 'now')
  for (const after of [0, 30_000, 59_000, 61_000]) {
    clock.mockReturnValue(start + after)
    expect(await modelsOfKey(workspaceId, key)).not.toBeNull()
  }
  expect(asked(query)).toBe(2)
})
