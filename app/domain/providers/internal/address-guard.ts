import { BlockList, isIP } from 'node:net'

/** IPv4 networks that no public provider lives in: this machine, this network, metadata services, examples (security §3.7). */
const closed = new BlockList()
for (const [net, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const)
  closed.addSubnet(net, prefix, 'ipv4')

/** Of IPv6 only 2000::/3 is global unicast; inside it, tunnels and examples lead elsewhere. */
const globalUnicast = new BlockList()
globalUnicast.addSubnet('2000::', 3, 'ipv6')
for (const [net, prefix] of [
  ['2001::', 32],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const)
  closed.addSubnet(net, prefix, 'ipv6')

/** Whether an address is one that a public provider can have. IPv4 inside IPv6, as sockets report it, is looked into. */
export function isPublicAddress(address: string | undefined): boolean {
  const plain = address?.startsWith('::ffff:') ? address.slice(7) : (address ?? '')
  const family = isIP(plain)
  if (family === 4) return !closed.check(plain, 'ipv4')
  return family === 6 && globalUnicast.check(plain, 'ipv6') && !closed.check(plain, 'ipv6')
}
