import { CairnError, ERRORS } from '../../shared/errors.ts';
import { type RevisionFilesDeps, revisionFiles } from '../../shared/serving/revision-files.ts';

export interface RevisionFilesRequest {
  readonly method: string;
  /** `/revisions/<workspace>/<endpoint>/<revision>/files` */
  readonly path: string;
  /** The query's `after`: where the next page begins. */
  readonly after?: string | undefined;
  /** The header `Authorization`. */
  readonly authorization?: string | undefined;
}

export interface RevisionFilesAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const PATH = /^\/revisions\/([a-z0-9-]+)\/([a-z0-9-]+)\/([1-9]\d{0,8})\/files$/;

/**
 * Tells a replica where its revision's files are: `{files: [{path, size, sha256, url}], next?}`, where `next` is the `after` of
 * the next page. Errors are `{code, error}`; one that is not the request's fault is thrown.
 */
export async function answerRevisionFiles(
  deps: RevisionFilesDeps,
  request: RevisionFilesRequest,
): Promise<RevisionFilesAnswer> {
  try {
    return json(200, await pageOf(deps, request));
  } catch (error) {
    if (!(error instanceof CairnError)) throw error;
    return json(ERRORS[error.code].status, { code: error.code, error: error.detail });
  }
}

function pageOf(
  deps: RevisionFilesDeps,
  { method, path, after = '0', authorization = '' }: RevisionFilesRequest,
) {
  const [, workspace, endpoint, revision] = PATH.exec(path) ?? [];
  if (method !== 'GET' || workspace === undefined || endpoint === undefined || !/^\d{1,9}$/.test(after)) {
    throw new CairnError('NOT_FOUND', `There is no ${method} ${path} here.`);
  }
  const token = /^Bearer (\S+)$/i.exec(authorization)?.[1] ?? '';
  return revisionFiles(deps, { workspace, endpoint, revision: Number(revision) }, token, Number(after));
}

const json = (status: number, body: unknown): RevisionFilesAnswer => ({
  status,
  headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
  body: JSON.stringify(body),
});
