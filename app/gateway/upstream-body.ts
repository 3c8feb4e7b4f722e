import { type Dialect, DialectRefusal } from '#app/domain/providers/dialects/dialect.ts'
import { dialectNamed } from '#app/domain/providers/dialects/dialects.ts'
import { providerOf } from '#app/domain/providers/registry.ts'
import { memberText, scanMembers } from '#app/platform/json-members.ts'
import { badRequest } from './gateway-error.ts'
import type { InferenceRequest } from './inference-request.ts'
import { limitNames, renamedLimit } from './most-of-call.ts'
import type { CallRoute } from './route.server.ts'

export interface UpstreamBody {
  body: Buffer
  dialect: Dialect | null
  hidesUsage: boolean
}

/** Members that a strict provider does not know and that lose nothing by staying here. */
const keptHere = new Set(['user', 'metadata', 'store', 'stream_options', 'safety_identifier', 'prompt_cache_key'])

/** New values by member name; null takes the member out. */
type Changes = Map<string, string | null>

/**
 * The body with some members changed. Values are not parsed: they are copied as they stand, so that numbers, escapes and
 * 128 KB of messages pass untouched.
 */
function withChanges({ bytes, members }: InferenceRequest, changes: Changes): Buffer {
  const parts: Buffer[] = []
  const add = (name: string, value: Buffer) =>
    parts.push(Buffer.from(`${parts.length === 0 ? '{' : ','}${JSON.stringify(name)}:`), value)
  for (const [name, member] of members) {
    const change = changes.get(name)
    if (change === undefined) add(name, bytes.subarray(member.start, member.end))
    else if (change !== null) add(name, Buffer.from(change))
  }
  for (const [name, change] of changes) if (change !== null && !members.has(name)) add(name, Buffer.from(change))
  return Buffer.concat([...parts, Buffer.from('}')])
}

/** `stream_options` with `include_usage`, whatever else the client put there. */
function askingForUsage({ bytes, members }: InferenceRequest): string {
  const member = members.get('stream_options')
  const text = member?.kind === 'object' ? memberText(bytes, member) : '{}'
  const nested = scanMembers(Buffer.from(text))
  if (!nested.ok || nested.members.size === 0) return '{"include_usage":true}'
  const others = [...nested.members].filter(([name]) => name !== 'include_usage')
  const kept = others.map(([name, value]) => `${JSON.stringify(name)}:${memberText(Buffer.from(text), value)}`)
  return `{${[...kept, '"include_usage":true'].join(',')}}`
}

/** What a strict provider does not know: taken out where nothing is lost by it, else refused by name. */
function dropUnknown(
  request: InferenceRequest,
  known: readonly string[],
  providerName: string,
  changes: Changes,
): void {
  for (const [name, member] of request.members) {
    if (known.includes(name)) continue
    const isNull = member.kind === 'scalar' && memberText(request.bytes, member) === 'null'
    if (!isNull && !keptHere.has(name) && changes.get(name) !== null)
      throw badRequest(
        'unsupported_parameter',
        `${providerName} does not accept the parameter '${name.slice(0, 64)}'.`,
        name.slice(0, 64),
      )
    changes.set(name, null)
  }
}

/** The limit under the name that its reader knows: a dialect reads chat's, a provider its own. Limits of null are taken out. */
function limitTo(limit: number, request: InferenceRequest, name: string): Changes {
  const others = limitNames[request.endpoint].filter((each) => request.members.has(each))
  return new Map([...others.map((each): [string, null] => [each, null]), [name, String(limit)]])
}

/**
 * What goes to the provider: the caller's bytes as they came wherever they can, with the model under the provider's id and
 * usage asked for where the provider does not report it unasked (providers §2.2).
 * @param outputLimit tokens per answer, for a request that names no limit, or none that its provider knows; null: none is added
 * @throws GatewayError 400 naming a parameter that the provider cannot express
 */
export function toUpstreamBody(
  request: InferenceRequest,
  route: CallRoute,
  outputLimit: number | null = null,
): UpstreamBody {
  const provider = providerOf(route.provider)
  const dialect = dialectNamed(provider.routes[request.endpoint]?.dialect ?? 'openai')
  const limitName = request.endpoint === 'responses' ? 'max_output_tokens' : dialect ? 'max_tokens' : provider.limitName
  const strict = request.endpoint === 'chat' ? provider.knownMembers : null
  const limit = outputLimit ?? (strict ? renamedLimit(request, provider) : null)
  const changes: Changes = limit === null ? new Map() : limitTo(limit, request, limitName)
  if (dialect) {
    const bytes = changes.size === 0 ? request.bytes : withChanges(request, changes)
    const body = translated(dialect, { ...request, bytes }, route, provider.name)
    return { body, dialect, hidesUsage: request.streamed && !request.asksForUsage }
  }
  if (route.upstreamModel !== request.model) changes.set('model', JSON.stringify(route.upstreamModel))
  const chatStream = request.endpoint === 'chat' && request.streamed
  const asks = chatStream && provider.streamUsage === 'ask' && !request.asksForUsage
  if (asks) changes.set('stream_options', askingForUsage(request))
  if (provider.streamUsage === 'never' && request.members.has('stream_options')) changes.set('stream_options', null)
  if (strict) dropUnknown(request, strict, provider.name, changes)
  return { body: changes.size === 0 ? request.bytes : withChanges(request, changes), dialect: null, hidesUsage: asks }
}

function translated(dialect: Dialect, request: InferenceRequest, route: CallRoute, providerName: string): Buffer {
  try {
    return dialect.toUpstream({ body: request.bytes, model: route.upstreamModel, streamed: request.streamed })
  } catch (error) {
    if (!(error instanceof DialectRefusal)) throw error
    throw badRequest('unsupported_parameter', `${providerName}: ${error.message}`, error.param)
  }
}
