import { asksForMoney } from '../payment-refusal.ts'
import type { Proof, Provider } from '../provider.ts'
import type { TextReply } from './ask-provider.server.ts'
import { invalid, restricted, unverified, type Verdict } from './key-replies.ts'

/** Texts of a 400 or 403 that mean "this key is none", or none any more (providers §2.1). */
const refusedInWords =
  /reported as leaked|API_KEY_INVALID|API key not valid|invalid[ _]api[ _]key|incorrect api key|invalid_api_key/i
/** A key that is alive but was given only some permissions; OpenAI says so with a 401 too. */
const scopeWords = /missing scopes|insufficient permissions|insufficient_scope|not have (?:access|permission)/i
const awsRefusals = /InvalidClientTokenId|SignatureDoesNotMatch|UnrecognizedClient|InvalidAccessKeyId|AuthFailure/

/** The key is good, and the account behind it empty. */
const unpaid: Verdict = { outcome: 'valid', reason: 'no_credit' }

/** What a reply says that is none about the key: a provider that cannot be asked now, or wants money first. */
export function notAsked(reply: TextReply): Verdict | null {
  if (reply.kind !== 'answered') return unverified(reply.kind)
  if (reply.status === 429) return asksForMoney(429, reply.text) ? unpaid : unverified('rate_limited')
  return reply.status >= 500 ? unverified('provider_error') : null
}

function judgeAws(text: string): Verdict {
  if (/ExpiredToken/.test(text)) return invalid('expired')
  return awsRefusals.test(text) ? invalid('refused') : restricted('missing_scopes')
}

function judgeAzure(status: number, text: string): Verdict {
  if (status === 403 && /virtual network|firewall/i.test(text)) return restricted('network_rules')
  if (status === 401 || status === 403) return invalid('refused')
  if (/api[- _]?version/i.test(text)) return invalid('wrong_api_version', 'credential.apiVersion')
  return unverified(status === 404 ? 'wrong_api_version' : 'unexpected_reply')
}

const readerOf = (proof: Proof): string | null => (proof.by === 'request' ? proof.read : null)

/** What a reply other than 200 says of a key. Only a confirmed refusal makes it invalid (providers §0.1). */
export function judgeRefusal(row: Provider, status: number, text: string): Verdict {
  const reader = readerOf(row.proof)
  if (reader === 'sts') return status === 403 || status === 400 ? judgeAws(text) : unverified('unexpected_reply')
  if (reader === 'azure') return judgeAzure(status, text)
  if (/SERVICE_DISABLED/.test(text)) return restricted('service_disabled')
  if (asksForMoney(status, text)) return unpaid
  if ((status === 401 || status === 403) && scopeWords.test(text)) return restricted('missing_scopes')
  if (status === 401 || ([400, 403].includes(status) && refusedInWords.test(text))) return invalid('refused')
  if (status !== 403) return unverified('unexpected_reply')
  return judgeForbidden(row)
}

/** 403 is a dead key at some providers, a narrow one at those that answer 401 for a dead one, and unclear at OpenRouter. */
function judgeForbidden({ proof, id }: Provider): Verdict {
  if (proof.by === 'models' && id !== 'fireworks') return restricted('missing_scopes')
  return proof.by === 'request' && /^(?:openrouter|deepseek|xai|google)$/.test(proof.read)
    ? unverified('unexpected_reply')
    : invalid('refused')
}
