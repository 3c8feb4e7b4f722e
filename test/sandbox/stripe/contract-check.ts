import type { StripeContract } from '#test/contract/stripe-contract.ts'
import type { ApiAnswer, ApiRequest } from './exchange.ts'

/** Records every difference between what passed through the sandbox and the contract of the installed SDK. */
export class ContractCheck {
  readonly violations: string[] = []
  checked = 0
  readonly #contract: StripeContract
  #events: { type: string; object: object }[] = []

  constructor(contract: StripeContract) {
    this.#contract = contract
  }

  exchange(request: ApiRequest, answer: ApiAnswer): void {
    const name = `${request.method} ${request.pathname}`
    this.checked += 1
    this.#checkEvents()
    this.#record(`${name} request`, this.#contract.request(request.method, request.pathname, answer.params))
    // Answers made by a fault are wrong on purpose.
    if (answer.faulty || answer.transport) return
    const body: unknown = JSON.parse(answer.body)
    this.#record(
      `${name} answer ${answer.status}`,
      this.#contract.response(request.method, request.pathname, answer.status, body),
    )
  }

  /** Checked with the next exchange: the first check of a kind compiles its schema, and no answer shall wait for that. */
  event(type: string, object: object): void {
    this.#events.push({ type, object })
  }

  /** Hands the violations over, for a test that caused them on purpose. */
  take(): string[] {
    this.#checkEvents()
    return this.violations.splice(0)
  }

  #checkEvents(): void {
    for (const { type, object } of this.#events.splice(0)) {
      this.#record(`event ${type}`, this.#contract.object(object as { object: string }))
    }
  }

  #record(where: string, differences: string[]): void {
    for (const difference of differences) this.violations.push(`${where}: ${difference}`)
  }
}
