import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  type CopyObjectCommandInput,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import pMap from 'p-map';
import { BlobError } from '../../ports/blob-store.ts';
import { encryptionOf, MAX_PARTS, type S3Bucket, unquoted } from './s3-bucket.ts';

const MIB = 1024 * 1024;
/** The most that CopyObject takes. */
const COPY_MAX_BYTES = 5 * 1024 * MIB;
const COPY_PART_BYTES = 512 * MIB;
const PARTS_AT_ONCE = 8;

/** How large an object is copied in one request, and in parts of what size. For tests: S3 needs no others. */
export interface CopyLimits {
  readonly whole: number;
  readonly part: number;
}

const LIMITS: CopyLimits = { whole: COPY_MAX_BYTES, part: COPY_PART_BYTES };

/** Copies within the bucket, on the store's side; an object above 5 GiB in parts, all of them of the object that it was. */
export async function copyObject(
  within: S3Bucket,
  from: string,
  to: string,
  { etag, limits = LIMITS }: { etag?: string | undefined; limits?: CopyLimits | undefined } = {},
): Promise<void> {
  const { client, bucket } = within;
  const { ContentLength: size = 0, ETag } = await client.send(
    new HeadObjectCommand({ Bucket: bucket, Key: from }),
  );
  if (etag !== undefined && unquoted(ETag) !== etag) throw new BlobError('NOT_FOUND', from);
  const source = {
    CopySource: `${bucket}/${from.split('/').map(encodeURIComponent).join('/')}`,
    CopySourceIfMatch: ETag,
  };
  const target = { Bucket: bucket, Key: to };
  if (size <= limits.whole || !within.partCopies) {
    await client.send(conditionalCopy(within, { ...target, ...source, ...encryptionOf(within) }));
    return;
  }

  const { UploadId } = await client.send(
    new CreateMultipartUploadCommand({ ...target, ...encryptionOf(within) }),
  );
  const partSize = Math.max(limits.part, Math.ceil(size / MAX_PARTS / MIB) * MIB);
  try {
    const Parts = await pMap(
      Array.from({ length: Math.ceil(size / partSize) }, (_, index) => index + 1),
      async (PartNumber) => {
        const start = partSize * (PartNumber - 1);
        const { CopyPartResult } = await client.send(
          new UploadPartCopyCommand({
            ...target,
            ...source,
            UploadId,
            PartNumber,
            CopySourceRange: `bytes=${start}-${Math.min(start + partSize, size) - 1}`,
          }),
        );
        return { PartNumber, ETag: CopyPartResult?.ETag };
      },
      { concurrency: PARTS_AT_ONCE },
    );
    await client.send(
      new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts } }),
    );
  } catch (error) {
    await Promise.allSettled([client.send(new AbortMultipartUploadCommand({ ...target, UploadId }))]);
    throw error;
  }
}

/** A copy in one request, on condition of its source's ETag in the words that the store knows. */
export function conditionalCopy(
  { copyIfMatch }: Pick<S3Bucket, 'copyIfMatch'>,
  input: CopyObjectCommandInput,
): CopyObjectCommand {
  const command = new CopyObjectCommand(input);
  const { CopySourceIfMatch } = input;
  if (copyIfMatch && CopySourceIfMatch !== undefined)
    command.middlewareStack.add(
      (next) => (args) => {
        (args.request as { headers: Record<string, string> }).headers['x-amz-copy-if-match'] =
          CopySourceIfMatch;
        return next(args);
      },
      { step: 'build' },
    );
  return command;
}
