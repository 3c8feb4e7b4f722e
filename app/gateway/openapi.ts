import type { Endpoint } from '#app/domain/providers/provider.ts'
import { providerIds } from '#app/domain/providers/provider.ts'
import { endpoints } from './endpoints.ts'
import { spendingPaths, spendingSchemas } from './openapi-spending.ts'

export const openapiPath = '/v1/openapi.json'

const string = { type: 'string' }
const json = (schema: unknown) => ({ 'application/json': { schema } })
const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` })

const errors: Record<string, string> = {
  400: 'The request is wrong: `error.param` names the parameter.',
  401: 'The gateway token is missing, malformed, unknown or revoked; or the provider refuses the workspace’s own key.',
  402: 'There is no room for the call: in the workspace’s credits, in one of its budgets, or in its own account at the provider.',
  403: 'The provider, or the key’s own allow list, forbids it; or the workspace is suspended.',
  404: 'No such model or endpoint.',
  405: 'Another method is needed; `Allow` names it.',
  408: 'The body took too long.',
  413: 'The body is too large.',
  415: 'The body is no JSON, or is encoded.',
  429: 'The provider is busy: wait for `Retry-After`.',
  502: 'The provider failed, or its answer could not be read.',
  503: 'The gateway, its ledger or the key cannot serve the call now. Nothing was sent.',
  504: 'The provider did not answer in time.',
}

const errorResponses = Object.fromEntries(
  Object.entries(errors).map(([status, description]) => [status, { description, content: json(ref('Error')) }]),
)

const callHeaders = {
  'x-keymargin-call-id': { description: 'The call’s id in the ledger: the receipt is found by it.', schema: string },
  'x-keymargin-key-source': {
    description: 'Whose key paid.',
    schema: { type: 'string', enum: ['platform', 'workspace'] },
  },
  'x-keymargin-charge-mode': {
    description: 'How the call is charged: from credits, on the invoice, or not at all.',
    schema: { type: 'string', enum: ['tier', 'tier_margin', 'markup', 'flat_fee', 'credits', 'pass_through'] },
  },
  'x-keymargin-externally-billed': {
    description: 'Present where the workspace’s own key paid: its provider bills the model, and no credits are drawn.',
    schema: { type: 'string', const: 'true' },
  },
  'x-keymargin-provider': { description: 'Who served it.', schema: { type: 'string', enum: providerIds } },
  'x-keymargin-output-limit': {
    description:
      'Tokens per answer that the gateway limited the call to, since it named no limit and credits or a hard budget pay for it.',
    schema: { type: 'integer', minimum: 1 },
  },
  'x-keymargin-fallback-of': {
    description: 'The refused call that this one stood in for, where the workspace allows that.',
    schema: string,
  },
}

const parameters = [
  {
    name: 'x-keymargin-surface',
    in: 'header',
    description: 'The product feature the call is for. Default `agent_run`.',
    schema: string,
  },
  {
    name: 'x-byok-provider',
    in: 'header',
    description:
      'Insists on the workspace’s own key of this provider: without one, and on a background surface that stays on the platform key, the call is refused with 400.',
    schema: string,
  },
]

const summaries: Record<Endpoint, string> = {
  chat: 'A chat completion, plain or streamed',
  responses: 'A response, plain or streamed, at providers that serve the Responses API',
  embeddings: 'Embeddings',
  rerank: 'A ranking of documents',
}

const requests: Record<Endpoint, { required: string[]; properties: Record<string, unknown> }> = {
  chat: {
    required: ['model', 'messages'],
    properties: {
      model: string,
      messages: { type: 'array', minItems: 1, maxItems: 10_000, items: { type: 'object' } },
      stream: { type: ['boolean', 'null'] },
      stream_options: { type: ['object', 'null'], properties: { include_usage: { type: 'boolean' } } },
      max_tokens: { type: ['integer', 'null'], minimum: 1 },
      max_completion_tokens: { type: ['integer', 'null'], minimum: 1 },
      n: { type: ['integer', 'null'], minimum: 1, maximum: 8 },
      temperature: { type: ['number', 'null'] },
      top_p: { type: ['number', 'null'] },
      user: { type: 'string', maxLength: 510 },
    },
  },
  responses: {
    required: ['model', 'input'],
    properties: {
      model: string,
      input: {
        oneOf: [
          { type: 'string', minLength: 1 },
          { type: 'array', minItems: 1 },
        ],
      },
      stream: { type: ['boolean', 'null'] },
      max_output_tokens: { type: ['integer', 'null'], minimum: 1 },
      background: { enum: [false, null] },
    },
  },
  embeddings: {
    required: ['model', 'input'],
    properties: {
      model: string,
      input: {
        oneOf: [
          { type: 'string', minLength: 1 },
          { type: 'array', minItems: 1 },
        ],
      },
      dimensions: { type: ['integer', 'null'], minimum: 1 },
    },
  },
  rerank: {
    required: ['model', 'query', 'documents'],
    properties: {
      model: string,
      query: string,
      documents: { type: 'array', minItems: 1 },
      top_n: { type: ['integer', 'null'], minimum: 1 },
    },
  },
}

function operation(endpoint: Endpoint) {
  const { canStream } = endpoints[endpoint]
  const stream = canStream ? { 'text/event-stream': { schema: string } } : {}
  return {
    operationId: endpoint,
    summary: summaries[endpoint],
    parameters,
    requestBody: {
      required: true,
      content: json({ type: 'object', ...requests[endpoint], additionalProperties: true }),
    },
    responses: {
      200: {
        description: 'As the provider answers, in OpenAI’s format.',
        headers: callHeaders,
        content: { ...json({ type: 'object' }), ...stream },
      },
      ...errorResponses,
    },
  }
}

const reading = (operationId: string, summary: string, schema: unknown) => ({
  operationId,
  summary,
  responses: { 200: { description: 'OK', content: json(schema) }, 401: errorResponses[401], 404: errorResponses[404] },
})

const document = {
  openapi: '3.1.0',
  info: {
    title: 'Keymargin gateway',
    version: '1',
    description:
      'OpenAI-compatible. What is not named here is passed on to the provider as it is; what a provider cannot express is a 400 that names the parameter.',
  },
  servers: [{ url: '/' }],
  security: [{ token: [] }],
  paths: {
    ...Object.fromEntries(
      (Object.keys(endpoints) as Endpoint[]).map((endpoint) => [
        endpoints[endpoint].path,
        { post: operation(endpoint) },
      ]),
    ),
    ...spendingPaths(errorResponses),
    '/v1/models': { get: reading('listModels', 'The models that this token can call now', ref('ModelList')) },
    '/v1/models/{model}': {
      parameters: [{ name: 'model', in: 'path', required: true, schema: string }],
      get: reading('readModel', 'One of them', ref('Model')),
    },
    [openapiPath]: {
      get: {
        operationId: 'describe',
        summary: 'This document',
        security: [],
        responses: { 200: { description: 'OK' } },
      },
    },
  },
  components: {
    securitySchemes: { token: { type: 'http', scheme: 'bearer', description: 'A gateway token.' } },
    schemas: {
      ...spendingSchemas,
      Error: {
        type: 'object',
        required: ['error'],
        properties: {
          error: {
            type: 'object',
            required: ['message', 'type', 'code', 'param', 'request_id'],
            properties: {
              message: string,
              type: string,
              code: string,
              param: { type: ['string', 'null'] },
              request_id: string,
            },
          },
        },
      },
      Model: {
        type: 'object',
        required: ['id', 'object', 'created', 'owned_by', 'key_source', 'provider'],
        properties: {
          id: string,
          object: { const: 'model' },
          created: { type: 'integer' },
          owned_by: string,
          name: string,
          tier: string,
          key_source: { enum: ['platform', 'workspace'] },
          provider: { enum: providerIds },
        },
      },
      ModelList: {
        type: 'object',
        required: ['object', 'data'],
        properties: { object: { const: 'list' }, data: { type: 'array', items: ref('Model') } },
      },
    },
  },
}

/** The OpenAPI 3.1 description of the gateway. */
export const openapiJson = (): string => JSON.stringify(document)
