/**
 * The Stripe contract as a validator for tests. Nothing derived is committed: the document is built from node_modules
 * once per SDK version and kept in node_modules/.cache, so an upgrade of `stripe` re-checks the sandbox on its own.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { Ajv, type ValidateFunction } from 'ajv'
import { deriveStripeContract, stripeSdkVersion } from './derive-stripe-contract.ts'
import { type ContractOperation, REF_PREFIX, type Schema, type StripeContractDocument } from './json-schema.ts'

const ROOT = path.resolve(import.meta.dirname, '../..')
const SDK_FOLDER = path.join(ROOT, 'node_modules/stripe')
const CACHE_FOLDER = path.join(ROOT, 'node_modules/.cache/keymargin')
const ERROR_TYPES = ['api_error', 'card_error', 'idempotency_error', 'invalid_request_error']

export interface StripeContract {
  apiVersion: string
  operationCount: number
  /** Differences between a request's parameters (as parsed from the form, all strings) and the contract. */
  request(method: string, pathname: string, params: unknown): string[]
  /** Differences between an answer and the contract; `status` ≥ 400 is checked against the error envelope. */
  response(method: string, pathname: string, status: number, body: unknown): string[]
  /** Differences between one object and the schema its `object` field names. */
  object(body: { object: string; deleted?: boolean }): string[]
}

let loaded: StripeContract | undefined

/** One per process: compiling the schemas costs more than any test that uses them. */
export function loadStripeContract(): StripeContract {
  loaded ??= contractOf(cachedDocument())
  return loaded
}

function cachedDocument(): StripeContractDocument {
  const file = path.join(CACHE_FOLDER, `stripe-contract-${stripeSdkVersion(SDK_FOLDER)}-${deriverHash()}.json`)
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as StripeContractDocument
  const document = deriveStripeContract(SDK_FOLDER)
  mkdirSync(CACHE_FOLDER, { recursive: true })
  // Test files run in parallel processes: whoever renames last wins, and both wrote the same.
  const draft = `${file}.${process.pid}`
  writeFileSync(draft, JSON.stringify(document))
  renameSync(draft, file)
  return document
}

/** A change of the deriving code makes another document from the same SDK. */
function deriverHash(): string {
  const hash = createHash('sha256')
  for (const name of readdirSync(import.meta.dirname).sort()) {
    if (!name.includes('.test.')) hash.update(readFileSync(path.join(import.meta.dirname, name)))
  }
  return hash.digest('hex').slice(0, 12)
}

function contractOf(document: StripeContractDocument): StripeContract {
  const $defs = Object.fromEntries(Object.entries(document.schemas).map(([name, schema]) => [name, jsonSchema(schema)]))
  const options = { strict: false, allErrors: true, validateFormats: false }
  const answers = new Ajv(options)
  answers.addSchema({ $id: 'stripe', $defs })
  // Everything in a form is text, so numbers and booleans are recognised by the type the contract asks for.
  const requests = new Ajv({ ...options, coerceTypes: true })
  const compiled = new Map<string, ValidateFunction>()
  const check = (ajv: Ajv, key: string, schema: () => object, body: unknown) => {
    const validate = compiled.get(key) ?? ajv.compile(schema())
    compiled.set(key, validate)
    return validate(body) ? [] : (validate.errors ?? []).map(describe)
  }
  const find = finder(document.operations)
  return {
    apiVersion: document.apiVersion,
    operationCount: document.operations.length,
    request(method, pathname, params) {
      const operation = find(method, pathname)
      if (!operation) return [`no operation ${method} ${pathname}`]
      return check(requests, `q ${operation.operationId}`, () => jsonSchema(operation.request), structuredClone(params))
    },
    response(method, pathname, status, body) {
      if (status >= 400) return errorEnvelope(body)
      const operation = find(method, pathname)
      if (!operation) return [`no operation ${method} ${pathname}`]
      return check(answers, `a ${operation.operationId}`, () => jsonSchema(operation.response), body)
    },
    object(body) {
      const name = body.deleted ? `deleted_${body.object}` : body.object
      if (!(name in document.schemas)) return [`no object ${name}`]
      return check(answers, `o ${name}`, () => ({ $ref: `stripe#/$defs/${name}` }), body)
    },
  }
}

function finder(operations: ContractOperation[]) {
  const routes = operations
    .map((operation) => ({ operation, pattern: new RegExp(`^${operation.path.replaceAll('{id}', '[^/]+')}$`) }))
    // `/v1/invoices/search` before `/v1/invoices/{id}`
    .sort((a, b) => a.operation.path.split('{id}').length - b.operation.path.split('{id}').length)
  return (method: string, pathname: string) =>
    routes.find((route) => route.operation.method === method.toLowerCase() && route.pattern.test(pathname))?.operation
}

/** OpenAPI 3.0 says `nullable`; JSON Schema wants an alternative. */
function jsonSchema(schema: Schema): object {
  const { nullable, $ref, anyOf, allOf, items, properties, additionalProperties, format: _format, ...rest } = schema
  const out: Record<string, unknown> = { ...rest }
  if ($ref) out.$ref = $ref.replace(REF_PREFIX, 'stripe#/$defs/')
  if (anyOf) out.anyOf = anyOf.map(jsonSchema)
  if (allOf) out.allOf = allOf.map(jsonSchema)
  if (items) out.items = jsonSchema(items)
  if (properties) {
    out.properties = Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, jsonSchema(value)]))
  }
  if (additionalProperties !== undefined) {
    out.additionalProperties =
      typeof additionalProperties === 'object' ? jsonSchema(additionalProperties) : additionalProperties
  }
  if (!nullable) return out
  return Object.keys(out).length ? { anyOf: [out, { type: 'null' }] } : { type: 'null' }
}

/** Hand-written: the SDK resolves, wrongly, on a 404 whose body lacks `error`, so its absence must never pass here. */
function errorEnvelope(body: unknown): string[] {
  const error = (body as { error?: { type?: unknown; message?: unknown } } | null)?.error
  if (typeof error !== 'object' || error === null) return ['an error answer without `error`']
  if (!ERROR_TYPES.includes(String(error.type))) return [`unknown error type ${String(error.type)}`]
  return typeof error.message === 'string' ? [] : ['an error without a message']
}

function describe(error: NonNullable<ValidateFunction['errors']>[number]): string {
  const detail = error.params as { additionalProperty?: string; allowedValues?: unknown[] }
  const extra = detail.additionalProperty ?? detail.allowedValues?.slice(0, 8).join(', ')
  return `${error.instancePath || '/'} ${error.message ?? ''}${extra ? `: ${extra}` : ''}`
}
