import { isUtf8 } from 'node:buffer'
import type { Endpoint } from '#app/domain/providers/provider.ts'
import { type Member, memberText, type ScanFailure, scanMembers, stringMember } from '#app/platform/json-members.ts'
import { endpoints } from './endpoints.ts'
import { badRequest } from './gateway-error.ts'

/** What the gateway needs to know of a request. Where nothing has to change, the bytes go upstream as they came. */
export interface InferenceRequest {
  endpoint: Endpoint
  bytes: Buffer
  members: Members
  model: string
  streamed: boolean
  /** The client asked for the usage event itself; otherwise it is taken out of the stream again. */
  asksForUsage: boolean
  /** For the estimate of last resort: a quarter of the bytes of the input, which undercounts rather than overcounts. */
  promptTokensEstimate: number
}

const mostElements = 10_000
/**
 * Brackets and commas of a body: as many values, about, as a parser makes of it while everybody waits. Chats are translated for some
 * providers; the others are parsed, if at all, where nobody reported the usage. Numbers of embeddings are not.
 */
const mostValues: Record<Endpoint, number> = {
  chat: 50_000,
  responses: 250_000,
  rerank: 250_000,
  embeddings: Number.POSITIVE_INFINITY,
}
const mostChoices = 8

/** Members that would let a caller choose where the request goes, under which key, or as which (dearer) model. */
const refusedMembers = [
  'api_base',
  'base_url',
  'api_key',
  'api_version',
  'extra_headers',
  'extra_body',
  'organization',
  'models',
  'route',
  'preset',
  'plugins',
]

const failureText: Record<ScanFailure, string> = {
  not_json: 'The body is not valid JSON.',
  not_utf8: 'The body is not valid UTF-8.',
  not_an_object: 'The body must be a JSON object.',
  too_deep: 'The body is nested too deeply.',
  too_many_members: 'The body names too many parameters.',
  duplicate_member: 'The body names a parameter twice.',
}

/** `#` stands before a dedicated deployment at Fireworks: `accounts/…/models/…#accounts/…/deployments/…`. */
const modelShape = /^[A-Za-z0-9~][A-Za-z0-9._:/~@#-]{0,199}$/

export type Members = Map<string, Member>

function readModel(bytes: Buffer, members: Members): string {
  const member = members.get('model')
  if (!member) throw badRequest('missing_parameter', "Parameter 'model' is required.", 'model')
  const model = member.end - member.start <= 1_500 ? stringMember(bytes, member) : null
  if (model === null || !modelShape.test(model) || model.includes('..'))
    throw badRequest(
      'invalid_parameter',
      "Parameter 'model' must be the id of a model, such as 'openai/gpt-5-mini'.",
      'model',
    )
  return model
}

function readStreamed(bytes: Buffer, members: Members): boolean {
  const member = members.get('stream')
  const text = member ? memberText(bytes, member) : 'false'
  if (text !== 'true' && text !== 'false' && text !== 'null')
    throw badRequest('invalid_parameter', "Parameter 'stream' must be true or false.", 'stream')
  return text === 'true'
}

/** The endpoint's input: present, of a kind it takes, not empty, not beyond measure. @returns its size in bytes */
function checkInput(endpoint: Endpoint, members: Members): number {
  const { member: name, kinds } = endpoints[endpoint].input
  const member = members.get(name)
  if (!member) throw badRequest('missing_parameter', `Parameter '${name}' is required.`, name)
  const kind = kinds.find((each) => each === member.kind)
  if (!kind) {
    const wanted = kinds.map((each) => (each === 'array' ? 'an array' : 'a string')).join(' or ')
    throw badRequest('invalid_parameter', `Parameter '${name}' must be ${wanted}.`, name)
  }
  const empty = kind === 'array' ? member.size === 0 : member.end - member.start <= 2
  if (empty) throw badRequest('invalid_parameter', `Parameter '${name}' must not be empty.`, name)
  if (member.size > mostElements)
    throw badRequest('invalid_parameter', `Parameter '${name}' holds more than ${mostElements} elements.`, name)
  return member.end - member.start
}

function checkValues(endpoint: Endpoint, members: Members): void {
  const most = mostValues[endpoint]
  let sum = 0
  for (const { values } of members.values()) sum += values
  if (sum > most) throw badRequest('invalid_parameter', `The body holds more than ${most} values.`)
}

function checkRequired(endpoint: Endpoint, members: Members): void {
  const missing = endpoints[endpoint].alsoRequired.find((name) => !members.has(name))
  if (missing) throw badRequest('missing_parameter', `Parameter '${missing}' is required.`, missing)
}

/** A reply that comes later, by another request, would pass the meter by. */
function checkBackground(bytes: Buffer, members: Members): void {
  const member = members.get('background')
  if (member && !['false', 'null'].includes(memberText(bytes, member)))
    throw badRequest('unsupported_parameter', "Parameter 'background' is not supported here.", 'background')
}

/** Whether `stream_options.include_usage` is true. */
function readAsksForUsage(bytes: Buffer, members: Members): boolean {
  const member = members.get('stream_options')
  if (member?.kind !== 'object') return false
  const nested = scanMembers(bytes.subarray(member.start, member.end))
  const asked = nested.ok ? nested.members.get('include_usage') : undefined
  return asked !== undefined && memberText(bytes.subarray(member.start, member.end), asked) === 'true'
}

/** A whole number of at least 1, or null. `1e309`, `1.5`, `-1`, `"10"` and 2^53 are none. */
function checkCount(bytes: Buffer, members: Members, name: string, most: number): void {
  const member = members.get(name)
  if (!member) return
  const text = member.end - member.start <= 20 ? memberText(bytes, member) : ''
  if (text === 'null' || (/^[1-9]\d{0,8}$/.test(text) && Number(text) <= most)) return
  throw badRequest('invalid_parameter', `Parameter '${name}' must be a whole number between 1 and ${most}.`, name)
}

function checkNumber(bytes: Buffer, members: Members, name: string): void {
  const member = members.get(name)
  if (!member) return
  const text = member.kind === 'scalar' && member.end - member.start <= 40 ? memberText(bytes, member) : 'true'
  if (text !== 'true' && text !== 'false' && Number.isFinite(Number(text === 'null' ? '0' : text))) return
  throw badRequest('invalid_parameter', `Parameter '${name}' must be a number.`, name)
}

function checkUser(members: Members): void {
  const member = members.get('user')
  if (member && member.end - member.start > 512)
    throw badRequest('invalid_parameter', "Parameter 'user' is longer than 512 bytes.", 'user')
}

const counts: readonly [name: string, most: number][] = [
  ['max_tokens', 10_000_000],
  ['max_completion_tokens', 10_000_000],
  ['max_output_tokens', 10_000_000],
  ['n', mostChoices],
  ['top_n', mostElements],
  ['dimensions', 100_000],
]
const numbers = ['temperature', 'top_p', 'presence_penalty', 'frequency_penalty']

/**
 * Reads a request without parsing it. What it does not check, the provider does.
 * @throws GatewayError 400, naming the parameter and never quoting the body
 */
export function readInferenceRequest(endpoint: Endpoint, bytes: Buffer): InferenceRequest {
  if (bytes.length === 0) throw badRequest('invalid_json', 'The body is empty; send a JSON object.')
  if (!isUtf8(bytes)) throw badRequest('invalid_json', failureText.not_utf8)
  const scan = scanMembers(bytes)
  if (!scan.ok) throw badRequest('invalid_json', failureText[scan.failure])
  const { members } = scan
  const refused = refusedMembers.find((name) => members.has(name))
  if (refused) throw badRequest('unsupported_parameter', `Parameter '${refused}' is not accepted here.`, refused)
  const model = readModel(bytes, members)
  const streamed = readStreamed(bytes, members)
  if (streamed && !endpoints[endpoint].canStream)
    throw badRequest('unsupported_parameter', "Parameter 'stream' is not supported by this endpoint.", 'stream')
  const inputBytes = checkInput(endpoint, members)
  checkValues(endpoint, members)
  checkRequired(endpoint, members)
  checkBackground(bytes, members)
  for (const [name, most] of counts) checkCount(bytes, members, name, most)
  for (const name of numbers) checkNumber(bytes, members, name)
  checkUser(members)
  const asksForUsage = readAsksForUsage(bytes, members)
  return { endpoint, bytes, members, model, streamed, asksForUsage, promptTokensEstimate: Math.floor(inputBytes / 4) }
}
