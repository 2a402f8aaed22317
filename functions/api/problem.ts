import { CairnError, ERRORS, type ErrorCode } from '../../shared/errors.ts';
import { BlobError, type BlobErrorCode } from '../../shared/ports/blob-store.ts';
import { ConditionFailed } from '../../shared/ports/table.ts';
import type { ApiDeps } from './deps.ts';

/** RFC 9457 problem details, with what to do about it. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ErrorCode;
  readonly detail: string;
  /** The input that is wrong: a body's field (`files.0.path`), a query or path parameter, a header. */
  readonly field?: string;
  readonly fix: string;
  readonly requestId: string;
}

/** Both schemes, so that git, MLflow and OCI clients, which send Basic, ask for a password. */
export const CHALLENGE = 'Bearer realm="cairn", Basic realm="cairn"';

/** The answer to an error, whatever was thrown. What is not expected is logged with the request's id and tells nothing. */
export function problemResponse(
  error: unknown,
  requestId: string,
  logger: ApiDeps['logger'],
  headers: Readonly<Record<string, string>> = {},
): Response {
  const known = toCairnError(error);
  if (isOurs(known)) logUnexpected(error, requestId, logger);
  return new Response(JSON.stringify(problemOf(known, requestId)), {
    status: ERRORS[known.code].status,
    headers: {
      'content-type': 'application/problem+json',
      'x-request-id': requestId,
      ...(known.code === 'UNAUTHENTICATED' ? { 'www-authenticate': CHALLENGE } : {}),
      ...(known.code === 'ENDPOINT_NOT_READY' ? { 'retry-after': '1' } : {}),
      ...(known.code === 'ISSUER_UNAVAILABLE' || known.code === 'STORAGE_UNAVAILABLE'
        ? { 'retry-after': '5' }
        : {}),
      ...headers,
    },
  });
}

/** Errors whose cause is for the operator to find, in the log. */
export const isOurs = ({ code }: CairnError): boolean =>
  code === 'INTERNAL' || code === 'STORAGE_UNAVAILABLE';

/** A client that goes away in the middle of its bytes is nothing that anybody has to look at. */
export function logUnexpected(error: unknown, requestId: string, logger: ApiDeps['logger']): void {
  const { code, message } = error as NodeJS.ErrnoException;
  // So says Node of the request's body.
  const gone = code === 'ECONNRESET' && message === 'aborted';
  if (gone) logger.info({ requestId }, 'the client has gone');
  else logger.error({ err: error, requestId }, 'unexpected error');
}

export function problemOf(error: CairnError, requestId: string): Problem {
  const { status, fix } = ERRORS[error.code];
  return {
    type: `https://cairn.invalid/errors/${error.code}`,
    title: titleOf(error.code),
    status,
    code: error.code,
    detail: error.detail,
    ...(error.field === undefined ? {} : { field: error.field }),
    fix,
    requestId,
  };
}

/** `MODEL_NOT_FOUND` → `Model not found`. */
function titleOf(code: ErrorCode): string {
  const words = code.toLowerCase().replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

const BLOB_ERRORS: Record<BlobErrorCode, readonly [ErrorCode, string]> = {
  NOT_FOUND: ['FILE_NOT_FOUND', 'The bytes are not there any more.'],
  EXISTS: ['CONFLICT', 'There are bytes at that place already.'],
  DIGEST_MISMATCH: ['DIGEST_MISMATCH', 'The bytes do not have the SHA-256 that was announced.'],
  SIZE_MISMATCH: ['SIZE_MISMATCH', 'There are not as many bytes as were announced.'],
  RANGE_NOT_SATISFIABLE: ['RANGE_NOT_SATISFIABLE', 'The range is outside the file.'],
  PART_MISSING: ['UPLOAD_INCOMPLETE', 'A part has not arrived.'],
  INVALID_KEY: ['INVALID_ARGUMENT', 'The path cannot be stored.'],
  UNAVAILABLE: ['STORAGE_UNAVAILABLE', 'The store that has the bytes cannot be used just now.'],
  NO_SPACE: ['STORAGE_FULL', 'There is no space left to store the bytes.'],
};

export function toCairnError(error: unknown): CairnError {
  if (error instanceof CairnError) return error;
  if (error instanceof BlobError) return new CairnError(...BLOB_ERRORS[error.code]);
  if (error instanceof ConditionFailed)
    return new CairnError('CONFLICT', 'Others change it at the same time.');
  if (error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')) {
    return new CairnError(...BLOB_ERRORS.NO_SPACE);
  }
  return new CairnError('INTERNAL', 'Something went wrong that is not the request’s fault.');
}
