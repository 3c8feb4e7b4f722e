import { isObject, parseLossless } from './usage.ts'

/** Statuses under which some providers say in words what others say with a 402. */
const worded = [400, 403, 429]

const codes = /^(?:insufficient_quota|billing_hard_limit_reached|billing_not_active|not_enough_balance)$/i
/**
 * OpenAI's 429, Anthropic's 400, xAI's 403 and 429, and the like. A quota that comes back by itself, such as Google's per minute, is
 * not among them.
 */
const words = /credit balance is too low|used all available credits|run out of credits|monthly spending limit/i
/** OpenRouter's 403 for a key whose own limit is used up. Under a 429 such words mean a rate. */
const keyLimit = /key limit exceeded/i

/** A refusal says its cause in so many characters, or not at all. */
const longestCause = 2_000
/** What a message repeats of the request stands in quotes. */
const quoted = /(?<!\w)(['"`])[\s\S]*?\1(?!\w)/g

const causes = ['code', 'type', 'reason', 'message', 'detail', 'error']

/** What a refusal says of its cause: codes and messages. What stands elsewhere in it may be the caller's own: `flagged_input`. */
function saidIn(body: string): string[] {
  const parsed = parseLossless(body)
  const reply: unknown = Array.isArray(parsed) ? parsed[0] : parsed
  const objects = isObject(reply) ? [reply, reply.error].filter(isObject) : []
  const values: unknown[] = objects.flatMap((each) => causes.map((name) => each[name]))
  const texts = isObject(reply) ? values.filter((value) => typeof value === 'string') : [body]
  return texts.map((text) => text.slice(0, longestCause))
}

/** Whether a refusal means that somebody must pay the provider before it goes on. `body`: the refusal's text, as it came. */
export function asksForMoney(status: number, body: string): boolean {
  if (status === 402) return true
  if (!worded.includes(status)) return false
  return saidIn(body).some((text) => {
    const said = text.replace(quoted, ' ')
    return codes.test(text) || words.test(said) || (status === 403 && keyLimit.test(said))
  })
}
