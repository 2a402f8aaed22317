/** Keys that never leave the service: KMS on AWS, a key file on one machine. */
export interface KeyService {
  /** An Ed25519 signature, and the id of the key that made it. */
  sign(message: Uint8Array): Promise<{ keyId: string; signature: Uint8Array }>;
  verify(keyId: string, message: Uint8Array, signature: Uint8Array): Promise<boolean>;
  /** A fresh data key, plain and wrapped. */
  generateDataKey(): Promise<{ plain: Uint8Array; wrapped: Uint8Array }>;
  unwrapDataKey(wrapped: Uint8Array): Promise<Uint8Array>;
}
