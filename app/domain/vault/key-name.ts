import { AppError } from '#app/platform/errors.ts'
import { scrubSecrets } from '#app/platform/secret-patterns.ts'

const longestName = 60

/**
 * What a holder calls a key. A name is shown to all members and written to the trail: one that looks like a key is refused.
 * @throws AppError bad_request (field `name`)
 */
export function checkKeyName(given: string | undefined): string | undefined {
  const name = given?.trim()
  if (!name) return name
  const refuse = (text: string) => new AppError('bad_request', 'invalid_name', text, { field: 'name' })
  if (name.length > longestName) throw refuse(`A name has at most ${longestName} characters`)
  if (/[\p{Cc}\p{Cf}\p{Cs}]/u.test(name)) throw refuse('The name contains characters that cannot be shown')
  if (scrubSecrets(name) !== name) throw refuse('The name looks like a key. Paste the key into its own field')
  return name
}
