/** Statuses under which some providers say in words what others say with a 402. */
const worded = [400, 403, 429]

/**
 * OpenAI's 429, Anthropic's 400, xAI's 403 and 429, OpenRouter's 403 for a key whose own limit is used up, and the like. A
 * quota that comes back by itself, such as Google's per minute, is not among them.
 */
const outOfCredit =
  /"insufficient_quota"|"billing_(?:hard_limit_reached|not_active)"|credit balance is too low|used all available credits|run out of credits|monthly spending limit|key limit exceeded|"?not_enough_balance/i

/** Whether a refusal means that somebody must pay the provider before it goes on. `body`: the refusal's text, as it came. */
export const asksForMoney = (status: number, body: string): boolean =>
  status === 402 || (worded.includes(status) && outOfCredit.test(body))
