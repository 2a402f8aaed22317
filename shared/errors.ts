/**
 * The closed table of error codes. Each protocol maps it to its own format in one place;
 * `status` is what HTTP answers, `fix` tells what to do about it.
 */
export const ERRORS = {
  INVALID_ARGUMENT: { status: 400, fix: 'Correct this field.' },
  UNAUTHENTICATED: {
    status: 401,
    fix: 'Send a token: `Authorization: Bearer cairn_…`. `cairn login` stores one.',
  },
  PERMISSION_DENIED: { status: 403, fix: 'Ask an admin of the workspace for this role.' },
  NOT_FOUND: { status: 404, fix: 'See the list of routes at /docs.' },
  WORKSPACE_NOT_FOUND: { status: 404, fix: 'List the workspaces: `cairn workspace list`.' },
  MODEL_NOT_FOUND: { status: 404, fix: 'List the models: `cairn models`.' },
  VERSION_NOT_FOUND: { status: 404, fix: 'List the versions: `cairn versions <model>`.' },
  ALIAS_NOT_FOUND: { status: 404, fix: 'List the aliases: `cairn show <model>`.' },
  FILE_NOT_FOUND: { status: 404, fix: 'List the files: `cairn show <model>@<version>`.' },
  UPLOAD_NOT_FOUND: { status: 404, fix: 'It may have expired: start the upload again.' },
  EXPERIMENT_NOT_FOUND: { status: 404, fix: 'List them: `mlflow experiments search`.' },
  RUN_NOT_FOUND: { status: 404, fix: 'List them: `mlflow runs list --experiment-id <id>`.' },
  LOGGED_MODEL_NOT_FOUND: { status: 404, fix: 'List them: `mlflow.search_logged_models()`.' },
  TAG_NOT_FOUND: { status: 404, fix: 'See which tags there are.' },
  ENDPOINT_NOT_FOUND: { status: 404, fix: 'List the endpoints: `cairn status`.' },
  TOKEN_NOT_FOUND: { status: 404, fix: 'List the tokens: `cairn token list`.' },
  WEBHOOK_NOT_FOUND: { status: 404, fix: 'List them: `cairn webhooks list`.' },
  METHOD_NOT_ALLOWED: { status: 405, fix: 'See the routes at /docs.' },
  WORKSPACE_EXISTS: { status: 409, fix: 'Use another name.' },
  MODEL_EXISTS: { status: 409, fix: 'Use another name, or push a version to the model that is there.' },
  EXPERIMENT_EXISTS: { status: 409, fix: 'Use another name, or the experiment that is there.' },
  NOT_DELETED: { status: 409, fix: 'Delete it first, or wait until it is old enough.' },
  ENDPOINT_EXISTS: { status: 409, fix: 'Change it with PUT, or use another name.' },
  ALIAS_CONFLICT: { status: 409, fix: 'Someone moved it meanwhile: read it again and decide anew.' },
  CONFLICT: { status: 409, fix: 'Someone changed it meanwhile: read it again and decide anew.' },
  VERSION_IMMUTABLE: { status: 409, fix: 'Push a new version instead.' },
  VERSION_IN_USE: { status: 409, fix: 'Move or delete what needs it first.' },
  VERSION_NOT_READY: { status: 409, fix: 'Wait until its status is READY.' },
  VERSION_WITHOUT_BYTES: { status: 409, fix: 'Upload its files as a new version.' },
  VERSION_NOT_APPROVED: {
    status: 409,
    fix: 'Have someone else approve it: `cairn approve <model>@<version>`.',
  },
  SELF_APPROVAL: { status: 403, fix: 'Someone other than the author has to approve a version.' },
  UPLOAD_INCOMPLETE: { status: 409, fix: 'Send the missing parts, then complete it again.' },
  ALARM_ACTIVE: {
    status: 409,
    fix: 'Clear the alarm, or deploy with `force` and a reason, which is audited.',
  },
  NO_PREVIOUS_REVISION: { status: 409, fix: 'There is nothing to go back to yet.' },
  IDEMPOTENCY_MISMATCH: { status: 422, fix: 'Use a new Idempotency-Key for another request.' },
  PRECONDITION_FAILED: { status: 412, fix: 'Read it again and send the new ETag in If-Match.' },
  TOO_LARGE: { status: 413, fix: 'Send files by POST …/uploads, which takes any size.' },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, fix: 'Send `Content-Type: application/json`.' },
  RANGE_NOT_SATISFIABLE: { status: 416, fix: 'Ask for bytes inside the file.' },
  DIGEST_MISMATCH: {
    status: 422,
    fix: 'The bytes changed on the way, or the digest is another file’s: send them again.',
  },
  SIZE_MISMATCH: { status: 422, fix: 'Send exactly as many bytes as announced.' },
  MODEL_FILE_INVALID: {
    status: 422,
    fix: 'The file cannot be read as what its name says: export the model again.',
  },
  NOT_DEPLOYABLE: { status: 422, fix: 'Deploy a version whose files an endpoint can serve.' },
  NOT_SUPPORTED: { status: 422, fix: 'Leave the field out, or use a value that is supported.' },
  REPLICA_FAILED: { status: 502, fix: 'Send it again; `cairn logs` tells what happened to the replica.' },
  ENDPOINT_NOT_READY: { status: 503, fix: 'Try again shortly; `cairn status` tells why.' },
  ISSUER_UNAVAILABLE: {
    status: 503,
    fix: 'Try again shortly, or use a token of Cairn’s own, which needs no issuer.',
  },
  STORAGE_UNAVAILABLE: { status: 503, fix: 'Try again shortly; `cairn doctor` tells why.' },
  STORAGE_FULL: { status: 507, fix: 'Free some disk space: `cairn doctor`.' },
  TOO_MANY_REQUESTS: { status: 429, fix: 'Send it again a little later.' },
  INTERNAL: { status: 500, fix: 'Report it with the requestId: the server’s log has the cause.' },
} as const satisfies Record<string, { status: number; fix: string }>;

export type ErrorCode = keyof typeof ERRORS;

/** An error a caller can act on. `detail` says what is wrong in a sentence; `field` which input it is about. */
export class CairnError extends Error {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly field?: string;
  constructor(code: ErrorCode, detail: string, field?: string) {
    super(`${code}: ${detail}`);
    this.name = 'CairnError';
    this.code = code;
    this.detail = detail;
    if (field !== undefined) this.field = field;
  }
}
