import type { ProviderId } from './provider.ts'
import { providerOf } from './registry.ts'

/** Why a probe ended as it did. Stable: for logs, audit rows and tests. */
export type ProbeReason =
  | 'accepted'
  | 'no_credit'
  | 'refused'
  | 'blocked'
  | 'expired'
  | 'management_key'
  | 'not_a_management_key'
  | 'missing_scopes'
  | 'service_disabled'
  | 'network_rules'
  | 'wrong_deployment'
  | 'wrong_api_version'
  | 'rate_limited'
  | 'provider_error'
  | 'timeout'
  | 'unreachable'
  | 'unexpected_reply'
  | 'no_model_to_try'

const words: Record<ProbeReason, string> = {
  accepted: 'accepts this key.',
  no_credit: 'accepts this key, but there is no credit left to spend. Top up the account there, or calls will fail.',
  refused: 'does not accept this key. Check that it is complete and not revoked, or make a new one there.',
  blocked: 'has blocked or disabled this key or its team. Ask there, or make a new key.',
  expired: 'says that these credentials have expired. Make new ones there.',
  management_key: 'says this is a management key: it manages keys but cannot run models. Paste an ordinary API key.',
  not_a_management_key: 'says that the second key is no management key, so it cannot read the balance. Leave it empty.',
  missing_scopes:
    'accepts this key, but it may not do everything: some calls can be refused. Widen its permissions there.',
  service_disabled:
    'accepts this key, but the API is switched off in its project. Switch it on there, or calls will fail.',
  network_rules: 'accepts calls only from networks that its owner allows. Allow this server there, or calls will fail.',
  wrong_deployment: 'knows no deployment of this name at that endpoint. Check deploymentName.',
  wrong_api_version: 'does not know this API version. Check apiVersion, such as 2024-10-21.',
  rate_limited: 'could not be asked whether the key works: it asked us to slow down.',
  provider_error: 'could not be asked whether the key works: it had an error of its own.',
  timeout: 'could not be asked whether the key works: it did not answer in time.',
  unreachable: 'could not be asked whether the key works: it could not be reached.',
  unexpected_reply: 'could not be asked whether the key works: its answer could not be understood.',
  no_model_to_try: 'could not be asked whether the key works: none of its models answered.',
}

/** What a probe means, for somebody who pays bills and reads no status codes. */
export const reasonText = (provider: ProviderId, reason: ProbeReason): string =>
  `${providerOf(provider).name} ${words[reason]}`
