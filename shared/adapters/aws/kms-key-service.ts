import { createHash } from 'node:crypto';
import {
  DecryptCommand,
  GenerateDataKeyCommand,
  type KMSClient,
  KMSInvalidSignatureException,
  SignCommand,
  VerifyCommand,
} from '@aws-sdk/client-kms';
import type { KeyService } from '../../ports/key-service.ts';

export interface KmsKeyServiceOptions {
  readonly client: KMSClient;
  /** The ARN of an asymmetric key of spec ECC_NIST_EDWARDS25519. */
  readonly signingKeyArn: string;
  /** A symmetric key, which wraps data keys. */
  readonly dataKeyId: string;
}

/** Sign and Verify take no longer messages. */
const MAX_MESSAGE_BYTES = 4096;

/**
 * The KeyService of KMS. A message of up to 4096 bytes is signed with Ed25519; of a longer one, as KMS takes none, its
 * SHA-512 is, with Ed25519ph (both RFC 8032). A signature by another key does not hold, whoever owns that key.
 */
export function openKmsKeyService({ client, signingKeyArn, dataKeyId }: KmsKeyServiceOptions): KeyService {
  return {
    sign: async (message) => {
      const { KeyId = signingKeyArn, Signature } = await client.send(
        new SignCommand({ KeyId: signingKeyArn, ...signed(message) }),
      );
      if (Signature === undefined) throw new Error('KMS answered without a signature');
      return { keyId: KeyId, signature: Signature };
    },

    verify: async (keyId, message, signature) => {
      if (keyId !== signingKeyArn) return false;
      try {
        const { SignatureValid = false } = await client.send(
          new VerifyCommand({ KeyId: keyId, ...signed(message), Signature: signature }),
        );
        return SignatureValid;
      } catch (error) {
        if (error instanceof KMSInvalidSignatureException) return false;
        throw error;
      }
    },

    generateDataKey: async () => {
      const { Plaintext, CiphertextBlob } = await client.send(
        new GenerateDataKeyCommand({ KeyId: dataKeyId, KeySpec: 'AES_256' }),
      );
      if (Plaintext === undefined || CiphertextBlob === undefined) {
        throw new Error('KMS answered without a data key');
      }
      return { plain: Plaintext, wrapped: CiphertextBlob };
    },

    unwrapDataKey: async (wrapped) => {
      const { Plaintext } = await client.send(
        new DecryptCommand({ KeyId: dataKeyId, CiphertextBlob: wrapped }),
      );
      if (Plaintext === undefined) throw new Error('KMS answered without a data key');
      return Plaintext;
    },
  };
}

const signed = (message: Uint8Array) =>
  message.length <= MAX_MESSAGE_BYTES
    ? ({ Message: message, MessageType: 'RAW', SigningAlgorithm: 'ED25519_SHA_512' } as const)
    : ({
        Message: createHash('sha512').update(message).digest(),
        MessageType: 'DIGEST',
        SigningAlgorithm: 'ED25519_PH_SHA_512',
      } as const);
