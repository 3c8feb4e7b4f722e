import { createContext, useContext } from 'react'

export const NonceContext = createContext('')

/** The page's CSP nonce. In the browser it is read back from a script element: the attribute itself is hidden from CSS. */
export function useNonce(): string {
  const fromServer = useContext(NonceContext)
  if (fromServer || typeof document === 'undefined') return fromServer
  return document.querySelector<HTMLScriptElement>('script[nonce]')?.nonce ?? ''
}
