import { uuidv7 } from 'uuidv7';
import type { Caller } from '../access/caller.ts';
import { allows, authorize } from '../access/grant.ts';
import { commit, exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import type { ListPage, PageRequest } from '../ports/page.ts';
import type { Ports } from '../ports/ports.ts';
import type { Item, Table } from '../ports/table.ts';
import {
  deletedModelKey,
  modelChain,
  modelEntryKey,
  modelKey,
  modelsPartition,
  repositoryKey,
  workspaceKey,
} from './keys.ts';
import { Tags } from './name.ts';
import { emptyRepository } from './repository.ts';
import { getWorkspace } from './workspace.ts';

/** A registered model: a name for a repository and a storage prefix, which its id stands for. */
export interface Model {
  readonly format: 1;
  /** UUIDv7; stays when the name changes. */
  readonly id: string;
  readonly workspace: string;
  readonly name: string;
  readonly description: string;
  readonly tags: Tags;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly updatedAt: number;
}

/** A model with the revision of its record, which its ETag is made of. */
export type StoredModel = Model & { readonly rev: number };

/** How requests name a model. */
export interface ModelRef {
  readonly workspace: string;
  readonly name: string;
}

export interface ModelEntry {
  readonly id: string;
}

/** What stays under the name of a deleted model. */
export interface DeletedModel {
  readonly format: 1;
  readonly deletedAt: number;
}

/** @throws CairnError `MODEL_EXISTS`, `WORKSPACE_NOT_FOUND` */
export async function createModel(
  ports: Ports,
  caller: Caller,
  input: ModelRef & { description: string; tags: Tags },
): Promise<StoredModel> {
  authorize(caller, 'contributor', input);
  await getWorkspace(ports, input.workspace);
  const now = ports.clock.now();
  const model: Model = {
    format: 1,
    id: uuidv7(),
    workspace: input.workspace,
    name: input.name,
    description: input.description,
    tags: input.tags,
    createdAt: now,
    createdBy: caller.principal,
    updatedAt: now,
  };
  const entry: ModelEntry = { id: model.id };
  return exclusively(nameLock(input), async () => {
    if (await ports.table.get(modelEntryKey(input.workspace, input.name))) throw modelExists(input.name);
    await commit(ports, caller, { ...changeOf(model, 'model.created'), after: model }, [
      { put: { ...modelEntryKey(model.workspace, model.name), body: entry }, if: 'absent' },
      { put: { ...modelKey(model.id), body: model }, if: 'absent' },
      { put: { ...repositoryKey(model.id), body: emptyRepository() }, if: 'absent' },
      { check: workspaceKey(model.workspace), if: 'exists' },
    ]);
    return { ...model, rev: 1 };
  });
}

/** @throws CairnError `MODEL_NOT_FOUND` */
export async function getModel(
  ports: Pick<Ports, 'table'>,
  caller: Caller,
  ref: ModelRef,
): Promise<StoredModel> {
  authorize(caller, 'viewer', ref);
  return findModel(ports.table, ref);
}

/** The model of that name, for domain code that has authorised its caller. @throws CairnError `MODEL_NOT_FOUND` */
export async function findModel(table: Table, ref: ModelRef): Promise<StoredModel> {
  const item = await table.get(modelKey(await findModelId(table, ref)));
  if (!item) throw await modelNotFound(table, ref);
  return stored(item);
}

/**
 * The model of that id, for domain code that authorises by its name and workspace.
 * @throws CairnError `MODEL_NOT_FOUND`, also for a deleted one
 */
export async function findModelById(table: Table, id: string): Promise<StoredModel> {
  const item = await table.get(modelKey(id));
  if (item && !('deletedAt' in (item.body as object))) return stored(item);
  throw new CairnError('MODEL_NOT_FOUND', `There is no model with the id ${id}.`, 'model');
}

/** The models of up to 100 ids, those that are there. */
export async function modelsOf(table: Table, ids: readonly string[]): Promise<StoredModel[]> {
  const items = await table.getMany(ids.map(modelKey));
  return items.flatMap((item) => (item ? [stored(item)] : []));
}

/** One read: the id that a name stands for now. @throws CairnError `MODEL_NOT_FOUND` */
export async function findModelId(table: Table, ref: ModelRef): Promise<string> {
  const entry = await table.get(modelEntryKey(ref.workspace, ref.name));
  if (!entry) throw await modelNotFound(table, ref);
  return (entry.body as ModelEntry).id;
}

/** A page of the workspace's models by name, those that the caller may see. */
export async function listModels(
  ports: Pick<Ports, 'table'>,
  caller: Caller,
  page: PageRequest & { workspace: string; prefix?: string | undefined },
): Promise<ListPage<StoredModel>> {
  await getWorkspace(ports, page.workspace);
  const found = await ports.table.query({
    pk: modelsPartition(page.workspace),
    limit: Math.min(page.limit, 100),
    prefix: page.prefix,
    after: page.after,
  });
  const visible = found.items.filter(({ sk }) =>
    allows(caller, 'viewer', { workspace: page.workspace, name: sk }),
  );
  const models = await ports.table.getMany(visible.map((item) => modelKey((item.body as ModelEntry).id)));
  const items = models.flatMap((item) => (item ? [stored(item)] : []));
  const last = found.items.at(-1);
  return found.more && last ? { items, next: last.sk } : { items };
}

/** What of a model can be changed; a tag set to null goes. */
export interface ModelPatch {
  readonly name?: string | undefined;
  readonly description?: string | undefined;
  readonly tags?: Readonly<Record<string, string | null>> | undefined;
}

/**
 * Changes a model's name, description or tags. A rename moves no bytes; versions, aliases and history stay.
 * @throws CairnError `MODEL_EXISTS` if the new name is taken, `PRECONDITION_FAILED` if `ifMatch` is not its revision
 */
export async function updateModel(
  ports: Ports,
  caller: Caller,
  ref: ModelRef,
  patch: ModelPatch,
  ifMatch?: number,
): Promise<StoredModel> {
  authorize(caller, 'contributor', ref);
  if (patch.name !== undefined)
    authorize(caller, 'contributor', { workspace: ref.workspace, name: patch.name });
  const id = await findModelId(ports.table, ref);
  return exclusively(modelChain(id), async () => {
    const before = await findModel(ports.table, ref);
    if (ifMatch !== undefined && ifMatch !== before.rev) throw preconditionFailed(before.name);
    const { rev, ...model } = before;
    const after: Model = {
      ...model,
      name: patch.name ?? model.name,
      description: patch.description ?? model.description,
      tags: mergeTags(model.tags, patch.tags),
      updatedAt: ports.clock.now(),
    };
    const entry: ModelEntry = { id: model.id };
    const renamed = after.name !== model.name;
    if (renamed && (await ports.table.get(modelEntryKey(after.workspace, after.name))))
      throw modelExists(after.name);
    const action = renamed ? 'model.renamed' : 'model.updated';
    await commit(ports, caller, { ...changeOf(after, action), before: model, after }, [
      { put: { ...modelKey(model.id), body: after }, if: { rev } },
      ...(renamed
        ? [
            { delete: modelEntryKey(model.workspace, model.name), if: 'any' as const },
            { put: { ...modelEntryKey(after.workspace, after.name), body: entry }, if: 'absent' as const },
          ]
        : []),
    ]);
    return { ...after, rev: rev + 1 };
  });
}

/** Tags after a patch: null removes, everything else sets. @throws CairnError `INVALID_ARGUMENT` when they grow too large */
export function mergeTags(tags: Tags, patch: Readonly<Record<string, string | null>> = {}): Tags {
  const merged = Object.entries({ ...tags, ...patch }).filter(
    (entry): entry is [string, string] => entry[1] !== null,
  );
  const parsed = Tags.safeParse(Object.fromEntries(merged));
  if (parsed.success) return parsed.data;
  throw new CairnError(
    'INVALID_ARGUMENT',
    `tags ${parsed.error.issues[0]?.message ?? 'are invalid'}.`,
    'tags',
  );
}

export const preconditionFailed = (what: string) =>
  new CairnError('PRECONDITION_FAILED', `"${what}" has changed since it was read.`, 'If-Match');

function stored(item: Item): StoredModel {
  return { ...(item.body as Model), rev: item.rev };
}

const changeOf = (model: Model, action: string) => ({
  chain: modelChain(model.id),
  workspace: model.workspace,
  action,
  subject: model.name,
});

const nameLock = (ref: ModelRef) => `name/${ref.workspace}/${ref.name}`;
const modelExists = (name: string) =>
  new CairnError('MODEL_EXISTS', `There is a model "${name}" already.`, 'name');

async function modelNotFound(table: Table, { workspace, name }: ModelRef): Promise<CairnError> {
  const deleted = (await table.get(deletedModelKey(workspace, name)))?.body as DeletedModel | undefined;
  const since = deleted ? ` any more: it was deleted at ${new Date(deleted.deletedAt).toISOString()}` : '';
  return new CairnError(
    'MODEL_NOT_FOUND',
    `There is no model "${name}" in workspace "${workspace}"${since}.`,
    'model',
  );
}
