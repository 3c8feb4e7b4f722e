const registry: Map<string, unknown> = ((
  globalThis as { keymarginSingletons?: Map<string, unknown> }
).keymarginSingletons ??= new Map())

/**
 * One value per process. server.ts and the built Remix bundle each load their own copy of a module, so module state would
 * exist twice: two pools, two key caches, and a replaced key still open in one of them.
 */
export function singleton<T>(name: string, make: () => T): T {
  if (!registry.has(name)) registry.set(name, make())
  return registry.get(name) as T
}

/** For tests and shutdown: the next `singleton` call makes a new one. */
export const dropSingleton = (name: string): boolean => registry.delete(name)
