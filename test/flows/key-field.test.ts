/** The key field of the Billing page, asked with everything that people and programs put into it (security §4c, 1-47). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Role } from '#app/domain/permissions/permissions.ts'
import { inSystem, inTenant } from '#app/platform/db.server.ts'
import { useDatabase } from '#test/database.ts'
import { makeGatewayToken, makeMember, makeWorkspace } from '#test/factories.ts'
import { type OpenRouterSandbox, startOpenRouterSandbox } from '#test/sandbox/openrouter/server.ts'
import { makePerson, personPassword, rawRequest, useWeb, Visitor } from '#test/web.ts'
import { databaseHash } from './database-hash.ts'

const ROUTE = 'routes/w.$workspace.settings.billing'
const hex = (seed: string) => `${seed}${'0123456789abcdef'.repeat(4)}`.slice(0, 64)
const goodKey = (seed: string) => `sk-or-v1-${hex(seed)}`
/** Stands inside every odd value, and must not come back from anywhere. */
const MARK = 'Zq7pLm2xVtMARK'
const form = { 'content-type': 'application/x-www-form-urlencoded' }

describe('the key field', () => {
  let upstream: OpenRouterSandbox
  const db = useDatabase()
  const web = useWeb(db, async () => {
    upstream = await startOpenRouterSandbox()
    return { PROVIDER_BASE_URL_OPENROUTER: upstream.baseUrl }
  })
  afterAll(() => upstream.close())

  let visitor: Visitor
  let page: string
  let workspaceId: string

  async function admin(planId = 'enterprise', role: Role = 'billing_admin') {
    const workspace = await makeWorkspace({ planId })
    const { userId, email } = await makePerson()
    await inTenant({ workspaceId: workspace.id }, (tx) =>
      tx.member.create({ data: { workspaceId: workspace.id, userId, role } }),
    )
    const person = new Visitor(web.origin)
    await person.signIn(email, personPassword)
    return { person, id: workspace.id, url: `/w/${workspace.slug}/settings/billing` }
  }

  beforeAll(async () => {
    const made = await admin()
    visitor = made.person
    page = made.url
    workspaceId = made.id
  })

  interface Shown {
    status: number
    code: string
    message: string
    field: string | null
  }

  /** Sends the body as data and as document. Nothing may be stored, echoed or logged. */
  async function refused(body: string | Buffer, headers: Record<string, string> = form): Promise<Shown> {
    const before = await databaseHash(db.owner)
    const common = { cookie: visitor.cookie, origin: web.origin, ...headers }
    const data = await rawRequest(web.origin, {
      method: 'POST',
      path: `${page}?_data=${encodeURIComponent(ROUTE)}`,
      headers: common,
      body,
    })
    const document = await rawRequest(web.origin, { method: 'POST', path: page, headers: common, body })
    expect(document.status).toBe(data.status)
    expect(await databaseHash(db.owner)).toBe(before)
    for (const text of [data.body, document.body, web.output()]) expect(text).not.toContain(MARK)
    const { error } = JSON.parse(data.body)
    expect(document.body).toContain(error.requestId === undefined ? 'x' : '<html')
    return { status: data.status, code: error.code, message: error.message, field: error.field }
  }

  const saving = (key: string) => new URLSearchParams({ intent: 'save-key', provider: 'openrouter', key }).toString()
  const rawField = (field: string) => `intent=save-key&provider=openrouter&${field}`
  const FOREIGN_CHARACTERS = /characters that no key has/
  const CONTROL = /control character/
  const PREFIX = "OpenRouter keys must start with 'sk-or-'"

  it.each<[number, string, string, string | RegExp]>([
    [1, 'empty', '', 'Enter a key'],
    [2, 'spaces only', '   ', 'Enter a key'],
    [4, 'inner space', `sk-or-v1-${MARK} abcdef012345678`, /contains a space/],
    [5, 'tab', `sk-or-v1-${MARK}\tabcdef012345678`, CONTROL],
    [6, 'line feed', `sk-or-v1-${MARK}\nabcdef012345678`, CONTROL],
    [7, 'CRLF and a header', `sk-or-v1-${MARK}abcdef\r\nX-Evil: 1`, CONTROL],
    [8, 'NUL', `sk-or-v1-${MARK}\0abcdef012345678`, CONTROL],
    [9, 'DEL', `sk-or-v1-${MARK}\x7fabcdef012345678`, CONTROL],
    [9, 'unit separator', `sk-or-v1-${MARK}\x1fabcdef012345678`, CONTROL],
    [10, 'emoji', `sk-or-v1-${MARK}🔑abcdef0123456`, FOREIGN_CHARACTERS],
    [11, 'Cyrillic letter', `ѕk-or-v1-${MARK}abcdef0123456`, FOREIGN_CHARACTERS],
    [12, 'full-width letters', `ｓｋ－ｏｒ-v1-${MARK}abcdef0123456`, FOREIGN_CHARACTERS],
    [13, 'zero-width joiner', `sk-or-v1-${MARK}\u200dabcdef0123456`, FOREIGN_CHARACTERS],
    [14, 'right-to-left override', `sk-or-v1-${MARK}\u202eabcdef0123456`, FOREIGN_CHARACTERS],
    [15, 'byte order mark', `\ufeffsk-or-v1-${MARK}abcdef0123456`, /characters that no key has|contains a space/],
    [16, 'another provider’s prefix', `sk-${MARK}abcdef0123456789abcdef`, PREFIX],
    [16, 'the prefix of the prefix alone', 'sk-', PREFIX],
    [17, 'capitals', `SK-OR-v1-${MARK}abcdef0123456`, PREFIX],
    [18, 'too short', 'sk-or-v', /too short/],
    [19, '513 characters', `sk-or-v1-${MARK}`.padEnd(513, 'a'), /at most 512 characters/],
    [21, 'Bearer', `Bearer sk-or-v1-${MARK}abcdef0123456`, /without "Bearer"/],
    [22, 'quoted', `"sk-or-v1-${MARK}abcdef0123456"`, /quotation marks/],
    [23, 'an export line', `export OPENROUTER_API_KEY=sk-or-v1-${MARK}abcdef`, /after the equals sign/],
    [25, 'an Anthropic key', `sk-ant-api03-${MARK}abcdef0123456`, PREFIX],
    [26, 'JSON text', `{"key":"sk-or-v1-${MARK}"}`, /not JSON/],
    [30, 'a number', '12345678901234567890', PREFIX],
    [31, 'a boolean', 'true', PREFIX],
    [32, 'null', 'null', PREFIX],
    [47, 'the masked form', `sk-or-v1-…${MARK.slice(-4)}`, /masked form/],
    [63, 'a private key', `-----BEGIN PRIVATE KEY-----${MARK}`, /private key file/],
  ])('case %i, %s: refused with its own advice', async (_number, _what, key, message) => {
    const shown = await refused(saving(key))
    expect(shown).toMatchObject({ status: 400, field: 'key' })
    if (message instanceof RegExp) expect(shown.message).toMatch(message)
    else expect(shown.message).toBe(message)
  })

  it('shows no sample of a key: only the demo does', async () => {
    expect(await (await visitor.ask(page)).text()).not.toContain('This is the demo')
  })

  it('case 24, one of our own tokens: says so', async () => {
    const token = await makeGatewayToken(await makeMember(workspaceId, 'developer'))
    const shown = await refused(saving(token))
    expect(shown).toMatchObject({ status: 400, code: 'own_token', field: 'key' })
    expect(web.output()).not.toContain(token)
  })

  it('case 20, ten megabytes: 413 before a byte of it is read', async () => {
    const { status } = await rawRequest(web.origin, {
      method: 'POST',
      path: page,
      headers: { ...form, cookie: visitor.cookie, origin: web.origin, 'content-length': '10485760' },
      body: 'intent=save-key&key=',
    })
    expect(status).toBe(413)
  })

  it.each<[number, string, string | Buffer, string, string]>([
    [26, 'JSON', `{"key":"${MARK}"}`, 'application/json', 'unsupported_content_type'],
    [29, 'a JSON object for the key', `{"key":{"not":"${MARK}"}}`, 'application/json', 'unsupported_content_type'],
    [
      39,
      'JSON 10,000 deep',
      `${'['.repeat(10_000)}${']'.repeat(10_000)}`,
      'application/json',
      'unsupported_content_type',
    ],
    [26, 'plain text', `key=${MARK}`, 'text/plain', 'unsupported_content_type'],
    [27, 'an array', rawField(`key[]=${MARK}`), form['content-type'], 'invalid_input'],
    [28, 'the field twice', rawField(`key=${MARK}&key=b`), form['content-type'], 'repeated_field'],
    [29, 'an operator', rawField(`key[not]=${MARK}`), form['content-type'], 'invalid_input'],
    [33, '__proto__', rawField(`key=sk-or-v1-${hex('33')}&__proto__=${MARK}`), form['content-type'], 'invalid_input'],
    [
      33,
      'constructor',
      rawField(`key=sk-or-v1-${hex('33')}&constructor=${MARK}`),
      form['content-type'],
      'invalid_input',
    ],
    [
      34,
      'a lone surrogate',
      rawField(`key=sk-or-v1-${MARK}%ED%A0%80abcdef`),
      form['content-type'],
      'invalid_key_format',
    ],
    [
      35,
      'bytes that are no UTF-8',
      rawField(`key=sk-or-v1-${MARK}%FF%FEabcdef`),
      form['content-type'],
      'invalid_key_format',
    ],
    [36, 'over-long UTF-8', rawField(`key=sk-or-v1-${MARK}%C0%AFabcdef`), form['content-type'], 'invalid_key_format'],
    [
      38,
      '10,000 fields',
      rawField(Array.from({ length: 10_000 }, (_, n) => `a${n}=1`).join('&')).slice(0, 64_000),
      form['content-type'],
      'too_many_fields',
    ],
    [
      0,
      'a secret as the name of a field',
      rawField(`key=sk-or-v1-${hex('aa')}&sk-or-v1-${MARK}${hex('bb')}=1`),
      form['content-type'],
      'invalid_input',
    ],
    [0, 'no provider of ours', `intent=save-key&provider=${MARK}&key=x`, form['content-type'], 'invalid_input'],
  ])('case %i, %s', async (_number, _what, body, type, code) => {
    expect(await refused(body, { 'content-type': type })).toMatchObject({ status: 400, code })
  })

  it('case 37, a file instead of text', async () => {
    const boundary = 'frontier'
    const part = (name: string, more: string, value: string) =>
      `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${value}\r\n`
    const body = `${part('intent', '', 'save-key')}${part('provider', '', 'openrouter')}${part('key', '; filename="key.txt"', `sk-or-v1-${MARK}`)}--${boundary}--\r\n`
    const shown = await refused(body, { 'content-type': `multipart/form-data; boundary=${boundary}` })
    expect(shown).toMatchObject({ status: 400, code: 'file_not_expected', field: 'key' })
    const broken = await refused(`--${boundary}\r\nnot a part ${MARK}`, {
      'content-type': `multipart/form-data; boundary=${boundary}`,
    })
    expect(broken).toMatchObject({ status: 400, code: 'unreadable_form' })
  })

  /** Saves as the page does. @returns status and what the page would say */
  async function save(key: string, who = { person: visitor, url: page }, more: Record<string, string> = {}) {
    const response = await who.person.post(`${who.url}?_data=${encodeURIComponent(ROUTE)}`, {
      intent: 'save-key',
      provider: 'openrouter',
      key,
      ...more,
    })
    const text = await response.text()
    if (key.trim().length > 20) expect(text).not.toContain(key.trim().slice(9, -4))
    return { status: response.status, ...JSON.parse(text) }
  }
  const stored = async (id: string) =>
    (await db.owner.query('SELECT version, hint, verification FROM provider_keys WHERE workspace_id = $1', [id])).rows

  it('case 3, spaces at both ends are trimmed; case 40, the same key again changes nothing', async () => {
    const who = await admin()
    expect(await save(`  ${goodKey('c3')}  `, { ...who, url: who.url })).toMatchObject({ status: 200, ok: true })
    const before = await databaseHash(db.owner)
    expect(await save(goodKey('c3'), who)).toMatchObject({
      status: 200,
      ok: true,
      message: expect.stringMatching(/nothing changed/),
    })
    expect(await databaseHash(db.owner)).toBe(before)
    expect(await stored(who.id)).toEqual([
      { version: 1, hint: `sk-or-v1-…${goodKey('c3').slice(-4)}`, verification: 'valid' },
    ])
  })

  it('case 41, the provider refuses it; a management key: not saved, and why', async () => {
    const who = await admin()
    expect(await save(`sk-or-v1-revoked-${hex('41')}`, who)).toMatchObject({
      status: 400,
      error: { code: 'key_rejected', field: 'key' },
    })
    expect(await save(`sk-or-v1-mgmt-${hex('41')}`, who)).toMatchObject({
      status: 400,
      error: { code: 'management_key', field: 'key' },
    })
    expect(await stored(who.id)).toEqual([])
  })

  it.each([
    [42, 'slow', /did not answer in time/],
    [42, 'broken', /error of its own/],
    [43, 'busy', /slow down/],
  ])('case %i, the provider cannot be asked (%s): saved, with a warning', async (_number, word, warning) => {
    const who = await admin()
    const saved = await save(`sk-or-v1-${word}-${hex('42')}`, who)
    expect(saved).toMatchObject({ status: 200, ok: true, warning: expect.stringMatching(warning) })
    expect(await stored(who.id)).toMatchObject([{ version: 1, verification: 'unverified' }])
  })

  it('case 44, a key without credit is saved: refilling it is the customer’s', async () => {
    const who = await admin()
    expect(await save(`sk-or-v1-empty-${hex('44')}`, who)).toMatchObject({ status: 200, ok: true })
    expect(await stored(who.id)).toHaveLength(1)
  })

  it('case 45, two at once: one version each, both audited', async () => {
    const who = await admin()
    await save(goodKey('450'), who)
    const { rows: keys } = await db.owner.query('SELECT id FROM provider_keys WHERE workspace_id = $1', [who.id])
    const keyId = keys[0].id
    const saved = await Promise.all([save(goodKey('45a'), who, { keyId }), save(goodKey('45b'), who, { keyId })])
    expect(saved.map((one) => one.status)).toEqual([200, 200])
    expect(await stored(who.id)).toMatchObject([{ version: 3 }])
    const { rows } = await db.owner.query('SELECT action FROM audit_events WHERE workspace_id = $1 ORDER BY seq', [
      who.id,
    ])
    expect(rows.map((row) => row.action)).toEqual([
      'provider_key.saved',
      'provider_key.replaced',
      'provider_key.replaced',
    ])
  })

  it('case 46, the plan was left meanwhile: 403, nothing stored', async () => {
    const who = await admin()
    await inSystem((tx) => tx.workspace.update({ where: { id: who.id }, data: { planId: 'pro' } }))
    const before = await databaseHash(db.owner)
    const response = await who.person.post(who.url, { intent: 'save-key', provider: 'openrouter', key: goodKey('46') })
    expect(response.status).toBe(403)
    expect(await response.text()).not.toContain(goodKey('46').slice(9))
    expect(await databaseHash(db.owner)).toBe(before)
  })
})
