/** What each sealed box is bound to. A box opens only as what it was sealed as: same workspace, provider, key and version. */
export interface CredentialIdentity {
  workspaceId: string
  provider: string
  keyId: string
  version: number
  dataKeyId: string
}

export const credentialFields = (box: CredentialIdentity, algorithm: string): string[] => [
  'keymargin.provider-key.v1',
  box.workspaceId,
  box.provider,
  box.keyId,
  String(box.version),
  box.dataKeyId,
  algorithm,
]

/** The verifier of one attempt to connect an account: of this workspace, person and nonce. */
export const oauthVerifierFields = (
  box: { workspaceId: string; provider: string; userId: string; nonceHash: Uint8Array; dataKeyId: string },
  algorithm: string,
): string[] => [
  'keymargin.oauth-verifier.v1',
  box.workspaceId,
  box.provider,
  box.userId,
  Buffer.from(box.nonceHash).toString('hex'),
  box.dataKeyId,
  algorithm,
]

export const dataKeyFields = (box: { workspaceId: string; dataKeyId: string; kekId: string }): string[] => [
  'keymargin.data-key.v1',
  box.workspaceId,
  box.dataKeyId,
  box.kekId,
]

export const processSecretFields = (name: string, kekId: string): string[] => [
  'keymargin.process-secret.v1',
  name,
  kekId,
]

export const checkValueFields = (kekId: string): string[] => ['keymargin.kek-check.v1', kekId]
