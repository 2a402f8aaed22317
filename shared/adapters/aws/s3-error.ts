import { S3ServiceException } from '@aws-sdk/client-s3';
import { BlobError, type BlobErrorCode } from '../../ports/blob-store.ts';

/** S3's codes, and those of compatible stores, in the port's words. */
const CODES: Readonly<Record<string, BlobErrorCode>> = {
  NoSuchKey: 'NOT_FOUND',
  NotFound: 'NOT_FOUND',
  NoSuchUpload: 'NOT_FOUND',
  PreconditionFailed: 'EXISTS',
  InvalidRange: 'RANGE_NOT_SATISFIABLE',
  InvalidPart: 'PART_MISSING',
  InvalidPartOrder: 'PART_MISSING',
  EntityTooLarge: 'SIZE_MISMATCH',
  EntityTooSmall: 'SIZE_MISMATCH',
  IncompleteBody: 'SIZE_MISMATCH',
  BadDigest: 'DIGEST_MISMATCH',
  XAmzContentSHA256Mismatch: 'DIGEST_MISMATCH',
  XAmzContentChecksumMismatch: 'DIGEST_MISMATCH',
  KeyTooLongError: 'INVALID_KEY',
  XMinioInvalidObjectName: 'INVALID_KEY',
  QuotaExceeded: 'NO_SPACE',
  XMinioStorageFull: 'NO_SPACE',
};

/** The port's error for what the store answered; what the port has no word for stays as it is. */
export function blobError(error: unknown, key: string): unknown {
  if (!(error instanceof S3ServiceException)) return error;
  const code = CODES[error.name] ?? (error.$metadata.httpStatusCode === 507 ? 'NO_SPACE' : undefined);
  if (code === undefined) return error;
  const mapped = new BlobError(code, key, error.message || error.name);
  mapped.cause = error;
  return mapped;
}
