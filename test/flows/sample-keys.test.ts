/** The keys that the demo offers for pasting: each stands as the demo says, and only the demo shows them. */
import { describe, expect, it } from 'vitest'
import { providerIds } from '#app/domain/providers/provider.ts'
import { refreshKeyModels } from '#app/domain/vault/refresh-key-models.server.ts'
import { saveProviderKey } from '#app/domain/vault/save-provider-key.server.ts'
import { inTenant } from '#app/platform/db.server.ts'
import { useDatabase } from '#test/database.ts'
import { makeWorkspace } from '#test/factories.ts'
import { makeCustomer, useGateway } from '#test/gateway.ts'
import { catalogues } from '#test/sandbox/providers/catalogue.ts'
import { sampleKeys, samplesOf } from '#test/sandbox/providers/samples.ts'
import { makePerson, personPassword, useWeb, Visitor } from '#test/web.ts'

const db = useDatabase()
const gateway = useGateway(db)
const web = useWeb(db, () => ({ KEYMARGIN_SANDBOX_KEYS: JSON.stringify(sampleKeys()) }))

const samples = providerIds.flatMap((id) => samplesOf(id).map(([standing, text]) => ({ id, standing, text })))

describe('a key that the demo offers', () => {
  it.each(samples)('of $id, $standing', async ({ id, standing, text }) => {
    const { owner, workspaceId, token } = await makeCustomer({ key: null, planId: 'every-provider' })
    const saving = saveProviderKey(owner, { provider: id, credential: text })
    if (standing === 'revoked') return expect(saving).rejects.toMatchObject({ code: 'key_rejected' })
    const { keyId, verification } = await saving
    expect(verification).toBe(standing === 'limited' || standing === 'walled' ? 'restricted' : 'valid')
    await refreshKeyModels(workspaceId, keyId, new Date())
    const model = catalogues[id].find((sold) => !sold.kind && !sold.retired)?.id
    const { status } = await fetch(`${gateway.origin}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, 'x-byok-provider': id },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }] }),
    })
    if (standing === 'live' || standing === 'limited') expect(status).toBe(200)
    else expect([400, 402, 403, 429]).toContain(status)
  })

  it('stands beside the field of its provider, in the demo', async () => {
    const { id, slug } = await makeWorkspace({ planId: 'every-provider' })
    const { userId, email } = await makePerson()
    await inTenant({ workspaceId: id }, (tx) =>
      tx.member.create({ data: { workspaceId: id, userId, role: 'billing_admin' } }),
    )
    const person = new Visitor(web.origin)
    await person.signIn(email, personPassword)
    const page = await (await person.ask(`/w/${slug}/settings/billing?add=anthropic`)).text()
    expect(page).toContain('This is the demo')
    for (const [, text] of samplesOf('anthropic')) expect(page).toContain(text)
    const [first] = samplesOf('openai')
    expect(page).not.toContain(first?.[1])
  })
})
