import type { ReplyHeaders } from '#app/domain/providers/dispatch-call.server.ts'
import { isGenerationId } from '#app/domain/providers/fetch-generation.server.ts'
import type { Call } from './call.ts'
import type { ClientResponse } from './client-response.ts'
import { endpoints } from './endpoints.ts'
import { JsonRelay } from './json-relay.ts'
import { SecretScrub } from './key-scrub.ts'
import { StreamRelay } from './stream-relay.ts'

/** What the head of a reply says it will be. */
export type ReplyMode =
  | { kind: 'stream'; relay: StreamRelay }
  | { kind: 'json'; relay: JsonRelay }
  | { kind: 'refusal' }
  | { kind: 'invalid'; what: string }

/** What every answer says of the call, beside its ids: whose key pays, and who serves it. */
export const callHeaders = ({ dispatch, provider, outputLimit }: Call): Record<string, string> => ({
  'x-keymargin-key-source': dispatch.keySource,
  'x-keymargin-charge-mode': dispatch.chargeMode,
  ...(dispatch.keySource === 'workspace' ? { 'x-keymargin-externally-billed': 'true' } : {}),
  'x-keymargin-provider': provider.id,
  ...(outputLimit === null ? {} : { 'x-keymargin-output-limit': String(outputLimit) }),
  ...(dispatch.fallbackOf === null ? {} : { 'x-keymargin-fallback-of': dispatch.fallbackOf }),
})

/** The allow-list of what a caller sees of the reply's headers: its type and the generation's id; the rest is ours. */
const replyHeaders = (call: Call, contentType: string, generationId: string | null): Record<string, string> => ({
  'content-type': contentType,
  'cache-control': 'no-store',
  'x-accel-buffering': 'no',
  ...callHeaders(call),
  ...(generationId === null ? {} : { 'x-generation-id': generationId }),
})

/** The id of the generation, from the header where the provider names it. */
export function generationIn(call: Call, headers: ReplyHeaders): string | null {
  const { generation } = call.provider
  const named = generation ? headers[generation.header] : undefined
  return typeof named === 'string' && isGenerationId(named) ? named : null
}

/** Decides from the head what the reply is. `bytes` of a translated reply are in OpenAI's format by the time they are relayed. */
export function modeOf(
  call: Call,
  client: ClientResponse,
  reply: { status: number; headers: ReplyHeaders; generationId: string | null },
): ReplyMode {
  const { status, headers, generationId } = reply
  if (status >= 400) return { kind: 'refusal' }
  if (status !== 200) return { kind: 'invalid', what: `answered with status ${status}` }
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity')
    return { kind: 'invalid', what: 'answered in an encoding that was not asked for' }
  const type = String(headers['content-type'] ?? '').toLowerCase()
  const scrub = new SecretScrub(call.credential.secrets)
  const { endpoint, streamed } = call.dispatch
  if (streamed && type.startsWith(call.dialect?.streamType ?? 'text/event-stream')) {
    const shown = replyHeaders(call, 'text/event-stream; charset=utf-8', generationId)
    const kind = { responses: endpoint === 'responses', hidesUsage: call.hidesUsage }
    return { kind: 'stream', relay: new StreamRelay(client, shown, scrub, kind) }
  }
  if (!type.startsWith('application/json'))
    return { kind: 'invalid', what: 'answered with something else than what was asked for' }
  const shown = replyHeaders(call, 'application/json', generationId)
  return { kind: 'json', relay: new JsonRelay(client, shown, scrub, endpoints[endpoint].usage) }
}
