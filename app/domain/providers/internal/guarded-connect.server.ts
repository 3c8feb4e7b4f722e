import dns from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { buildConnector } from 'undici'
import { isPublicAddress } from './address-guard.ts'

export const connectTimeoutMs = 5_000

/** A connection that was not made, or was cut before anything was sent on it, because of where it would have led. */
export class EgressRefused extends Error {
  readonly code = 'EGRESS_REFUSED'
}

/**
 * Resolves a name and hands out its addresses only where every one of them is public: of a name with a public and a private
 * address, either could be connected to (security §4c, items 86-88). What was checked is what is connected to: no second
 * question is asked that could be answered differently.
 */
const lookup: LookupFunction = (hostname, options, callback) => {
  dns.lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, [])
    if (addresses.length === 0 || !addresses.every(({ address }) => isPublicAddress(address)))
      return callback(new EgressRefused('egress: the name resolves to an address that is not public'), [])
    const [first] = addresses as [dns.LookupAddress]
    if (options.all) callback(null, addresses)
    else callback(null, first.address, first.family)
  })
}

/**
 * Connects to public addresses only, with the name kept for TLS. An IP literal never reaches a lookup (security F6): it is
 * refused by its text, and the address that a socket really reached is looked at once more before anything is sent.
 */
export function guardedConnector(): buildConnector.connector {
  const connect = buildConnector({ timeout: connectTimeoutMs, allowH2: false, lookup })
  return (options, callback) => {
    if (isIP(options.hostname.replace(/^\[|\]$/g, '')) !== 0)
      return callback(new EgressRefused('egress: an address in place of a name'), null)
    connect(options, (...result) => {
      const [error, socket] = result
      if (error || !socket || isPublicAddress(socket.remoteAddress)) return callback(...result)
      socket.destroy()
      callback(new EgressRefused('egress: the connection led to an address that is not public'), null)
    })
  }
}
