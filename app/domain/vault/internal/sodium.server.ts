import sodium from 'libsodium-wrappers'

/** The one door to libsodium: XChaCha20-Poly1305 with mandatory associated data. */
export interface SealedBox {
  nonce: Uint8Array
  sealed: Uint8Array
}

export const ALGORITHM = 'xchacha20poly1305-ietf'
export const KEY_BYTES = 32

/** Resolves when libsodium's WebAssembly is ready. */
export const sodiumReady: Promise<void> = sodium.ready

/**
 * Associated data of length-prefixed fields: joined strings could be cut differently ("ab"+"c" = "a"+"bc") and let a
 * ciphertext be moved. @throws Error on an empty field: a forgotten id must not bind to nothing
 */
export function associatedData(fields: readonly string[]): Uint8Array {
  if (!fields.length) throw new Error('associated data needs fields')
  return Buffer.concat(
    fields.flatMap((field) => {
      if (!field) throw new Error('associated data field is empty')
      const bytes = Buffer.from(field, 'utf8')
      const length = Buffer.alloc(4)
      length.writeUInt32BE(bytes.length)
      return [length, bytes]
    }),
  )
}

/** Seals under a fresh random nonce. */
export function seal(plain: Uint8Array, key: Uint8Array, fields: readonly string[]): SealedBox {
  if (key.length !== KEY_BYTES) throw new Error('key has the wrong length')
  const nonce = sodium.randombytes_buf(sodium.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES)
  const sealed = sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(plain, associatedData(fields), null, nonce, key)
  return { nonce, sealed }
}

/** @throws Error where key, nonce, ciphertext or any associated field differ from those it was sealed with */
export function unseal(box: SealedBox, key: Uint8Array, fields: readonly string[]): Uint8Array {
  return sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(null, box.sealed, associatedData(fields), box.nonce, key)
}

export const randomKey = (): Uint8Array => sodium.randombytes_buf(KEY_BYTES)

/** Overwrites bytes that are no longer needed. Strings cannot be overwritten: keep secrets in bytes. */
export const wipe = (bytes: Uint8Array): void => sodium.memzero(bytes)
