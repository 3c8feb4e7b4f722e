import { isUtf8 } from 'node:buffer'
import { badRequest } from './gateway-error.ts'
import { type Member, memberText, type ScanFailure, scanMembers, stringMember } from './json-members.ts'

/** What the gateway needs to know of a chat request. The bytes go upstream as they came. */
export interface ChatRequest {
  model: string
  streamed: boolean
  /** For the estimate of last resort: a quarter of the bytes of the messages, which undercounts rather than overcounts. */
  promptTokensEstimate: number
}

const mostMessages = 10_000
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
  duplicate_member: 'The body names a parameter twice.',
}

const modelShape = /^[A-Za-z0-9~][A-Za-z0-9._:/~@-]{0,199}$/

type Members = Map<string, Member>

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

function checkMessages(members: Members): number {
  const member = members.get('messages')
  if (!member) throw badRequest('missing_parameter', "Parameter 'messages' is required.", 'messages')
  if (member.kind !== 'array')
    throw badRequest('invalid_parameter', "Parameter 'messages' must be an array.", 'messages')
  if (member.size === 0) throw badRequest('invalid_parameter', "Parameter 'messages' must not be empty.", 'messages')
  if (member.size > mostMessages)
    throw badRequest('invalid_parameter', `Parameter 'messages' holds more than ${mostMessages} messages.`, 'messages')
  return Math.floor((member.end - member.start) / 4)
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

/**
 * Reads a chat request without parsing it. What it does not check, the provider does.
 * @throws GatewayError 400, naming the parameter and never quoting the body
 */
export function readChatRequest(bytes: Buffer): ChatRequest {
  if (bytes.length === 0) throw badRequest('invalid_json', 'The body is empty; send a JSON object.')
  if (!isUtf8(bytes)) throw badRequest('invalid_json', failureText.not_utf8)
  const scan = scanMembers(bytes)
  if (!scan.ok) throw badRequest('invalid_json', failureText[scan.failure])
  const { members } = scan
  const refused = refusedMembers.find((name) => members.has(name))
  if (refused) throw badRequest('unsupported_parameter', `Parameter '${refused}' is not accepted here.`, refused)
  const model = readModel(bytes, members)
  const streamed = readStreamed(bytes, members)
  const promptTokensEstimate = checkMessages(members)
  for (const name of ['max_tokens', 'max_completion_tokens']) checkCount(bytes, members, name, 10_000_000)
  checkCount(bytes, members, 'n', mostChoices)
  for (const name of ['temperature', 'top_p', 'presence_penalty', 'frequency_penalty'])
    checkNumber(bytes, members, name)
  checkUser(members)
  return { model, streamed, promptTokensEstimate }
}
