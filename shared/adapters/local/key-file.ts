import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hkdfSync,
  randomBytes,
  sign,
  verify,
} from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { KeyService } from '../../ports/key-service.ts';
import { parseFile, writeFileDurably } from './durable-file.ts';

interface KeyFile {
  readonly format: 1;
  /** Ed25519, PKCS #8, base64. */
  readonly signing: string;
  /** 256 random bits, base64: the other keys are derived from it. */
  readonly master: string;
}

const IV_BYTES = 12;
const TAG_BYTES = 16;

/**
 * The keys of one machine in a file that only its owner can read, made on first use. Data keys are wrapped with
 * AES-256-GCM; keys for other purposes are derived with HKDF (RFC 5869).
 * @throws Error if the file was written by a newer Cairn or is damaged; a lost file makes what it wrapped unreadable
 */
export async function openKeyFile(
  path: string,
): Promise<KeyService & { hmacKey(purpose: string): Uint8Array }> {
  const file = await readOrCreate(path);
  const privateKey = createPrivateKey({
    key: Buffer.from(file.signing, 'base64'),
    format: 'der',
    type: 'pkcs8',
  });
  const publicKey = createPublicKey(privateKey);
  const fingerprint = createHash('sha256').update(publicKey.export({ format: 'der', type: 'spki' }));
  const keyId = `local/${fingerprint.digest('hex').slice(0, 16)}`;
  const master = Buffer.from(file.master, 'base64');
  const derive = (purpose: string) => new Uint8Array(hkdfSync('sha256', master, '', `cairn/${purpose}`, 32));
  const wrapping = derive('wrap');

  return {
    sign: async (message) => ({ keyId, signature: sign(null, message, privateKey) }),
    verify: async (id, message, signature) => id === keyId && verify(null, message, publicKey, signature),
    generateDataKey: async () => {
      const plain = randomBytes(32);
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv('aes-256-gcm', wrapping, iv);
      const sealed = [cipher.update(plain), cipher.final()];
      return { plain, wrapped: Buffer.concat([iv, ...sealed, cipher.getAuthTag()]) };
    },
    unwrapDataKey: async (wrapped) => {
      const tagAt = wrapped.length - TAG_BYTES;
      const decipher = createDecipheriv('aes-256-gcm', wrapping, wrapped.subarray(0, IV_BYTES), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAuthTag(wrapped.subarray(tagAt));
      return Buffer.concat([decipher.update(wrapped.subarray(IV_BYTES, tagAt)), decipher.final()]);
    },
    hmacKey: (purpose) => derive(`hmac/${purpose}`),
  };
}

async function readOrCreate(path: string): Promise<KeyFile> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return undefined;
  });
  if (text === undefined) {
    const made: KeyFile = {
      format: 1,
      signing: generateKeyPairSync('ed25519')
        .privateKey.export({ format: 'der', type: 'pkcs8' })
        .toString('base64'),
      master: randomBytes(32).toString('base64'),
    };
    await writeFileDurably(path, `${JSON.stringify(made, null, 2)}\n`);
    return made;
  }
  const file = parseFile(path, text);
  if (file.format !== 1)
    throw new Error(
      `The key file ${path} has format ${file.format}, and this Cairn knows 1: run a newer Cairn.`,
    );
  return file as KeyFile;
}
