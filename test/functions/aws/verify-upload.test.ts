import { createHash, randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { verifyUploads } from '../../../functions/aws/verify-upload.ts';
import type { BlobStat, BlobStore } from '../../../shared/ports/blob-store.ts';
import { requestCompletion } from '../../../shared/registry/complete-upload.ts';
import { createModel } from '../../../shared/registry/model.ts';
import { createUpload, signParts } from '../../../shared/registry/upload.ts';
import { getVersion } from '../../../shared/registry/version.ts';
import { someone } from '../../support/local-ports.ts';
import { asRole, type FunctionPorts, invocation, openFunctionPorts, queueEvent } from './aws-fixture.ts';

const ada = someone('ada', 'admin');
const ref = { workspace: 'default', name: 'digits' };
const MIB = 1024 * 1024;

let ports: FunctionPorts;
beforeEach(async () => {
  ports = await openFunctionPorts();
  await createModel(ports, ada, { ...ref, description: '', tags: {} });
});
afterEach(() => ports.close());

/** An upload of one file in two parts, which a client has sent and whose completion it has asked for. */
async function sent(bytes: Uint8Array, sha256 = createHash('sha256').update(bytes).digest('hex')) {
  const draft = { message: '', description: '', tags: {}, source: { via: 'upload' as const } };
  const files = [{ path: 'big.bin', size: bytes.length, sha256 }];
  const { upload } = await createUpload(ports, ada, ref, draft, files);
  const work = { ...ref, upload: upload.id };
  let at = 0;
  for (const { url, size } of await signParts(ports, ada, work, { path: 'big.bin', from: 1, count: 10 })) {
    await fetch(url, { method: 'PUT', body: Uint8Array.from(bytes.subarray(at, at + size)) });
    at += size;
  }
  await requestCompletion(ports, ada, work);
  return work;
}

const version = () => getVersion(ports, ada, { ...ref, number: 1 });

test('an upload becomes a version, once for however many messages', async () => {
  const work = await sent(randomBytes(65 * MIB));
  const verify = verifyUploads(asRole('verify-upload', ports));
  expect(await verify(queueEvent(work), invocation())).toEqual({ batchItemFailures: [] });
  expect(await version()).toMatchObject({ status: 'READY', number: 1 });
  expect(await verify(queueEvent(work), invocation())).toEqual({ batchItemFailures: [] });
  expect(ports.events.filter(({ type }) => type === 'version.created')).toHaveLength(1);
});

test('before its time is over it sends itself on, and the next run goes on where it stopped', async () => {
  const work = await sent(randomBytes(65 * MIB));
  const read: number[] = [];
  const blobs = {
    ...ports.blobs,
    // S3 knows no SHA-256 of what came in parts.
    stat: async (key: string) => withoutSha256(await ports.blobs.stat(key)),
    completeMultipart: async (...of: Parameters<BlobStore['completeMultipart']>) =>
      withoutSha256(await ports.blobs.completeMultipart(...of)),
    async get(key: string, range?: { start: number; end?: number }) {
      read.push(range?.start ?? 0);
      return slowly(await ports.blobs.get(key, range));
    },
  };
  const verify = verifyUploads({ ...asRole('verify-upload', ports), blobs });
  let runs = 0;
  for (let body: unknown = work; body; runs++) {
    ports.sent.length = 0;
    expect(await verify(queueEvent(body), invocation(30_000))).toEqual({ batchItemFailures: [] });
    body = ports.sent[0]?.work;
  }
  expect(await version()).toMatchObject({ status: 'READY' });
  expect(runs).toBeGreaterThan(2);
  expect(read.filter((start) => start > 0).length).toBeGreaterThan(1);
});

function withoutSha256<Stat extends BlobStat | undefined>(stat: Stat): Stat {
  if (stat === undefined) return stat;
  const { sha256: _, ...rest } = stat;
  return rest as Stat;
}

/** A second passes with each piece. */
async function* slowly(bytes: AsyncIterable<Uint8Array>) {
  for await (const piece of bytes) {
    ports.clock.advance(1000);
    yield piece;
  }
}

test('a digest that does not fit fails the version and ends the message', async () => {
  const work = await sent(randomBytes(65 * MIB), '0'.repeat(64));
  expect(await verifyUploads(asRole('verify-upload', ports))(queueEvent(work), invocation())).toEqual({
    batchItemFailures: [],
  });
  expect(await version()).toMatchObject({ status: 'FAILED', failure: expect.stringContaining('SHA-256') });
  expect(ports.lines).toMatchObject([{ code: 'DIGEST_MISMATCH', requestId: invocation().awsRequestId }]);
});

test('a store that does not answer brings the message back', async () => {
  const work = await sent(randomBytes(65 * MIB));
  const blobs = { ...ports.blobs, copy: () => Promise.reject(new Error('SlowDown')) };
  const failed = await verifyUploads({ ...asRole('verify-upload', ports), blobs })(
    queueEvent(work),
    invocation(),
  );
  expect(failed).toEqual({ batchItemFailures: [{ itemIdentifier: 'message-1' }] });
  expect(await verifyUploads(asRole('verify-upload', ports))(queueEvent(work), invocation())).toEqual({
    batchItemFailures: [],
  });
  expect(await version()).toMatchObject({ status: 'READY' });
});

test('an upload that was aborted or whose model is gone is nothing to come back to', async () => {
  const verify = verifyUploads(asRole('verify-upload', ports));
  const unknown = { ...ref, upload: 'no-such-upload' };
  const nowhere = { workspace: 'default', name: 'gone', upload: 'x' };
  expect(await verify(queueEvent(unknown, nowhere), invocation())).toEqual({ batchItemFailures: [] });
});
