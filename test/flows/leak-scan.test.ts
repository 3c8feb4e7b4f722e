import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { type Role, roles } from '#app/domain/permissions/permissions.ts'
import { monthOf, shiftMonth } from '#app/platform/calendar-month.ts'
import { inSystem, inTenant } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'
import { makeCall, recordAll } from '#test/call-factory.ts'
import { useDatabase } from '#test/database.ts'
import { makeWorkspace } from '#test/factories.ts'
import { until } from '#test/gateway.ts'
import { type Canary, canaryOf, formsOf, searchLeaks } from '#test/leak-search.ts'
import { type RecordingProxy, startRecordingProxy, withoutAuthorization } from '#test/recording-proxy.ts'
import { type OpenRouterSandbox, startOpenRouterSandbox } from '#test/sandbox/openrouter/server.ts'
import { sdkClient, seedCustomer } from '#test/sandbox/stripe/sdk-client.ts'
import { type StripeSandbox, startStripeSandbox } from '#test/sandbox/stripe/stripe-sandbox.ts'
import { makePerson, type RunningProgram, start, useWeb, Visitor } from '#test/web.ts'
import { builtRoutes } from './denial-cells.ts'
import { clientBundle, databaseFiles, dumpDatabase } from './leak-places.ts'
import { callEverything, canary, sendBadWebhooks } from './leak-traffic.ts'

describe('no secret is left behind', () => {
  const db = useDatabase({
    SECRETS_PHRASE: canary.phrase.text,
    STRIPE_SECRET_KEY: canary.stripeSecret.text,
    STRIPE_WEBHOOK_SECRET: canary.webhookSecret.text,
    OPENROUTER_PLATFORM_KEY: canary.platformKey.text,
    LOG_LEVEL: 'debug',
  })
  let upstream: OpenRouterSandbox
  let stripe: StripeSandbox
  let toUpstream: RecordingProxy
  let toStripe: RecordingProxy
  let worker: RunningProgram
  const web = useWeb(db, async () => {
    upstream = await startOpenRouterSandbox()
    stripe = await startStripeSandbox()
    toUpstream = await startRecordingProxy(upstream.origin)
    toStripe = await startRecordingProxy(stripe.url)
    db.configure({
      PROVIDER_BASE_URL_OPENROUTER: `${toUpstream.origin}/api/v1`,
      STRIPE_API_BASE: toStripe.origin,
      LOG_LEVEL: 'silent',
    })
    return { LOG_LEVEL: 'debug' }
  })
  const places = new Map<string, string>()
  const visitors = new Map<string, Visitor>()
  const gatewayAnswers: string[] = []
  const formAnswers: string[] = []
  let slug: string
  let workspaceId: string
  let tokens: Canary[] = []
  /** Of the connected account: it goes to the provider, and nowhere else. */
  let verifier: Canary
  const secrets = () => [
    ...Object.values(canary).filter((one) => one !== canary.prompt && one !== canary.reply),
    ...tokens,
  ]

  async function makePeople(): Promise<void> {
    for (const role of [...roles, 'operator'] as const) {
      const { userId, email } = await makePerson(canary.password.text)
      if (role === 'operator') await inSystem((tx) => tx.operator.create({ data: { userId } }))
      else
        await inTenant({ workspaceId }, (tx) => tx.member.create({ data: { workspaceId, userId, role: role as Role } }))
      const visitor = new Visitor(web.origin)
      await visitor.signIn(email, canary.password.text)
      visitors.set(role, visitor)
    }
    const form = { intent: 'sign-in', email: 'nobody@example.com', password: canary.wrongPassword.text }
    const refused = await new Visitor(web.origin).post('/sign-in', form)
    expect(refused.status).toBe(400)
    formAnswers.push(await refused.text())
  }

  const as = (role: string) => visitors.get(role) as Visitor

  /** In place of the key there is, both as a document and as data. @returns the last status */
  async function saveKey(key: string): Promise<number> {
    let status = 0
    for (const query of ['', '?_data=routes%2Fw.%24workspace.settings.billing']) {
      const { rows } = await db.owner.query('SELECT id FROM provider_keys WHERE workspace_id = $1', [workspaceId])
      const replaced: Record<string, string> = rows.length ? { keyId: rows[0].id } : {}
      const form = { intent: 'save-key', provider: 'openrouter', key, ...replaced }
      const response = await as('billing_admin').post(`/w/${slug}/settings/billing${query}`, form)
      status = response.status
      formAnswers.push(await response.text())
    }
    return status
  }

  async function saveKeys(): Promise<void> {
    expect(await saveKey(canary.malformedKey.text)).toBe(400)
    for (const around of ['Bearer %', '"%"', 'export KEY=%', '{"key":"%"}', '%…'])
      expect(await saveKey(around.replace('%', canary.providerKey.text))).toBe(400)
    expect(await saveKey(canary.refusedKey.text)).toBe(400)
    expect(await saveKey(canary.unverifiedKey.text)).toBe(200)
    expect(await saveKey(canary.replacedKey.text)).toBe(200)
    expect(await saveKey(`  ${canary.providerKey.text} `)).toBe(200)
    expect(await saveKey(canary.providerKey.text)).toBe(200)
    for (const extra of [{ [canary.providerKey.text]: '1' }, { provider: canary.providerKey.text }]) {
      const form = { intent: 'save-key', provider: 'openrouter', key: 'x', ...extra }
      formAnswers.push(await (await as('owner').post(`/w/${slug}/settings/billing`, form)).text())
    }
    for (const role of ['member', 'developer'])
      formAnswers.push(
        await (
          await as(role).post(`/w/${slug}/settings/billing`, {
            intent: 'save-key',
            provider: 'openrouter',
            key: canary.providerKey.text,
          })
        ).text(),
      )
  }

  /** OpenRouter is connected with one click, and once the key that it makes is refused by itself. */
  async function connectOpenRouter(): Promise<void> {
    const admin = as('billing_admin')
    const attempts = [
      [canary.mintedKey.text, 'connected'],
      [canary.refusedKey.text, 'not_kept'],
    ] as const
    for (const [mintedKey, outcome] of attempts) {
      upstream.settings({ mintedKey })
      const form = { intent: 'connect-openrouter', limitUsd: '25' }
      const began = await admin.post(`/w/${slug}/settings/billing/connect`, form)
      const at = new URL(began.headers.get('location') ?? '')
      const body = new URLSearchParams([...at.searchParams, ['decision', 'approve']])
      const approved = await fetch(`${at.origin}${at.pathname}`, { method: 'POST', body, redirect: 'manual' })
      const back = new URL(approved.headers.get('location') ?? '')
      const ended = await admin.ask(back.pathname + back.search)
      expect(ended.headers.get('location')).toMatch(new RegExp(`connect=${outcome}$`))
      for (const response of [began, ended])
        formAnswers.push(JSON.stringify([...response.headers]), await response.text())
    }
    const exchange = toUpstream.requests.find((one) => one.line.startsWith('POST /api/v1/auth/keys'))
    verifier = canaryOf('verifier', (JSON.parse(exchange?.body ?? '{}') as { code_verifier: string }).code_verifier, 3)
  }

  async function createToken(): Promise<string> {
    const made = await as('developer').post(
      `/w/${slug}/settings/tokens?_data=routes%2Fw.%24workspace.settings.tokens`,
      {
        intent: 'create-token',
        name: 'canary',
      },
    )
    const { token } = (await made.json()) as { token: string }
    tokens = [canaryOf('gateway token', token, 13)]
    return token
  }

  /** Last month is closed after Stripe failed twice, and a job fails for good. */
  async function closeMonth(): Promise<void> {
    const month = shiftMonth(monthOf(new Date()), -1)
    const day = new Date(Date.parse(`${month}-15T12:00:00Z`))
    await recordAll([
      await makeCall(workspaceId, day, {
        keySource: 'workspace',
        inputTokens: 90_000_000n,
        rawCostPico: 1_000_000_000n,
      }),
    ])
    stripe.faults.add({ operation: 'invoices.create', when: 'before', effect: 'server_error', times: 1 })
    await inSystem((tx) => enqueueJob(tx, 'close-workspace-month', { workspaceId, month }))
    await inSystem((tx) => enqueueJob(tx, 'sync-stripe-object', { eventId: 'evt_missing' }, { maxAttempts: 1 }))
    await db.owner.query("SELECT graphile_worker.add_job('sync-stripe-object', $1::json, max_attempts => 1)", [
      JSON.stringify({ eventId: 'not an event' }),
    ])
    await until(
      async () => {
        await db.owner.query(
          "SELECT graphile_worker.reschedule_jobs(array_agg(id), run_at => now()) FROM graphile_worker.jobs WHERE attempts < max_attempts AND locked_at IS NULL AND task_identifier = 'write-invoice-run' HAVING count(*) > 0",
        )
        const { rows } = await db.owner.query('SELECT state FROM invoice_runs WHERE workspace_id = $1', [workspaceId])
        return rows[0]?.state === 'done'
      },
      'the closed month',
      30_000,
    )
  }

  /** Every page that opens, as every role, and what the client-side router would load. */
  async function readPages(): Promise<string> {
    const rows = await db.owner.query(
      `SELECT (SELECT id FROM metering.inference_calls WHERE workspace_id = $1 AND key_source = 'workspace' LIMIT 1) AS "callId",
        (SELECT id FROM invoice_runs WHERE workspace_id = $1) AS "runId"`,
      [workspaceId],
    )
    const given: Record<string, string> = { workspace: slug, id: newId(), ...rows.rows[0] }
    const pages: string[] = []
    for (const [role, visitor] of visitors) {
      for (const route of builtRoutes().filter((one) => one.demand !== null && one.id !== 'routes/sign-out')) {
        const url = route.path.replaceAll(/:(\w+)/g, (_, name: string) => given[name] ?? '')
        for (const suffix of ['', `?${route.isIndex ? 'index&' : ''}_data=${encodeURIComponent(route.id)}`]) {
          const response = await visitor.ask(url + suffix)
          pages.push(
            `${role} ${url}${suffix} ${response.status}`,
            JSON.stringify([...response.headers]),
            await response.text(),
          )
        }
      }
    }
    return pages.join('\n')
  }

  beforeAll(async () => {
    const client = sdkClient(stripe)
    const customer = await seedCustomer(client)
    const workspace = await makeWorkspace({ stripeCustomerId: customer })
    ;({ slug, id: workspaceId } = workspace)
    worker = await start('workers/index.ts', db.childEnv({ LOG_LEVEL: 'debug' }))
    await makePeople()
    await saveKeys()
    await connectOpenRouter()
    const token = await createToken()
    await callEverything({ origin: web.origin, upstream, answers: gatewayAnswers }, token)
    await sendBadWebhooks({ origin: web.origin, upstream, answers: formAnswers })
    await closeMonth()
    const { rows } = await db.owner.query('SELECT id FROM gateway_tokens WHERE workspace_id = $1', [workspaceId])
    await as('owner').post(`/w/${slug}/settings/tokens`, { intent: 'revoke-token', id: rows[0].id })
    places.set('pages', await readPages())
    const keys = await db.owner.query('SELECT id FROM provider_keys WHERE workspace_id = $1', [workspaceId])
    for (const { id: keyId } of keys.rows) {
      const removed = await as('owner').post(`/w/${slug}/settings/billing`, { intent: 'remove-key', keyId })
      expect(removed.status).toBe(200)
    }
    places.set('pages after removal', await readPages())
    places.set('database', await dumpDatabase(db.owner))
    places.set('database files', await databaseFiles(db.owner))
    places.set('client bundle', clientBundle())
    places.set('answers to forms', formAnswers.join('\n'))
    places.set('answers of the gateway', gatewayAnswers.join('\n'))
    expect(await worker.stop()).toBe(0)
    places.set('log of the worker', worker.output())
    places.set('log of the web process', web.output())
    places.set('Stripe’s journal', JSON.stringify(stripe.journal) + JSON.stringify(stripe.world.state))
    places.set('requests to Stripe', withoutAuthorization(toStripe.requests))
    places.set('requests to the provider', withoutAuthorization(toUpstream.requests))
  })
  afterAll(async () => {
    await Promise.all([toUpstream, toStripe, upstream, stripe].map((one) => one.close()))
  })

  it('every place was really filled', () => {
    const marks: Record<string, string> = {
      pages: `sk-or-v1-…hint`,
      'pages after removal': 'Removed a provider key',
      database: 'provider_key.replaced',
      'client bundle': 'AI inference key',
      'answers to forms': "OpenRouter keys must start with 'sk-or-'".slice(0, 10),
      'answers of the gateway': '[secret]',
      'log of the worker': 'job failed',
      'log of the web process': 'web listening',
      'Stripe’s journal': 'invoices.create',
      'requests to Stripe': 'POST /v1/invoices',
      'requests to the provider': 'POST /api/v1/chat/completions',
    }
    const unmarked = Object.entries(marks).filter(([place, mark]) => !places.get(place)?.includes(mark))
    expect(unmarked).toEqual([])
    expect(places.get('database files')?.length).toBeGreaterThan(1_000_000)
    expect(
      toUpstream.requests.filter((one) => one.headers.authorization === `Bearer ${canary.providerKey.text}`).length,
    ).toBeGreaterThan(5)
    const sizes = [...places].map(([place, text]) => `${place} ${Math.round(text.length / 1024)} KiB`)
    console.info(`leak scan: ${secrets().length} secrets in ${sizes.join(', ')}`)
  })

  it('no secret stands anywhere, in any form', () => {
    expect(searchLeaks(places, secrets())).toEqual([])
  })

  it('what proves that a connected account is ours stands nowhere but in the request that says so', () => {
    const elsewhere = new Map([...places].filter(([place]) => place !== 'requests to the provider'))
    expect(searchLeaks(elsewhere, [verifier])).toEqual([])
    expect(searchLeaks(places, [verifier]).length).toBeGreaterThan(0)
  })

  it('no prompt and no reply is kept or logged', () => {
    const kept = new Map(
      [...places].filter(([place]) => !['answers of the gateway', 'requests to the provider'].includes(place)),
    )
    expect(searchLeaks(kept, [canary.prompt, canary.reply])).toEqual([])
    expect(places.get('answers of the gateway')).toContain(canary.reply.text)
    expect(places.get('requests to the provider')).toContain(canary.prompt.text)
  })

  it('each side is shown its own key, in the Authorization header, and nobody else’s', () => {
    const shown = (proxy: RecordingProxy) =>
      new Set(proxy.requests.map((one) => one.headers.authorization).filter(Boolean))
    const keys = ['providerKey', 'mintedKey', 'replacedKey', 'refusedKey', 'unverifiedKey', 'platformKey'] as const
    expect(shown(toUpstream)).toEqual(new Set(keys.map((name) => `Bearer ${canary[name].text}`)))
    expect(shown(toStripe)).toEqual(new Set([`Bearer ${canary.stripeSecret.text}`]))
  })

  describe('and the search would find it', () => {
    const planted = canary.providerKey

    it('in every place, in every form', () => {
      for (const part of planted.fragments)
        for (const [form, needle] of Object.entries(formsOf(part)))
          for (const place of places.keys()) {
            const found = searchLeaks(new Map([[place, `before${needle}after`]]), [planted])
            expect(found.length, `${place}, ${form}`).toBeGreaterThan(0)
          }
    })

    it('in the database: in a job’s payload, in bytes, in a column of another table', async () => {
      const secret = planted.text
      for (const plant of [
        () =>
          db.owner.query(
            "SELECT graphile_worker.add_job('planted', json_build_object('key', $1::text), run_at => 'infinity')",
            [secret],
          ),
        () =>
          db.owner.query('UPDATE graphile_worker._private_jobs SET last_error = $1', [
            Buffer.from(secret).toString('base64'),
          ]),
        () => db.owner.query('UPDATE kek_versions SET salt = $1', [Buffer.from(secret)]),
        () =>
          db.owner.query('UPDATE users SET name = $1 WHERE id = (SELECT id FROM users LIMIT 1)', [
            encodeURIComponent(secret),
          ]),
      ]) {
        await db.owner.query('BEGIN')
        await plant()
        expect(searchLeaks(new Map([['database', await dumpDatabase(db.owner)]]), [planted]).length).toBeGreaterThan(0)
        await db.owner.query('ROLLBACK')
      }
      expect(
        searchLeaks(new Map([['database files', await databaseFiles(db.owner)]]), [planted]).length,
      ).toBeGreaterThan(0)
    })
  })
})
