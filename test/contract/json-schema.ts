/** The part of OpenAPI 3.0's schema language that the derived Stripe contract uses. */
export interface Schema {
  type?: string
  enum?: (string | number | boolean)[]
  format?: string
  maxLength?: number
  nullable?: boolean
  anyOf?: Schema[]
  allOf?: Schema[]
  $ref?: string
  items?: Schema
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: boolean | Schema
}

export interface ContractOperation {
  operationId: string
  method: string
  path: string
  /** Parameters of the body (POST) or of the query string (GET, DELETE). */
  request: Schema
  response: Schema
}

/** What is derived from the installed SDK and cached: every operation of the chosen resources, and the objects they answer. */
export interface StripeContractDocument {
  apiVersion: string
  sdkVersion: string
  operations: ContractOperation[]
  schemas: Record<string, Schema>
}

export const REF_PREFIX = '#/components/schemas/'
