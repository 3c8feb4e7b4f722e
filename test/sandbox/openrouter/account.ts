import { LosslessNumber, stringify } from 'lossless-json'
import { catalogue, modelRow } from './catalogue.ts'
import { type Exchange, pause, sendError, sendJson } from './exchange.ts'
import { generationJson } from './generations.ts'
import { type KeyState, limitRemaining } from './keys.ts'

/** The 200 body of `GET /key` (providers §1.2), money digit for digit. */
function keyJson(key: KeyState): string {
  const money = (text: string | null) => (text === null ? null : new LosslessNumber(text))
  const none = new LosslessNumber('0')
  return stringify({
    data: {
      label: key.label,
      limit: money(key.limit),
      limit_remaining: money(limitRemaining(key)),
      limit_reset: null,
      include_byok_in_limit: false,
      usage: money(key.usage),
      usage_daily: money(key.usage),
      usage_weekly: money(key.usage),
      usage_monthly: money(key.usage),
      byok_usage: none,
      byok_usage_daily: none,
      byok_usage_weekly: none,
      byok_usage_monthly: none,
      is_free_tier: false,
      is_management_key: key.management,
      is_provisioning_key: key.management,
      creator_user_id: 'user_sandbox',
      expires_at: null,
      rate_limit: { requests: -1, interval: '10s', note: 'This field is deprecated and safe to ignore.' },
      allowed_data_regions: ['global'],
      free_model_daily_requests: { limit: 1000, remaining: 1000, used: 0 },
      organization_id: null,
      workspace_id: null,
    },
  }) as string
}

/** `GET /key`. */
export async function answerKey(exchange: Exchange): Promise<void> {
  const { key } = exchange
  if (key && key.probeDelayMs > 0 && !(await pause(exchange, key.probeDelayMs))) return
  if (key?.probeStatus) return sendError(exchange, key.probeStatus, { type: 'server', message: 'Try again later' })
  if (!key?.live) return sendError(exchange, 401, { type: 'authentication', message: 'User not found.' })
  sendJson(exchange, 200, keyJson(key))
}

/** `GET /credits`: management keys only (providers §1.3). */
export function answerCredits(exchange: Exchange): void {
  const { key } = exchange
  if (!key?.live) {
    sendError(exchange, 401, { type: 'authentication', message: 'User not found.' })
  } else if (!key.management) {
    const message = 'Only management keys can perform this operation'
    sendError(exchange, 403, { type: 'permission_denied', message })
  } else {
    const data = { total_credits: new LosslessNumber('100'), total_usage: new LosslessNumber(key.usage) }
    sendJson(exchange, 200, stringify({ data }) as string)
  }
}

/** `GET /models`: public, no key needed (providers §1.5). */
export function answerModels(exchange: Exchange): void {
  sendJson(
    exchange,
    200,
    JSON.stringify({ data: catalogue.map(modelRow), total_count: catalogue.length, links: { next: null } }),
  )
}

/** `GET /generation?id=`: 404 until the record is there, and for every other account. */
export function answerGeneration(exchange: Exchange, id: string | null): void {
  const { key, world } = exchange
  const status = world.settings.generationStatus
  const record = id === null ? undefined : world.generations.get(id)
  if (!key?.live) {
    sendError(exchange, 401, { type: 'authentication', message: 'User not found.' })
  } else if (status !== null) {
    sendError(exchange, status, { type: 'server', message: 'Try again later' })
  } else if (!record || record.account !== key.account || Date.now() < record.visibleAt) {
    sendError(exchange, 404, { type: 'not_found', message: `Generation ${id} not found` })
  } else {
    sendJson(exchange, 200, generationJson(record))
  }
}
