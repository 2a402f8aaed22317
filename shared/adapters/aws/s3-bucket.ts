import { HeadObjectCommand, type S3Client } from '@aws-sdk/client-s3';

/** Where objects are, and how they are stored there. */
export interface S3Bucket {
  /** From `openS3Client`. */
  readonly client: S3Client;
  readonly bucket: string;
  /** `crc64nvme`: the store checks every object on its way in. `when-required`: for stores that know no checksums. */
  readonly checksums: 'crc64nvme' | 'when-required';
  /** Encrypts with this key instead of the bucket's own. What comes by a presigned URL is encrypted as the bucket says. */
  readonly kmsKeyId?: string;
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
