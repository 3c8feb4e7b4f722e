/** The cells of the denial matrix, and what each must answer: from the declared demands and the roles' table alone. */
import { createRequire } from 'node:module'
import path from 'node:path'
import type { Permission, Role } from '#app/domain/permissions/permissions.ts'
import type { Demand } from '#app/http/route.server.ts'

export interface RouteFacts {
  id: string
  parentId: string | null
  /** Path with `:name` parameters, from the root. */
  path: string
  isIndex: boolean
  /** Shows a page; the others only answer requests (CSV, redirects). */
  isPage: boolean
  demand: Demand | null
  /** Null: no action. */
  demands: Record<string, Demand> | null
}

interface BuiltRoute {
  id: string
  parentId?: string
  path?: string
  index?: boolean
  module: { default?: unknown; loader?: { demand?: Demand }; action?: { demands?: Record<string, Demand> } }
}

/** The routes that are served, from the compiled manifest. @throws where a loader or action declares nothing */
export function builtRoutes(): RouteFacts[] {
  const file = path.resolve(import.meta.dirname, '../../build/server/index.js')
  const { routes } = createRequire(import.meta.url)(file) as { routes: Record<string, BuiltRoute> }
  const pathOf = (route: BuiltRoute | undefined): string =>
    route ? [pathOf(routes[route.parentId ?? '']), route.path].filter(Boolean).join('/') : ''
  return Object.values(routes)
    .filter((route) => route.id !== 'root')
    .map(({ module, ...route }) => {
      if (module.loader && !module.loader.demand) throw new Error(`${route.id}: a loader without a demand`)
      if (module.action && !module.action.demands) throw new Error(`${route.id}: an action without demands`)
      return {
        id: route.id,
        parentId: route.parentId ?? null,
        path: `/${pathOf({ module, ...route })}`,
        isIndex: route.index === true,
        isPage: module.default !== undefined,
        demand: module.loader?.demand ?? null,
        demands: module.action?.demands ?? null,
      }
    })
}

export interface Principal {
  name: string
  signedIn: boolean
  /** In the workspace of the URL; null: no member of it. */
  role: Role | null
  isOperator: boolean
}

export const principals: Principal[] = [
  { name: 'anonymous', signedIn: false, role: null, isOperator: false },
  ...(['owner', 'billing_admin', 'developer', 'member'] as const).map((role) => ({
    name: role,
    signedIn: true,
    role,
    isOperator: false,
  })),
  { name: 'owner of another workspace', signedIn: true, role: null, isOperator: false },
  { name: 'operator', signedIn: true, role: null, isOperator: true },
]

export type Policy = Record<Role, readonly Permission[]>

/** `sign-in`: sent to the sign-in page. `unread`: refused because of what the form holds, which comes after every permission. */
export type Outcome = 'ok' | 'sign-in' | 'forbidden' | 'missing' | 'no action' | 'unknown intent' | 'unread'

export function verdict(who: Principal, demand: Demand | null, policy: Policy): Outcome {
  if (demand === null || demand === 'public') return 'ok'
  if (!who.signedIn) return 'sign-in'
  if (demand === 'signed-in') return 'ok'
  if (demand === 'operate:Platform') return who.isOperator ? 'ok' : 'missing'
  if (who.role === null) return 'missing'
  return policy[who.role].includes(demand) ? 'ok' : 'forbidden'
}

export const UNKNOWN_INTENT = 'no-such-intent'
/** A field no form has: an intent that is allowed stops at it, so that asking changes nothing. */
export const PROBE_FIELD = 'probe-of-the-matrix'

export interface Cell {
  who: Principal
  route: RouteFacts
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE'
  /** A document, or the page's data as the client-side router asks for it. */
  as: 'document' | 'data'
  intent: string | null
}

export const nameOf = (cell: Cell): string =>
  `${cell.who.name}: ${cell.method} ${cell.route.id} as ${cell.as}${cell.intent ? ` intent ${cell.intent}` : ''}`

export function* cellsOf(route: RouteFacts): Generator<Cell> {
  for (const who of principals) {
    for (const as of ['document', 'data'] as const) {
      if (route.demand !== null)
        for (const method of ['GET', 'HEAD'] as const) yield { who, route, method, as, intent: null }
      for (const method of ['POST', 'PUT', 'DELETE'] as const)
        for (const intent of [...Object.keys(route.demands ?? {}), UNKNOWN_INTENT])
          yield { who, route, method, as, intent }
    }
  }
}

/** The loaders that a document runs, outermost first: a page's parents, itself, and for a layout the page inside it. */
function chainOf(route: RouteFacts, routes: RouteFacts[]): RouteFacts[] {
  if (!route.isPage) return [route]
  const inside = routes.find((one) => one.parentId === route.id && one.isIndex)
  if (inside && !inside.isPage) return [inside]
  const chain = inside ? [route, inside] : [route]
  for (let parent = routes.find((one) => one.id === route.parentId); parent; ) {
    chain.unshift(parent)
    const { parentId } = parent
    parent = routes.find((one) => one.id === parentId)
  }
  return chain
}

/** What the cell must answer under this policy. */
export function expected(cell: Cell, routes: RouteFacts[], policy: Policy): Outcome {
  const { who, route, intent } = cell
  const isDocument = cell.as === 'document'
  const chain = isDocument ? chainOf(route, routes) : [route]
  const reading = chain.map((one) => verdict(who, one.demand, policy)).find((one) => one !== 'ok') ?? 'ok'
  if (intent === null) return reading
  // The page around a place that takes no form is read first, and sends strangers to the sign-in page.
  const around = isDocument && route.isPage ? chain.slice(0, chain.indexOf(route)) : []
  if (route.demands === null)
    return around.some((one) => verdict(who, one.demand, policy) === 'sign-in') ? 'sign-in' : 'no action'
  const acting = intent === UNKNOWN_INTENT ? 'ok' : verdict(who, route.demands[intent] ?? null, policy)
  if (acting !== 'ok') return acting
  // A refused form shows its page again, and a page may send people on: strangers to the sign-in page, and from there
  // those who are signed in already.
  if (isDocument && route.isPage && reading === 'sign-in') return 'sign-in'
  if (isDocument && route.isPage && route.demand === 'public' && who.signedIn) return 'ok'
  return intent === UNKNOWN_INTENT ? 'unknown intent' : 'unread'
}
