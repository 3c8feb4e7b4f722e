import { afterAll, afterEach, describe, expect, it } from 'vitest'
import type { Role } from '#app/domain/permissions/permissions.ts'
import { cleanOauthFlows } from '#app/domain/vault/clean-oauth-flows.server.ts'
import { openProviderKey } from '#app/domain/vault/open-provider-key.server.ts'
import { purgeWorkspaceKeys } from '#app/domain/vault/purge-workspace-keys.server.ts'
import { inSystem, inTenant } from '#app/platform/db.server.ts'
import { useDatabase } from '#test/database.ts'
import { makeWorkspace } from '#test/factories.ts'
import { until } from '#test/gateway.ts'
import { type OpenRouterSandbox, startOpenRouterSandbox } from '#test/sandbox/openrouter/server.ts'
import { makePerson, personPassword, useWeb, Visitor } from '#test/web.ts'

/** An admin of a workspace of their own, signed in, with an attempt that OpenRouter has approved. */
interface Connecting {
  workspaceId: string
  billing: string
  visitor: Visitor
  person: { userId: string; email: string }
}

const minted = `sk-or-v1-${'0c0ffee1'.repeat(8)}`
const usual = { mintedKey: null, exchangeStatus: null, exchangeUntil: null }

describe('connecting OpenRouter', () => {
  const db = useDatabase()
  let upstream: OpenRouterSandbox
  const web = useWeb(db, async () => {
    upstream = await startOpenRouterSandbox()
    db.configure({ PROVIDER_BASE_URL_OPENROUTER: upstream.baseUrl })
    return { PROVIDER_BASE_URL_OPENROUTER: upstream.baseUrl }
  })
  afterEach(() => void upstream.settings(usual))
  afterAll(() => upstream.close())

  async function join(workspaceId: string, role: Role) {
    const person = await makePerson()
    await inTenant({ workspaceId }, (tx) => tx.member.create({ data: { workspaceId, userId: person.userId, role } }))
    const visitor = new Visitor(web.origin)
    await visitor.signIn(person.email, personPassword)
    return { person, visitor }
  }

  /** One person for all, since a sign-in is slow on purpose; each test has a workspace of its own. */
  const signedIn: Partial<Pick<Connecting, 'person' | 'visitor'>> = {}
  async function makeAdmin(planId = 'enterprise'): Promise<Connecting> {
    const { id: workspaceId, slug } = await makeWorkspace({ planId })
    const billing = `/w/${slug}/settings/billing`
    const { person, visitor } = signedIn
    if (!person || !visitor) {
      const first = Object.assign(signedIn, await join(workspaceId, 'billing_admin'))
      return { workspaceId, billing, ...first }
    }
    const data = { workspaceId, userId: person.userId, role: 'billing_admin' }
    await inTenant({ workspaceId }, (tx) => tx.member.create({ data }))
    return { workspaceId, billing, person, visitor }
  }

  const start = ({ visitor, billing }: Connecting, limitUsd = '') =>
    visitor.post(`${billing}/connect`, { intent: 'connect-openrouter', limitUsd })

  /** @returns the address on OpenRouter's site */
  async function began(admin: Connecting, limitUsd = ''): Promise<URL> {
    const response = await start(admin, limitUsd)
    expect(response.status).toBe(302)
    return new URL(response.headers.get('location') ?? '')
  }

  /** A person's click at OpenRouter. @returns path and query of the callback on our site */
  async function decide(at: URL, decision: 'approve' | 'deny'): Promise<string> {
    expect((await fetch(at)).status).toBe(200)
    const body = new URLSearchParams([...at.searchParams, ['decision', decision]])
    const response = await fetch(`${at.origin}/auth`, { method: 'POST', body, redirect: 'manual' })
    const back = new URL(response.headers.get('location') ?? '')
    expect(back.origin).toBe(web.origin)
    return back.pathname + back.search
  }

  const approved = async (admin: Connecting, limitUsd = '') => decide(await began(admin, limitUsd), 'approve')

  /** Comes back from OpenRouter. @returns the outcome in the address of the billing page */
  async function comeBack({ visitor, billing }: Connecting, callback: string): Promise<string | null> {
    const response = await visitor.ask(callback)
    expect(response.status).toBe(302)
    const to = new URL(response.headers.get('location') ?? '', web.origin)
    expect(to.pathname).toBe(billing)
    return to.searchParams.get('connect')
  }

  /** What the billing page says of an outcome. */
  async function saidOf({ visitor, billing }: Connecting, outcome: string): Promise<string> {
    const html = await (await visitor.ask(`${billing}?connect=${outcome}`)).text()
    return (
      /role="(?:alert|status)"(?!><\/div>)[\s\S]*?<\/div><\/div><\/div>/.exec(html)?.[0].replaceAll(/<[^>]+>/g, '') ??
      ''
    )
  }

  const keysOf = async (workspaceId: string) =>
    (await db.owner.query('SELECT * FROM provider_keys WHERE workspace_id = $1', [workspaceId])).rows
  const flowsOf = async (workspaceId: string) =>
    (await db.owner.query('SELECT * FROM oauth_flows WHERE workspace_id = $1 ORDER BY created_at', [workspaceId])).rows
  const exchanges = () => upstream.journal().filter((line) => line.path === '/api/v1/auth/keys')

  describe('approved', () => {
    it('ends with the key sealed, verified, and told apart in the trail from one that was pasted', async () => {
      const admin = await makeAdmin()
      upstream.settings({ mintedKey: minted })
      const callback = await approved(admin, '25')
      expect(await comeBack(admin, callback)).toBe('connected')
      const [key, ...others] = await keysOf(admin.workspaceId)
      expect(others).toEqual([])
      expect(key).toMatchObject({ provider: 'openrouter', verification: 'valid', hint: 'sk-or-v1-…fee1', version: 1 })
      expect(key).toMatchObject({ balance_kind: 'key_limit', balance_usd: '25.000000000000000000' })
      const reference = { workspaceId: admin.workspaceId, keyId: key.id, keyVersion: 1 }
      expect(await openProviderKey(reference)).toMatchObject({ apiKey: minted })
      const trail = await db.owner.query('SELECT action, actor_id FROM audit_events WHERE workspace_id = $1', [
        admin.workspaceId,
      ])
      expect(trail.rows).toEqual([{ action: 'provider_key.connected', actor_id: admin.person.userId }])
      expect(await saidOf(admin, 'connected')).toContain('OpenRouter is connected')
    })

    it('sends OpenRouter a challenge and nothing that opens it, and stores nothing in clear', async () => {
      const admin = await makeAdmin()
      const at = await began(admin, ' $ 12.50 ')
      expect(at.origin + at.pathname).toBe(`${upstream.origin}/auth`)
      expect([...at.searchParams.keys()]).toEqual(['callback_url', 'code_challenge', 'code_challenge_method', 'limit'])
      expect(at.searchParams.get('code_challenge_method')).toBe('S256')
      expect(at.searchParams.get('code_challenge')).toMatch(/^[\w-]{43}$/)
      expect(at.searchParams.get('limit')).toBe('12.50')
      const nonce = at.searchParams.get('callback_url')?.split('/').at(-1) ?? ''
      expect(nonce).toMatch(/^[\w-]{43}$/)
      const [flow] = await flowsOf(admin.workspaceId)
      expect(flow.expires_at - flow.created_at).toBe(600_000)
      const stored = Object.values(flow).map((value) =>
        Buffer.isBuffer(value) ? value.toString('latin1') : `${value}`,
      )
      expect(stored.join()).not.toContain(nonce)
      expect(stored.join()).not.toContain(admin.visitor.cookie.split('=')[1]?.slice(0, 20))
    })

    it('the page that holds the form may send it there, other pages may not', async () => {
      const { visitor, billing } = await makeAdmin()
      const policyAt = async (url: string) => (await visitor.ask(url)).headers.get('content-security-policy')
      // The Billing page leads to Stripe's own pages as well.
      expect(await policyAt(billing)).toMatch(new RegExp(`form-action 'self' ${upstream.origin}( [^;]+)?;`))
      expect(await policyAt(`${billing}/connect`)).toContain(`form-action 'self' ${upstream.origin};`)
      for (const other of ['analytics', 'settings/tokens', 'settings/billing/invoices/x'])
        expect(await policyAt(billing.replace('settings/billing', other))).toContain(`form-action 'self';`)
    })

    it('in two tabs: each has its own nonce, and both may finish', async () => {
      const admin = await makeAdmin()
      const [first, second] = [await approved(admin), await approved(admin)]
      expect(await comeBack(admin, second)).toBe('connected')
      expect(await comeBack(admin, first)).toBe('connected')
      expect(await keysOf(admin.workspaceId)).toHaveLength(2)
      expect(new Set((await flowsOf(admin.workspaceId)).map((flow) => flow.nonce_hash.toString('hex'))).size).toBe(2)
    })

    it('is saved unverified where OpenRouter makes the key and then cannot be asked about it', async () => {
      const admin = await makeAdmin()
      upstream.settings({ mintedKey: `sk-or-v1-broken${'a1'.repeat(28)}` })
      expect(await comeBack(admin, await approved(admin))).toBe('connected_unverified')
      expect(await keysOf(admin.workspaceId)).toMatchObject([{ verification: 'unverified' }])
      expect(await saidOf(admin, 'connected_unverified')).toContain('could not be asked yet')
    })
  })

  describe('ends without a key, and says why,', () => {
    async function refused(admin: Connecting, callback: string, outcome: string, says: string): Promise<void> {
      const before = await keysOf(admin.workspaceId)
      expect(await comeBack(admin, callback)).toBe(outcome)
      expect(await keysOf(admin.workspaceId)).toEqual(before)
      expect(await saidOf(admin, outcome)).toContain(says)
    }

    it('when the callback comes a second time, also at the same moment', async () => {
      const admin = await makeAdmin()
      const callback = await approved(admin)
      const asked = exchanges().length
      const both = await Promise.all([comeBack(admin, callback), comeBack(admin, callback)])
      expect(both.sort()).toEqual(['connected', 'used'])
      await refused(admin, callback, 'used', 'finished already')
      expect(await keysOf(admin.workspaceId)).toHaveLength(1)
      expect(exchanges().length - asked).toBe(1)
    })

    it('when it comes with another session of the same person, who may still finish with the first', async () => {
      const admin = await makeAdmin()
      const callback = await approved(admin)
      const elsewhere = new Visitor(web.origin)
      await elsewhere.signIn(admin.person.email, personPassword)
      await refused({ ...admin, visitor: elsewhere }, callback, 'other_session', 'before you signed in again')
      expect(await comeBack(admin, callback)).toBe('connected')
    })

    it('when it comes from another admin of the workspace', async () => {
      const admin = await makeAdmin()
      const callback = await approved(admin)
      const colleague = { ...admin, ...(await join(admin.workspaceId, 'owner')) }
      await refused(colleague, callback, 'other_session', 'started by somebody else')
    })

    it('when it comes to another workspace of the same person', async () => {
      const [admin, other] = [await makeAdmin(), await makeAdmin()]
      const callback = (await approved(admin)).replace(admin.billing, other.billing)
      await refused(other, callback, 'unknown', 'not known here')
    })

    it('when nobody is signed in any more, or the person may not manage billing any more', async () => {
      const admin = await makeAdmin()
      const callback = await approved(admin)
      const stranger = await new Visitor(web.origin).ask(callback)
      expect(stranger.headers.get('location')).toMatch(/^\/sign-in/)
      const { workspaceId, person } = admin
      const where = { workspaceId, userId: person.userId }
      await inTenant({ workspaceId }, (tx) => tx.member.updateMany({ where, data: { role: 'developer' } }))
      expect((await admin.visitor.ask(callback)).status).toBe(403)
      expect(await keysOf(workspaceId)).toEqual([])
      expect(await flowsOf(workspaceId)).toMatchObject([{ used_at: null }])
    })

    it('when ten minutes have passed', async () => {
      const admin = await makeAdmin()
      const callback = await approved(admin)
      await db.owner.query('UPDATE oauth_flows SET expires_at = now() WHERE workspace_id = $1', [admin.workspaceId])
      await refused(admin, callback, 'expired', 'longer than ten minutes')
    })

    it('when the person does not approve, and the attempt cannot be taken up again', async () => {
      const admin = await makeAdmin()
      const at = await began(admin)
      const asked = exchanges().length
      await refused(admin, await decide(at, 'deny'), 'denied', 'You did not approve it')
      await refused(admin, await decide(at, 'approve'), 'used', 'finished already')
      expect(exchanges().length).toBe(asked)
    })

    it('when the code is wrong, another one’s, or expired', async () => {
      const admin = await makeAdmin()
      const callback = await approved(admin)
      await refused(admin, callback.replace(/code=.*/, 'code=made-up'), 'code_refused', 'did not accept')
      const [mine, theirs] = [await approved(admin), await approved(admin)]
      const swapped = mine.replace(/code=.*/, theirs.slice(theirs.indexOf('code=')))
      await refused(admin, swapped, 'code_refused', 'did not accept')
      const late = await approved(admin)
      upstream.expireCodes()
      await refused(admin, late, 'code_expired', 'its approval has expired')
      await refused(
        admin,
        (await approved(admin)).replace(/code=.*/, `code=${'x'.repeat(600)}`),
        'code_refused',
        'did not accept',
      )
    })

    it.each([500, 429, 418])('when OpenRouter answers the exchange with %s', async (exchangeStatus) => {
      const admin = await makeAdmin()
      upstream.settings({ exchangeStatus })
      const asked = exchanges().length
      await refused(admin, await approved(admin), 'unreachable', 'OpenRouter did not answer')
      expect(exchanges().length - asked, 'a code works once: it is not sent again').toBe(1)
    })

    it('when OpenRouter does not answer within ten seconds', async () => {
      const admin = await makeAdmin()
      const { promise, resolve } = Promise.withResolvers<void>()
      upstream.settings({ exchangeUntil: promise })
      await refused(admin, await approved(admin), 'unreachable', 'delete it there').finally(resolve)
    })

    it('when the plan was left meanwhile: no key is even made', async () => {
      const admin = await makeAdmin()
      const { workspaceId } = admin
      const callback = await approved(admin)
      const left = { cause: 'plan_changed', causeReference: null, fromPlanId: 'enterprise', toPlanId: 'pro' }
      await inSystem(async (tx) => {
        await tx.workspace.update({ where: { id: workspaceId }, data: { planId: 'pro' } })
        await purgeWorkspaceKeys(tx, { workspaceId, ...left, actor: { kind: 'system' }, at: new Date() })
      })
      const asked = exchanges().length
      await refused(admin, callback, 'plan_required', 'does not allow an OpenRouter key')
      expect(exchanges().length).toBe(asked)
      const again = await approvedAfterReturn(admin)
      await refused(admin, again, 'expired', 'longer than ten minutes')
    })

    /** A flow whose verifier was sealed under a data key that leaving the plan destroyed. */
    async function approvedAfterReturn(admin: Connecting): Promise<string> {
      const { workspaceId } = admin
      await inSystem((tx) => tx.workspace.update({ where: { id: workspaceId }, data: { planId: 'enterprise' } }))
      const callback = await approved(admin)
      await db.owner.query('DELETE FROM workspace_data_keys WHERE workspace_id = $1', [workspaceId])
      return callback
    }

    it('when the plan is left while OpenRouter makes the key', async () => {
      const admin = await makeAdmin()
      const callback = await approved(admin)
      const { promise, resolve } = Promise.withResolvers<void>()
      upstream.settings({ exchangeUntil: promise })
      const asked = exchanges().length
      const ending = refused(admin, callback, 'not_kept', 'the plan changed meanwhile')
      await until(async () => exchanges().length > asked, 'the exchange')
      await inSystem((tx) => tx.workspace.update({ where: { id: admin.workspaceId }, data: { planId: 'pro' } }))
      resolve()
      await ending
    })

    it('when the subscription was paused meanwhile', async () => {
      const admin = await makeAdmin()
      const callback = await approved(admin)
      const data = { subscriptionStatus: 'paused' }
      await inSystem((tx) => tx.workspace.update({ where: { id: admin.workspaceId }, data }))
      await refused(admin, callback, 'subscription_paused', 'subscription is paused')
    })

    it.each([
      ['refuses', `sk-or-v1-revoked${'b2'.repeat(28)}`],
      ['calls a management key', `sk-or-v1-mgmt${'b3'.repeat(28)}`],
      ['hands over in another format', 'not-a-key-at-all'],
    ])('when OpenRouter makes a key that it then %s', async (_, mintedKey) => {
      const admin = await makeAdmin()
      upstream.settings({ mintedKey })
      await refused(admin, await approved(admin), 'not_kept', 'Delete the new key at OpenRouter')
      expect(web.output()).not.toContain(mintedKey)
    })

    it('when the nonce is made up', async () => {
      const admin = await makeAdmin()
      for (const nonce of ['x', '%00', 'a'.repeat(2_000)])
        await refused(admin, `${admin.billing}/connect/${nonce}?code=abc`, 'unknown', 'not known here')
    })
  })

  describe('is not even begun', () => {
    it.each([
      ['a limit that is no amount', { limitUsd: 'five' }, 400, 'Enter dollars above 0'],
      ['a limit of nothing', { limitUsd: '0' }, 400, 'Enter dollars above 0'],
      [
        'a field that does not belong',
        { limitUsd: '', callback: 'https://evil.example' },
        400,
        'does not belong to it',
      ],
    ])('with %s', async (_, fields, status, says) => {
      const admin = await makeAdmin()
      const form = { intent: 'connect-openrouter', ...fields } as Record<string, string>
      const response = await admin.visitor.post(`${admin.billing}/connect`, form)
      expect(response.status).toBe(status)
      expect(await response.text()).toContain(says)
      expect(await flowsOf(admin.workspaceId)).toEqual([])
    })

    it('on a plan without OpenRouter, by somebody who may not, or from another site', async () => {
      const pro = await makeAdmin('pro')
      expect((await start(pro)).status).toBe(403)
      const admin = await makeAdmin()
      for (const role of ['member', 'developer'] as const)
        expect((await start({ ...admin, ...(await join(admin.workspaceId, role)) })).status).toBe(403)
      const form = new URLSearchParams({ intent: 'connect-openrouter', limitUsd: '' })
      const foreign = { method: 'POST', body: form, headers: { origin: 'https://evil.example' } }
      expect((await admin.visitor.ask(`${admin.billing}/connect`, foreign)).status).toBe(403)
      expect([...(await flowsOf(pro.workspaceId)), ...(await flowsOf(admin.workspaceId))]).toEqual([])
    })

    it('with more than fifty open at once', async () => {
      const admin = await makeAdmin()
      await began(admin)
      await db.owner.query(
        `INSERT INTO oauth_flows SELECT workspace_id, decode(lpad(n::text, 8, '0'), 'hex'), provider, user_id, session_hash,
           verifier_nonce, verifier_sealed, data_key_id, created_at, expires_at, used_at
         FROM oauth_flows, generate_series(1, 49) AS n WHERE workspace_id = $1`,
        [admin.workspaceId],
      )
      const response = await start(admin)
      expect([response.status, await response.text()]).toEqual([429, expect.stringContaining('Too many attempts')])
    })
  })

  it('says nothing for a code that somebody wrote into the address', async () => {
    const admin = await makeAdmin()
    for (const code of ['<b>evil</b>', 'toString', '__proto__', 'x'])
      expect(await saidOf(admin, encodeURIComponent(code))).toBe('')
  })

  it('leaves attempts for a day, so that a late callback is told, and no longer', async () => {
    const admin = await makeAdmin()
    await began(admin)
    const inHours = (hours: number) => new Date(Date.now() + hours * 3_600_000)
    await cleanOauthFlows(inHours(24))
    expect(await flowsOf(admin.workspaceId)).toHaveLength(1)
    await cleanOauthFlows(inHours(25))
    expect(await flowsOf(admin.workspaceId)).toEqual([])
  })
})
