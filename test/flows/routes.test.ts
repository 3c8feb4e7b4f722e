import { describe, expect, it } from 'vitest'
import { type Permission, permissionsByRole } from '#app/domain/permissions/permissions.ts'

type RouteModule = Record<string, unknown>
const modules = import.meta.glob<RouteModule>('../../app/routes/**/*.{ts,tsx}', { eager: true })
const routes = Object.entries(modules).map(([path, module]) => ({
  name: path.replace('../../app/routes/', ''),
  module,
}))

const permissions = new Set<string>([
  ...Object.values(permissionsByRole).flat(),
  'operate:Platform' satisfies Permission,
])
const known = (demand: unknown) => demand === 'public' || demand === 'signed-in' || permissions.has(String(demand))

/** Routes that anybody may read or post to without a session: a new one must be added here on purpose. */
const publicRoutes = ['sign-in.tsx', 'sign-out.tsx']

describe('every route module', () => {
  it('is found', () => expect(routes.length).toBeGreaterThanOrEqual(18))

  it.each(routes)('$name exports only guarded loaders and actions, each with its demand', ({ name, module }) => {
    const { loader, action } = module as {
      loader?: { demand?: unknown }
      action?: { demands?: Record<string, unknown> }
    }
    expect(loader, 'a page without a loader would be open to everybody').toBeDefined()
    expect(known(loader?.demand), `loader demands ${loader?.demand}`).toBe(true)
    if (loader?.demand === 'public') expect(publicRoutes).toContain(name)
    if (!action) return
    const demands = Object.entries(action.demands ?? {})
    expect(demands.length, 'an action declares its intents').toBeGreaterThan(0)
    for (const [intent, demand] of demands) expect(known(demand), `${intent} demands ${demand}`).toBe(true)
    if (demands.some(([, demand]) => demand === 'public')) expect(publicRoutes).toContain(name)
  })

  it.each(routes.filter(({ name }) => name.startsWith('operator')))('$name is for operators only', ({ module }) => {
    const { loader, action } = module as { loader: { demand: string }; action?: { demands: Record<string, string> } }
    expect(
      [loader.demand, ...Object.values(action?.demands ?? {})].every((demand) => demand === 'operate:Platform'),
    ).toBe(true)
  })

  it.each(routes.filter(({ name }) => name.startsWith('w.')))(
    '$name demands a permission of the workspace',
    ({ module }) => {
      const { loader, action } = module as { loader: { demand: string }; action?: { demands: Record<string, string> } }
      for (const demand of [loader.demand, ...Object.values(action?.demands ?? {})])
        expect(permissions.has(demand)).toBe(true)
    },
  )

  it('has no way out of the wrappers: no other server exports', () => {
    const allowed = new Set(['default', 'loader', 'action', 'meta', 'links', 'headers', 'handle', 'ErrorBoundary'])
    for (const { name, module } of routes)
      for (const exported of Object.keys(module))
        expect(allowed.has(exported), `${name} exports ${exported}`).toBe(true)
  })
})
