import type { ConnectOutcome } from '#app/domain/vault/oauth.ts'
import type { Tone } from '#app/ui/status-badge.tsx'

type Outcome = { tone: Extract<Tone, 'teal' | 'yellow' | 'red'>; text: string }

const nothingSaved = 'No key was saved.'
const again = `${nothingSaved} Start again with “Connect OpenRouter”.`

/** What an attempt to connect OpenRouter came to, by the code in the page's address. */
const outcomes: Record<ConnectOutcome, Outcome> = {
  connected: {
    tone: 'teal',
    text: 'OpenRouter is connected. The new key was tried, sealed and saved; it never passed through your browser. From the next call on, OpenRouter bills you for the model.',
  },
  connected_unverified: {
    tone: 'yellow',
    text: 'OpenRouter is connected and the new key is saved, but OpenRouter could not be asked yet whether it works. It is in use, and we ask again within minutes.',
  },
  denied: { tone: 'yellow', text: `You did not approve it at OpenRouter. ${nothingSaved}` },
  unknown: { tone: 'red', text: `This attempt is not known here, or is long over. ${again}` },
  other_session: {
    tone: 'red',
    text: `This attempt was started by somebody else, or before you signed in again. ${again}`,
  },
  used: {
    tone: 'yellow',
    text: 'This attempt was finished already; each works once. Look below whether the key is there, else start again with “Connect OpenRouter”.',
  },
  expired: { tone: 'yellow', text: `This attempt took longer than ten minutes. ${again}` },
  code_expired: { tone: 'yellow', text: `OpenRouter says that its approval has expired. ${again}` },
  code_refused: {
    tone: 'red',
    text: `OpenRouter did not accept its own approval a second time, or it was changed on the way. ${again}`,
  },
  unreachable: {
    tone: 'red',
    text: `OpenRouter did not answer when we asked for the key. ${again} If a new key shows up in your keys at OpenRouter, delete it there: nobody has it.`,
  },
  plan_required: { tone: 'red', text: `The plan of this workspace does not allow an OpenRouter key. ${nothingSaved}` },
  subscription_paused: {
    tone: 'red',
    text: `The subscription is paused, and provider keys with it. ${nothingSaved} Resume it, then connect again.`,
  },
  not_kept: {
    tone: 'red',
    text: `OpenRouter made a key, but it could not be saved here: it was refused when we tried it, the plan changed meanwhile, or there are too many keys. ${nothingSaved} Delete the new key at OpenRouter: nobody has it.`,
  },
}

/** Null for a code that is none: whatever somebody writes into an address is not shown. */
export const connectOutcome = (code: string | null): Outcome | null =>
  code !== null && Object.hasOwn(outcomes, code) ? outcomes[code as ConnectOutcome] : null
