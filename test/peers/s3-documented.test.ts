import { CreateMultipartUploadCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { expect, test } from 'vitest';
import { openS3BlobStore } from '../../shared/adapters/aws/s3-blob-store.ts';
import { probeS3 } from '../../shared/adapters/aws/s3-probe.ts';
import { s3Contract } from './s3-contract.ts';
import { startDocumented } from './s3-documented.ts';
import { GOOGLE, R2 } from './s3-documented-rules.ts';

/** Services that this repository has no account with: Cairn's requests are held against what is written of them. */

test('by what is written of R2, start-up finds its checksums and goes without conditions of parts', async () => {
  await using r2 = await startDocumented(R2);
  expect(await probeS3(r2)).toEqual({
    checksums: 'crc64nvme',
    conditionalPuts: true,
    conditionalCompletions: false,
    partCopies: false,
    copyIfMatch: false,
  });
  expect([...r2.refused].sort()).toEqual([
    'CompleteMultipartUpload: conditions of a completed upload',
    'UploadPartCopy: conditions of a copied part',
  ]);
});

test('by what is written of Google Cloud Storage, start-up goes without checksums, conditions of writes and copies of parts', async () => {
  await using google = await startDocumented(GOOGLE);
  expect(await probeS3(google)).toEqual({
    checksums: 'when-required',
    conditionalPuts: false,
    conditionalCompletions: false,
    partCopies: false,
    copyIfMatch: false,
  });
  expect([...google.refused].sort()).toEqual([
    'CreateMultipartUpload: checksums of S3’s kind',
    'PutObject: checksums of S3’s kind',
    'UploadPartCopy: the operation',
  ]);
});

test('what a service is said not to take is refused', async () => {
  await using r2 = await startDocumented(R2);
  await using google = await startDocumented(GOOGLE);
  const object = { Bucket: r2.bucket, Key: 'refused' };
  const ofOtherStores = new S3Client({
    endpoint: google.endpoint,
    region: GOOGLE.region,
    forcePathStyle: true,
    credentials: google.credentials,
  });
  await expect(ofOtherStores.send(new PutObjectCommand({ ...object, Body: 'a' }))).rejects.toThrow('x-id');
  const checksum = new PutObjectCommand({ ...object, Body: 'a', ChecksumCRC32: '6Le+Qw==' });
  await expect(google.client.send(checksum)).rejects.toThrow('PutObject: checksums of S3’s kind');
  const acl = new CreateMultipartUploadCommand({ ...object, ACL: 'private' });
  await expect(r2.client.send(acl)).rejects.toThrow('CreateMultipartUpload: keys of a key service, tags');
  const other = { ...R2, region: 'eu-west-1' };
  await using elsewhere = await startDocumented(other);
  await expect(probeS3(elsewhere)).rejects.toThrow('PutObject: another region than auto');

  const store = openS3BlobStore(r2);
  const { uploadId } = await store.createMultipart('uneven', { parts: 3 });
  for (const [index, size] of [6, 5, 5].entries()) {
    const url = await store.presignPart('uneven', uploadId, { number: index + 1, expiresIn: 60 });
    await fetch(url, { method: 'PUT', body: Buffer.alloc(size * 1024 * 1024) });
  }
  const complete = store.completeMultipart('uneven', uploadId, await store.listParts('uneven', uploadId));
  await expect(complete).rejects.toThrow();
  expect([...r2.refused]).toContain('CompleteMultipartUpload: parts of several sizes');
});

s3Contract('what is written of R2', () => startDocumented(R2));
s3Contract('what is written of Google Cloud Storage', () => startDocumented(GOOGLE), {
  looksBeforeWriting: true,
});
