import { createHash } from 'node:crypto';
import { KMSClient } from '@aws-sdk/client-kms';
import { expect, test } from 'vitest';
import { openKmsKeyService } from '../../../../shared/adapters/aws/kms-key-service.ts';
import { answeringHandler } from './answering-handler.ts';

const ARN = 'arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555';

function keysThat(body: unknown, status = 200) {
  const { sent, handler } = answeringHandler(() => ({ status, body }));
  const client = new KMSClient({
    region: 'eu-central-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    requestHandler: handler as never,
  });
  return { keys: openKmsKeyService({ client, signingKeyArn: ARN, dataKeyId: 'data' }), sent };
}

test('a message longer than KMS takes is signed by its SHA-512, with Ed25519ph', async () => {
  const { keys, sent } = keysThat({ KeyId: ARN, Signature: 'AAAA', SignatureValid: true });
  const long = Buffer.alloc(4097, 'x');
  const { signature } = await keys.sign(long);
  await keys.sign(long.subarray(1));
  expect(await keys.verify(ARN, long, signature)).toBe(true);
  const digest = createHash('sha512').update(long).digest('base64');
  const prehashed = { Message: digest, MessageType: 'DIGEST', SigningAlgorithm: 'ED25519_PH_SHA_512' };
  expect(sent.map(({ body }) => body)).toEqual([
    { KeyId: ARN, ...prehashed },
    {
      KeyId: ARN,
      Message: long.subarray(1).toString('base64'),
      MessageType: 'RAW',
      SigningAlgorithm: 'ED25519_SHA_512',
    },
    { KeyId: ARN, ...prehashed, Signature: 'AAAA' },
  ]);
});

test('a signature by a key of somebody else is not even asked about', async () => {
  const { keys, sent } = keysThat({ SignatureValid: true });
  expect(
    await keys.verify('arn:aws:kms:eu-central-1:999999999999:key/1', Buffer.from('m'), Buffer.from('s')),
  ).toBe(false);
  expect(sent).toEqual([]);
});

test('that KMS cannot be asked is no answer', async () => {
  const { keys } = keysThat({ __type: 'DisabledException', message: 'is disabled' }, 400);
  await expect(keys.verify(ARN, Buffer.from('m'), Buffer.from('s'))).rejects.toThrow('is disabled');
});
