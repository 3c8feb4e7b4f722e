/** What people and programs put into addresses, forms and webhooks (security §4c, 166-181), asked of a real web process. */
import { beforeAll, describe, expect, it } from 'vitest'
import { inTenant } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'
import { makeCall, recordAll } from '#test/call-factory.ts'
import { useDatabase } from '#test/database.ts'
import { makeWorkspace } from '#test/factories.ts'
import { signature } from '#test/sandbox/stripe/webhooks.ts'
import { makePerson, personPassword, rawRequest, useWeb, Visitor } from '#test/web.ts'
import { databaseHash } from './database-hash.ts'

const SECRET = 'whsec_hostile_inputs_1'
/** What an answer must never show of our inside. */
const INSIDE =
  /\bat .+\(.+:\d+:\d+\)|node_modules|\/app\/|\.[tj]s:\d|\b(SELECT|INSERT|UPDATE) |prisma|Prisma|ECONN|postgres|syntax error|22021/

describe('hostile input', () => {
  const db = useDatabase()
  const web = useWeb(db, () => ({ STRIPE_WEBHOOK_SECRET: SECRET }))
  let owner: Visitor
  let root: string
  let workspaceId: string

  beforeAll(async () => {
    const workspace = await makeWorkspace()
    workspaceId = workspace.id
    root = `/w/${workspace.slug}`
    const person = await makePerson()
    await inTenant({ workspaceId }, (tx) =>
      tx.member.create({ data: { workspaceId, userId: person.userId, role: 'owner' } }),
    )
    owner = new Visitor(web.origin)
    await owner.signIn(person.email, personPassword)
    await recordAll([
      await makeCall(workspaceId, new Date(), {
        model: '=HYPERLINK("http://evil.example","x")',
        upstreamId: '@SUM(A1)',
      }),
      await makeCall(workspaceId, new Date(), { model: '</script><script>alert(1)</script>' }),
    ])
  })

  describe('in an address', () => {
    it.each([
      ['/%', 400],
      ['/w/%00/analytics', 404],
      ['/w/%FF%FE/analytics', 400],
      ['/w/%E2%80%AE/analytics', 404],
      [`/w/${'a'.repeat(8_000)}/analytics`, 404],
      ["/w/x'%20OR%20'1'='1/analytics", 404],
      ['/w/..%2f..%2fetc%2fpasswd/analytics', 404],
      ['/.env', 404],
      ['/build/server/index.js', 404],
      ['/assets/..%2f..%2fserver%2findex.js', 404],
      ['/server.ts', 404],
      ['/?_data=routes/nope', 403],
      ['/?_data=root', 400],
      ['/sign-in?_data=routes/w.$workspace.settings.billing', 403],
      ['/api/auth/session', 404],
      ['/identity-is-not-mounted/sign-up/email', 404],
    ])('%s answers without showing our inside', async (path, status) => {
      const answer = await rawRequest(web.origin, { path, headers: { cookie: owner.cookie } })
      expect(answer.body).not.toMatch(INSIDE)
      expect(answer.status).toBe(status)
      expect(answer.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/)
    })

    it.each(['OPTIONS', 'TRACE', 'PROPFIND', 'FOO'])('the method %s does nothing', async (method) => {
      const answer = await rawRequest(web.origin, {
        method,
        path: `${root}/settings/tokens`,
        headers: { cookie: owner.cookie, origin: web.origin },
      }).catch(() => ({ status: 400, body: '', headers: {} }))
      expect([400, 403, 405]).toContain(answer.status)
      expect(answer.body).not.toMatch(INSIDE)
    })

    it.each([
      'from=1970-01-01&to=9999-12-31',
      'from=2026-02-30',
      'from=%00',
      'model=%00',
      `model=${'a'.repeat(5_000)}`,
      'surface=nope%00',
      'limit=1000000000',
      'limit=-1',
      'limit=1e9',
      'after=AAAA',
      `after=${'0'.repeat(36)}`,
      'after=%00',
      'from=2026-01-01&from=2026-02-01',
      'key=nobody',
      'billedIn=2026-13',
      'priceBook=999999999999999999999',
    ])('the filter ?%s is refused or bounded, as a page and as CSV', async (query) => {
      for (const path of [`${root}/analytics`, `${root}/analytics.csv`]) {
        const answer = await rawRequest(web.origin, { path: `${path}?${query}`, headers: { cookie: owner.cookie } })
        expect([200, 400], `${path} ${answer.status}`).toContain(answer.status)
        expect(answer.body).not.toMatch(INSIDE)
      }
    })

    it.each([
      'calls/%00',
      'calls/1',
      'settings/billing/invoices/%00',
      "settings/billing/certificates/'",
      'calls/00000000-0000-0000-0000-000000000000',
    ])('no row: %s', async (path) => {
      const answer = await rawRequest(web.origin, { path: `${root}/${path}`, headers: { cookie: owner.cookie } })
      expect(answer.status).toBe(404)
      expect(answer.body).not.toMatch(INSIDE)
    })
  })

  describe('shown again', () => {
    it('case 176, a name full of markup or 5,000 characters long stays text', async () => {
      const name = `</script><script>alert(1)</script><img src=x onerror=alert(1)>${'й'.repeat(5_000)}`
      await db.owner.query('UPDATE workspaces SET name = $2 WHERE id = $1', [workspaceId, name])
      for (const page of ['analytics', 'settings/billing', 'settings/members']) {
        const html = await (await owner.ask(`${root}/${page}`)).text()
        expect(html).not.toContain('<script>alert')
        expect(html).not.toContain('<img src=x')
      }
      await db.owner.query("UPDATE workspaces SET name = 'Plain' WHERE id = $1", [workspaceId])
    })

    it('case 181, no cell of the CSV is a formula', async () => {
      const response = await owner.ask(`${root}/analytics.csv`)
      const csv = await response.text()
      expect(response.headers.get('content-disposition')).toMatch(/^attachment/)
      expect(response.headers.get('cache-control')).toBe('no-store')
      expect(csv).toContain('HYPERLINK')
      for (const cell of csv.split(/[,\r\n]+/)) expect(cell).not.toMatch(/^"?\s*[=+@]/)
    })
  })

  describe('case 178, where the sign-in leads', () => {
    it.each([
      ['//evil.example', '/'],
      ['/\\evil.example', '/'],
      ['\\\\evil.example', '/'],
      ['https://evil.example/', '/'],
      ['javascript:alert(1)', '/'],
      ['/..//evil.example', '/'],
      ['/.//evil.example', '/'],
      ['/a/../..//evil.example', '/'],
      ['/\t/evil.example', '/'],
      ['/%09/evil.example', '/%09/evil.example'],
      ['evil.example', '/'],
      ['', '/'],
      ['/w/acme/analytics?from=2026-01-01', '/w/acme/analytics?from=2026-01-01'],
    ])('?to=%s', async (to, leads) => {
      const person = await makePerson()
      const form = { intent: 'sign-in', email: person.email, password: personPassword }
      const visitor = new Visitor(limited.origin)
      const url = `/sign-in?to=${encodeURIComponent(to)}`
      const response = await visitor.post(url, form, { headers: { 'x-forwarded-for': newAddress() } })
      expect(response.status).toBe(302)
      expect(response.headers.get('location')).toBe(leads)
      expect(new URL(leads, limited.origin).origin).toBe(limited.origin)
    })
  })

  /** Behind a proxy, so that every try can come from an address of its own. */
  const limited = useWeb(db, () => ({ TRUST_PROXY: '1' }))
  let addresses = 0
  const newAddress = () => `198.51.100.${++addresses % 250}`

  describe('signing in', () => {
    const tryOnce = (email: string, password: string, address: string) =>
      new Visitor(limited.origin).post(
        '/sign-in?_data=routes%2Fsign-in',
        { intent: 'sign-in', email, password },
        { headers: { 'x-forwarded-for': address } },
      )

    it('stops the sixth try on one account, from wherever it comes, the right password too', async () => {
      const { email } = await makePerson()
      for (let n = 0; n < 5; n++) expect((await tryOnce(email, `wrong password ${n}`, newAddress())).status).toBe(400)
      expect((await tryOnce(email, 'wrong password 6', newAddress())).status).toBe(429)
      const right = await tryOnce(` ${email.toUpperCase()}`, personPassword, newAddress())
      expect(right.status).toBe(429)
      expect(right.headers.getSetCookie()).toEqual([])
    })

    it('stops the twenty-first try from one address, whatever else the address header says', async () => {
      const [address, statuses] = [newAddress(), [] as number[]]
      for (let n = 0; n < 21; n++)
        statuses.push((await tryOnce(`nobody-${n}@example.com`, 'wrong password', `203.0.113.${n}, ${address}`)).status)
      expect(statuses).toEqual([...Array(20).fill(400), 429])
    })

    it('answers alike for an unknown account and a wrong password, and takes as long', async () => {
      const shape = async (email: string) => {
        const started = performance.now()
        const response = await tryOnce(email, 'a wrong password', newAddress())
        const text = (await response.text()).replace(/"requestId":"[^"]*"/, '')
        return {
          ms: performance.now() - started,
          seen: `${response.status} ${text} ${response.headers.getSetCookie()}`,
        }
      }
      const times = { known: [] as number[], unknown: [] as number[] }
      for (let n = 0; n < 5; n++) {
        const known = await shape((await makePerson()).email)
        const unknown = await shape(`unknown-${n}@example.com`)
        expect(unknown.seen).toBe(known.seen)
        times.known.push(known.ms)
        times.unknown.push(unknown.ms)
      }
      const fastest = (list: number[]) => Math.min(...list)
      expect(fastest(times.unknown) / fastest(times.known)).toBeGreaterThan(0.5)
      expect(fastest(times.unknown) / fastest(times.known)).toBeLessThan(2)
    })

    it.each([
      ['case 177, line breaks', 'a@example.com\r\nBcc: b@example.com'],
      ['NUL', 'a\0@example.com'],
      ['321 characters', `${'a'.repeat(310)}@example.com`],
      ['an operator', '{"$ne":null}'],
      ['nothing', ''],
    ])('an e-mail address with %s is one that nobody has', async (_what, email) => {
      const response = await tryOnce(email, personPassword, newAddress())
      const text = await response.text()
      expect(response.status).toBe(400)
      expect(text).not.toMatch(INSIDE)
      if (email) expect(text).not.toContain(JSON.stringify(email).slice(1, -1))
    })

    it('NUL in the password, and one of 10,000 characters, are wrong passwords', async () => {
      const { email } = await makePerson()
      for (const password of ['\0', 'x'.repeat(10_000), 'ü'.repeat(200)])
        expect((await tryOnce(email, password, newAddress())).status).toBe(400)
    })
  })

  describe('to the webhook', () => {
    const now = () => Math.floor(Date.now() / 1000)
    const event = (change: object = {}) =>
      JSON.stringify({
        id: `evt_${newId().replaceAll('-', '')}`,
        object: 'event',
        api_version: '2026-01-01',
        created: now(),
        livemode: false,
        type: 'customer.subscription.updated',
        data: { object: { id: 'sub_1', object: 'subscription', customer: 'cus_1' } },
        ...change,
      })
    const send = (body: string, header: string | undefined) =>
      rawRequest(web.origin, {
        method: 'POST',
        path: '/webhooks/stripe',
        headers: { 'content-type': 'application/json', ...(header && { 'stripe-signature': header }) },
        body,
      })
    const signed = (body: string, at = now(), secret = SECRET) => send(body, signature(body, { secret }, at))
    const events = async () => (await db.owner.query('SELECT count(*)::int AS n FROM stripe_events')).rows[0].n

    it.each([
      ['case 166, unsigned', () => send(event(), undefined)],
      ['case 167, signed with another secret', () => signed(event(), now(), 'whsec_other')],
      [
        'case 168, re-serialised',
        () => {
          const body = event()
          return send(JSON.stringify(JSON.parse(body), null, 2), signature(body, { secret: SECRET }, now()))
        },
      ],
      ['case 169, 301 seconds old', () => signed(event(), now() - 302)],
      ['case 170, 301 seconds early', () => signed(event(), now() + 302)],
      ['signed, but no JSON', () => signed('{"id":')],
      ['a header of nonsense', () => send(event(), 't=1e3,v1=00,v1=zz,,=,t=')],
    ])('%s: refused, nothing stored', async (_what, ask) => {
      const before = await databaseHash(db.owner)
      const answer = await ask()
      expect(answer.status).toBe(400)
      expect(answer.body).not.toMatch(INSIDE)
      expect(await databaseHash(db.owner)).toBe(before)
    })

    it('case 171, more than 1 MiB: 413, nothing stored', async () => {
      const before = await databaseHash(db.owner)
      const body = event({ padding: 'x'.repeat(1_100_000) })
      expect((await signed(body).catch(() => ({ status: 413 }))).status).toBe(413)
      expect(await databaseHash(db.owner)).toBe(before)
    })

    it.each([
      ['case 172, a type that is not ours', { type: 'payout.paid' }],
      ['case 173, of the other mode', { livemode: true }],
      ['signed, but of no mode and no type', { livemode: undefined, type: undefined, data: undefined }],
    ])('%s: 200, and nothing stored', async (_what, change) => {
      const before = await databaseHash(db.owner)
      expect((await signed(event(change))).status).toBe(200)
      expect(await databaseHash(db.owner)).toBe(before)
    })

    it('case 175, fifty copies at once are one row and one job', async () => {
      const before = await events()
      const body = event()
      const answers = await Promise.all(Array.from({ length: 50 }, () => signed(body)))
      expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([200]))
      expect(await events()).toBe(before + 1)
      const jobs = await db.owner.query("SELECT FROM graphile_worker.jobs WHERE task_identifier = 'sync-stripe-object'")
      expect(jobs.rowCount).toBe(1)
    })

    it('anything but POST: 405', async () => {
      for (const method of ['GET', 'PUT', 'DELETE'])
        expect((await rawRequest(web.origin, { method, path: '/webhooks/stripe' })).status).toBe(405)
    })
  })

  describe('when something breaks inside', () => {
    it('the answer is a reference, and the log knows it', async () => {
      await db.owner.query('ALTER TABLE gateway_tokens RENAME TO gateway_tokens_away')
      try {
        for (const suffix of ['', '?_data=routes%2Fw.%24workspace.settings.tokens']) {
          const response = await owner.ask(`${root}/settings/tokens${suffix}`)
          const text = await response.text()
          const reference = response.headers.get('x-request-id') ?? ''
          expect(response.status).toBe(500)
          expect(text).toContain(reference)
          expect(text).toContain('Something failed on our side')
          expect(text).not.toMatch(INSIDE)
          expect(text).not.toContain('gateway_tokens')
          expect(web.output()).toContain(reference)
        }
      } finally {
        await db.owner.query('ALTER TABLE gateway_tokens_away RENAME TO gateway_tokens')
      }
    })

    it('a refused page shows its reference too', async () => {
      const response = await owner.ask('/w/nobody-has-this/analytics')
      expect(response.status).toBe(404)
      expect(await response.text()).toContain(response.headers.get('x-request-id'))
    })
  })
})
