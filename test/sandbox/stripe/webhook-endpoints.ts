import { z } from 'zod'
import { missing } from './errors.ts'
import type { EndpointRecord } from './more-records.ts'
import { operation } from './operation.ts'
import { newestFirst, pageOf } from './pagination.ts'
import { boolean, clearable, expand, mergeMetadata, metadata, page, text } from './params.ts'
import type { World } from './world.ts'

function endpointNamed(world: World, id: string): EndpointRecord {
  const endpoint = world.state.webhookEndpoints[id]
  if (!endpoint) throw missing('webhook_endpoint', id)
  return endpoint
}

/** The secret is shown once, by `create`. */
const renderEndpoint = (endpoint: EndpointRecord, withSecret = false): object => ({
  id: endpoint.id,
  object: 'webhook_endpoint',
  api_version: endpoint.apiVersion,
  application: null,
  created: endpoint.created,
  description: endpoint.description,
  enabled_events: endpoint.enabledEvents,
  livemode: false,
  metadata: endpoint.metadata,
  ...(withSecret && { secret: endpoint.secret }),
  status: endpoint.status,
  url: endpoint.url,
})

const createParams = z.strictObject({
  url: z.url(),
  enabled_events: z.array(text).min(1),
  api_version: text.optional(),
  description: clearable.optional(),
  metadata: metadata.optional(),
  expand: expand.optional(),
})
const updateParams = z.strictObject({
  url: z.url().optional(),
  enabled_events: z.array(text).min(1).optional(),
  disabled: boolean.optional(),
  description: clearable.optional(),
  metadata: metadata.optional(),
  expand: expand.optional(),
})

function create(world: World, params: z.infer<typeof createParams>): object {
  const endpoint: EndpointRecord = {
    ...world.base('we'),
    metadata: mergeMetadata({}, params.metadata),
    url: params.url,
    secret: `whsec_${world.newId('sbx').replaceAll('_', '')}`,
    apiVersion: params.api_version ?? null,
    enabledEvents: params.enabled_events,
    description: params.description ?? null,
    status: 'enabled',
  }
  world.state.webhookEndpoints[endpoint.id] = endpoint
  return renderEndpoint(endpoint, true)
}

function update(world: World, params: z.infer<typeof updateParams>, id: string): object {
  const endpoint = endpointNamed(world, id)
  if (params.url) endpoint.url = params.url
  if (params.enabled_events) endpoint.enabledEvents = params.enabled_events
  if (params.disabled !== undefined) endpoint.status = params.disabled ? 'disabled' : 'enabled'
  if (params.description !== undefined) endpoint.description = params.description
  endpoint.metadata = mergeMetadata(endpoint.metadata, params.metadata)
  return renderEndpoint(endpoint)
}

export const webhookEndpointOperations = [
  operation('webhookEndpoints.create', 'POST /v1/webhook_endpoints', createParams, create),
  operation('webhookEndpoints.update', 'POST /v1/webhook_endpoints/{id}', updateParams, update),
  operation('webhookEndpoints.del', 'DELETE /v1/webhook_endpoints/{id}', z.strictObject({}), (world, _params, id) => {
    delete world.state.webhookEndpoints[endpointNamed(world, id).id]
    return { id, object: 'webhook_endpoint', deleted: true }
  }),
  operation(
    'webhookEndpoints.retrieve',
    'GET /v1/webhook_endpoints/{id}',
    z.strictObject({ expand: expand.optional() }),
    (world, _params, id) => renderEndpoint(endpointNamed(world, id)),
  ),
  operation('webhookEndpoints.list', 'GET /v1/webhook_endpoints', z.strictObject(page), (world, params) => {
    const list = pageOf(newestFirst(world.state.webhookEndpoints), params, '/v1/webhook_endpoints')
    return { ...list, data: list.data.map((endpoint) => renderEndpoint(endpoint)) }
  }),
]
