/** The two programs as an installation runs them: NODE_ENV=production, settings from the environment and from files. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { inTenant } from '#app/platform/db.server.ts'
import { ensureBuilt } from '#scripts/build.ts'
import { freePort } from '#scripts/free-port.ts'
import { type TestSettings, useDatabase } from '#test/database.ts'
import { makeMember, makeWorkspace, saveKeyDirectly } from '#test/factories.ts'
import { until } from '#test/gateway.ts'
import { launch, makePerson, personPassword, type RunningProgram, start } from '#test/web.ts'

const programs = ['server.ts', 'workers/index.ts'] as const
const newPhrase = () => randomBytes(48).toString('base64')
const phrase = newPhrase()

describe('in production', () => {
  const db = useDatabase({ SECRETS_PHRASE: phrase })
  const running: RunningProgram[] = []
  let folder: string

  beforeAll(() => {
    ensureBuilt()
    folder = mkdtempSync(path.join(os.tmpdir(), 'keymargin-boot-'))
  })
  afterEach(async () => {
    for (const program of running.splice(0)) {
      program.child.kill('SIGKILL')
      await program.exited
    }
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  const inFile = (name: string, text: string): string => {
    const file = path.join(folder, name)
    writeFileSync(file, `${text}\n`, { mode: 0o600 })
    return file
  }

  /** What docs/operations.md asks for, and nothing of the test's own settings. */
  const good = (): Record<string, string | undefined> => ({
    PATH: process.env.PATH,
    NODE_ENV: 'production',
    PORT: '0',
    APP_ORIGIN: 'https://ai.example.com',
    DATABASE_URL: db.appUrl,
    SECRETS_PHRASE_FILE: inFile('phrase', phrase),
    STRIPE_SECRET_KEY: 'sk_live_9PbVhF3rTqLm2Wx8',
    STRIPE_WEBHOOK_SECRET: 'whsec_4JcTg7QnRz1Yv6Kd',
    OPENROUTER_PLATFORM_KEY: 'sk-or-v1-8dHs2mPqLx7Zr4Tn9Wv3Kc6B',
    LOG_LEVEL: 'info',
  })

  function run(program: string, change: Record<string, string | undefined> = {}): RunningProgram {
    const env = Object.fromEntries(Object.entries({ ...good(), ...change }).filter(([, value]) => value !== undefined))
    const one = launch(program, env as NodeJS.ProcessEnv)
    running.push(one)
    return one
  }

  /** Starts it in full. Ports are chosen first: production says them to nobody but its log. */
  async function up(program: string, change: Record<string, string | undefined> = {}) {
    const port = await freePort()
    const env = Object.fromEntries(
      Object.entries({ ...good(), PORT: String(port), ...change }).filter(([, value]) => value !== undefined),
    )
    const one = await start(program, env as NodeJS.ProcessEnv)
    running.push(one)
    return { ...one, origin: `http://127.0.0.1:${port}` }
  }

  const beats = async () => (await db.owner.query('SELECT count(*)::int AS n FROM process_heartbeats')).rows[0].n

  describe.each(programs)('%s refuses to start', (program) => {
    /** @returns its one message. It ended with 1, wrote nothing else, and named no value. */
    async function refusal(change: Record<string, string | undefined>): Promise<string> {
      const one = run(program, change)
      expect(await one.exited).toMatchObject({ code: 1 })
      const said = one.output()
      for (const [name, value] of Object.entries({ ...good(), ...change }))
        if (value && value.length > 8 && !['PATH', 'NODE_ENV', 'SECRETS_PHRASE_FILE'].includes(name))
          expect(said, name).not.toContain(value)
      expect(said).not.toContain(phrase)
      expect(said).not.toMatch(/\n\s+at /)
      expect(said.match(/Keymargin cannot start/g)).toHaveLength(1)
      return said
    }

    it('without settings, and names all that are missing at once', async () => {
      const nothing = Object.fromEntries(Object.keys(good()).map((name) => [name, undefined]))
      const said = await refusal({ ...nothing, PATH: process.env.PATH, NODE_ENV: 'production' })
      for (const name of [
        'DATABASE_URL',
        'SECRETS_PHRASE_FILE',
        'STRIPE_SECRET_KEY',
        'STRIPE_WEBHOOK_SECRET',
        'OPENROUTER_PLATFORM_KEY',
        'APP_ORIGIN',
      ])
        expect(said).toContain(name)
    })

    it.each<[string, Record<string, string | undefined>, RegExp]>([
      ['with the sandbox on', { KEYMARGIN_SANDBOX: '1' }, /KEYMARGIN_SANDBOX/],
      ['over plain http', { APP_ORIGIN: 'http://ai.example.com' }, /APP_ORIGIN: must be https/],
      [
        'with a sample phrase',
        { SECRETS_PHRASE_FILE: undefined, SECRETS_PHRASE: 'correct horse battery staple' },
        /sample phrase/,
      ],
      [
        'with a phrase of the documentation',
        { SECRETS_PHRASE_FILE: undefined, SECRETS_PHRASE: 'changeme-changeme-changeme-changeme' },
        /sample phrase/,
      ],
      ['with a weak phrase', { SECRETS_PHRASE_FILE: undefined, SECRETS_PHRASE: 'abcabcabcabcabcabcab' }, /too weak/],
      ['with the sandbox’s Stripe key', { STRIPE_SECRET_KEY: 'sk_test_sandbox' }, /STRIPE_SECRET_KEY/],
      ['with Stripe on this machine', { STRIPE_API_BASE: 'http://127.0.0.1:3101' }, /STRIPE_API_BASE/],
      [
        'with the provider on this machine',
        { PROVIDER_BASE_URL_OPENROUTER: 'http://localhost:3102/api' },
        /PROVIDER_BASE_URL_OPENROUTER/,
      ],
      [
        'with a file that is not there',
        { SECRETS_PHRASE_FILE: '/nowhere/phrase' },
        /SECRETS_PHRASE_FILE: cannot be read/,
      ],
      ['with an empty phrase file', { SECRETS_PHRASE_FILE: '/dev/null' }, /SECRETS_PHRASE_FILE: missing/],
      ['with a database of another kind', { DATABASE_URL: 'mysql://user:hunter2hunter2@db/x' }, /DATABASE_URL/],
      ['with a port that is none', { PORT: '99999' }, /PORT/],
      [
        'with everything wrong at once',
        {
          KEYMARGIN_SANDBOX: '1',
          APP_ORIGIN: undefined,
          STRIPE_SECRET_KEY: 'sk_test_sandbox',
          SECRETS_PHRASE_FILE: undefined,
          SECRETS_PHRASE: 'demo',
        },
        /KEYMARGIN_SANDBOX[\s\S]*APP_ORIGIN[\s\S]*sample phrase[\s\S]*STRIPE_SECRET_KEY/,
      ],
    ])('%s', async (what, change, message) => {
      // Both read their settings in one place: the worker is asked about the first and the last of these.
      if (program !== 'server.ts' && !/sandbox on|at once/.test(what)) return
      expect(await refusal(change)).toMatch(message)
    })

    it('with another phrase than the database is sealed under, and says what to do', async () => {
      const other = newPhrase()
      const port = await freePort()
      const one = run(program, { SECRETS_PHRASE_FILE: inFile('other', other), PORT: String(port) })
      expect(await one.exited).toMatchObject({ code: 1 })
      expect(one.output()).toMatch(/does not open the keys stored in this database[\s\S]*SECRETS_PHRASE_PREVIOUS_FILE/)
      expect(one.output()).not.toContain(other)
      expect(one.output()).not.toMatch(/\n\s+at /)
      await expect(fetch(`http://127.0.0.1:${port}/healthz`)).rejects.toThrow()
      expect((await db.owner.query('SELECT FROM kek_versions')).rowCount).toBe(1)
    })

    it('without a database, and shows no password', async () => {
      const url = new URL(db.appUrl)
      url.port = String(await freePort())
      url.password = 'hunter2hunter2'
      const one = run(program, { DATABASE_URL: url.href })
      expect(await one.exited).toMatchObject({ code: 1 })
      expect(one.output().trim()).not.toBe('')
      expect(one.output()).not.toContain('hunter2')
    })
  })

  describe('with good settings', () => {
    it('the web process serves, its cookie is __Host- and Secure, and SIGTERM ends it with 0 and no beat left', async () => {
      const web = await up('server.ts')
      expect((await fetch(`${web.origin}/healthz`)).status).toBe(200)
      const ready = await fetch(`${web.origin}/readyz`)
      expect([ready.status, await ready.text()]).toEqual([200, 'ready'])
      expect(await beats()).toBe(1)
      const { email } = await makePerson()
      const signedIn = await fetch(`${web.origin}/sign-in`, {
        method: 'POST',
        redirect: 'manual',
        headers: { origin: 'https://ai.example.com' }, // while Host is what a careless proxy made of it
        body: new URLSearchParams({ intent: 'sign-in', email, password: personPassword }),
      })
      expect(signedIn.status).toBe(302)
      const [cookie = ''] = signedIn.headers.getSetCookie()
      expect(cookie).toMatch(/^__Host-km_session=/)
      for (const flag of ['Secure', 'HttpOnly', 'SameSite=Lax', 'Path=/']) expect(cookie.split('; ')).toContain(flag)
      expect(cookie).not.toMatch(/Domain=/i)
      expect(signedIn.headers.get('strict-transport-security')).toMatch(/max-age=63072000; includeSubDomains/)
      const home = await fetch(`${web.origin}/`, {
        headers: { cookie: cookie.split(';')[0] ?? '' },
        redirect: 'manual',
      })
      expect(home.status).toBe(200)
      for (const origin of [web.origin, 'http://ai.example.com', 'https://localhost'])
        expect((await fetch(`${web.origin}/sign-in`, { method: 'POST', headers: { origin } })).status).toBe(403)
      expect(await web.stop()).toBe(0)
      expect(await beats()).toBe(0)
      for (const secret of [phrase, personPassword, 'sk_live_9Pb', 'whsec_4Jc', 'sk-or-v1-8dH'])
        expect(web.output()).not.toContain(secret)
    })

    it('the worker works, and SIGTERM ends it with 0 and no beat left', async () => {
      const worker = await up('workers/index.ts')
      await until(async () => (await beats()) > 0, 'the worker’s beat')
      expect(await worker.stop()).toBe(0)
      expect(await beats()).toBe(0)
    })
  })

  it('a new phrase takes over while everything runs, and the old one can then be forgotten', async () => {
    const owner = await makeMember((await makeWorkspace()).id, 'owner')
    const key = `sk-or-v1-${'7c'.repeat(32)}`
    await saveKeyDirectly(owner, key)
    const row = await inTenant({ workspaceId: owner.workspaceId }, (tx) =>
      tx.providerKey.findFirstOrThrow({ where: { workspaceId: owner.workspaceId } }),
    )
    const next = newPhrase()
    const both = { SECRETS_PHRASE_FILE: inFile('next', next), SECRETS_PHRASE_PREVIOUS_FILE: inFile('previous', phrase) }
    const readyz = async (origin: string) => (await fetch(`${origin}/readyz`)).status

    const before = await up('server.ts')
    const web = await up('server.ts', both)
    expect([await readyz(before.origin), await readyz(web.origin)]).toEqual([200, 200])
    const worker = await up('workers/index.ts', both)
    const active = 'SELECT id FROM kek_versions ORDER BY created_at DESC LIMIT 1'
    await until(
      async () =>
        (await db.owner.query(`SELECT FROM workspace_data_keys WHERE kek_id <> (${active})`)).rowCount === 0 &&
        (await db.owner.query(`SELECT FROM process_secrets WHERE kek_id <> (${active})`)).rowCount === 0,
      'the re-wrapping',
    )
    // A process that knows the old phrase only must no longer be given traffic.
    expect([await readyz(before.origin), await readyz(web.origin)]).toEqual([503, 200])
    for (const one of [before, web, worker]) expect(await one.stop()).toBe(0)

    const alone = { SECRETS_PHRASE_FILE: both.SECRETS_PHRASE_FILE }
    const after = await up('server.ts', alone)
    expect(await readyz(after.origin)).toBe(200)
    const opener = await start(
      'test/open-key-process.ts',
      db.childEnv({
        SECRETS_PHRASE: next,
        KEY: JSON.stringify({ workspaceId: owner.workspaceId, keyId: row.id, keyVersion: row.version }),
      } as TestSettings),
    )
    expect((await opener.exited).code).toBe(0)
    expect(opener.output().trim()).toBe(key)
    expect(await after.stop()).toBe(0)

    const old = run('server.ts')
    expect(await old.exited).toMatchObject({ code: 1 })
  })
})
