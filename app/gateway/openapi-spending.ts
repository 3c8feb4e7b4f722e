import { jobAdmissionPath } from './job-admission.server.ts'
import { mostEvents } from './read-usage-events.ts'
import { usageEventsPath } from './usage-events.server.ts'

const string = { type: 'string' }
const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` })
const usd = { type: 'string', pattern: '^-?\\d+(\\.\\d+)?$', description: 'Exact decimal of USD.' }

const event = {
  type: 'object',
  required: ['specversion', 'id', 'source', 'type', 'data'],
  properties: {
    specversion: { const: '1.0' },
    id: {
      type: 'string',
      pattern: '^[!-~]{1,200}$',
      description: 'Known once per source: sent again, it changes nothing.',
    },
    source: { type: 'string', pattern: '^[!-~]{1,500}$' },
    type: { type: 'string', pattern: '^[!-~]{1,128}$', description: 'The meter, as the price book names it.' },
    time: { type: 'string', description: 'RFC 3339; when it came in, where it is left out.' },
    datacontenttype: { type: ['string', 'null'] },
    data: {
      type: 'object',
      required: ['quantity'],
      properties: {
        quantity: {
          oneOf: [
            { type: 'number', minimum: 0 },
            { type: 'string', pattern: '^\\d' },
          ],
          description: 'In units of the meter, at most 9 digits after the point. Read exactly, as a number or as text.',
        },
        surface: { type: ['string', 'null'] },
      },
    },
  },
}

const fieldError = {
  type: 'object',
  required: ['field', 'code', 'message'],
  properties: { field: string, code: string, message: string },
}

const usageEventResult = {
  type: 'object',
  required: ['source', 'id', 'status'],
  properties: {
    source: { type: ['string', 'null'] },
    id: { type: ['string', 'null'] },
    status: { enum: ['recorded', 'duplicate', 'conflict', 'invalid'] },
    amount_usd: usd,
    credits_usd: usd,
    charge_usd: usd,
    billed_month: { type: 'string', pattern: '^\\d{4}-\\d{2}$' },
    errors: { type: 'array', items: ref('FieldError') },
  },
}

const usageBatchResult = {
  type: 'object',
  required: ['recorded', 'duplicates', 'conflicts', 'invalid', 'events'],
  properties: {
    recorded: { type: 'integer' },
    duplicates: { type: 'integer' },
    conflicts: { type: 'integer' },
    invalid: { type: 'integer' },
    events: { type: 'array', items: ref('UsageEventResult') },
  },
}

const jobAdmission = {
  type: 'object',
  required: ['allowed', 'reasons', 'kind', 'surface', 'model', 'key_source', 'credits'],
  properties: {
    allowed: { type: 'boolean' },
    reasons: {
      type: 'array',
      items: { type: 'object', required: ['code', 'message'], properties: { code: string, message: string } },
    },
    kind: string,
    surface: string,
    model: { type: ['string', 'null'] },
    key_source: { enum: ['platform', 'workspace', null] },
    credits: {
      type: ['object', 'null'],
      required: ['available_usd', 'minimum_usd'],
      properties: { available_usd: usd, minimum_usd: usd },
    },
  },
}

export const spendingSchemas = {
  FieldError: fieldError,
  UsageEvent: event,
  UsageEventResult: usageEventResult,
  UsageBatchResult: usageBatchResult,
  JobAdmission: jobAdmission,
}

/** The endpoints about spending that are no calls. */
export const spendingPaths = (errorResponses: Record<string, unknown>) => {
  const json = (schema: unknown) => ({ 'application/json': { schema } })
  const refusals = (...statuses: number[]) =>
    Object.fromEntries(statuses.map((status) => [status, errorResponses[status]]))
  const oneOrMany = { oneOf: [ref('UsageEvent'), { type: 'array', maxItems: mostEvents, items: { type: 'object' } }] }
  return {
    [usageEventsPath]: {
      post: {
        operationId: 'recordUsage',
        summary: 'Usage that is no call, as CloudEvents: one, or a batch whose events are answered one by one',
        requestBody: {
          required: true,
          content: {
            ...json(oneOrMany),
            'application/cloudevents+json': { schema: ref('UsageEvent') },
            'application/cloudevents-batch+json': {
              schema: { type: 'array', maxItems: mostEvents, items: { type: 'object' } },
            },
          },
        },
        responses: {
          200: {
            description: 'What became of the event, or of each event of the batch.',
            content: json({ oneOf: [ref('UsageEventResult'), ref('UsageBatchResult')] }),
          },
          409: {
            description: 'Another event of this source has this id; nothing was recorded.',
            content: json(ref('Error')),
          },
          ...refusals(400, 401, 408, 413, 415, 503),
        },
      },
    },
    [jobAdmissionPath]: {
      post: {
        operationId: 'admitJob',
        summary: 'Whether the workspace may queue a job now, and what stands against it',
        requestBody: {
          required: true,
          content: json({
            type: 'object',
            required: ['kind'],
            additionalProperties: false,
            properties: {
              kind: { type: 'string', pattern: '^[a-zA-Z][A-Za-z0-9_.:-]{0,63}$' },
              surface: { type: ['string', 'null'] },
              model: { type: ['string', 'null'] },
            },
          }),
        },
        responses: {
          200: { description: 'The answer, either way.', content: json(ref('JobAdmission')) },
          ...refusals(400, 401, 408, 413, 415, 503),
        },
      },
    },
  }
}
