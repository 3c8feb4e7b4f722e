const wholeAddress = /^https?:\/\/[^/?#]*([^#]*)/i

/**
 * The path and query that a request asks for. A proxy may name the whole address (RFC 9112 §3.2.2); which host it names decides
 * nothing here.
 * @returns null for a target that names no path, such as `*`
 */
export function pathAsked(target: string): string | null {
  if (target.startsWith('/')) return target
  const rest = wholeAddress.exec(target)?.[1]
  if (rest === undefined) return null
  return rest.startsWith('/') ? rest : `/${rest}`
}
