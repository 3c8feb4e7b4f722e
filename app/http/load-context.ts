import type { AppLoadContext } from '@remix-run/node'

/** What server.ts hands to every loader and action. */
export interface DoorwayContext {
  nonce: string
  requestId: string
  /** Address of the peer, or of the client behind a trusted proxy. */
  clientAddress: string
}

declare module '@remix-run/node' {
  interface AppLoadContext extends DoorwayContext {}
}

export const doorway = (context: AppLoadContext): DoorwayContext => context
