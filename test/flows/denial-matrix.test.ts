import { beforeAll, describe, expect, it } from 'vitest'
import { freezeInvoiceRun } from '#app/domain/billing/freeze-invoice-run.server.ts'
import { permissionsByRole, type Role, roles } from '#app/domain/permissions/permissions.ts'
import { purgeWorkspaceKeys } from '#app/domain/vault/purge-workspace-keys.server.ts'
import { monthOf, shiftMonth } from '#app/platform/calendar-month.ts'
import { inSystem, inTenant } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'
import { ensureBuilt } from '#scripts/build.ts'
import { makeCall, recordAll } from '#test/call-factory.ts'
import { useDatabase } from '#test/database.ts'
import { makeGatewayToken, makeMember, makeWorkspace, saveKeyDirectly } from '#test/factories.ts'
import { makePerson, personPassword, useWeb, Visitor } from '#test/web.ts'
import { databaseHash } from './database-hash.ts'
import {
  builtRoutes,
  type Cell,
  cellsOf,
  expected,
  nameOf,
  type Outcome,
  type Policy,
  PROBE_FIELD,
  principals,
  type RouteFacts,
} from './denial-cells.ts'

const CONCURRENT = 8
const DAY_MS = 86_400_000

interface Answered {
  cell: Cell
  seen: Outcome | string
}

/** The outcome that an answer shows. Anything the product has no word for comes back as text, and matches nothing. */
async function outcomeOf(response: Response, cell: Cell): Promise<Outcome | string> {
  const body = await response.text()
  if (cell.method === 'HEAD' && body) return 'HEAD with a body'
  const to = response.headers.get('location') ?? response.headers.get('x-remix-redirect')
  if (to !== null) return to.startsWith('/sign-in') ? 'sign-in' : 'ok'
  const code = cell.as === 'data' ? /"code":"(\w+)"/.exec(body)?.[1] : undefined
  if (response.status === 200) return 'ok'
  if (response.status === 403) return code && code !== 'forbidden' ? `403 ${code}` : 'forbidden'
  if (response.status === 404) return code && code !== 'not_found' ? `404 ${code}` : 'missing'
  if (response.status === 405) return 'no action'
  if (response.status === 400 && cell.intent)
    return (code ?? (expectsUnknown(cell) ? 'unknown_intent' : 'invalid_input')) === 'unknown_intent'
      ? 'unknown intent'
      : 'unread'
  return `${response.status} ${code ?? ''}`
}

const expectsUnknown = (cell: Cell) => !Object.hasOwn(cell.route.demands ?? {}, cell.intent ?? '')

describe('who may do what', () => {
  const db = useDatabase()
  const web = useWeb(db)
  let routes: RouteFacts[]
  const observed: Answered[] = []
  const visitors = new Map<string, Visitor>()
  let params: Record<string, string>
  let foreign: Record<string, string>
  let changed: string[]

  async function fillWorkspace(slugOwner: Awaited<ReturnType<typeof makeMember>>) {
    const { workspaceId } = slugOwner
    await saveKeyDirectly(slugOwner, `sk-or-v1-${workspaceId.replaceAll('-', '')}`)
    await inSystem((tx) =>
      purgeWorkspaceKeys(tx, {
        workspaceId,
        cause: 'left_enterprise',
        causeReference: null,
        fromPlanId: 'enterprise',
        toPlanId: 'pro',
        actor: { kind: 'system' },
        at: new Date(),
      }),
    )
    await saveKeyDirectly(slugOwner, `sk-or-v1-${workspaceId.replaceAll('-', '')}`)
    await makeGatewayToken(slugOwner)
    const month = shiftMonth(monthOf(new Date()), -1)
    const calls = [await makeCall(workspaceId, new Date(Date.parse(`${month}-15T12:00:00Z`)))]
    await recordAll(calls)
    const run = await freezeInvoiceRun({ workspaceId, month, now: new Date(Date.now() + 40 * DAY_MS) })
    const purge = await inTenant({ workspaceId }, (tx) => tx.keyPurge.findFirstOrThrow({ where: { workspaceId } }))
    const runId = run?.runId ?? ''
    return { callId: calls[0]?.id ?? '', runId, position: '000001', id: purge.id, nonce: 'no-attempt-has-this' }
  }

  async function signInAll(workspaceId: string, otherId: string): Promise<void> {
    for (const who of principals) {
      const visitor = new Visitor(web.origin)
      visitors.set(who.name, visitor)
      if (!who.signedIn) continue
      const { userId, email } = await makePerson()
      if (who.isOperator) await inSystem((tx) => tx.operator.create({ data: { userId } }))
      else {
        const home = who.role ? workspaceId : otherId
        const role: Role = who.role ?? 'owner'
        await inTenant({ workspaceId: home }, (tx) => tx.member.create({ data: { workspaceId: home, userId, role } }))
      }
      await visitor.signIn(email, personPassword)
    }
  }

  const urlOf = (route: RouteFacts, given: Record<string, string>) =>
    route.path.replaceAll(/:(\w+)/g, (_, name: string) => {
      const value = given[name]
      if (!value) throw new Error(`${route.id}: give the matrix a value for :${name}`)
      return value
    })

  function ask(cell: Cell, given = params): Promise<Response> {
    const query = new URLSearchParams()
    if (cell.as === 'data') query.set('_data', cell.route.id)
    const url = `${urlOf(cell.route, given)}${cell.route.isIndex ? '?index&' : '?'}${query}`
    const body = cell.intent ? new URLSearchParams({ intent: cell.intent, [PROBE_FIELD]: '1' }) : undefined
    return (visitors.get(cell.who.name) as Visitor).ask(url, { method: cell.method, body })
  }

  async function answer(cell: Cell): Promise<void> {
    observed.push({ cell, seen: await outcomeOf(await ask(cell), cell) })
  }

  async function inParallel<T>(items: T[], work: (item: T) => Promise<unknown>): Promise<void> {
    const queue = items.values()
    await Promise.all(
      Array.from({ length: CONCURRENT }, async () => {
        for (const item of queue) await work(item)
      }),
    )
  }

  beforeAll(async () => {
    ensureBuilt()
    routes = builtRoutes()
    const [home, other] = [await makeWorkspace(), await makeWorkspace()]
    const [owner, stranger] = [await makeMember(home.id, 'owner'), await makeMember(other.id, 'owner')]
    params = { workspace: home.slug, ...(await fillWorkspace(owner)) }
    foreign = { ...params, ...(await fillWorkspace(stranger)) }
    await signInAll(home.id, other.id)
    changed = []
    for (const route of routes) {
      const cells = [...cellsOf(route)]
      await inParallel(
        cells.filter((cell) => !cell.intent),
        answer,
      )
      const before = await databaseHash(db.owner)
      await inParallel(
        cells.filter((cell) => cell.intent),
        answer,
      )
      if ((await databaseHash(db.owner)) !== before) changed.push(route.id)
    }
  })

  const differences = (policy: Policy, among = routes) =>
    observed
      .map(({ cell, seen }) => {
        const route = among.find((one) => one.id === cell.route.id) as RouteFacts
        const wanted = expected({ ...cell, route }, among, policy)
        return seen === wanted ? null : `${nameOf(cell)}: expected ${wanted}, answered ${seen}`
      })
      .filter((one) => one !== null)

  it('every route, method, intent and principal answers as declared', () => {
    console.info(`denial matrix: ${observed.length} cells over ${routes.length} routes`)
    expect(differences(permissionsByRole)).toEqual([])
    expect(observed.length).toBeGreaterThan(1_000)
  })

  it('no refused request changed anything in the database', () => {
    expect(changed).toEqual([])
  })

  it('the database’s hash would have shown a change', async () => {
    const before = await databaseHash(db.owner)
    const made = await visitors
      .get('developer')
      ?.post(`/w/${params.workspace}/settings/tokens`, { intent: 'create-token', name: 'control' })
    expect(made?.status).toBe(200)
    expect(await databaseHash(db.owner)).not.toBe(before)
  })

  it('goes red for every permission that a role is given or denied wrongly', () => {
    const used = new Set(routes.flatMap((route) => [route.demand, ...Object.values(route.demands ?? {})]))
    const unnoticed: string[] = []
    for (const role of roles) {
      for (const permission of new Set(roles.flatMap((one) => permissionsByRole[one]))) {
        if (!used.has(permission)) continue
        const has = permissionsByRole[role].includes(permission)
        const other = has
          ? permissionsByRole[role].filter((one) => one !== permission)
          : [...permissionsByRole[role], permission]
        if (!differences({ ...permissionsByRole, [role]: other }).length) unnoticed.push(`${role} ${permission}`)
      }
    }
    expect(unnoticed).toEqual([])
  })

  it('goes red for every demand that a route or an intent would drop', () => {
    const unnoticed: string[] = []
    const without = (route: RouteFacts, change: Partial<RouteFacts>, what: string) => {
      const among = routes.map((one) => (one.id === route.id ? { ...one, ...change } : one))
      if (!differences(permissionsByRole, among).length) unnoticed.push(what)
    }
    for (const route of routes) {
      if (route.demand && route.demand !== 'public') without(route, { demand: 'public' }, route.id)
      for (const [intent, demand] of Object.entries(route.demands ?? {})) {
        if (demand === 'public') continue
        without(route, { demands: { ...route.demands, [intent]: 'public' } }, `${route.id} ${intent}`)
      }
    }
    expect(unnoticed).toEqual([])
  })

  describe('what is another workspace’s answers like what does not exist', () => {
    /** An answer without what differs from request to request, and without the address that was asked for. */
    async function shapeOf(cell: Cell, given: Record<string, string>): Promise<string> {
      const response = await ask(cell, given)
      let body = await response.text()
      for (const value of Object.values(given)) body = body.replaceAll(value, '<asked>')
      return `${response.status} ${body
        .replaceAll(response.headers.get('x-request-id') ?? 'none', '<request>')
        .replaceAll(/nonce="[^"]*"/g, 'nonce')
        .replaceAll(/\b[0-9a-f]{8}-[0-9a-f-]{27}\b/g, '<id>')}`
    }
    const stranger = principals[5] as (typeof principals)[number]
    const owner = principals[1] as (typeof principals)[number]
    const reads = (who: typeof stranger) =>
      routes
        .filter((route) => route.path.includes(':workspace') && route.demand !== null)
        .flatMap((route) =>
          (['document', 'data'] as const).map((as): Cell => ({ who, route, method: 'GET', as, intent: null })),
        )

    it('a workspace', async () => {
      const cells = reads(stranger)
      expect(cells.length).toBeGreaterThan(15)
      for (const cell of cells) {
        const foreignShape = await shapeOf(cell, params)
        expect(foreignShape.slice(0, 3), nameOf(cell)).toBe('404')
        expect(foreignShape, nameOf(cell)).toBe(await shapeOf(cell, { ...params, workspace: 'nobody-has-this' }))
      }
    })

    it('a call, an invoice, a certificate', async () => {
      const cells = reads(owner).filter((cell) => /:(callId|runId|id)$/.test(cell.route.path))
      expect(cells.length).toBeGreaterThanOrEqual(6)
      const missing = { ...params, callId: newId(), runId: newId(), id: newId() }
      for (const cell of cells) {
        const foreignShape = await shapeOf(cell, foreign)
        expect(foreignShape.slice(0, 3), nameOf(cell)).toBe('404')
        expect(foreignShape, nameOf(cell)).toBe(await shapeOf(cell, missing))
      }
    })
  })
})
