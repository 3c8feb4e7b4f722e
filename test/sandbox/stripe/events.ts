import { z } from 'zod'
import { missing } from './errors.ts'
import { operation } from './operation.ts'
import { createdWithin, newestFirst, pageOf } from './pagination.ts'
import { boolean, createdFilter, expand, page, text } from './params.ts'
import type { EventRecord } from './records.ts'

export function renderEvent(event: EventRecord) {
  return {
    id: event.id,
    object: 'event',
    api_version: event.apiVersion,
    created: event.created,
    data: event.data,
    livemode: event.livemode,
    pending_webhooks: event.pendingWebhooks,
    request: event.request,
    type: event.type,
  }
}

const listParams = z.strictObject({
  ...page,
  ...createdFilter,
  delivery_success: boolean.optional(),
  type: text.optional(),
  types: z.array(text).max(20).optional(),
})

export const eventOperations = [
  operation(
    'events.retrieve',
    'GET /v1/events/{id}',
    z.strictObject({ expand: expand.optional() }),
    (world, _params, id) => {
      const event = world.state.events[id]
      if (!event) throw missing('event', id)
      return renderEvent(event)
    },
  ),
  operation('events.list', 'GET /v1/events', listParams, (world, params) => {
    const all = newestFirst(world.state.events).filter(
      (event) =>
        (!params.type || event.type === params.type) &&
        (!params.types || params.types.includes(event.type)) &&
        (params.delivery_success === undefined || (event.pendingWebhooks === 0) === params.delivery_success) &&
        createdWithin(event.created, params.created),
    )
    const list = pageOf(all, params, '/v1/events')
    return { ...list, data: list.data.map(renderEvent) }
  }),
]
