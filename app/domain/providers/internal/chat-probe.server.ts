import { randomBytes } from 'node:crypto'
import { singleton } from '#app/platform/singleton.server.ts'
import type { Credential } from '../credential.ts'
import { listKeyModels } from '../list-models.server.ts'
import type { ListedModel } from '../listed-model.ts'
import type { Provider } from '../provider.ts'
import { askProvider, type TextReply } from './ask-provider.server.ts'
import { invalid, unverified, type Verdict, valid } from './key-replies.ts'
import { judgeRefusal, notAsked } from './refusals.ts'

/** Models that do something else than chat, by the words their names carry. */
const noChat =
  /embed|rerank|whisper|tts|audio|image|vision-preview|guard|moderation|bge-|sdxl|flux|diffusion|video|ocr/i
const mostTries = 3

/** Up to three models to spend one token on: the cheapest where prices are listed, the list's first otherwise. */
function modelsToTry(listed: ListedModel[]): string[] {
  const chats = listed.filter(({ id }) => !noChat.test(id))
  const price = (model: ListedModel) => Number(model.prices?.input ?? 'Infinity') // for the order alone, never for money
  return chats
    .toSorted((a, b) => price(a) - price(b) || 0)
    .slice(0, mostTries)
    .map(({ id }) => id)
}

function askForTokens(row: Provider, credential: Credential, model: string, tokens: number, timeoutMs: number) {
  const path = row.routes.chat?.path({ model, credential, streamed: false }) ?? '/chat/completions'
  const json = { model, messages: [{ role: 'user', content: 'hi' }], max_tokens: tokens, stream: false }
  return askProvider(row, credential, { at: { base: null, path }, json, timeoutMs })
}

/** One token, or sixteen where the provider sells no fewer (providers §2.1). */
async function fewTokens(row: Provider, credential: Credential, model: string, timeoutMs: number): Promise<TextReply> {
  const reply = await askForTokens(row, credential, model, 1, timeoutMs)
  const tooFew =
    reply.kind === 'answered' && reply.status === 400 && /max_tokens.*(?:at least|greater|minimum)/is.test(reply.text)
  return tooFew ? askForTokens(row, credential, model, 16, timeoutMs) : reply
}

/**
 * Spends one token to see whether a key works, on models of the live list: names written down rot. A model that is not
 * there says nothing of the key, so the next one is tried.
 */
export async function probeByChat(row: Provider, credential: Credential, timeoutMs: number): Promise<Verdict> {
  const listed = await listKeyModels(credential, timeoutMs)
  if ('failure' in listed) return listed.failure === 'refused' ? invalid('refused') : unverified(listed.failure)
  for (const model of modelsToTry(listed.models)) {
    const reply = await fewTokens(row, credential, model, timeoutMs)
    const away = notAsked(reply)
    if (away || reply.kind !== 'answered') return away ?? unverified('unexpected_reply')
    if (reply.status === 200) return valid
    const verdict = judgeRefusal(row, reply.status, reply.text)
    if (verdict.outcome !== 'unverified') return verdict
  }
  return unverified('no_model_to_try')
}

/** Whether Azure's deployment exists and can be called: the list proves endpoint and key only (providers §2.1). */
export async function probeDeployment(row: Provider, credential: Credential, timeoutMs: number): Promise<Verdict> {
  const reply = await fewTokens(row, credential, credential.azure?.deploymentName ?? '', timeoutMs)
  const away = notAsked(reply)
  if (away || reply.kind !== 'answered') return away ?? unverified('unexpected_reply')
  const { status, text } = reply
  if (status === 200) return valid
  if (/DeploymentNotFound/i.test(text)) return invalid('wrong_deployment', 'credential.deploymentName')
  // A deployment that wants the limit under another name, or that does no chat, is there all the same.
  if (status === 400 && /max_completion_tokens|OperationNotSupported|unsupported_parameter/i.test(text)) return valid
  return judgeRefusal(row, status, text)
}

/** How long it is believed that a provider's list is, or is not, open to everybody. */
const verdictMs = 24 * 60 * 60_000

interface ListVerdict {
  open: boolean
  /** Monotonic ms. */
  at: number
}

/**
 * Whether the list of models answers to a key that nobody ever issued. Null where the provider could not be asked. Kept for
 * a day per provider and process.
 */
export async function listIsOpen(row: Provider, timeoutMs: number): Promise<boolean | null> {
  const held = singleton('list-is-open', () => new Map<string, ListVerdict>())
  const known = held.get(row.id)
  if (known && performance.now() - known.at < verdictMs) return known.open
  const madeUp = `sk-${randomBytes(24).toString('hex')}`
  const nobody: Credential = { provider: row.id, apiKey: madeUp, secrets: [madeUp] }
  const reply = await askProvider(row, nobody, { at: row.models.at, timeoutMs, largest: 8 * 1024 * 1024 })
  if (reply.kind !== 'answered' || ![200, 401, 403].includes(reply.status)) return null
  held.set(row.id, { open: reply.status === 200, at: performance.now() })
  return reply.status === 200
}
