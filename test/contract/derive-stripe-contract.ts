/** Derives the contract document from the installed `stripe` package: which paths exist, what they take, what they answer. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import ts from 'typescript'
import type { ContractOperation, Schema, StripeContractDocument } from './json-schema.ts'
import { TypeConverter } from './type-to-schema.ts'

const RESOURCES = [
  'Customers',
  'Subscriptions',
  'Products',
  'Prices',
  'Invoices',
  'InvoiceItems',
  'PaymentMethods',
  'Events',
  'Checkout/Sessions',
  'BillingPortal/Sessions',
  'SubscriptionSchedules',
  'TestHelpers/TestClocks',
  'CreditNotes',
  'Charges',
  'Refunds',
  'Disputes',
  'CustomerBalanceTransactions',
  'WebhookEndpoints',
  'InvoicePayments',
]
/** Objects that may appear expanded; every other expandable field is an id, which keeps the closure small. */
const KEPT_OBJECTS = new Set([
  'customer',
  'subscription',
  'subscription_item',
  'product',
  'price',
  'invoice',
  'invoiceitem',
  'line_item',
  'payment_method',
  'event',
  'credit_note',
  'credit_note_line_item',
  'subscription_schedule',
])

interface Call {
  method: string
  path: string
}

/**
 * Walks declarations (types) and sources (paths) of the SDK. About two seconds; see stripe-contract.ts for the cache.
 * @param sdkFolder folder of the installed package, e.g. node_modules/stripe
 */
export function deriveStripeContract(sdkFolder: string): StripeContractDocument {
  const fileOf = (resource: string, ending: string) => path.join(sdkFolder, 'esm/resources', resource + ending)
  const program = ts.createProgram(
    RESOURCES.map((resource) => fileOf(resource, '.d.ts')),
    {
      strict: true,
      skipLibCheck: true,
      noEmit: true,
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      types: [],
    },
  )
  const converter = new TypeConverter(program.getTypeChecker(), KEPT_OBJECTS)
  const operations: ContractOperation[] = []
  for (const resource of RESOURCES) {
    const declarations = program.getSourceFile(fileOf(resource, '.d.ts'))
    if (!declarations) throw new Error(`The stripe package has no declarations for ${resource}.`)
    const calls = callsOf(readFileSync(fileOf(resource, '.js'), 'utf8'))
    for (const method of methodsOf(declarations)) {
      const call = calls.get(`${method.className}.${method.node.name.getText()}`)
      if (call?.path.startsWith('/v1/')) operations.push(operationOf(program, converter, call, method.node, resource))
    }
  }
  const apiVersion = /ApiVersion = '([^']+)'/.exec(readFileSync(path.join(sdkFolder, 'esm/apiVersion.js'), 'utf8'))?.[1]
  return {
    apiVersion: apiVersion ?? '',
    sdkVersion: stripeSdkVersion(sdkFolder),
    operations,
    schemas: converter.schemas,
  }
}

export function stripeSdkVersion(sdkFolder: string): string {
  const manifest = JSON.parse(readFileSync(path.join(sdkFolder, 'package.json'), 'utf8')) as { version: string }
  return manifest.version
}

function* methodsOf(source: ts.SourceFile) {
  for (const statement of source.statements) {
    if (!ts.isClassDeclaration(statement)) continue
    for (const node of statement.members) {
      if (ts.isMethodDeclaration(node)) yield { className: statement.name?.text ?? '', node }
    }
  }
}

/** Method and path template of every `_makeRequest` in a resource's JavaScript, by `Class.method`. */
function callsOf(javascript: string): Map<string, Call> {
  const source = ts.createSourceFile('resource.js', javascript, ts.ScriptTarget.ES2022, true)
  const calls = new Map<string, Call>()
  for (const { className, node } of methodsOf(source)) {
    const found = findRequest(node)
    if (found) calls.set(`${className}.${node.name.getText()}`, found)
  }
  return calls
}

function findRequest(node: ts.Node): Call | undefined {
  if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)) {
    const [method, url] = node.arguments
    if (node.expression.name.text === '_makeRequest' && method && url && ts.isStringLiteral(method)) {
      return { method: method.text.toLowerCase(), path: pathTemplate(url) }
    }
  }
  return ts.forEachChild(node, findRequest)
}

function pathTemplate(url: ts.Expression): string {
  if (ts.isStringLiteralLike(url)) return url.text
  if (!ts.isTemplateExpression(url)) return ''
  return url.head.text + url.templateSpans.map((span) => `{id}${span.literal.text}`).join('')
}

function operationOf(
  program: ts.Program,
  converter: TypeConverter,
  call: Call,
  method: ts.MethodDeclaration,
  resource: string,
): ContractOperation {
  const checker = program.getTypeChecker()
  const parameter = method.parameters.find((candidate) => candidate.name.getText() === 'params')
  const asked =
    parameter && converter.convert(checker.getNonNullableType(checker.getTypeAtLocation(parameter)), { request: true })
  const request = asked?.anyOf ? asked.anyOf.find((option) => option.properties) : asked
  return {
    operationId: `${resource}.${method.name.getText()}`,
    method: call.method,
    path: call.path,
    request: request?.properties ? request : { type: 'object', properties: {}, additionalProperties: false },
    response: responseOf(checker, converter, method),
  }
}

function responseOf(checker: ts.TypeChecker, converter: TypeConverter, method: ts.MethodDeclaration): Schema {
  let node = method.type
  const nameOf = (type: ts.TypeNode | undefined) =>
    type && ts.isTypeReferenceNode(type) ? type.typeName.getText() : ''
  const argumentOf = (type: ts.TypeNode | undefined) =>
    type && ts.isTypeReferenceNode(type) ? type.typeArguments?.[0] : undefined
  if (nameOf(node) === 'Promise') node = argumentOf(node)
  if (nameOf(node) === 'Response') node = argumentOf(node)
  for (const [promise, kind] of [
    ['ApiListPromise', 'list'],
    ['ApiSearchResultPromise', 'search_result'],
  ] as const) {
    const item = nameOf(node) === promise ? argumentOf(node) : undefined
    if (item) return converter.listOf(converter.convert(checker.getTypeFromTypeNode(item)) ?? {}, kind)
  }
  return (node && converter.convert(checker.getTypeFromTypeNode(node))) ?? {}
}
