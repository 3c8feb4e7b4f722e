/**
 * Turns types of the `stripe` declarations into schemas. The declarations are generated from Stripe's own OpenAPI
 * document, so walking them back gives the contract of exactly the API version the SDK pins. What declarations
 * cannot say is guessed or missing: integer-or-number comes from the field's name, there are no patterns, open enums
 * become closed, and rules between parameters are in no contract at all (the sandbox has those).
 */
import ts from 'typescript'
import { REF_PREFIX, type Schema } from './json-schema.ts'

interface Context {
  request: boolean
}

const INTEGER_NAME =
  /(^|_)(amount|created|date|quantity|start|end|at|count|total|subtotal|due|remaining|paid|balance|minimum|maximum|timestamp|time|anchor|shipping|tax|value|cents)(_|$)|^(limit|days|seq)/
const METADATA: Schema = { type: 'object', additionalProperties: { type: 'string', maxLength: 500 } }

export class TypeConverter {
  readonly schemas: Record<string, Schema> = {}
  readonly #checker: ts.TypeChecker
  readonly #kept: ReadonlySet<string>
  readonly #names = new Map<ts.Type, string>()
  readonly #taken = new Set<string>()

  /** @param kept values of `object` that stay whole inside other objects; any other expandable field is only an id. */
  constructor(checker: ts.TypeChecker, kept: ReadonlySet<string>) {
    this.#checker = checker
    this.#kept = kept
  }

  convert(type: ts.Type, context: Context = { request: false }): Schema | undefined {
    const alias = type.aliasSymbol?.name ?? ''
    const name = type.symbol?.name ?? ''
    if (alias === 'Decimal' || name === 'Decimal' || name === 'DecimalImpl')
      return { type: 'string', format: 'decimal' }
    if (/^Metadata(Param)?$/.test(alias) || /^Metadata(Param)?$/.test(name)) return METADATA
    const simple = this.#primitive(type)
    if (simple !== 'none') return simple
    // One interface per event type: the envelope is kept, and its object is checked by name elsewhere.
    if (alias === 'Event' && type.isUnion()) return this.#event(type)
    if (type.isUnion()) return this.#union(type, context)
    if (type.isIntersection()) {
      if (type.types.some((part) => part.flags & ts.TypeFlags.String)) return { type: 'string' }
      return { allOf: type.types.map((part) => this.convert(part, context)).filter((part) => part !== undefined) }
    }
    return this.#object(type, context)
  }

  /** A page of a list, or of a search, which tells its next page by a name of its own. */
  listOf(items: Schema, kind: 'list' | 'search_result' = 'list'): Schema {
    const search = kind === 'search_result'
    return {
      type: 'object',
      required: ['data', 'has_more', 'object', 'url'],
      properties: {
        data: { type: 'array', items },
        has_more: { type: 'boolean' },
        object: { type: 'string', enum: [kind] },
        url: { type: 'string' },
        ...(search && { next_page: { type: 'string', nullable: true }, total_count: { type: 'integer' } }),
      },
      additionalProperties: false,
    }
  }

  #primitive(type: ts.Type): Schema | undefined | 'none' {
    const { flags } = type
    if (flags & (ts.TypeFlags.Any | ts.TypeFlags.Unknown)) return {}
    if (flags & ts.TypeFlags.String) return { type: 'string' }
    if (flags & ts.TypeFlags.Number) return { type: 'number' }
    if (flags & ts.TypeFlags.Boolean) return { type: 'boolean' }
    if (flags & ts.TypeFlags.Null) return { nullable: true }
    if (flags & (ts.TypeFlags.Void | ts.TypeFlags.Undefined | ts.TypeFlags.Never)) return undefined
    const literal = literalOf(this.#checker, type)
    return literal === undefined ? 'none' : { type: typeof literal, enum: [literal] }
  }

  #union(type: ts.UnionType, context: Context): Schema {
    const parts = type.types.filter((part) => !(part.flags & (ts.TypeFlags.Undefined | ts.TypeFlags.Void)))
    const nullable = parts.some((part) => part.flags & ts.TypeFlags.Null)
    const rest = parts.filter((part) => !(part.flags & ts.TypeFlags.Null))
    const hasId = rest.some((part) => part.flags & ts.TypeFlags.String)
    const words: string[] = []
    const out: Schema[] = []
    let open = false
    for (const part of rest) {
      const literal = literalOf(this.#checker, part)
      if (typeof literal === 'string') words.push(literal)
      else if (part.flags & ts.TypeFlags.BooleanLiteral) pushOnce(out, { type: 'boolean' })
      else if (part.isIntersection() && part.types.some((inner) => inner.flags & ts.TypeFlags.String)) open = true
      else if (!context.request && hasId && this.#isForeign(part)) continue
      else {
        const schema = this.convert(part, context)
        if (schema) out.push(schema)
      }
    }
    if (words.length && !out.some((schema) => schema.type === 'string'))
      out.unshift({ type: 'string', enum: words.sort() })
    else if (open && !words.length) out.unshift({ type: 'string' })
    const single = out.length === 1 ? out[0] : undefined
    const schema: Schema = single ?? { anyOf: out }
    if (!nullable) return schema
    return schema.$ref ? { anyOf: [schema], nullable: true } : { ...schema, nullable: true }
  }

  #isForeign(type: ts.Type): boolean {
    const value = this.#objectValue(type)
    return value !== undefined && !this.#kept.has(value)
  }

  #objectValue(type: ts.Type): string | undefined {
    const property = type.getProperty('object')
    const value = property && literalOf(this.#checker, this.#checker.getTypeOfSymbol(property))
    return typeof value === 'string' ? value : undefined
  }

  #object(type: ts.Type, context: Context): Schema {
    const [argument] = this.#checker.getTypeArguments(type as ts.TypeReference)
    if (this.#checker.isArrayType(type)) {
      return { type: 'array', items: (argument && this.convert(argument, context)) ?? {} }
    }
    const name = type.symbol?.name
    if (name === 'ApiList' && argument) return this.listOf(this.convert(argument, context) ?? {})
    if (!(type.flags & ts.TypeFlags.Object)) return {}
    const [index] = this.#checker.getIndexInfosOfType(type)
    if (!type.getProperties().length && index) {
      return { type: 'object', additionalProperties: this.convert(index.type, context) ?? {} }
    }
    // Stripe writes requests out in place and names the objects it answers.
    if (context.request || name === undefined || name === '__type' || name === 'Object')
      return this.#body(type, context)
    const schemaName = this.#nameOf(type)
    if (!(schemaName in this.schemas)) {
      const schema: Schema = {}
      this.schemas[schemaName] = schema
      Object.assign(schema, this.#body(type, context))
    }
    return { $ref: REF_PREFIX + schemaName }
  }

  #body(type: ts.Type, context: Context): Schema {
    const properties: Record<string, Schema> = {}
    const required: string[] = []
    for (const symbol of this.#checker.getPropertiesOfType(type)) {
      const schema = this.convert(this.#checker.getTypeOfSymbol(symbol), context)
      if (!schema) continue
      const whole = schema.type === 'number' && INTEGER_NAME.test(symbol.name) && !/percent|rate/.test(symbol.name)
      properties[symbol.name] = whole ? { ...schema, type: 'integer' } : schema
      if (!(symbol.flags & ts.SymbolFlags.Optional)) required.push(symbol.name)
    }
    return { type: 'object', properties, required, additionalProperties: false }
  }

  /** A resource is named by its `object` value, as in Stripe's document; a nested object by its qualified type name. */
  #nameOf(type: ts.Type): string {
    const known = this.#names.get(type)
    if (known) return known
    const symbol = type.aliasSymbol ?? type.symbol
    const qualified = this.#checker.getFullyQualifiedName(symbol).replace(/^".*"\./, '')
    const object = qualified.includes('.') ? undefined : this.#objectValue(type)
    const base = object ? (qualified.startsWith('Deleted') ? `deleted_${object}` : object) : qualified
    let name = base
    for (let i = 2; this.#taken.has(name); i++) name = `${base}_${i}`
    this.#taken.add(name)
    this.#names.set(type, name)
    return name
  }

  #event(union: ts.UnionType): Schema {
    const types = union.types.map((member) => {
      const property = member.getProperty('type')
      return property && literalOf(this.#checker, this.#checker.getTypeOfSymbol(property))
    })
    const id: Schema = { type: 'string', nullable: true }
    const anything: Schema = { type: 'object', additionalProperties: {} }
    const properties: Record<string, Schema> = {
      id: { type: 'string' },
      object: { type: 'string', enum: ['event'] },
      account: { type: 'string' },
      context: { type: 'string' },
      api_version: id,
      created: { type: 'integer' },
      data: { type: 'object', required: ['object'], properties: { object: anything, previous_attributes: anything } },
      livemode: { type: 'boolean' },
      pending_webhooks: { type: 'integer' },
      request: {
        type: 'object',
        nullable: true,
        required: ['id', 'idempotency_key'],
        properties: { id, idempotency_key: id },
      },
      type: { type: 'string', enum: types.filter((value) => typeof value === 'string').sort() },
    }
    const optional = new Set(['account', 'context'])
    const required = Object.keys(properties).filter((key) => !optional.has(key))
    this.schemas.event ??= { type: 'object', properties, required, additionalProperties: false }
    return { $ref: `${REF_PREFIX}event` }
  }
}

function literalOf(checker: ts.TypeChecker, type: ts.Type): string | number | boolean | undefined {
  if (type.isStringLiteral() || type.isNumberLiteral()) return type.value
  if (type.flags & ts.TypeFlags.BooleanLiteral) return checker.typeToString(type) === 'true'
  return undefined
}

function pushOnce(list: Schema[], schema: Schema): void {
  if (!list.some((other) => other.type === schema.type)) list.push(schema)
}
