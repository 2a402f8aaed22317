import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import {
  BlobError,
  type BlobStat,
  type BlobStore,
  type ByteRange,
  type PartStat,
} from '../../ports/blob-store.ts';
import { requireKey } from '../blob-key.ts';
import { contentDisposition } from '../content-disposition.ts';
import { completedEtag, encryptionOf, type S3Abilities, type S3Bucket, unquoted } from './s3-bucket.ts';
import { type CopyLimits, copyObject } from './s3-copy.ts';
import { blobError } from './s3-error.ts';
import { putObject } from './s3-put.ts';
import { parseUploadId, partsOf, shapedUploadId } from './s3-upload-id.ts';

export interface S3BlobStoreOptions extends Omit<S3Bucket, keyof S3Abilities>, Partial<S3Abilities> {
  readonly copyLimits?: CopyLimits;
}

const MAX_PAGE = 1000;

/**
 * A BlobStore in a bucket of S3 or of a compatible store. What is larger than 8 MiB is sent in parts. S3 itself makes the
 * CRC64NVME of what comes by presigned URLs. `stat` knows a SHA-256 only where the store has checked it: of what was put
 * in one request; nothing that an uploader could have written is believed.
 * @param options a store is taken to be able to do what S3 does, unless they say otherwise
 */
export function openS3BlobStore({
  checksums = 'crc64nvme',
  conditionalPuts = true,
  conditionalCompletions = true,
  partCopies = true,
  copyIfMatch = false,
  copyLimits,
  ...options
}: S3BlobStoreOptions): BlobStore {
  const at: S3Bucket = {
    checksums,
    conditionalPuts,
    conditionalCompletions,
    partCopies,
    copyIfMatch,
    ...options,
  };
  const { client, bucket } = at;
  const object = (key: string) => ({ Bucket: bucket, Key: key });

  /** Runs `work` for a valid key, with the store's errors in the port's words. */
  const on = async <T>(key: string, work: () => Promise<T>): Promise<T> => {
    requireKey(key);
    try {
      return await work();
    } catch (error) {
      throw blobError(error, key);
    }
  };

  const head = async (key: string): Promise<BlobStat> => {
    const { ContentLength, ETag, ChecksumSHA256 } = await client.send(
      new HeadObjectCommand({
        ...object(key),
        ...(checksums === 'crc64nvme' ? { ChecksumMode: 'ENABLED' } : {}),
      }),
    );
    // A store that does not check what it is told may repeat what an uploader has claimed.
    const checked = checksums === 'crc64nvme' ? wholeSha256(ChecksumSHA256) : {};
    return { size: ContentLength ?? 0, etag: unquoted(ETag), ...checked };
  };

  const partsThere = async (key: string, UploadId: string): Promise<PartStat[]> => {
    // SeaweedFS lists a part that was sent again once more, in any order.
    const newest = new Map<number, PartStat & { at: number }>();
    // Not the SDK's paginator: it goes on while there is a marker, and the last page has one too.
    for (let PartNumberMarker: string | undefined, more = true; more; ) {
      const page = await client.send(new ListPartsCommand({ ...object(key), UploadId, PartNumberMarker }));
      for (const { PartNumber: number = 0, ETag, Size: size = 0, LastModified } of page.Parts ?? []) {
        const at = LastModified?.getTime() ?? 0;
        if (at < (newest.get(number)?.at ?? 0)) continue;
        newest.set(number, { number, etag: unquoted(ETag), size, at });
      }
      PartNumberMarker = page.NextPartNumberMarker;
      more = page.IsTruncated ?? false;
    }
    return [...newest.values()].map(({ at: _, ...part }) => part);
  };

  /** @throws BlobError `NOT_FOUND` if the upload is not there, else `PART_MISSING` */
  const missingPart = async (key: string, UploadId: string, parts: readonly PartStat[], count: number) => {
    const there = new Map((await partsThere(key, UploadId)).map(({ number, etag }) => [number, etag]));
    const isThere = (number: number) => {
      const part = parts[number - 1];
      return part?.number === number && there.get(number) === part.etag;
    };
    const number = Array.from({ length: count }, (_, index) => index + 1).find((number) => !isThere(number));
    return new BlobError('PART_MISSING', key, `part ${number ?? count}`);
  };

  return {
    put: (key, bytes, options = {}) => on(key, () => putObject(at, key, bytes, options)),

    get: (key, range) =>
      on(key, async () => {
        const { Body } = await client.send(new GetObjectCommand({ ...object(key), ...rangeHeader(range) }));
        return Body as unknown as AsyncIterable<Uint8Array>;
      }),

    stat: (key) => on(key, () => head(key)).catch(orUndefined),

    copy: (from, to, { etag } = {}) => {
      requireKey(to);
      return on(from, () => copyObject(at, from, to, { etag, limits: copyLimits })).catch((error) => {
        // The only condition of a copy is that its source is still the same.
        throw error instanceof BlobError && error.code === 'EXISTS'
          ? new BlobError('NOT_FOUND', from)
          : error;
      });
    },

    delete: async (key) => {
      await on(key, () => client.send(new DeleteObjectCommand(object(key)))).catch(orUndefined);
    },

    list: async (prefix, { after, limit = MAX_PAGE } = {}) => {
      const page = {
        Bucket: bucket,
        Prefix: prefix,
        MaxKeys: Math.min(limit, MAX_PAGE),
        ...(after === undefined || after === '' ? {} : { StartAfter: after }),
      };
      const { Contents = [], IsTruncated = false } = await client
        .send(new ListObjectsV2Command(page))
        .catch((error) => Promise.reject(blobError(error, prefix)));
      const objects = Contents.map(({ Key = '', Size = 0, LastModified }) => ({
        key: Key,
        size: Size,
        modifiedAt: LastModified?.getTime() ?? 0,
      }));
      return { objects, more: IsTruncated };
    },

    createMultipart: (key, shape) =>
      on(key, async () => {
        // Without an algorithm: a URL's bearer need not send one, and S3 adds the whole object's CRC64NVME by itself.
        const input = { ...object(key), ...encryptionOf(at) };
        const { UploadId = '' } = await client.send(new CreateMultipartUploadCommand(input));
        return { uploadId: shapedUploadId({ shape, UploadId }) };
      }),

    listParts: (key, uploadId) => on(key, () => partsThere(key, parseUploadId(key, uploadId).UploadId)),

    completeMultipart: (key, uploadId, parts) =>
      on(key, async () => {
        const { UploadId, shape } = parseUploadId(key, uploadId);
        const count = partsOf(shape);
        const missing = () => missingPart(key, UploadId, parts, count);
        const complete = parts.length === count && parts.every(({ number }, index) => number === index + 1);
        if (!complete) throw await missing();
        const size = parts.reduce((sum, part) => sum + part.size, 0);
        if ('size' in shape && size !== shape.size) {
          throw new BlobError('SIZE_MISMATCH', key, `${shape.size} bytes were announced and ${size} came`);
        }
        try {
          const { ETag } = await client.send(
            new CompleteMultipartUploadCommand({
              ...object(key),
              UploadId,
              MultipartUpload: {
                Parts: parts.map(({ number, etag }) => ({ PartNumber: number, ETag: etag })),
              },
            }),
          );
          return { size, etag: await completedEtag(at, key, ETag) };
        } catch (error) {
          const mapped = blobError(error, key);
          throw mapped instanceof BlobError && mapped.code === 'PART_MISSING' ? await missing() : mapped;
        }
      }),

    abortMultipart: async (key, uploadId) => {
      const { UploadId } = parseUploadId(key, uploadId);
      await on(key, () => client.send(new AbortMultipartUploadCommand({ ...object(key), UploadId }))).catch(
        orUndefined,
      );
    },

    presignGet: (key, { expiresIn, filename, contentType }) =>
      on(key, () => {
        const input = {
          ...object(key),
          ...(filename === undefined ? {} : { ResponseContentDisposition: contentDisposition(filename) }),
          ...(contentType === undefined ? {} : { ResponseContentType: contentType }),
        };
        return getSignedUrl(client, new GetObjectCommand(input), { expiresIn });
      }),
    // The length is a signed header: the store refuses another one.
    presignPut: (key, { expiresIn, size }) =>
      on(key, () =>
        getSignedUrl(client, new PutObjectCommand({ ...object(key), ContentLength: size }), { expiresIn }),
      ),
    presignPart: (key, uploadId, { number, size, expiresIn }) =>
      on(key, () => {
        const { UploadId } = parseUploadId(key, uploadId);
        const length = size === undefined ? {} : { ContentLength: size };
        const input = { ...object(key), UploadId, PartNumber: number, ...length };
        return getSignedUrl(client, new UploadPartCommand(input), { expiresIn });
      }),
  };
}

/** A SHA-256 with `-<parts>` at its end is one of the parts' digests. */
const wholeSha256 = (checksum: string | undefined) =>
  checksum === undefined || checksum.includes('-')
    ? {}
    : { sha256: Buffer.from(checksum, 'base64').toString('hex') };

const rangeHeader = (range: ByteRange | undefined) =>
  range === undefined ? {} : { Range: `bytes=${range.start}-${range.end ?? ''}` };

function orUndefined(error: unknown): undefined {
  if (error instanceof BlobError && error.code === 'NOT_FOUND') return undefined;
  throw error;
}
