/** What people and programs put into addresses, and what was stored and is shown again (security §4c, 176-181), asked of a real web process. */
import { beforeAll, describe, expect, it } from 'vitest'
import { inSystem, inTenant } from '#app/platform/db.server.ts'
import { makeCall, recordAll } from '#test/call-factory.ts'
import { useDatabase } from '#test/database.ts'
import { makeWorkspace } from '#test/factories.ts'
import { makePerson, personPassword, rawRequest, useWeb, Visitor } from '#test/web.ts'
import { INSIDE } from './inside.ts'

describe('hostile input', () => {
  const db = useDatabase()
  const web = useWeb(db)
  let owner: Visitor
  let operator: Visitor
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
    const staff = await makePerson()
    await inSystem((tx) => tx.operator.create({ data: { userId: staff.userId } }))
    operator = new Visitor(web.origin)
    await operator.signIn(staff.email, personPassword)
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
      ['from=2026-11-02&to=2026-11-01', 'The last day is before the first one'],
      ['from=2026-02-30', 'Write a day as YYYY-MM-DD'],
      ['from=1970-01-01&to=1970-01-02', 'Choose a day from 2000-01-01'],
      ['from=2024-01-01&to=2026-01-01', 'Choose at most 366 days'],
      ['model=no/such', 'There is no model of this name'],
      ['key=nobody', 'Choose one of platform, workspace'],
      ['limit=0', 'In the address, limit: Write a whole number from 1 to 200'],
      ['billed=2026-13&surface=agent_run', 'In the address, billed: Write a month as YYYY-MM'],
    ])('the form says what is wrong with ?%s, and nothing is computed', async (query, words) => {
      const response = await owner.ask(`${root}/analytics?${query}`)
      const html = (await response.text()).replaceAll('<!-- -->', '')
      expect(response.status).toBe(400)
      expect(response.headers.get('cache-control')).toBe('no-store')
      expect(html).toContain(words)
      expect(html).toContain('name="from"')
      expect(html).not.toContain('Charged to you')
    })

    it.each([
      ['settings/audit?before=yesterday', 'In the address, before: this is no entry number'],
      ['settings/audit?before=%00', 'In the address, before: this is no entry number'],
      ['settings/credits?after=0x10', 'In the address, after: this is no place in the list'],
    ])('%s names what is wrong, and leads back to the page', async (page, words) => {
      const response = await owner.ask(`${root}/${page}`)
      expect(response.status).toBe(400)
      const html = await response.text()
      expect(html).toContain(words)
      expect(html).toContain(`href="${root}/${page.split('?')[0]}">Show this page from its start`)
    })

    it.each([
      ['month=2026-13', 'Write a month as YYYY-MM'],
      ['state=nope', 'There is no such state'],
    ])('an operator is told what is wrong with ?%s beside its field', async (query, words) => {
      const response = await operator.ask(`/operator?${query}`)
      expect(response.status).toBe(400)
      const html = await response.text()
      expect(html).toContain(words)
      expect(html).toContain('name="month"')
      expect(html).not.toContain('Review before sending')
    })

    it.each([
      ['price-book?edit=x', 'In the address, edit: must be the number of a price book'],
      ['credits?find=%00', 'In the address, find: no workspace is called that'],
    ])('an operator is told what is wrong with %s', async (page, words) => {
      const response = await operator.ask(`/operator/${page}`)
      expect(response.status).toBe(400)
      expect(await response.text()).toContain(words)
    })

    it('a name that nobody has finds nothing, and says that of the name alone', async () => {
      const page = await (await operator.ask('/operator/credits?find=%25_%25')).text()
      expect(page).toContain('No workspace here')
      expect(page).toContain('Nothing granted under this name')
    })

    it.each(['billing?checkout=%00', 'credits?checkout=%00'])('a payment that nobody began: %s', async (page) => {
      expect((await owner.ask(`${root}/settings/${page}`)).status).toBe(200)
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

  it.each([
    ['http://gateway/v1/models', 401],
    ['https://evil.example/sign-in', 200],
    ['http://gateway/healthz', 200],
    ['http://gateway/.env', 404],
    ['*', 400],
  ])('a target of another form is answered as what it asks for: %s', async (path, status) => {
    const answer = await rawRequest(web.origin, { path })
    expect(answer.status).toBe(status)
    expect(answer.body).not.toContain('evil.example')
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
