/** Forms of the Billing page, sent to a real web process as an admin and as a member, with every provider's sandbox behind it. */
import { afterAll, beforeAll, expect } from 'vitest'
import type { Role } from '#app/domain/permissions/permissions.ts'
import { inTenant } from '#app/platform/db.server.ts'
import type { TestDatabase } from '#test/database.ts'
import { makeWorkspace } from '#test/factories.ts'
import { type OpenRouterSandbox, startOpenRouterSandbox } from '#test/sandbox/openrouter/server.ts'
import { type ProvidersSandbox, startProvidersSandbox } from '#test/sandbox/providers/server.ts'
import { makePerson, personPassword, useWeb, Visitor } from '#test/web.ts'
import { databaseHash } from './database-hash.ts'

const ROUTE = 'routes/w.$workspace.settings.billing'
/** Stands inside what is refused, and must not come back from anywhere. */
export const MARK = 'Zq7pLm2xVtMARK'

export type Fields = Record<string, string>

interface Person {
  visitor: Visitor
  userId: string
}

/** A workspace of one test, and its Billing page. */
export interface Place {
  workspaceId: string
  url: string
}

export type Who = 'admin' | 'member'

export function useBillingVisits(db: TestDatabase) {
  let providers: ProvidersSandbox
  let openrouter: OpenRouterSandbox
  const web = useWeb(db, async () => {
    providers = await startProvidersSandbox()
    openrouter = await startOpenRouterSandbox()
    return { PROVIDER_BASE_URL_OPENROUTER: openrouter.baseUrl, ...providers.settings() }
  })
  afterAll(() => Promise.all([providers.close(), openrouter.close()]))

  /** Signed in once each: a sign-in is slow on purpose. */
  const people = {} as Record<Who, Person>
  beforeAll(async () => {
    for (const who of ['admin', 'member'] as const) {
      const { userId, email } = await makePerson()
      const visitor = new Visitor(web.origin)
      await visitor.signIn(email, personPassword)
      people[who] = { visitor, userId }
    }
  })

  async function makePlace(planId = 'every-provider'): Promise<Place> {
    const { id: workspaceId, slug } = await makeWorkspace({ planId })
    const join = (who: Who, role: Role) =>
      inTenant({ workspaceId }, (tx) => tx.member.create({ data: { workspaceId, userId: people[who].userId, role } }))
    await join('admin', 'billing_admin')
    await join('member', 'member')
    return { workspaceId, url: `/w/${slug}/settings/billing` }
  }

  const post = ({ url }: Place, fields: Fields, who: Who = 'admin') => people[who].visitor.post(url, fields)

  /** Sends a form and reads its answer as data. */
  async function send({ url }: Place, fields: Fields) {
    const response = await people.admin.visitor.post(`${url}?_data=${encodeURIComponent(ROUTE)}`, fields)
    const text = await response.text()
    return { status: response.status, text, ...JSON.parse(text) }
  }

  const page = async ({ url }: Place, query = '', who: Who = 'admin') =>
    (await people[who].visitor.ask(`${url}${query}`)).text()

  /** Refused as data and as document: nothing stored, nothing echoed, nothing logged. */
  async function refused(place: Place, fields: Fields) {
    const before = await databaseHash(db.owner)
    const answer = await send(place, fields)
    const document = await (await post(place, fields)).text()
    expect(await databaseHash(db.owner)).toBe(before)
    for (const text of [answer.text, document, web.output()]) expect(text).not.toContain(MARK)
    return { status: answer.status, field: answer.error.field, message: answer.error.message }
  }

  return { makePlace, post, send, page, refused }
}
