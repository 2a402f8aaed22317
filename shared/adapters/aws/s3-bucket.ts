import { HeadObjectCommand, type S3Client, S3ServiceException } from '@aws-sdk/client-s3';
import { BlobError } from '../../ports/blob-store.ts';

/** Where objects are, and how they are stored there. */
export interface S3Bucket extends S3Abilities {
  /** From `openS3Client`. */
  readonly client: S3Client;
  readonly bucket: string;
  /** Encrypts with this key instead of the bucket's own. What comes by a presigned URL is encrypted as the bucket says. */
  readonly kmsKeyId?: string;
}

/**
 * The headers of a write that is to replace nothing.
 * @param isKept whether the store keeps the condition of such a write
 * @throws BlobError `EXISTS`, where only a look can tell
 */
export async function ifAbsentHeaders(
  { client, bucket }: Pick<S3Bucket, 'client' | 'bucket'>,
  key: string,
  isKept: boolean,
): Promise<{ IfNoneMatch?: '*' }> {
  if (isKept) return { IfNoneMatch: '*' };
  const found = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: key })).catch((error) => {
    if (error instanceof S3ServiceException && error.$metadata.httpStatusCode === 404) return undefined;
    throw error;
  });
  if (found) throw new BlobError('EXISTS', key);
  return {};
}

/** In what stores differ. */
export interface S3Abilities {
  /** `crc64nvme`: the store checks every object on its way in. `when-required`: for stores that know no checksums. */
  readonly checksums: 'crc64nvme' | 'when-required';
  /**
   * Whether the store keeps `If-None-Match: *` of a write in one request. Where it does not, Cairn looks first and then writes:
   * two writers at once may both succeed, which is harmless where a key is its bytes' digest.
   */
  readonly conditionalPuts: boolean;
  /** The same of a write in parts: of the request that completes it. */
  readonly conditionalCompletions: boolean;
  /** Whether parts can be copied. Where they cannot, a copy of any size is one request, and the store says what is too much. */
  readonly partCopies: boolean;
  /**
   * Whether a copy's condition is given as `x-amz-copy-if-match` beside S3's header: Ceph 16 keeps it by that name alone. With
   * both, the condition is kept as well when the store is upgraded meanwhile.
   */
  readonly copyIfMatch: boolean;
}

/** What puts, copies and uploads carry. */
export const encryptionOf = ({ kmsKeyId }: Pick<S3Bucket, 'kmsKeyId'>) =>
  kmsKeyId === undefined
    ? {}
    : { ServerSideEncryption: 'aws:kms' as const, SSEKMSKeyId: kmsKeyId, BucketKeyEnabled: true };

/** Of an upload whose parts carry their checksums: the store makes the whole object's of them. */
export const uploadChecksum = ({ checksums }: Pick<S3Bucket, 'checksums'>) =>
  checksums === 'crc64nvme'
    ? { ChecksumAlgorithm: 'CRC64NVME' as const, ChecksumType: 'FULL_OBJECT' as const }
    : {};

/** S3's bound. */
export const MAX_PARTS = 10_000;

export const unquoted = (etag = ''): string => etag.replaceAll('"', '');

/** The ETag of the object that an upload became; Ceph's answer has an empty one, so the object itself is asked. */
export async function completedEtag(
  { client, bucket }: Pick<S3Bucket, 'client' | 'bucket'>,
  key: string,
  answered: string | undefined,
): Promise<string> {
  if (unquoted(answered) !== '') return unquoted(answered);
  const { ETag } = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: key }));
  return unquoted(ETag);
}
