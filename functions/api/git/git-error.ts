import { type CairnError, ERRORS } from '../../../shared/errors.ts';
import type { ApiDeps } from '../deps.ts';
import { problemResponse, toCairnError } from '../problem.ts';

/** Paths of Git's and Git LFS' protocols. */
const GIT_PATH = /^\/[^/]+\/[^/]+\/(?:info\/refs|git-(?:upload|receive)-pack|info\/lfs\/.+)$/;

export const isGitPath = (path: string): boolean => GIT_PATH.test(path);
/** Where the name in the path is the permission: see completeParts in shared/registry/lfs.ts. */
export const isNamedUpload = (path: string): boolean =>
  isGitPath(path) && /\/info\/lfs\/multipart\/[0-9a-f]{32}$/.test(path);

const isLfsPath = (path: string): boolean => isGitPath(path) && path.includes('/info/lfs/');

/** An error as git and git-lfs show it: plain text behind `remote: `, or LFS' JSON with its message. */
export function gitErrorResponse(
  error: unknown,
  path: string,
  requestId: string,
  logger: ApiDeps['logger'],
): Response {
  const problem = problemResponse(error, requestId, logger);
  const headers = new Headers(problem.headers);
  const { status } = problem;
  const said = sentences(toCairnError(error));
  if (!isLfsPath(path)) {
    headers.set('content-type', 'text/plain; charset=utf-8');
    return new Response(`${said}\n`, { status, headers });
  }
  headers.set('content-type', 'application/vnd.git-lfs+json');
  const challenge = headers.get('www-authenticate');
  if (challenge !== null) headers.set('lfs-authenticate', 'Basic realm="cairn"');
  return new Response(JSON.stringify({ message: said, request_id: requestId }), { status, headers });
}

/** What is wrong and what to do about it. */
export function sentences(error: CairnError): string {
  return `${error.detail}\n${GIT_FIXES[error.code] ?? ERRORS[error.code].fix}`;
}

/** What to do where git is the client, if it is something else than the table says. */
const GIT_FIXES: Partial<Record<CairnError['code'], string>> = {
  UNAUTHENTICATED:
    'Give any user name and a token as password, or let Cairn answer: git config --global credential.helper "!cairn credential"',
  MODEL_NOT_FOUND: 'Clone http(s)://<host>/<workspace>/<model>.git; `cairn models` lists the models.',
  NOT_FOUND: 'Clone http(s)://<host>/<workspace>/<model>.git',
};
