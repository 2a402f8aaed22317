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
  if (!(error instanceof Error)) return error;
  const code = error instanceof S3ServiceException ? answeredCode(error) : unansweredCode(error);
  if (code === undefined) return error;
  const detail = code === 'UNAVAILABLE' ? whyUnavailable(error) : error.message || error.name;
  const mapped = new BlobError(code, key, detail);
  mapped.cause = error;
  return mapped;
}

function answeredCode({ name, $metadata }: S3ServiceException): BlobErrorCode | undefined {
  const status = $metadata.httpStatusCode ?? 0;
  if (status === 507) return CODES[name] ?? 'NO_SPACE';
  const isClosed =
    name in CLOSED || name === 'NoSuchBucket' || status === 401 || status === 403 || status === 429;
  return CODES[name] ?? (isClosed || (status >= 500 && status !== 501) ? 'UNAVAILABLE' : undefined);
}

const CREDENTIALS = 'it refuses the credentials, or they do not permit what Cairn needs';
const REGION = 'it is of another region than requests are signed for: give region=…';

/** Codes of requests that a store does not look into, whatever status it answers with. */
const CLOSED: Readonly<Record<string, string>> = {
  AuthorizationHeaderMalformed: REGION,
  InvalidRegionName: REGION,
  PermanentRedirect: REGION,
  InvalidAccessKeyId: CREDENTIALS,
  // versitygw, of a key that it does not know.
  XAdminUserNotFound: CREDENTIALS,
  RequestTimeTooSkewed: 'its clock and that of this machine differ too much',
};

/** The SDK marks what its requests fail with by their attempts; a source that breaks off while it is sent is not its fault. */
const unansweredCode = (error: Error): BlobErrorCode | undefined =>
  ('$metadata' in error && !(error instanceof BlobError)) || error.name === NO_CREDENTIALS
    ? 'UNAVAILABLE'
    : undefined;

const NO_CREDENTIALS = 'CredentialsProviderError';

/** Why the store cannot be used, as the end of a sentence: for who has to set it right. */
export function whyUnavailable(error: unknown): string {
  if (error instanceof S3ServiceException) {
    const { name, message, $metadata } = error;
    const said = [name, message].filter((text, index, all) => text && all.indexOf(text) === index).join(': ');
    if (name === 'NoSuchBucket') return 'there is no such bucket';
    if (CLOSED[name] !== undefined) return `${CLOSED[name]} (${said})`;
    if ($metadata.httpStatusCode === 401 || $metadata.httpStatusCode === 403)
      return `${CREDENTIALS} (${said})`;
    return `it answers ${$metadata.httpStatusCode} (${said})`;
  }
  const { name, message, code } = error as NodeJS.ErrnoException;
  if (name === NO_CREDENTIALS)
    return 'there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY';
  // The SDK calls these by a name of time as well.
  if (code === 'ECONNRESET' || code === 'EPIPE') return `it breaks off the connection (${code})`;
  if (name === 'AbortError' || name === 'TimeoutError') return 'it does not answer in time';
  return `it cannot be reached (${code ?? name}${message ? `: ${message.trim()}` : ''})`;
}
