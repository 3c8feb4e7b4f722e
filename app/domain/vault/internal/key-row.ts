import type { Tx } from '#app/platform/db.server.ts'

/** A row of `provider_keys` as the database client gives it. */
export type ProviderKeyModel = NonNullable<Awaited<ReturnType<Tx['providerKey']['findUnique']>>>
