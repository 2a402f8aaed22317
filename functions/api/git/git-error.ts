import { type CairnError, ERRORS } from '../../../shared/errors.ts';
import type { ApiDeps } from '../deps.ts';
import { problemResponse, toCairnError } from '../problem.ts';
import type { Service } from './advertisement.ts';
import { FLUSH, pkt } from './pkt-line.ts';
import { BIG_BANDS, fatal } from './side-band.ts';

const SERVICES = /\/(?:info\/refs|git-(?:upload|receive)-pack|info\/lfs\/.+)$/;

/** Paths that Git's and Git LFS' clients ask for, whatever they were told is a repository's address. */
export const isGitPath = (path: string): boolean => SERVICES.test(path) && !path.startsWith('/api/v1/');

/** The repository that such a path is about. */
export const repositoryPath = (path: string): string => path.replace(SERVICES, '');

/** Where the name in the path is the permission: see completeParts in shared/registry/lfs.ts. */
export const isNamedUpload = (path: string): boolean =>
  /^\/[^/]+\/[^/]+\/info\/lfs\/multipart\/[0-9a-f]{32}$/.test(path);

/**
 * An error as git and git-lfs show it: plain text behind `remote: ` when refs are asked for, a line of the protocol for
 * what comes after them (of an answer to that which is an error, git shows the status alone), LFS' JSON with its message.
 */
export function gitErrorResponse(
  error: unknown,
  request: Request,
  requestId: string,
  logger: ApiDeps['logger'],
): Response {
  const problem = problemResponse(error, requestId, logger);
  const headers = new Headers(problem.headers);
  const { status } = problem;
  const { pathname } = new URL(request.url);
  const said = sentences(toCairnError(error));
  if (pathname.includes('/info/lfs/')) {
    headers.set('content-type', 'application/vnd.git-lfs+json');
    if (headers.has('www-authenticate')) headers.set('lfs-authenticate', 'Basic realm="cairn"');
    return new Response(JSON.stringify({ message: said, request_id: requestId }), { status, headers });
  }
  const service = serviceOf(request);
  // Git asks for another password when it sees 401; what is nobody's refusal is counted as the failure that it is.
  if (service && status !== 401 && status !== 500) {
    headers.set('content-type', `application/x-${service}-result`);
    return new Response(Buffer.concat(ENDINGS[service](said)), { headers });
  }
  headers.set('content-type', 'text/plain; charset=utf-8');
  return new Response(`${said}\n`, { status, headers });
}

/** The service whose client sends this request. */
function serviceOf({ headers }: Request): Service | undefined {
  const type = headers.get('content-type') ?? '';
  return /^application\/x-(git-(?:upload|receive)-pack)-request$/.exec(type)?.[1] as Service | undefined;
}

/** What ends each conversation with a reason. Source: Git's Documentation/gitprotocol-pack, "error-line" and "side-band". */
const ENDINGS: Record<Service, (said: string) => Uint8Array[]> = {
  'git-upload-pack': (said) => [pkt(`ERR ${said}`)],
  'git-receive-pack': (said) => [...fatal(said, BIG_BANDS), FLUSH],
};

/** What is wrong and what to do about it. */
export function sentences(error: CairnError): string {
  return [error.detail, GIT_FIXES[error.code] ?? ERRORS[error.code].fix].filter(Boolean).join('\n');
}

/** What to do where git is the client, if it is something else than the table says. */
const GIT_FIXES: Partial<Record<CairnError['code'], string>> = {
  UNAUTHENTICATED:
    'Give any user name and a token as password, or let Cairn answer: git config --global credential.helper "!cairn credential"',
  PERMISSION_DENIED: 'Ask an admin of the workspace for it.',
  MODEL_NOT_FOUND: '`cairn models` lists the models; `cairn push <path> <model> --create` makes one.',
  NOT_FOUND: 'Clone http(s)://<host>/<workspace>/<model>.git',
  INVALID_ARGUMENT: '',
  NOT_SUPPORTED: '',
  TOO_LARGE: '',
  UNSUPPORTED_MEDIA_TYPE: '',
};
