import { createHash } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  S3ServiceException,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { createCRC64 } from 'hash-wasm';
import { BlobError, type BlobStat, type PutOptions } from '../../ports/blob-store.ts';
import { retried } from './retry.ts';
import {
  completedEtag,
  encryptionOf,
  ifAbsentHeaders,
  MAX_PARTS,
  type S3Bucket,
  unquoted,
  uploadChecksum,
} from './s3-bucket.ts';

const MIB = 1024 * 1024;
/** The least size of a part where the object's size is known. What has no second part goes in one request. */
const PART_BYTES = 8 * MIB;
/** Parts of a stream that does not say how long it is: 10,000 of them are 312 GiB. */
const UNKNOWN_SIZE_PART_BYTES = 32 * MIB;
/** Bytes of parts that are on their way at once, beside the one that is being read. */
const UNDER_WAY_BYTES = 32 * MIB;
/** CRC-64/NVME's polynomial, reflected, as hash-wasm takes it. */
export const NVME_POLYNOMIAL = '9a6c9329ac4bc9b5';

/**
 * Stores one object under a valid key. Nothing becomes visible unless size and SHA-256 are right; an upload in parts
 * that fails is aborted. What it holds in memory does not grow with the object below 78 GiB.
 */
export async function putObject(
  to: S3Bucket,
  key: string,
  bytes: Uint8Array | AsyncIterable<Uint8Array>,
  options: PutOptions,
): Promise<BlobStat> {
  const hash = createHash('sha256');
  let size = 0;
  const checked = async function* () {
    for await (const chunk of bytes instanceof Uint8Array ? [bytes] : bytes) {
      size += chunk.length;
      if (options.size !== undefined && size > options.size) {
        throw mismatch(key, options.size, `more than ${options.size}`);
      }
      hash.update(chunk);
      yield chunk;
    }
    if (options.size !== undefined && size < options.size) throw mismatch(key, options.size, String(size));
    const found = hash.copy().digest('hex');
    if (options.sha256 !== undefined && found !== options.sha256) {
      throw new BlobError('DIGEST_MISMATCH', key, `expected ${options.sha256}, found ${found}`);
    }
  };

  const announced = bytes instanceof Uint8Array ? bytes.length : options.size;
  const parts = cut(checked(), partSizeOf(announced));
  try {
    const first = await parts.next();
    const second = await parts.next();
    const etag =
      first.done || second.done
        ? await putWhole(to, key, first.value ?? new Uint8Array(), hash.copy().digest('base64'), options)
        : await putParts(to, key, joined([first.value, second.value], parts), options);
    return { size, sha256: hash.digest('hex'), etag };
  } finally {
    await parts.return(undefined);
  }
}

const partSizeOf = (size: number | undefined): number =>
  size === undefined
    ? UNKNOWN_SIZE_PART_BYTES
    : Math.max(PART_BYTES, Math.ceil(size / MAX_PARTS / MIB) * MIB);

/** Pieces of exactly `partSize` bytes, the last one with the rest. */
async function* cut(
  source: AsyncIterable<Uint8Array>,
  partSize: number,
): AsyncGenerator<Uint8Array, undefined> {
  let chunks: Uint8Array[] = [];
  let gathered = 0;
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length; ) {
      const piece = chunk.subarray(at, at + partSize - gathered);
      chunks.push(piece);
      gathered += piece.length;
      at += piece.length;
      if (gathered < partSize) continue;
      yield Buffer.concat(chunks);
      chunks = [];
      gathered = 0;
    }
  }
  if (gathered > 0) yield Buffer.concat(chunks);
  return undefined;
}

async function* joined(first: Uint8Array[], rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* first;
  yield* rest;
}

/** One request, whose SHA-256 the store checks and keeps. */
async function putWhole(
  to: S3Bucket,
  key: string,
  body: Uint8Array,
  sha256: string,
  { ifAbsent = false }: PutOptions,
): Promise<string> {
  const input = {
    Bucket: to.bucket,
    Key: key,
    Body: body,
    ContentLength: body.length,
    ...(to.checksums === 'crc64nvme' ? { ChecksumSHA256: sha256 } : {}),
    ...(ifAbsent ? await ifAbsentHeaders(to, key, to.conditionalPuts) : {}),
    ...encryptionOf(to),
  };
  const { ETag } = await retried(() => to.client.send(new PutObjectCommand(input)), isOvertaken);
  return unquoted(ETag);
}

/** S3 asks to send a conditional write again when another one or a delete of the same key was under way. */
const isOvertaken = (error: unknown): boolean =>
  error instanceof S3ServiceException && error.name === 'ConditionalRequestConflict';

async function putParts(
  to: S3Bucket,
  key: string,
  parts: AsyncIterable<Uint8Array>,
  { ifAbsent = false }: PutOptions,
): Promise<string> {
  const { client } = to;
  const object = { Bucket: to.bucket, Key: key };
  const { UploadId } = await client.send(
    new CreateMultipartUploadCommand({ ...object, ...uploadChecksum(to), ...encryptionOf(to) }),
  );
  try {
    const Parts = await sendParts(to, { ...object, UploadId }, parts);
    const { ETag } = await client.send(
      new CompleteMultipartUploadCommand({
        ...object,
        UploadId,
        MultipartUpload: { Parts },
        ...(to.checksums === 'crc64nvme' ? { ChecksumType: 'FULL_OBJECT' } : {}),
        ...(ifAbsent ? await ifAbsentHeaders(to, key, to.conditionalCompletions) : {}),
      }),
    );
    return await completedEtag(to, key, ETag);
  } catch (error) {
    // Why it failed matters more than that its parts could not be removed: the bucket's lifecycle does it later.
    await Promise.allSettled([client.send(new AbortMultipartUploadCommand({ ...object, UploadId }))]);
    throw error;
  }
}

/** Sends parts as they come, a few at once. When it rejects none is under way any more. */
async function sendParts(
  to: S3Bucket,
  upload: { Bucket: string; Key: string; UploadId: string | undefined },
  parts: AsyncIterable<Uint8Array>,
): Promise<CompletedPart[]> {
  const crc = await createCRC64(NVME_POLYNOMIAL);
  const sent: CompletedPart[] = [];
  const underWay = new Set<Promise<void>>();
  const stop = new AbortController();
  let failure: { error: unknown } | undefined;

  const send = async (PartNumber: number, Body: Uint8Array): Promise<void> => {
    const checksum =
      to.checksums === 'crc64nvme'
        ? { ChecksumCRC64NVME: Buffer.from(crc.init().update(Body).digest('binary')).toString('base64') }
        : {};
    const part = { ...upload, PartNumber, Body, ContentLength: Body.length, ...checksum };
    const { ETag } = await to.client.send(new UploadPartCommand(part), { abortSignal: stop.signal });
    sent[PartNumber - 1] = { PartNumber, ETag, ...checksum };
  };

  try {
    let number = 0;
    for await (const part of parts) {
      if (++number > MAX_PARTS) {
        throw new BlobError('SIZE_MISMATCH', upload.Key, 'a stream of this length has to say its size');
      }
      const work: Promise<void> = send(number, part)
        .catch((error: unknown) => {
          failure ??= { error };
        })
        .finally(() => underWay.delete(work));
      underWay.add(work);
      while (underWay.size * part.length >= UNDER_WAY_BYTES) await Promise.race(underWay);
      if (failure !== undefined) break;
    }
  } catch (error) {
    failure ??= { error };
  }
  if (failure !== undefined) stop.abort();
  await Promise.all(underWay);
  if (failure !== undefined) throw failure.error;
  return sent;
}

const mismatch = (key: string, expected: number, found: string) =>
  new BlobError('SIZE_MISMATCH', key, `${expected} bytes were announced and ${found} came`);
