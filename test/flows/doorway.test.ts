/** What stands in front of every page: who may send a form, what a form may be, what every answer carries. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { beforeAll, describe, expect, it } from 'vitest'
import { inSystem, inTenant } from '#app/platform/db.server.ts'
import { useDatabase } from '#test/database.ts'
import { makeWorkspace } from '#test/factories.ts'
import { makePerson, personPassword, rawRequest, useWeb, Visitor } from '#test/web.ts'
import { databaseHash } from './database-hash.ts'
import { builtRoutes } from './denial-cells.ts'

describe('the doorway', () => {
  const db = useDatabase()
  const web = useWeb(db)
  let owner: Visitor
  let operator: Visitor
  let slug: string
  let email: string

  beforeAll(async () => {
    const workspace = await makeWorkspace()
    slug = workspace.slug
    const person = await makePerson()
    email = person.email
    await inTenant({ workspaceId: workspace.id }, (tx) =>
      tx.member.create({ data: { workspaceId: workspace.id, userId: person.userId, role: 'owner' } }),
    )
    owner = new Visitor(web.origin)
    await owner.signIn(email, personPassword)
    const staff = await makePerson()
    await inSystem((tx) => tx.operator.create({ data: { userId: staff.userId } }))
    operator = new Visitor(web.origin)
    await operator.signIn(staff.email, personPassword)
  })

  const tokensPage = () => `/w/${slug}/settings/tokens`
  const createToken = (headers: Record<string, string>, method = 'POST', path = tokensPage()) =>
    rawRequest(web.origin, {
      method,
      path,
      headers: { cookie: owner.cookie, 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: 'intent=create-token&name=doorway',
    })

  describe('lets in unsafe requests from our own pages only', () => {
    it.each([
      ['another site', () => ({ origin: 'https://evil.example' })],
      ['another site that names us in its own name', () => ({ origin: `${web.origin}.evil.example` })],
      ['a sandboxed frame', () => ({ origin: 'null', 'sec-fetch-site': 'same-origin' })],
      ['another port', () => ({ origin: 'http://127.0.0.1:1' })],
      ['https instead of http', () => ({ origin: web.origin.replace('http', 'https') })],
      ['another site, without Origin', () => ({ 'sec-fetch-site': 'cross-site' })],
      ['a sibling site', () => ({ 'sec-fetch-site': 'same-site' })],
      ['the address bar', () => ({ 'sec-fetch-site': 'none' })],
      ['nobody says where from', () => ({})],
      [
        'a proxy that names another host',
        () => ({ origin: 'https://evil.example', 'x-forwarded-host': 'evil.example' }),
      ],
      ['another Host', () => ({ origin: 'http://evil.example', host: 'evil.example' })],
    ])('not from %s', async (_what, headers) => {
      const before = await databaseHash(db.owner)
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
        for (const path of [tokensPage(), `${tokensPage()}?_data=routes%2Fw.%24workspace.settings.tokens`, '/sign-in'])
          expect((await createToken(headers(), method, path)).status, `${method} ${path}`).toBe(403)
      expect(await databaseHash(db.owner)).toBe(before)
    })

    it.each([
      ['our own Origin', () => ({ origin: web.origin })],
      ['no Origin, and the browser says same-origin', () => ({ 'sec-fetch-site': 'same-origin' })],
    ])('but from %s', async (_what, headers) => {
      const before = await databaseHash(db.owner)
      expect((await createToken(headers())).status).toBe(200)
      expect(await databaseHash(db.owner)).not.toBe(before)
    })
  })

  it('the gateway and the webhook know no cookies', async () => {
    const headers = { cookie: owner.cookie, origin: web.origin, 'content-type': 'application/json' }
    const call = await rawRequest(web.origin, { method: 'POST', path: '/v1/chat/completions', headers, body: '{}' })
    expect(call.status).toBe(401)
    expect((await rawRequest(web.origin, { path: '/v1/models', headers })).status).toBe(401)
    const event = await rawRequest(web.origin, { method: 'POST', path: '/webhooks/stripe', headers, body: '{}' })
    expect(event.status).toBe(400)
    for (const answer of [call, event]) expect(answer.headers['access-control-allow-origin']).toBeUndefined()
  })

  it('a pasted file of 2 MB is told that it is too large, though it is still on its way', async () => {
    const body = `intent=create-token&name=${'x'.repeat(2_000_000)}`
    const headers = { cookie: owner.cookie, origin: web.origin, 'content-type': 'application/x-www-form-urlencoded' }
    const answer = await rawRequest(web.origin, { method: 'POST', path: tokensPage(), headers, body })
    expect([answer.status, answer.body]).toEqual([413, 'Forms are at most 64 KB.'])
  })

  // It was taken, and its answer had nowhere to go: a call was paid for and lost.
  it('what comes behind a refused body on its connection is not begun', async () => {
    const { host, port } = new URL(web.origin)
    const kind = 'Content-Type: application/x-www-form-urlencoded'
    const form = (length: number) =>
      `POST ${tokensPage()} HTTP/1.1\r\nHost: ${host}\r\nCookie: ${owner.cookie}\r\nOrigin: ${web.origin}\r\n${kind}\r\nContent-Length: ${length}\r\n\r\n`
    const body = 'intent=create-token&name=behind'
    const before = await databaseHash(db.owner)
    const socket = connect(Number(port), '127.0.0.1', () => socket.write(`${form(70_000)}x`))
    let said = ''
    socket.on('data', (piece: Buffer) => {
      if (!said) socket.write(`${'x'.repeat(69_999)}${form(body.length)}${body}`)
      said += piece
    })
    socket.on('error', () => {})
    await once(socket, 'close')
    expect(said.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 413'])
    expect((await rawRequest(web.origin, { path: '/healthz' })).status).toBe(200) // what was begun before is over, or nearly
    expect(await databaseHash(db.owner)).toBe(before)
  })

  it('a body of unknown length is refused before it is read', async () => {
    const answer = await createToken({ origin: web.origin, 'transfer-encoding': 'chunked' })
    expect(answer.status).toBe(413)
  })

  describe('every answer', () => {
    const pages = () =>
      builtRoutes()
        .filter((route) => route.isPage && route.demand && !/:(?!workspace)/.test(route.path))
        .map((route) => ({
          url: `${route.path.replace(':workspace', slug)}`,
          id: route.id,
          who:
            route.demand === 'operate:Platform'
              ? operator
              : route.demand === 'public'
                ? new Visitor(web.origin)
                : owner,
        }))

    it('that is a page forbids every script without this answer’s own nonce', async () => {
      const seen = new Set<string>()
      const all = [
        ...pages(),
        { url: '/nowhere', id: '', who: owner },
        { url: '/w/nobody/analytics', id: '', who: owner },
      ]
      expect(all.length).toBeGreaterThan(10)
      for (const { url, who } of [...all, ...all]) {
        const response = await who.ask(url)
        const html = await response.text()
        if (!html) continue
        const policy = response.headers.get('content-security-policy') ?? ''
        const nonce = /script-src [^;]*'nonce-([^']{20,})'/.exec(policy)?.[1] ?? ''
        expect(nonce, url).not.toBe('')
        expect(seen.has(nonce), url).toBe(false)
        seen.add(nonce)
        expect(policy.split(';').find((part) => part.startsWith('script-src '))).not.toContain('unsafe')
        for (const rule of [
          "default-src 'none'",
          "frame-ancestors 'none'",
          "base-uri 'none'",
          "object-src 'none'",
          "form-action 'self'",
        ])
          expect(policy).toContain(rule)
        for (const [tag] of html.matchAll(/<(?:script|style)\b[^>]*>/g)) expect(tag, url).toContain(`nonce="${nonce}"`)
        expect(html, url).not.toMatch(/<[^>]+\son\w+=/)
      }
      expect(seen.size).toBeGreaterThan(20)
    })

    it('to a signed-in person is kept by no cache, as a page and as its data', async () => {
      for (const { url, id, who } of pages()) {
        for (const suffix of ['', `?_data=${encodeURIComponent(id)}`]) {
          const response = await who.ask(url + suffix)
          await response.text()
          if (response.status === 200 && who.cookie)
            expect(response.headers.get('cache-control'), url + suffix).toBe('no-store')
        }
      }
    })

    it('has an id and the protective headers, and says nothing about what serves it', async () => {
      for (const url of [
        '/',
        '/sign-in',
        tokensPage(),
        '/nowhere',
        '/w/nobody/analytics',
        '/assets/none.js',
        '/v1/models',
        '/healthz',
      ]) {
        const { headers } = await owner.ask(url)
        expect(headers.get('x-powered-by'), url).toBeNull()
        expect(headers.get('server'), url).toBeNull()
        if (url.startsWith('/v1') || url === '/healthz') continue
        expect(headers.get('x-request-id'), url).toMatch(/^[0-9a-f-]{36}$/)
        expect(headers.get('x-content-type-options'), url).toBe('nosniff')
        expect(headers.get('cross-origin-opener-policy'), url).toBe('same-origin')
        expect(headers.get('cross-origin-resource-policy'), url).toBe('same-origin')
        expect(headers.get('referrer-policy'), url).toBe('same-origin')
      }
    })

    it('believes no forwarded host', async () => {
      for (const path of ['/', `/w/${slug}`, tokensPage()]) {
        const headers = { cookie: owner.cookie, 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' }
        for (const more of [{}, { host: 'evil.example' }] as Record<string, string>[]) {
          const answer = await rawRequest(web.origin, { path, headers: { ...headers, ...more } })
          expect(JSON.stringify(answer.headers) + answer.body).not.toContain('evil.example')
        }
      }
    })
  })

  describe('a session', () => {
    const session = async (cookie: string) => {
      const token = decodeURIComponent(cookie.split('=')[1] ?? '').split('.')[0]
      return (await db.owner.query('SELECT * FROM sessions WHERE token = $1', [token])).rows
    }
    const isSignedIn = async (visitor: Visitor) => (await visitor.ask(tokensPage())).status === 200

    async function signedIn(): Promise<Visitor> {
      const visitor = new Visitor(web.origin)
      await visitor.signIn(email, personPassword)
      expect(await isSignedIn(visitor)).toBe(true)
      return visitor
    }

    it('is a cookie that no script reads and no other site sends', async () => {
      const visitor = new Visitor(web.origin)
      const response = await visitor.signIn(email, personPassword)
      const [cookie = ''] = response.headers.getSetCookie()
      expect(cookie).toMatch(/^km_session=/)
      for (const flag of ['HttpOnly', 'SameSite=Lax', 'Path=/']) expect(cookie.split('; ')).toContain(flag)
      expect(cookie).not.toMatch(/Domain=/i)
      expect(response.headers.getSetCookie()).toHaveLength(1)
    })

    it('is a new one at each sign-in, whatever cookie came along', async () => {
      const visitor = await signedIn()
      const first = visitor.cookie
      await visitor.signIn(email, personPassword)
      expect(visitor.cookie).not.toBe(first)
    })

    it('ends with signing out: the row is gone, the old cookie opens nothing', async () => {
      const visitor = await signedIn()
      expect(await session(visitor.cookie)).toHaveLength(1)
      const out = await visitor.post('/sign-out', { intent: 'sign-out' })
      expect(out.status).toBe(302)
      expect(out.headers.getSetCookie().join()).toMatch(/km_session=;.*Max-Age=0/i)
      expect(await session(visitor.cookie)).toEqual([])
      expect(await isSignedIn(visitor)).toBe(false)
    })

    it.each([
      ['8 hours without use', "expires_at = now() - interval '1 second'"],
      ['7 days in any case', "created_at = now() - interval '7 days 1 minute'"],
    ])('ends after %s', async (_what, change) => {
      const visitor = await signedIn()
      const [row] = await session(visitor.cookie)
      await db.owner.query(`UPDATE sessions SET ${change} WHERE id = $1`, [row.id])
      expect(await isSignedIn(visitor)).toBe(false)
    })

    it('lasts 8 hours', async () => {
      const [row] = await session((await signedIn()).cookie)
      const hours = (row.expires_at - row.created_at) / 3_600_000
      expect(hours).toBeGreaterThan(7.9)
      expect(hours).toBeLessThanOrEqual(8.01)
    })

    it('is not opened by a cookie that was made up, shortened or signed by nobody', async () => {
      const visitor = await signedIn()
      const [name, value = ''] = visitor.cookie.split('=')
      const token = decodeURIComponent(value).split('.')[0]
      for (const forged of [
        token,
        `${token}.`,
        `${token}.AAAA`,
        value.slice(0, -4),
        `${value}x`,
        'x'.repeat(4_000),
        '%00',
        '',
      ]) {
        visitor.cookie = `${name}=${forged}`
        expect(await isSignedIn(visitor), forged).toBe(false)
      }
    })

    it('loses a role at once when it is taken away', async () => {
      const visitor = await signedIn()
      await db.owner.query(
        "UPDATE members SET role = 'member' WHERE user_id = (SELECT id FROM users WHERE email = $1)",
        [email],
      )
      expect((await visitor.ask(tokensPage())).status).toBe(403)
      await db.owner.query(
        "UPDATE members SET role = 'owner' WHERE user_id = (SELECT id FROM users WHERE email = $1)",
        [email],
      )
    })
  })

  it.each([
    ['POST', '/chat/completions'],
    ['POST', '/responses'],
    ['GET', '/models?limit=1'],
  ])('a client whose base URL lacks /v1 is told so in JSON: %s %s', async (method, path) => {
    const response = await fetch(`${web.origin}${path}`, { method, ...(method === 'POST' && { body: '{}' }) })
    expect([response.status, response.headers.get('content-type')]).toEqual([404, 'application/json'])
    const { error } = (await response.json()) as { error: { code: string; message: string } }
    expect(error).toMatchObject({
      code: 'unknown_endpoint',
      message: expect.stringMatching(/base URL has to end with \/v1/),
    })
  })
})
