/** Calls that credits pay for. */
import { type Customer, makeCustomer } from '#test/gateway.ts'

/** cost_effective: $0.0000006 per input token, $0.0000036 per output token. */
export const priceOf = (input: number, output: number) => BigInt(input) * 600_000n + BigInt(output) * 3_600_000n
export const soon = (ms: number) => new Date(Date.now() + ms)

export const onCredits = (planId = 'credits'): Promise<Customer> => makeCustomer({ key: null, planId })

export async function answerOf(response: Response) {
  const body = await response.json()
  return [response.status, body.error?.code ?? null]
}
