import { createHash } from 'node:crypto';
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openS3BlobStore } from '../../shared/adapters/aws/s3-blob-store.ts';
import type { BlobStore } from '../../shared/ports/blob-store.ts';
import { requestsFitTheirDescriptions } from './aws-described.ts';
import { startVersitygw, type Versitygw } from './aws-versitygw.ts';

const MIB = 1024 * 1024;

describe.each(['crc64nvme', 'when-required'] as const)('the S3 store with checksums %s', (checksums) => {
  let server: Versitygw;
  let store: BlobStore;
  beforeAll(async () => {
    server = await startVersitygw();
    store = openS3BlobStore({
      ...server,
      checksums,
      copyLimits: { whole: 12 * MIB, part: 5 * MIB },
    });
  });
  afterAll(() => server.close());

  const read = async (key: string) => Buffer.concat(await Array.fromAsync(await store.get(key)));
  const uploads = async () => {
    const { Uploads = [] } = await server.client.send(
      new ListMultipartUploadsCommand({ Bucket: server.bucket }),
    );
    return Uploads.map(({ Key }) => Key);
  };
  async function* stream(bytes: Uint8Array, failure?: Error) {
    for (let at = 0; at < bytes.length; at += 300_000) yield bytes.subarray(at, at + 300_000);
    if (failure) throw failure;
  }
  const large = pattern(20 * MIB + 123);

  test.each([
    ['whose size is known', { size: large.length, sha256: digest(large) }],
    ['of unknown size', {}],
  ])('a large stream %s is stored in parts', async (_, options) => {
    const stat = await store.put('large/stream', stream(large), options);
    expect(stat).toMatchObject({ size: large.length, sha256: digest(large) });
    expect(await store.stat('large/stream')).toMatchObject({ size: large.length, etag: stat.etag });
    expect(digest(await read('large/stream'))).toBe(digest(large));
  });

  test('a large buffer is stored in parts', async () => {
    await store.put('large/buffer', large);
    expect(digest(await read('large/buffer'))).toBe(digest(large));
  });

  test('what fails half-way leaves neither object nor upload', async () => {
    const size = large.length;
    const broken = stream(large, new Error('the source broke'));
    await expect(store.put('bad/broken', broken, { size: size + 1 })).rejects.toThrow('the source broke');
    const wrong = { size, sha256: digest(Buffer.from('other')) };
    await expect(store.put('bad/digest', stream(large), wrong)).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
    });
    for (const announced of [size - 1, size + 1]) {
      const put = store.put('bad/size', stream(large), { size: announced });
      await expect(put).rejects.toMatchObject({ code: 'SIZE_MISMATCH' });
    }
    expect((await store.list('bad/')).objects).toEqual([]);
    expect(await uploads()).toEqual([]);
  });

  test('a source is closed when the store fails', async () => {
    let closed = false;
    const endless = async function* () {
      try {
        for (;;) yield large;
      } finally {
        closed = true;
      }
    };
    const failing = openS3BlobStore({ client: server.client, bucket: 'no-such-bucket', checksums });
    await expect(failing.put('a', endless(), { size: 1e12 })).rejects.toThrow();
    expect(closed).toBe(true);
  });

  test('with `ifAbsent` a large stream leaves what was there', async () => {
    await store.put('taken', Buffer.from('first'));
    const put = store.put('taken', stream(large), { size: large.length, ifAbsent: true });
    await expect(put).rejects.toMatchObject({ code: 'EXISTS' });
    expect((await read('taken')).toString()).toBe('first');
    expect(await uploads()).toEqual([]);
  });

  test('an object too large to be copied whole is copied in parts', async () => {
    await store.put('copy/größe +1%', large);
    await store.copy('copy/größe +1%', 'copy/to');
    expect(digest(await read('copy/to'))).toBe(digest(large));
    expect(await uploads()).toEqual([]);
  });

  test('more parts than one page lists are all listed', async () => {
    const { uploadId } = await store.createMultipart('pages', { size: 1100, partSize: 1 });
    const numbers = Array.from({ length: 1100 }, (_, index) => index + 1);
    for (let at = 0; at < numbers.length; at += 50) {
      await Promise.all(
        numbers.slice(at, at + 50).map(async (number) => {
          const url = await store.presignPart('pages', uploadId, { number, size: 1, expiresIn: 60 });
          await (await fetch(url, { method: 'PUT', body: 'x' })).arrayBuffer();
        }),
      );
    }
    expect((await store.listParts('pages', uploadId)).map(({ number }) => number)).toEqual(numbers);
    await store.abortMultipart('pages', uploadId);
    await store.abortMultipart('pages', uploadId);
  });

  test('nothing that a URL’s bearer sends is believed to be the digest', async () => {
    const other = createHash('sha256').update('other').digest();
    const url = await store.presignPut('forged', { size: 3, expiresIn: 60 });
    for (const headers of [
      { 'x-amz-meta-sha256': other.toString('hex') },
      { 'x-amz-checksum-sha256': other.toString('base64') },
    ]) {
      await (await fetch(url, { method: 'PUT', body: 'abc', headers })).arrayBuffer();
      expect((await store.stat('forged'))?.sha256 ?? digest(Buffer.from('abc'))).toBe(
        digest(Buffer.from('abc')),
      );
    }
  });
});

test('a small object’s digest is the one that the store has checked, a copy’s too', async () => {
  await using server = await startVersitygw();
  const store = openS3BlobStore(server);
  const bytes = pattern(100_000);
  await store.put('small', bytes);
  await store.copy('small', 'copy');
  expect(await store.stat('small')).toMatchObject({ sha256: digest(bytes) });
  expect(await store.stat('copy')).toMatchObject({ sha256: digest(bytes) });
});

const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

function pattern(size: number): Buffer {
  const words = new Uint32Array(Math.ceil(size / 4));
  for (let n = 0; n < words.length; n++) words[n] = Math.imul(n + 1, 0x9e3779b1);
  return Buffer.from(words.buffer, 0, size);
}

requestsFitTheirDescriptions(['s3:UploadPart', 's3:UploadPartCopy']);
