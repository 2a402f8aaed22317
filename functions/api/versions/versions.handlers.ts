import {
  createReference,
  createVersion,
  type VersionDraft,
} from '../../../shared/registry/create-version.ts';
import type { ModelRef } from '../../../shared/registry/model.ts';
import { revertVersion } from '../../../shared/registry/revert-version.ts';
import {
  deleteVersion,
  getVersion,
  listVersions,
  type Source,
  type StoredVersion,
  updateVersion,
  type Version,
  type VersionRef,
} from '../../../shared/registry/version.ts';
import { type Answer, apiPath, created, NO_CONTENT, ok, type Register } from '../contract.ts';
import type { ApiDeps } from '../deps.ts';
import { etagOf } from '../etag.ts';
import { pageJson } from '../page.ts';
import { rfc3339 } from '../time.ts';
import * as routes from './versions.routes.ts';

export function registerVersions(register: Register, { ports }: ApiDeps): void {
  register(routes.listVersions, async ({ params, query }, { caller }) => {
    const ref = { workspace: params.workspace, name: params.model };
    const page = await listVersions(ports, caller, ref, { limit: query.limit, after: query.cursor });
    return ok(pageJson(page, (version) => versionJson(ref, version)));
  });

  register(routes.createVersion, async ({ params, body }, { caller }) => {
    const ref = { workspace: params.workspace, name: params.model };
    const { files = [], reference, ...said } = body;
    const draft = draftOf(said, 'api');
    const version =
      reference === undefined
        ? await createVersion(ports, caller, ref, draft, files.map(inlineFile))
        : await createReference(ports, caller, ref, draft, reference);
    const location = apiPath('workspaces', ref.workspace, 'models', ref.name, 'versions', version.number);
    return created(versionJson(ref, version), location, { etag: etagOf(version.rev) });
  });

  register(routes.getVersion, async ({ params }, { caller }) => {
    const ref = versionRef(params);
    return answerVersion(ref, await getVersion(ports, caller, ref));
  });

  register(routes.updateVersion, async ({ params, body, ifMatch }, { caller }) => {
    const ref = versionRef(params);
    return answerVersion(
      ref,
      await updateVersion(ports, caller, ref, body, ifMatch === '*' ? undefined : ifMatch),
    );
  });

  register(routes.revertVersion, async ({ params, body }, { caller }) => {
    const ref = versionRef(params);
    const version = await revertVersion(ports, caller, ref, body.message);
    const location = apiPath('workspaces', ref.workspace, 'models', ref.name, 'versions', version.number);
    return created(versionJson(ref, version), location, { etag: etagOf(version.rev) });
  });

  register(routes.deleteVersion, async ({ params, query }, { caller }) => {
    await deleteVersion(ports, caller, versionRef(params), query.reason);
    return NO_CONTENT;
  });
}

export const versionRef = (params: { workspace: string; model: string; version: number }): VersionRef => ({
  workspace: params.workspace,
  name: params.model,
  number: params.version,
});

interface Said {
  readonly message: string;
  readonly description: string;
  readonly tags: Record<string, string>;
  readonly source: {
    run?: string | undefined;
    dataset?: string | undefined;
    codeCommit?: string | undefined;
  };
}

/** The draft that a request's words make. */
export function draftOf({ message, description, tags, source }: Said, via: Source['via']): VersionDraft {
  const { run, dataset, codeCommit } = source;
  return {
    message,
    description,
    tags,
    source: {
      via,
      ...(run === undefined ? {} : { run }),
      ...(dataset === undefined ? {} : { dataset }),
      ...(codeCommit === undefined ? {} : { codeCommit }),
    },
  };
}

const inlineFile = (file: {
  path: string;
  content?: string | undefined;
  text?: string | undefined;
  sha256?: string | undefined;
}) => ({
  path: file.path,
  bytes: file.content === undefined ? Buffer.from(file.text ?? '') : Buffer.from(file.content, 'base64'),
  sha256: file.sha256,
});

export const answerVersion = (ref: ModelRef, version: StoredVersion): Answer =>
  ok(versionJson(ref, version), { etag: etagOf(version.rev) });

/** What is undefined is left out of the JSON. */
export const versionJson = (ref: ModelRef, version: Version) => ({
  workspace: ref.workspace,
  model: ref.name,
  version: version.number,
  status: version.status,
  commit: version.commit,
  tag: `v${version.number}`,
  author: version.author,
  pushedBy: version.pushedBy,
  message: version.message,
  description: version.description,
  tags: version.tags,
  fileCount: version.fileCount,
  size: version.size,
  framework: version.framework,
  format: version.modelFormat,
  entry: version.entry,
  signature: version.signature,
  source: version.source,
  approval: approvalJson(version.approval),
  failure: version.failure,
  reference: version.reference,
  createdAt: rfc3339(version.createdAt),
  readyAt: version.readyAt === undefined ? undefined : rfc3339(version.readyAt),
});

export const approvalJson = ({ state, by, at, comment }: Version['approval']) => ({
  state,
  by,
  at: at === undefined ? undefined : rfc3339(at),
  comment,
});
