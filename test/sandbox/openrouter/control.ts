import { type Exchange, sendJson } from './exchange.ts'
import type { KeyState } from './keys.ts'
import type { Fault, Settings, World } from './world.ts'

/** Changes a running sandbox. Used in process through `OpenRouterSandbox` and over HTTP under `/_sandbox`. */
export function applySettings(world: World, change: Partial<Settings>): Settings {
  Object.assign(world.settings, change)
  return world.settings
}

function answer(world: World, route: string, input: Record<string, unknown>): unknown {
  switch (route) {
    case 'GET /_sandbox/health':
      return { ok: true }
    case 'GET /_sandbox/journal':
      return world.journal.read()
    case 'GET /_sandbox/generations':
      return [...world.generations.values()]
    case 'POST /_sandbox/keys': {
      const { key, ...change } = input as { key: string } & Partial<KeyState>
      const state = world.keys.change(key, change)
      world.changed()
      return state ?? { error: 'not a key' }
    }
    case 'POST /_sandbox/faults':
      return { waiting: world.faults.push({ times: 1, ...input } as Fault) }
    case 'DELETE /_sandbox/faults':
      world.faults.length = 0
      return { waiting: 0 }
    case 'POST /_sandbox/settings':
      return applySettings(world, input as Partial<Settings>)
    default:
      return undefined
  }
}

/** The control API. Not journalled: it is no provider traffic. */
export function answerControl(exchange: Exchange, path: string, text: string): void {
  const input = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
  const result = answer(exchange.world, `${exchange.request.method} ${path}`, input)
  sendJson(exchange, result === undefined ? 404 : 200, JSON.stringify(result ?? { error: 'no such control' }))
}
