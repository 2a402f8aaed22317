import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { openS3BlobStore, type S3BlobStoreOptions } from '../../../../shared/adapters/aws/s3-blob-store.ts';
import { openS3Client } from '../../../../shared/adapters/aws/s3-client.ts';
import { type Answer, answeringHandler, type Sent } from './answering-handler.ts';

/** A store whose network answers what the test says. */
function storeThat(answer: (sent: Sent, count: number) => Answer, options: Partial<S3BlobStoreOptions> = {}) {
  const { sent, handler } = answeringHandler((request, count) => {
    const reply = answer(request, count);
    return reply instanceof Error
      ? reply
      : { ...reply, headers: { 'content-type': 'application/xml', ...reply.headers } };
  });
  const credentials = { accessKeyId: 'a', secretAccessKey: 'b' };
  const client = openS3Client({ region: 'eu-central-1', credentials });
  client.config.requestHandler = handler as never;
  return { store: openS3BlobStore({ client, bucket: 'cairn', ...options }), sent };
}
const failure = (status: number, code: string): Answer => ({
  status,
  body: `<Error><Code>${code}</Code><Message>${code}</Message></Error>`,
});
const stored: Answer = { body: '', headers: { etag: '"e"' } };

test('a small object carries its SHA-256 for the store to check, encrypted with the key that was asked for', async () => {
  const { store, sent } = storeThat(() => stored, { kmsKeyId: 'key' });
  const bytes = Buffer.from('bytes');
  await store.put('a', bytes, { ifAbsent: true });
  expect(sent[0]?.headers).toMatchObject({
    'x-amz-checksum-sha256': createHash('sha256').update(bytes).digest('base64'),
    'if-none-match': '*',
    'x-amz-server-side-encryption': 'aws:kms',
    'x-amz-server-side-encryption-aws-kms-key-id': 'key',
    'x-amz-server-side-encryption-bucket-key-enabled': 'true',
  });
});

test('to a store that knows no checksums none is sent', async () => {
  const { store, sent } = storeThat(() => stored, { checksums: 'when-required' });
  await store.put('a', Buffer.from('bytes'));
  expect(Object.keys(sent[0]?.headers ?? {}).filter((name) => /checksum|encryption/.test(name))).toEqual([]);
});

test('a conditional write that another one overtook is sent again', async () => {
  const { store, sent } = storeThat((_, count) =>
    count < 3 ? failure(409, 'ConditionalRequestConflict') : failure(412, 'PreconditionFailed'),
  );
  await expect(store.put('a', Buffer.from('b'), { ifAbsent: true })).rejects.toMatchObject({
    code: 'EXISTS',
  });
  expect(sent).toHaveLength(3);
});

test('an upload in parts is made for a CRC64NVME of the whole object, and each part brings its own', async () => {
  const { store, sent } = storeThat(({ method, path }) => {
    if (method === 'PUT') return stored;
    const complete = '<CompleteMultipartUploadResult><ETag>"e-2"</ETag></CompleteMultipartUploadResult>';
    const initiate = '<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>';
    return { body: path.includes('a') && sent.length === 1 ? initiate : complete };
  });
  await store.put('a', Buffer.concat([Buffer.alloc(8 * 1024 * 1024), Buffer.from('123456789')]));
  expect(sent.map(({ method }) => method)).toEqual(['POST', 'PUT', 'PUT', 'POST']);
  expect(sent[0]?.headers).toMatchObject({
    'x-amz-checksum-algorithm': 'CRC64NVME',
    'x-amz-checksum-type': 'FULL_OBJECT',
  });
  // CRC-64/NVME's check value, of the digits 1 to 9.
  const check = Buffer.from('ae8b14860a799888', 'hex').toString('base64');
  expect(sent[2]?.headers['x-amz-checksum-crc64nvme']).toBe(check);
  expect(sent[3]?.headers['x-amz-checksum-type']).toBe('FULL_OBJECT');
  expect(sent[3]?.body).toContain(`<ChecksumCRC64NVME>${check}</ChecksumCRC64NVME>`);
});

test('where the answer to a completed upload has no ETag, as on Ceph, the object tells it', async () => {
  const { store, sent } = storeThat(({ method, path }) => {
    if (method === 'HEAD') return { body: '', headers: { etag: '"whole-2"' } };
    if (method === 'PUT') return stored;
    const initiate = '<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>';
    const complete =
      '<CompleteMultipartUploadResult><Key>a</Key><ETag></ETag></CompleteMultipartUploadResult>';
    return { body: path === '/a' && sent.length === 1 ? initiate : complete };
  });
  const put = await store.put('a', Buffer.alloc(9 * 1024 * 1024));
  expect(put.etag).toBe('whole-2');
  expect(sent.map(({ method }) => method)).toEqual(['POST', 'PUT', 'PUT', 'POST', 'HEAD']);
  const parts = [{ number: 1, size: 7, etag: 'e' }];
  expect(await store.completeMultipart('a', '7.7.upload', parts)).toEqual({ size: 7, etag: 'whole-2' });
});

test('a part that the store lists twice, as SeaweedFS one that was sent again, is the newer one', async () => {
  const part = (number: number, etag: string, second: number) =>
    `<Part><PartNumber>${number}</PartNumber><LastModified>2026-01-01T00:00:0${second}.000Z</LastModified><ETag>"${etag}"</ETag><Size>${second}</Size></Part>`;
  const listed = [part(1, 'new', 2), part(1, 'old', 1), part(2, 'same', 3), part(2, 'same', 3)].join('');
  const { store } = storeThat(() => ({
    body: `<ListPartsResult>${listed}<IsTruncated>false</IsTruncated></ListPartsResult>`,
  }));
  expect(await store.listParts('a', '7.7.upload')).toEqual([
    { number: 1, etag: 'new', size: 2 },
    { number: 2, etag: 'same', size: 3 },
  ]);
});

test('a signed URL binds the length, and asks its bearer for nothing else', async () => {
  const { store } = storeThat(() => stored, { kmsKeyId: 'key' });
  const part = { number: 3, size: 7, expiresIn: 60 };
  const { searchParams: put } = new URL(await store.presignPut('a', { size: 7, expiresIn: 60 }));
  const { searchParams: sent } = new URL(await store.presignPart('a', '7.7.upload', part));
  const { searchParams: get } = new URL(await store.presignGet('a', { expiresIn: 60 }));
  expect(put.get('X-Amz-SignedHeaders')).toBe('content-length;host');
  expect(sent.get('X-Amz-SignedHeaders')).toBe('content-length;host');
  expect([sent.get('partNumber'), sent.get('uploadId')]).toEqual(['3', 'upload']);
  expect(get.get('X-Amz-SignedHeaders')).toBe('host');
  for (const parameters of [put, sent, get]) {
    expect(parameters.get('X-Amz-Expires')).toBe('60');
    expect([...parameters.keys()].filter((name) => /checksum|encryption/i.test(name))).toEqual([]);
  }
});

test('a full store says so, one that cannot be used says why, and what the port has no word for stays as it is', async () => {
  const full = storeThat(() => failure(507, 'InsufficientStorage'));
  await expect(full.store.put('a', Buffer.from('b'))).rejects.toMatchObject({ code: 'NO_SPACE' });
  for (const [answer, why] of [
    [failure(403, 'AccessDenied'), /refuses the credentials.*AccessDenied/],
    [failure(404, 'NoSuchBucket'), /there is no such bucket/],
    [failure(503, 'ServiceUnavailable'), /answers 503/],
    [Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }), /cannot be reached \(ECONNREFUSED/],
  ] as const) {
    const { store } = storeThat(() => answer);
    for (const work of [() => store.put('a', Buffer.from('b')), () => store.get('a'), () => store.list('a')])
      await expect(work()).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringMatching(why),
      });
  }
  const odd = storeThat(() => failure(400, 'InvalidRequest'));
  await expect(odd.store.get('a')).rejects.toMatchObject({ name: 'InvalidRequest' });
});

test('a source that breaks off is not taken for the store’s fault', async () => {
  const { store } = storeThat(() => stored);
  const broken = async function* () {
    yield Buffer.from('b');
    throw Object.assign(new Error('aborted'), { code: 'ECONNRESET' });
  };
  await expect(store.put('a', broken())).rejects.toMatchObject({ code: 'ECONNRESET' });
});

describe('a store without conditional writes, as Google’s', () => {
  const lacking = {
    conditionalPuts: false,
    conditionalCompletions: false,
    checksums: 'when-required',
  } as const;

  test('is asked first whether there is an object, and gets no condition that it would ignore', async () => {
    const { store, sent } = storeThat(
      ({ method }) => (method === 'HEAD' ? failure(404, 'NotFound') : stored),
      lacking,
    );
    await store.put('a', Buffer.from('b'), { ifAbsent: true });
    expect(sent.map(({ method }) => method)).toEqual(['HEAD', 'PUT']);
    expect(Object.keys(sent[1]?.headers ?? {}).filter((name) => /^if-|^x-goog-/.test(name))).toEqual([]);
  });

  test('keeps what is there', async () => {
    const { store, sent } = storeThat(() => stored, lacking);
    await expect(store.put('a', Buffer.from('b'), { ifAbsent: true })).rejects.toMatchObject({
      code: 'EXISTS',
    });
    expect(sent.map(({ method }) => method)).toEqual(['HEAD']);
  });
});

test('where only completed uploads keep no condition, as on Ceph, only those look first', async () => {
  const initiate = '<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>';
  const { store, sent } = storeThat(({ method }) => (method === 'POST' ? { body: initiate } : stored), {
    conditionalCompletions: false,
  });
  await store.put('a', Buffer.from('b'), { ifAbsent: true });
  expect(sent.map(({ method, headers }) => [method, headers['if-none-match']])).toEqual([['PUT', '*']]);
  await expect(store.put('a', Buffer.alloc(9 * 1024 * 1024), { ifAbsent: true })).rejects.toMatchObject({
    code: 'EXISTS',
  });
  expect(sent.slice(1).map(({ method }) => method)).toEqual(['POST', 'PUT', 'PUT', 'HEAD', 'DELETE']);
});

test('where parts cannot be copied, a copy of any size is one request that names the object’s ETag', async () => {
  const large = { body: '', headers: { etag: '"e"', 'content-length': String(6 * 1024 ** 3) } };
  const { store, sent } = storeThat(
    ({ method }) =>
      method === 'HEAD' ? large : { body: '<CopyObjectResult><ETag>"e"</ETag></CopyObjectResult>' },
    { partCopies: false },
  );
  await store.copy('a', 'b', { etag: 'e' });
  expect(sent.map(({ method, path }) => `${method} ${path}`)).toEqual(['HEAD /a', 'PUT /b']);
  expect(sent[1]?.headers).toMatchObject({
    'x-amz-copy-source': 'cairn/a',
    'x-amz-copy-source-if-match': '"e"',
  });
});

test('what is replaced just before it is copied is NOT_FOUND, as the object that it was', async () => {
  const { store, sent } = storeThat(({ method }) =>
    method === 'HEAD' ? stored : failure(412, 'PreconditionFailed'),
  );
  await expect(store.copy('a', 'b', { etag: 'e' })).rejects.toMatchObject({ code: 'NOT_FOUND', key: 'a' });
  expect(sent).toHaveLength(2);
});

test('a copy’s condition has Ceph’s name too where only that is kept, and is signed', async () => {
  const copied = { body: '<CopyObjectResult><ETag>"e"</ETag></CopyObjectResult>' };
  const { store, sent } = storeThat(({ method }) => (method === 'HEAD' ? stored : copied), {
    copyIfMatch: true,
  });
  await store.copy('a', 'b', { etag: 'e' });
  expect(sent[1]?.headers).toMatchObject({
    'x-amz-copy-source-if-match': '"e"',
    'x-amz-copy-if-match': '"e"',
    authorization: expect.stringContaining('x-amz-copy-if-match;'),
  });
});

test('a digest is believed only of a store that checks digests', async () => {
  const told = {
    body: '',
    headers: { etag: '"e"', 'x-amz-checksum-sha256': Buffer.alloc(32).toString('base64') },
  };
  const stat = (options: Partial<S3BlobStoreOptions>) => storeThat(() => told, options).store.stat('a');
  expect((await stat({}))?.sha256).toBe('0'.repeat(64));
  expect((await stat({ checksums: 'when-required' }))?.sha256).toBeUndefined();
});
