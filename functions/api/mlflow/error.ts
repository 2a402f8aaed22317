import { type CairnError, ERRORS, type ErrorCode } from '../../../shared/errors.ts';
import type { ApiDeps } from '../deps.ts';
import { CHALLENGE, isOurs, logUnexpected, toCairnError } from '../problem.ts';

/** MLflow's code and status for each of ours (mlflow/exceptions.py, ERROR_CODE_TO_HTTP_STATUS). */
const MLFLOW_CODES: Partial<Record<ErrorCode, readonly [code: string, status: number]>> = {
  UNAUTHENTICATED: ['UNAUTHENTICATED', 401],
  PERMISSION_DENIED: ['PERMISSION_DENIED', 403],
  SELF_APPROVAL: ['PERMISSION_DENIED', 403],
  NOT_FOUND: ['ENDPOINT_NOT_FOUND', 404],
  METHOD_NOT_ALLOWED: ['ENDPOINT_NOT_FOUND', 404],
  // A missing alias is a bad parameter to MLflow, not a missing resource.
  ALIAS_NOT_FOUND: ['INVALID_PARAMETER_VALUE', 400],
  MODEL_EXISTS: ['RESOURCE_ALREADY_EXISTS', 400],
  EXPERIMENT_EXISTS: ['RESOURCE_ALREADY_EXISTS', 400],
  NOT_SUPPORTED: ['NOT_IMPLEMENTED', 501],
  TOO_MANY_REQUESTS: ['REQUEST_LIMIT_EXCEEDED', 429],
  STORAGE_FULL: ['INTERNAL_ERROR', 507],
  INTERNAL: ['INTERNAL_ERROR', 500],
};

const BY_STATUS: Readonly<Record<number, readonly [code: string, status: number]>> = {
  404: ['RESOURCE_DOES_NOT_EXIST', 404],
  409: ['RESOURCE_CONFLICT', 409],
  412: ['RESOURCE_CONFLICT', 409],
  413: ['INVALID_PARAMETER_VALUE', 413],
  416: ['INVALID_PARAMETER_VALUE', 416],
  503: ['TEMPORARILY_UNAVAILABLE', 503],
};

const codeOf = (code: ErrorCode) =>
  MLFLOW_CODES[code] ?? BY_STATUS[ERRORS[code].status] ?? ['INVALID_PARAMETER_VALUE', 400];

/** The answer to an error in MLflow's format. What is not expected is logged with the request's id and tells nothing. */
export function mlflowError(error: unknown, requestId: string, logger: ApiDeps['logger']): Response {
  const known = toCairnError(error);
  if (isOurs(known)) logUnexpected(error, requestId, logger);
  const [error_code, status] = codeOf(known.code);
  return new Response(JSON.stringify({ error_code, message: messageOf(known) }), {
    status,
    headers: {
      'content-type': 'application/json',
      'x-request-id': requestId,
      ...(known.code === 'UNAUTHENTICATED' ? { 'www-authenticate': CHALLENGE } : {}),
    },
  });
}

/** Their sentence says what to do. */
const COMPLETE: readonly ErrorCode[] = ['INVALID_ARGUMENT', 'NOT_FOUND', 'NOT_SUPPORTED'];

function messageOf({ code, detail }: CairnError): string {
  const { fix } = ERRORS[code];
  if (code === 'UNAUTHENTICATED') {
    return `${detail} Set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, to a Cairn token.`;
  }
  return COMPLETE.includes(code) ? detail : `${detail} ${fix}`;
}
