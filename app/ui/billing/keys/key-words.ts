import type { ProviderKeyStatus } from '#app/domain/vault/vault.ts'
import { parsePico } from '#app/platform/pico.ts'
import { counted, money } from '#app/ui/money.ts'
import type { Tone } from '#app/ui/status-badge.tsx'
import { utcMinute } from '#app/ui/time.ts'

export interface Remark {
  tone: Extract<Tone, 'yellow' | 'red'>
  text: string
}

/** What a refusal of the provider means to somebody who pays bills. */
const errorWords: Record<string, string> = {
  refused: 'refuses this key: it was revoked, or it is wrong. Calls on it fail until you replace or remove it.',
  management_key: 'says this is a management key, which cannot run models. Replace it with an ordinary API key.',
  payment_required: 'refuses calls for want of credit on your account there. Top it up, or remove the key.',
  permission_denied: 'does not allow this key what a call asked for. Widen its permissions there, or replace it.',
}

/** "3 minutes ago" of an instant before `now`. */
export function ago(iso: string, now: Date): string {
  const minutes = Math.max(0, Math.floor((now.getTime() - Date.parse(iso)) / 60_000))
  if (minutes < 1) return 'just now'
  if (minutes < 60) return `${counted(BigInt(minutes), 'minute')} ago`
  if (minutes < 48 * 60) return `${counted(BigInt(Math.floor(minutes / 60)), 'hour')} ago`
  return `${counted(BigInt(Math.floor(minutes / 1440)), 'day')} ago`
}

/** What the provider said last. Its own words stand in quotation marks after ours. */
export function errorOf(key: ProviderKeyStatus, name: string): string | null {
  const { lastErrorCode: code, lastErrorText: said, lastErrorAt } = key
  if (!code) return null
  const seen = lastErrorAt ? ` Last seen ${utcMinute(lastErrorAt)}.` : ''
  if (said?.startsWith(name)) return `${said}${seen}`
  const quote = said ? ` ${name} says: “${said}”` : ''
  return `${name} ${errorWords[code] ?? 'refused the last call on this key.'}${quote}${seen}`
}

const usd = (text: string): string => money(parsePico(text) ?? null)

/** What is left to spend, with its age; honest where there is no limit, or where the provider tells nothing. */
export function balanceOf(key: ProviderKeyStatus, name: string, tells: boolean, now: Date): string {
  const { balance } = key
  if (!balance) return tells ? 'not asked yet' : `${name} does not tell it`
  const age = `asked ${ago(balance.at, now)}`
  if (balance.kind === 'no_limit' || balance.usd === null) {
    const account =
      key.provider === 'openrouter' ? '; what is left in the account is told to a management key only' : ''
    return `no limit set on this key${account} (${age})`
  }
  return balance.kind === 'account'
    ? `${usd(balance.usd)} left in the account (${age})`
    : `${usd(balance.usd)} left of the key’s own limit (${age})`
}

export function stateOf(key: ProviderKeyStatus): { label: string; tone: Tone } {
  if (!key.enabled) return { label: 'Off', tone: 'gray' }
  if (key.lastErrorCode) return { label: 'Refused', tone: 'red' }
  if (key.verification === 'restricted') return { label: 'Restricted', tone: 'yellow' }
  return key.verification === 'unverified'
    ? { label: 'Not verified yet', tone: 'yellow' }
    : { label: 'Verified', tone: 'teal' }
}

/** What needs attention. `paused`: the subscription is, and with it every key. */
export function remarksOf(key: ProviderKeyStatus, name: string, paused: boolean): Remark[] {
  const remarks: Remark[] = []
  if (!key.enabled)
    remarks.push({
      tone: 'yellow',
      text: paused
        ? 'The subscription is paused, so this key is not used until the subscription goes on.'
        : 'This key is switched off: no call uses it until it is switched on again.',
    })
  const error = errorOf(key, name)
  if (error) remarks.push({ tone: 'red', text: error })
  else if (key.verification === 'unverified')
    remarks.push({
      tone: 'yellow',
      text: `${name} could not be asked yet whether this key works. It is in use, and we keep asking. If calls fail, replace the key.`,
    })
  else if (key.verification === 'restricted')
    remarks.push({
      tone: 'yellow',
      text: `${name} accepts this key, but it may not do everything: some calls can be refused there.`,
    })
  return remarks
}

/** Which models and surfaces a key is held to. */
export function limitsOf(key: ProviderKeyStatus, surfaceName: (id: string) => string): [string, string][] {
  const listed = key.modelCount === null ? '' : ` (${counted(BigInt(key.modelCount), 'model')} listed by the provider)`
  const shown = key.allowedModels.slice(0, 5).join(', ')
  const more = key.allowedModels.length > 5 ? ` and ${key.allowedModels.length - 5} more` : ''
  return [
    ['Models', key.allowedModels.length ? `only ${shown}${more}` : `all${listed}`],
    ['Surfaces', key.allowedSurfaces.length ? `only ${key.allowedSurfaces.map(surfaceName).join(', ')}` : 'all'],
  ]
}
