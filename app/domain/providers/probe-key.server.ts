import type { Credential } from './credential.ts'
import { askProvider } from './internal/ask-provider.server.ts'
import { listIsOpen, probeByChat, probeDeployment } from './internal/chat-probe.server.ts'
import { invalid, okReaders, readCredits, unverified, type Verdict, valid } from './internal/key-replies.ts'
import { judgeRefusal, notAsked } from './internal/refusals.ts'
import { modelListPlace } from './list-models.server.ts'
import type { Proof, Provider } from './provider.ts'
import { providerOf } from './registry.ts'

/**
 * What the provider says of a key. Only `invalid` and `management` block a save. `restricted`: alive, but may not do
 * everything. `unverified`: the provider could not be asked, which is not the key's fault (providers §0.1). `field` names
 * the member of the credential that is wrong, `balance` what the reply said is left to spend.
 */
export type KeyProbe = Verdict

const probeTimeoutMs = 10_000

type RequestProof = Extract<Proof, { by: 'request' }>

async function probeByRequest(row: Provider, credential: Credential, proof: RequestProof, timeoutMs: number) {
  const at = proof.read === 'azure' ? modelListPlace(row, credential) : proof.at
  const reply = await askProvider(row, credential, { at, timeoutMs })
  const away = notAsked(reply)
  if (away || reply.kind !== 'answered') return away ?? unverified('unexpected_reply')
  if (reply.status === 200) {
    const verdict = okReaders[proof.read](reply.text)
    return proof.read === 'azure' && proof.fallBack && verdict.outcome === 'valid'
      ? probeDeployment(row, credential, timeoutMs)
      : verdict
  }
  // A refusal of the question about the key is not always one of the key (providers §2.1): then one token decides.
  if (proof.fallBack && proof.read !== 'azure' && reply.status !== 401) return probeByChat(row, credential, timeoutMs)
  return judgeRefusal(row, reply.status, reply.text)
}

async function probeByModels(row: Provider, credential: Credential, timeoutMs: number): Promise<Verdict> {
  const reply = await askProvider(row, credential, { at: row.models.at, timeoutMs, largest: 8 * 1024 * 1024 })
  const away = notAsked(reply)
  if (away || reply.kind !== 'answered') return away ?? unverified('unexpected_reply')
  if (reply.status !== 200) return judgeRefusal(row, reply.status, reply.text)
  return /^\s*[[{]/.test(reply.text) ? valid : unverified('unexpected_reply')
}

/** The list proves a key exactly where it refuses one that nobody issued. */
async function probeByDifference(row: Provider, credential: Credential, timeoutMs: number): Promise<Verdict> {
  const open = await listIsOpen(row, timeoutMs)
  if (open === true) return probeByChat(row, credential, timeoutMs)
  const listed = await probeByModels(row, credential, timeoutMs)
  return open === null && listed.outcome === 'valid' ? probeByChat(row, credential, timeoutMs) : listed
}

function prove(row: Provider, credential: Credential, timeoutMs: number): Promise<Verdict> {
  const { proof } = row
  if (proof.by === 'request') return probeByRequest(row, credential, proof, timeoutMs)
  if (proof.by === 'models') return probeByModels(row, credential, timeoutMs)
  if (proof.by === 'chat') return probeByChat(row, credential, timeoutMs)
  return probeByDifference(row, credential, timeoutMs)
}

/** OpenRouter's second key must be able to read the balance; one that cannot is no reason to doubt the first. */
async function proveManagementKey(row: Provider, credential: Credential, timeoutMs: number): Promise<Verdict | null> {
  const { managementKey } = credential
  if (!managementKey) return null
  const alone: Credential = { provider: row.id, apiKey: managementKey, secrets: [managementKey] }
  const reply = await askProvider(row, alone, { at: { base: null, path: '/credits' }, timeoutMs })
  if (reply.kind !== 'answered') return null
  if (reply.status === 401) return invalid('refused', 'credential.managementKey')
  if (reply.status === 403) return invalid('not_a_management_key', 'credential.managementKey')
  const balance = reply.status === 200 ? readCredits(reply.text) : null
  return balance && { ...valid, balance }
}

/**
 * Asks the provider whether a key is alive, with the cheapest request that proves it there. Never throws; nothing in the
 * answer holds any part of the key. `timeoutMs` is for each of at most five requests.
 */
export async function probeKey(credential: Credential, timeoutMs = probeTimeoutMs): Promise<KeyProbe> {
  const row = providerOf(credential.provider)
  const verdict = await prove(row, credential, timeoutMs)
  if (verdict.outcome !== 'valid') return verdict
  const management = await proveManagementKey(row, credential, timeoutMs)
  if (!management) return verdict
  return management.outcome === 'invalid' ? management : { ...verdict, balance: management.balance }
}
