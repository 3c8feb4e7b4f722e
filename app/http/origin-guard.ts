const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS'])

export interface OriginFacts {
  method: string
  origin: string | undefined
  secFetchSite: string | undefined
}

/**
 * Whether an unsafe request comes from our own pages: its Origin is ours, or it has none and the browser says same-origin.
 * Remix 2.17 checks no origin of its own, and `Origin: null` is what a sandboxed attacker's frame sends.
 */
export function isSameOrigin(facts: OriginFacts, ownOrigins: readonly string[]): boolean {
  if (safeMethods.has(facts.method)) return true
  if (facts.origin !== undefined) return ownOrigins.includes(facts.origin)
  return facts.secFetchSite === 'same-origin'
}

/** Our public origin; outside production also its loopback twin, so that localhost and 127.0.0.1 both work. */
export function ownOrigins(appOrigin: string, production: boolean): string[] {
  if (production) return [appOrigin]
  return [appOrigin, appOrigin.replace('//127.0.0.1', '//localhost'), appOrigin.replace('//localhost', '//127.0.0.1')]
}
