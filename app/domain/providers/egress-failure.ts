/**
 * Why a request to a provider ended without its reply. `address_refused`: it would have led to an address that is not
 * public. `certificate`: whoever answered could not prove to be the provider.
 */
export type EgressFailure =
  | 'address_refused'
  | 'certificate'
  | 'unknown_host'
  | 'connect_timeout'
  | 'headers_timeout'
  | 'idle_timeout'
  | 'headers_too_large'
  | 'connection_lost'

const byCode: Record<string, EgressFailure> = {
  EGRESS_REFUSED: 'address_refused',
  ENOTFOUND: 'unknown_host',
  EAI_AGAIN: 'unknown_host',
  UND_ERR_CONNECT_TIMEOUT: 'connect_timeout',
  UND_ERR_HEADERS_TIMEOUT: 'headers_timeout',
  UND_ERR_BODY_TIMEOUT: 'idle_timeout',
  UND_ERR_HEADERS_OVERFLOW: 'headers_too_large',
  HPE_HEADER_OVERFLOW: 'headers_too_large',
}

/** Codes of OpenSSL and of Node for a certificate that does not hold. */
const certificate =
  /^(?:ERR_TLS|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_SSL_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/

/** What kind of failure an error of the way out is. Its message may name hosts and is not for customers. */
export function failureOf(error: unknown): EgressFailure {
  const code = (error as { code?: unknown } | null)?.code
  if (typeof code !== 'string') return 'connection_lost'
  return byCode[code] ?? (certificate.test(code) ? 'certificate' : 'connection_lost')
}
