import { createPublicKey, verify } from 'node:crypto';
import { CreateKeyCommand, GetPublicKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openKmsKeyService } from '../../shared/adapters/aws/kms-key-service.ts';
import type { KeyService } from '../../shared/ports/key-service.ts';
import { requestsFitTheirDescriptions } from './aws-described.ts';
import { type Ministack, startMinistack } from './aws-ministack.ts';

let server: Ministack;
let client: KMSClient;
let arn: string;
let keys: KeyService;
const create = async (input: CreateKeyCommand['input']) => {
  const { KeyMetadata } = await client.send(new CreateKeyCommand(input));
  return KeyMetadata?.Arn ?? '';
};
const signing = { KeySpec: 'ECC_NIST_EDWARDS25519', KeyUsage: 'SIGN_VERIFY' } as const;
beforeAll(async () => {
  server = await startMinistack();
  client = new KMSClient(server.account());
  arn = await create(signing);
  keys = openKmsKeyService({ client, signingKeyArn: arn, dataKeyId: await create({}) });
});
afterAll(() => server.close());

const message = Buffer.from('the heads of all chains');

test('what is signed holds, and anyone can check it with the public key', async () => {
  const { keyId, signature } = await keys.sign(message);
  expect(keyId).toBe(arn);
  expect(await keys.verify(keyId, message, signature)).toBe(true);
  const { PublicKey = new Uint8Array() } = await client.send(new GetPublicKeyCommand({ KeyId: arn }));
  const key = createPublicKey({ key: Buffer.from(PublicKey), format: 'der', type: 'spki' });
  expect(verify(null, message, key, signature)).toBe(true);
});

test('a changed message, a changed signature and another key’s signature do not hold', async () => {
  const { keyId, signature } = await keys.sign(message);
  expect(await keys.verify(keyId, Buffer.from('others'), signature)).toBe(false);
  const changed = Uint8Array.from(signature, (byte, index) => (index === 3 ? byte ^ 1 : byte));
  expect(await keys.verify(keyId, message, changed)).toBe(false);
  const other = openKmsKeyService({ client, signingKeyArn: await create(signing), dataKeyId: '' });
  const forged = await other.sign(message);
  expect(await keys.verify(forged.keyId, message, forged.signature)).toBe(false);
  expect(await keys.verify(keyId, message, forged.signature)).toBe(false);
});

test('a data key is unwrapped as it was, and every one is another', async () => {
  const [first, second] = [await keys.generateDataKey(), await keys.generateDataKey()];
  expect(first.plain).toHaveLength(32);
  expect(Buffer.from(first.plain)).not.toEqual(Buffer.from(second.plain));
  expect(Buffer.from(await keys.unwrapDataKey(first.wrapped))).toEqual(Buffer.from(first.plain));
  await expect(keys.unwrapDataKey(Buffer.from('no data key'))).rejects.toThrow();
});

requestsFitTheirDescriptions(['kms:Decrypt', 'kms:GenerateDataKey', 'kms:Sign', 'kms:Verify']);
