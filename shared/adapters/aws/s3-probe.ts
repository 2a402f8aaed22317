import { createHash, randomUUID } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
  S3ServiceException,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { createCRC64 } from 'hash-wasm';
import { BlobError, type BlobStore, type ByteRange } from '../../ports/blob-store.ts';
import { openS3BlobStore } from './s3-blob-store.ts';
import type { S3Abilities } from './s3-bucket.ts';
import { conditionalCopy } from './s3-copy.ts';
import { NVME_POLYNOMIAL } from './s3-put.ts';

const BYTES = Buffer.from('cairn');
const SECONDS = 60;
const PRECONDITION_FAILED = 412;

/**
 * Tries on the bucket itself what Cairn relies on, below `<prefix>probe/`, and removes what it made.
 * @returns what the adapter can cope without
 * @throws Error with a sentence that names what the store does not do; BlobError `UNAVAILABLE` if it cannot be used at all
 */
export async function probeS3(at: { client: S3Client; bucket: string }, prefix = ''): Promise<S3Abilities> {
  const below = `${prefix}probe/${randomUUID()}/`;
  const made = new Set<string>();
  const uploads: { Key: string; UploadId: string | undefined }[] = [];
  const probe: Probe = {
    ...at,
    store: openS3BlobStore({ ...at, checksums: 'when-required' }),
    key(name) {
      made.add(below + name);
      return below + name;
    },
    async begin(name, options = {}) {
      const upload = { Key: probe.key(name) };
      const { UploadId } = await at.client.send(
        new CreateMultipartUploadCommand({ Bucket: at.bucket, ...upload, ...options }),
      );
      uploads.push({ ...upload, UploadId });
      return { Bucket: at.bucket, ...upload, UploadId };
    },
  };
  try {
    await required('stores an object and gives it back', () => wholeObjects(probe));
    const [copyIfMatch] = await all([
      required('copies an object only if it is still the same (x-amz-copy-source-if-match)', () =>
        conditionalCopies(probe),
      ),
      required('gives ranges of an object', () => ranges(probe)),
      required('lists objects in order, after a key', () => listing(probe)),
      required('takes signed addresses, and from them no other length than the signed one', () =>
        signedAddresses(probe),
      ),
      required('takes uploads in parts, lists them and gives them up', () => parts(probe)),
    ]);
    await required('copies an object that was uploaded in parts', () => copiesWhole(probe, copyIfMatch));
    const [conditional, checksums, partCopies] = await all([
      keepsConditions(probe),
      checksChecksums(probe),
      copiesParts(probe),
    ]);
    return {
      ...conditional,
      checksums: checksums ? 'crc64nvme' : 'when-required',
      partCopies,
      copyIfMatch,
    };
  } finally {
    const remove = (Key: string) => at.client.send(new DeleteObjectCommand({ Bucket: at.bucket, Key }));
    const giveUp = (upload: (typeof uploads)[number]) =>
      at.client.send(new AbortMultipartUploadCommand({ Bucket: at.bucket, ...upload }));
    await Promise.allSettled([...uploads.map(giveUp), ...[...made].map(remove)]);
  }
}

/** As Promise.all, but nothing is under way any more when it rejects. */
async function all<T extends readonly unknown[]>(
  work: readonly [...{ [I in keyof T]: Promise<T[I]> }],
): Promise<T> {
  await Promise.allSettled(work);
  return (await Promise.all(work)) as unknown as T;
}

interface Probe {
  readonly client: S3Client;
  readonly bucket: string;
  /** Believes no checksum. */
  readonly store: BlobStore;
  /** A key that is removed afterwards. */
  key(name: string): string;
  /** Begins an upload in parts that is given up afterwards. */
  begin(
    name: string,
    options?: { ChecksumAlgorithm?: 'CRC64NVME'; ChecksumType?: 'FULL_OBJECT' },
  ): Promise<{ Bucket: string; Key: string; UploadId: string | undefined }>;
}

/** @throws Error that names what the store does not do, and how that showed */
async function required<T>(what: string, check: () => Promise<T>): Promise<T> {
  try {
    return await check();
  } catch (error) {
    if (error instanceof BlobError && error.code === 'UNAVAILABLE') throw error;
    const how = error instanceof Error ? error.message : String(error);
    throw new Error(`Cairn needs a store that ${what}: ${how}`, { cause: error });
  }
}

function expect(found: unknown, wanted: unknown, what: string): void {
  if (found !== wanted) throw new Error(`${what} gave ${String(found)} instead of ${String(wanted)}.`);
}

async function wholeObjects({ store, key }: Probe): Promise<void> {
  const at = key('object');
  const { etag } = await store.put(at, BYTES);
  const stat = await store.stat(at);
  expect(stat?.size, BYTES.length, 'its length');
  expect(stat?.etag, etag, 'its ETag');
  expect(await textOf(store, at), String(BYTES), 'reading it');
  await store.delete(at);
  expect(await store.stat(at), undefined, 'looking for it when it is deleted');
}

async function ranges({ store, key }: Probe): Promise<void> {
  const at = key('ranges');
  await store.put(at, BYTES);
  expect(await textOf(store, at, { start: 1, end: 2 }), 'ai', 'the range 1-2');
  expect(await textOf(store, at, { start: 3 }), 'rn', 'the range 3-');
}

async function listing({ store, key }: Probe): Promise<void> {
  const keys = ['list/B', 'list/a-b', 'list/a.b', 'list/a/b'].map(key);
  for (const at of keys.toReversed()) await store.put(at, BYTES);
  const prefix = key('list/').slice(0, -1);
  const first = await store.list(`${prefix}/`, { limit: 2 });
  const after = first.objects.at(-1)?.key ?? '';
  const rest = await store.list(`${prefix}/`, { after });
  const found = [...first.objects, ...rest.objects].map((entry) => entry.key.slice(prefix.length + 1));
  expect(found.join(' '), 'B a-b a.b a/b', 'the list');
  expect(`${first.more} ${rest.more}`, 'true false', 'whether there is more');
}

/** Whether it is Ceph's name by which the store keeps the condition. */
async function conditionalCopies({ client, bucket, store, key }: Probe): Promise<boolean> {
  const [from, to] = [key('copy/from'), key('copy/to')];
  const { etag } = await store.put(from, BYTES);
  const source = { Bucket: bucket, Key: to, CopySource: `${bucket}/${from}` };
  const copy = (ifMatch: string, copyIfMatch: boolean) =>
    outcome(client.send(conditionalCopy({ copyIfMatch }, { ...source, CopySourceIfMatch: `"${ifMatch}"` })));
  const other = '0'.repeat(32);
  const copyIfMatch = (await copy(other, false)) !== 'refused';
  if (copyIfMatch) expect(await copy(other, true), 'refused', 'a copy of another ETag');
  expect(await copy(etag, copyIfMatch), 'done', 'a copy of its ETag');
  expect(await textOf(store, to), String(BYTES), 'the copy');
  return copyIfMatch;
}

async function signedAddresses({ store, key }: Probe): Promise<void> {
  const at = key('signed');
  const put = await store.presignPut(at, { size: BYTES.length, expiresIn: SECONDS });
  expect(await send(put, Buffer.from('longer')), 'refused', 'another length');
  expect(await send(put, BYTES, {}, sameTime), 'done', 'the signed length');
  const get = await fetch(await store.presignGet(at, { expiresIn: SECONDS }), {
    headers: { range: 'bytes=1-2' },
  });
  expect(await get.text(), 'ai', 'a signed GET of a range');
}

async function parts({ store, key, begin }: Probe): Promise<void> {
  const at = key('parts');
  const shape = { size: BYTES.length, partSize: BYTES.length };
  const { uploadId } = await store.createMultipart(at, shape);
  const url = await store.presignPart(at, uploadId, { number: 1, size: BYTES.length, expiresIn: SECONDS });
  expect(await send(url, BYTES), 'done', 'a signed part');
  const listed = await store.listParts(at, uploadId);
  expect(
    listed.map(({ number, size }) => `${number}:${size}`).join(),
    `1:${BYTES.length}`,
    'the list of parts',
  );
  const { etag } = await store.completeMultipart(at, uploadId, listed);
  expect((await store.stat(at))?.etag, etag, 'its ETag');
  expect(await textOf(store, at), String(BYTES), 'the whole');
  const { Key, UploadId } = await begin('given-up');
  const given = `5.5.${UploadId}`;
  await store.abortMultipart(Key, given);
  const listing = await store.listParts(Key, given).catch((error: unknown) => (error as BlobError).code);
  expect(listing, 'NOT_FOUND', 'listing an upload that was given up');
}

/** Swift may keep what came in parts as a list of them, and would copy the list. */
async function copiesWhole(
  { client, bucket, store, key, begin }: Probe,
  copyIfMatch: boolean,
): Promise<void> {
  const [from, to] = [await begin('parts-copy/from'), key('parts-copy/to')];
  const { ETag } = await client.send(new UploadPartCommand({ ...from, PartNumber: 1, Body: BYTES }));
  const complete = { ...from, MultipartUpload: { Parts: [{ PartNumber: 1, ETag }] } };
  await client.send(new CompleteMultipartUploadCommand(complete));
  const CopySourceIfMatch = `"${(await store.stat(from.Key))?.etag}"`;
  const copy = { Bucket: bucket, Key: to, CopySource: `${bucket}/${from.Key}`, CopySourceIfMatch };
  await client.send(conditionalCopy({ copyIfMatch }, copy));
  expect((await store.stat(to))?.size, BYTES.length, 'the length of the copy');
  expect(await textOf(store, to), String(BYTES), 'the copy');
}

/** Whether a write that is to replace nothing replaces nothing, in one request and in parts. */
async function keepsConditions({
  client,
  bucket,
  key,
  begin,
}: Probe): Promise<Pick<S3Abilities, 'conditionalPuts' | 'conditionalCompletions'>> {
  const at = key('absent');
  const put = () =>
    outcome(client.send(new PutObjectCommand({ Bucket: bucket, Key: at, Body: BYTES, IfNoneMatch: '*' })));
  if ((await put()) !== 'done' || (await put()) !== 'refused')
    return { conditionalPuts: false, conditionalCompletions: false };
  const upload = await begin('absent');
  const { ETag } = await client.send(new UploadPartCommand({ ...upload, PartNumber: 1, Body: BYTES }));
  const complete = { ...upload, MultipartUpload: { Parts: [{ PartNumber: 1, ETag }] }, IfNoneMatch: '*' };
  const completion = await client.send(new CompleteMultipartUploadCommand(complete)).catch((error) => {
    refusal(error);
    return (error as S3ServiceException).$metadata.httpStatusCode;
  });
  // A store that does not know the condition may refuse it, held or not.
  return { conditionalPuts: true, conditionalCompletions: completion === PRECONDITION_FAILED };
}

/**
 * Whether the store checks what it is told to be an object's SHA-256 or CRC64NVME: only then may its word be taken for
 * what an object's bytes are.
 */
async function checksChecksums(probe: Probe): Promise<boolean> {
  const checks = await all([checksSha256(probe), checksCrc64(probe), believesNoUploader(probe)]);
  return checks.every(Boolean);
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('base64');

async function checksSha256({ client, bucket, key }: Probe): Promise<boolean> {
  const put = (ChecksumSHA256: string) =>
    outcome(
      client.send(new PutObjectCommand({ Bucket: bucket, Key: key('sha256'), Body: BYTES, ChecksumSHA256 })),
    );
  if ((await put(sha256(Buffer.from('other')))) !== 'refused') return false;
  return (
    (await put(sha256(BYTES))) === 'done' &&
    (await toldSha256(client, bucket, key('sha256'))) === sha256(BYTES)
  );
}

async function checksCrc64({ client, begin }: Probe): Promise<boolean> {
  const crc = await createCRC64(NVME_POLYNOMIAL);
  const of = (bytes: Uint8Array) => Buffer.from(crc.init().update(bytes).digest('binary')).toString('base64');
  const whole = { ChecksumType: 'FULL_OBJECT' as const };
  const upload = await begin('crc64', { ChecksumAlgorithm: 'CRC64NVME', ...whole }).catch(refusal);
  if (upload === 'refused') return false;
  const part = (ChecksumCRC64NVME: string) =>
    client
      .send(new UploadPartCommand({ ...upload, PartNumber: 1, Body: BYTES, ChecksumCRC64NVME }))
      .catch(refusal);
  if ((await part(of(Buffer.from('other')))) !== 'refused') return false;
  const sent = await part(of(BYTES));
  if (sent === 'refused') return false;
  const Parts = [{ PartNumber: 1, ETag: sent.ETag, ChecksumCRC64NVME: of(BYTES) }];
  const complete = { ...upload, MultipartUpload: { Parts }, ...whole };
  return (await outcome(client.send(new CompleteMultipartUploadCommand(complete)))) === 'done';
}

/** A signed address lets its bearer add headers: a digest that is not that of what was sent must not be told afterwards. */
async function believesNoUploader({ client, bucket, key }: Probe): Promise<boolean> {
  const at = key('forged');
  const input = { Bucket: bucket, Key: at, ContentLength: BYTES.length };
  const url = await getSignedUrl(client, new PutObjectCommand(input), { expiresIn: SECONDS });
  const forged = sha256(Buffer.from('other'));
  if ((await send(url, BYTES, { 'x-amz-checksum-sha256': forged })) === 'refused') return true;
  return (await toldSha256(client, bucket, at)) !== forged;
}

async function toldSha256(client: S3Client, bucket: string, key: string): Promise<string | undefined> {
  const input = { Bucket: bucket, Key: key, ChecksumMode: 'ENABLED' as const };
  return (await client.send(new HeadObjectCommand(input))).ChecksumSHA256;
}

/** Whether a part can be copied, and only from the object that it was to be copied from. */
async function copiesParts({ client, bucket, store, key, begin }: Probe): Promise<boolean> {
  const from = key('part-copy/from');
  const { etag } = await store.put(from, BYTES);
  const upload = await begin('part-copy/to');
  const copy = (ifMatch: string) =>
    client
      .send(
        new UploadPartCopyCommand({
          ...upload,
          PartNumber: 1,
          CopySource: `${bucket}/${from}`,
          CopySourceRange: 'bytes=0-4',
          CopySourceIfMatch: `"${ifMatch}"`,
        }),
      )
      .catch(refusal);
  if ((await copy('0'.repeat(32))) !== 'refused') return false;
  const copied = await copy(etag);
  if (copied === 'refused') return false;
  const Parts = [{ PartNumber: 1, ETag: copied.CopyPartResult?.ETag }];
  const complete = { ...upload, MultipartUpload: { Parts } };
  if ((await outcome(client.send(new CompleteMultipartUploadCommand(complete)))) !== 'done') return false;
  return (await textOf(store, upload.Key)) === String(BYTES);
}

/** A request that the store answered with a refusal; what keeps the store from answering is thrown. */
function refusal(error: unknown): 'refused' {
  if (error instanceof S3ServiceException) return 'refused';
  throw error;
}

const outcome = (request: Promise<unknown>): Promise<'done' | 'refused'> =>
  request.then(() => 'done' as const, refusal);

/** @throws Error if the store's clock says that an address signed just now is of the past, or of the future */
function sameTime({ headers }: Response): void {
  const ahead = Date.parse(headers.get('date') ?? '') - Date.now();
  if (Math.abs(ahead) < SECONDS * 1000) return;
  const seconds = Math.round(Math.abs(ahead) / 1000);
  throw new Error(
    `the store’s clock is ${seconds} seconds ${ahead > 0 ? 'ahead of' : 'behind'} this machine’s`,
  );
}

async function send(
  url: string,
  body: Uint8Array,
  headers = {},
  refused: (answer: Response) => void = () => undefined,
): Promise<'done' | 'refused'> {
  const answer = await fetch(url, { method: 'PUT', body: Buffer.from(body), headers });
  await answer.arrayBuffer();
  if (!answer.ok) refused(answer);
  return answer.ok ? 'done' : 'refused';
}

async function textOf(store: BlobStore, key: string, range?: ByteRange): Promise<string> {
  return Buffer.concat(await Array.fromAsync(await store.get(key, range))).toString();
}
