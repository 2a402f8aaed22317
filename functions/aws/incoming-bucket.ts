import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  paginateListObjectsV2,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { openS3Client } from '../../shared/adapters/aws/s3-client.ts';

/** One object as it was when it was told of: its version where the bucket keeps versions, else its ETag. */
export interface ArrivedObject {
  readonly key: string;
  readonly etag?: string | undefined;
  readonly versionId?: string | undefined;
}

export interface DroppedObject extends ArrivedObject {
  readonly etag: string;
  /** Unix seconds: S3 tells no more. */
  readonly modifiedAt: number;
}

/** Where files are dropped to become versions. */
export interface IncomingBucket {
  /** The bytes of just that object. @throws ObjectGone when another is in its place, or none */
  open(object: ArrivedObject): AsyncIterable<Uint8Array>;
  /** What is there under the key now. */
  stat(key: string): Promise<DroppedObject | undefined>;
  list(prefix: string): Promise<DroppedObject[]>;
  /** Removes the object, unless another is in its place. */
  remove(object: ArrivedObject): Promise<void>;
}

export class ObjectGone extends Error {
  constructor(key: string) {
    super(`${key} is not there any more as it was`);
    this.name = 'ObjectGone';
  }
}

const GONE = new Set(['NoSuchKey', 'NoSuchVersion', 'NotFound', 'PreconditionFailed', 'MethodNotAllowed']);
const isGone = (error: unknown) => error instanceof S3ServiceException && GONE.has(error.name);

/** S3-compatible stores tell fractions in lists and none elsewhere. */
const secondOf = (date: Date | undefined) => Math.floor((date?.getTime() ?? 0) / 1000);

export function openIncomingBucket(Bucket: string): IncomingBucket {
  const client = openS3Client();
  return {
    async *open({ key, versionId, etag }) {
      const which = versionId === undefined ? { IfMatch: etag } : { VersionId: versionId };
      try {
        const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: key, ...which }));
        yield* Body as unknown as AsyncIterable<Uint8Array>;
      } catch (error) {
        throw isGone(error) ? new ObjectGone(key) : error;
      }
    },

    async stat(key) {
      try {
        const found = await client.send(new HeadObjectCommand({ Bucket, Key: key }));
        return { key, etag: found.ETag ?? '', modifiedAt: secondOf(found.LastModified) };
      } catch (error) {
        if (isGone(error)) return undefined;
        throw error;
      }
    },

    async list(prefix) {
      const found: DroppedObject[] = [];
      for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket, Prefix: prefix })) {
        for (const { Key = '', ETag = '', LastModified } of Contents) {
          found.push({ key: Key, etag: ETag, modifiedAt: secondOf(LastModified) });
        }
      }
      return found;
    },

    async remove({ key, etag }) {
      try {
        await client.send(new DeleteObjectCommand({ Bucket, Key: key, IfMatch: etag }));
      } catch (error) {
        if (!isGone(error)) throw error;
      }
    },
  };
}
