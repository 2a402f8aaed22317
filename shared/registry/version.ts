import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { commit, exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import { itemsOf } from '../ports/items-of.ts';
import { type ListPage, listPage, type PageRequest } from '../ports/page.ts';
import type { Ports } from '../ports/ports.ts';
import type { Item, Table } from '../ports/table.ts';
import type { Alias } from './alias.ts';
import { readFileList, type VersionFile } from './file-list.ts';
import type { Signature } from './format/signature.ts';
import { ALIAS_PREFIX, modelChain, stageKey, usePrefix, VERSION_PREFIX, versionKey } from './keys.ts';
import {
  findModel,
  findModelId,
  type ModelRef,
  mergeTags,
  preconditionFailed,
  type StoredModel,
} from './model.ts';
import type { Tags } from './name.ts';

/** An immutable commit of a model's repository; only description, tags and approval change once it is READY. */
export interface Version {
  readonly format: 1;
  readonly number: number;
  readonly status: VersionStatus;
  /** Git commit id, from READY on. */
  readonly commit?: string;
  /** Who made it: a principal, or whom the pushed commit names. */
  readonly author: string;
  /** The principal that pushed the commit, whoever its author is. */
  readonly pushedBy?: string;
  readonly message: string;
  readonly description: string;
  readonly tags: Tags;
  readonly fileCount: number;
  /** Bytes of all files. */
  readonly size: number;
  readonly framework?: string;
  readonly modelFormat?: string;
  /** The file that is loaded, where the format has one. */
  readonly entry?: string;
  readonly signature?: Signature;
  readonly source: Source;
  readonly approval: Approval;
  /** Why it FAILED. */
  readonly failure?: string;
  /** A URI that Cairn cannot read: a version without bytes, which cannot be deployed. */
  readonly reference?: string;
  /** MLflow's stage of it, where one was ever given. */
  readonly stage?: Stage;
  readonly createdAt: number;
  /** When its description, tags or stage changed last. */
  readonly updatedAt?: number;
  readonly readyAt?: number;
  readonly deletedAt?: number;
}

/** MLflow's stages; without one a version is in the stage that MLflow calls `None`. */
export type Stage = 'Staging' | 'Production' | 'Archived';

export type VersionStatus = 'PENDING' | 'READY' | 'FAILED';

/** Where a version came from. */
export interface Source {
  /** The door it came through. */
  readonly via: 'api' | 'upload' | 'incoming' | 'mlflow' | 'git';
  readonly run?: string;
  readonly dataset?: string;
  readonly codeCommit?: string;
  /** The URI that its client named as the source: `runs:/…`, `models:/m-…`. */
  readonly uri?: string;
  readonly runLink?: string;
  /** MLflow's logged model that it was made of. */
  readonly loggedModel?: string;
  readonly lineage?: Lineage;
}

/** What was known of its making when the version was made. */
export interface Lineage {
  readonly runName?: string;
  readonly experiment?: string;
  readonly params?: Readonly<Record<string, string>>;
  /** The newest value of each; NaN and infinities as text. */
  readonly metrics?: Readonly<Record<string, number | string>>;
  /** Parameters and metrics that were too many or too long to be kept here; the run has them. */
  readonly omitted?: number;
  /** Files that tell how to make its environment anew. */
  readonly environment?: readonly string[];
  /** The file of an input that its author gave as an example. */
  readonly inputExample?: string;
}

export interface Approval {
  readonly state: 'PENDING' | 'APPROVED' | 'REJECTED';
  readonly by?: string;
  readonly at?: number;
  readonly comment?: string;
  /** Decisions so far. */
  readonly seq: number;
}

export type StoredVersion = Version & { readonly rev: number };

export interface VersionRef extends ModelRef {
  readonly number: number;
}

/** @throws CairnError `MODEL_NOT_FOUND`, `VERSION_NOT_FOUND` */
export async function getVersion(
  ports: Pick<Ports, 'table'>,
  caller: Caller,
  ref: VersionRef,
): Promise<StoredVersion> {
  authorize(caller, 'viewer', ref);
  return findVersion(ports.table, await findModelId(ports.table, ref), ref.number);
}

/** The version of that number, for domain code that has authorised its caller. @throws CairnError `VERSION_NOT_FOUND` */
export async function findVersion(table: Table, modelId: string, number: number): Promise<StoredVersion> {
  const item = await table.get(versionKey(modelId, number));
  if (!item) throw new CairnError('VERSION_NOT_FOUND', `There is no version ${number}.`, 'version');
  const version = storedVersion(item);
  if (version.deletedAt !== undefined) {
    throw new CairnError(
      'VERSION_NOT_FOUND',
      `Version ${number} was deleted ${new Date(version.deletedAt).toISOString()}.`,
      'version',
    );
  }
  return version;
}

export function storedVersion(item: Item): StoredVersion {
  return { ...(item.body as Version), rev: item.rev };
}

/** When the version's record changed last. */
export const lastUpdated = ({ updatedAt, createdAt }: Version): number => updatedAt ?? createdAt;

/** A page of a model's versions, newest first; deleted ones are left out. */
export async function listVersions(
  ports: Pick<Ports, 'table'>,
  caller: Caller,
  ref: ModelRef,
  page: PageRequest,
): Promise<ListPage<StoredVersion>> {
  authorize(caller, 'viewer', ref);
  const id = await findModelId(ports.table, ref);
  const found = await ports.table.query({
    pk: modelChain(id),
    prefix: VERSION_PREFIX,
    reverse: true,
    ...page,
  });
  return listPage(found, (item) =>
    (item.body as Version).deletedAt === undefined ? storedVersion(item) : undefined,
  );
}

/** A version's files by path; none for a reference. @throws CairnError `VERSION_NOT_FOUND`, `VERSION_NOT_READY` */
export async function listFiles(
  ports: Pick<Ports, 'table' | 'blobs'>,
  caller: Caller,
  ref: VersionRef,
): Promise<{ model: StoredModel; version: StoredVersion; files: VersionFile[] }> {
  authorize(caller, 'viewer', ref);
  const model = await findModel(ports.table, ref);
  const version = await findVersion(ports.table, model.id, ref.number);
  if (version.status !== 'READY') {
    throw new CairnError('VERSION_NOT_READY', `Version ${ref.number} is ${version.status}.`, 'version');
  }
  return { model, version, files: (await readFileList(ports, model.id, fileListName(ref.number))) ?? [] };
}

/** The name of a version's file list. */
export const fileListName = (number: number) => `v${number}`;

/** Changes what may change of a version: its description and tags. @throws CairnError `PRECONDITION_FAILED` */
export async function updateVersion(
  ports: Ports,
  caller: Caller,
  ref: VersionRef,
  patch: { description?: string | undefined; tags?: Readonly<Record<string, string | null>> | undefined },
  ifMatch?: number,
): Promise<StoredVersion> {
  authorize(caller, 'contributor', ref);
  const id = await findModelId(ports.table, ref);
  return exclusively(modelChain(id), async () => {
    const { rev, ...before } = await findVersion(ports.table, id, ref.number);
    if (ifMatch !== undefined && ifMatch !== rev) throw preconditionFailed(`${ref.name}@${ref.number}`);
    const after: Version = {
      ...before,
      description: patch.description ?? before.description,
      tags: mergeTags(before.tags, patch.tags),
      updatedAt: ports.clock.now(),
    };
    await commit(
      ports,
      caller,
      {
        ...changeOfVersion(id, ref, 'version.updated'),
        before: { description: before.description, tags: before.tags },
        after: { description: after.description, tags: after.tags },
      },
      [{ put: { ...versionKey(id, ref.number), body: after }, if: { rev } }],
    );
    return { ...after, rev: rev + 1 };
  });
}

/**
 * Deletes a version, leaving a tombstone: number, tag, commit and audit stay; its bytes go when nothing else needs them.
 * @throws CairnError `VERSION_IN_USE` naming the endpoint or alias that needs it
 */
export async function deleteVersion(
  ports: Ports,
  caller: Caller,
  ref: VersionRef,
  reason?: string,
): Promise<void> {
  authorize(caller, 'admin', ref);
  const id = await findModelId(ports.table, ref);
  await exclusively(modelChain(id), async () => {
    const { rev, ...before } = await findVersion(ports.table, id, ref.number);
    if (before.status === 'PENDING') {
      throw new CairnError(
        'VERSION_NOT_READY',
        `Version ${ref.number} is being uploaded: abort the upload instead.`,
        'version',
      );
    }
    const user = await findUser(ports.table, id, ref.number);
    if (user)
      throw new CairnError('VERSION_IN_USE', `Version ${ref.number} cannot be deleted: ${user}.`, 'version');
    const after: Version = { ...before, deletedAt: ports.clock.now() };
    await commit(ports, caller, { ...changeOfVersion(id, ref, 'version.deleted'), reason, before }, [
      { put: { ...versionKey(id, ref.number), body: after }, if: { rev } },
      ...(before.stage ? [{ delete: stageKey(id, before.stage, ref.number), if: 'any' as const }] : []),
    ]);
  });
}

/** What needs the version, in words, or undefined. */
async function findUser(table: Table, modelId: string, number: number): Promise<string | undefined> {
  const pk = modelChain(modelId);
  const [use] = (await table.query({ pk, prefix: usePrefix(number), limit: 1 })).items;
  if (use) {
    const [, , workspace, endpoint] = use.sk.split('/');
    return `endpoint "${endpoint}" in workspace "${workspace}" runs it or needs it to roll back`;
  }
  for await (const item of itemsOf(table, pk, ALIAS_PREFIX)) {
    const { alias, version } = item.body as Alias;
    if (version === number) return `alias "${alias}" points to it`;
  }
  return undefined;
}

/** The audit event's head for a change of one version. */
export const changeOfVersion = (modelId: string, ref: VersionRef, action: string) => ({
  chain: modelChain(modelId),
  workspace: ref.workspace,
  action,
  subject: `${ref.name}@${ref.number}`,
});
