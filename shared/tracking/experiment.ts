import { randomInt } from 'node:crypto';
import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { commit, exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import { itemsOf } from '../ports/items-of.ts';
import type { Ports } from '../ports/ports.ts';
import { ConditionFailed, type Item, type Table } from '../ports/table.ts';
import { getWorkspace } from '../registry/workspace.ts';
import { forgetDeleted, noteDeleted } from './deleted.ts';
import { experimentChain, experimentKey, experimentNameKey, experimentsPartition } from './keys.ts';
import { turnOf } from './standing.ts';

/** A folder of runs and logged models. */
export interface Experiment {
  readonly format: 1;
  /** Digits, as MLflow's clients expect; `0` is the one that is always there. */
  readonly id: string;
  readonly workspace: string;
  readonly name: string;
  /** A place that Cairn does not keep, where its creator wanted the artifacts to be. */
  readonly artifactLocation?: string;
  readonly lifecycle: Lifecycle;
  readonly deletedAt?: number;
  /** How often it was deleted or restored: each time its runs are so with it. */
  readonly turn?: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export type Lifecycle = 'active' | 'deleted';

interface NameEntry {
  readonly id: string;
}

export const DEFAULT_EXPERIMENT = '0';
const DEFAULT_NAME = 'Default';
const NAME_MAX = 500;
const TAGS_MAX_BYTES = 150_000;

/** @throws CairnError `EXPERIMENT_EXISTS`, also while one of that name is deleted and not yet gone */
export async function createExperiment(
  ports: Ports,
  caller: Caller,
  input: {
    workspace: string;
    name: string;
    artifactLocation?: string | undefined;
    tags: Record<string, string>;
  },
): Promise<Experiment> {
  const { workspace, name, artifactLocation } = input;
  authorize(caller, 'contributor', { workspace });
  await getWorkspace(ports, workspace);
  requireName(name);
  requireTags(input.tags);
  await ensureDefault(ports, workspace);
  const now = ports.clock.now();
  const experiment: Experiment = {
    format: 1,
    id: `${now}${String(randomInt(100_000)).padStart(5, '0')}`,
    workspace,
    name,
    ...(artifactLocation === undefined ? {} : { artifactLocation }),
    lifecycle: 'active',
    tags: input.tags,
    createdAt: now,
    updatedAt: now,
  };
  const entry: NameEntry = { id: experiment.id };
  return exclusively(`experiment-name/${workspace}/${name}`, async () => {
    await requireFree(ports.table, workspace, name);
    await commit(ports, caller, { ...changeOf(experiment, 'experiment.created'), after: experiment }, [
      { put: { ...experimentKey(workspace, experiment.id), body: experiment }, if: 'absent' },
      { put: { ...experimentNameKey(workspace, name), body: entry }, if: 'absent' },
    ]);
    return experiment;
  });
}

/** The experiment, deleted or not. @throws CairnError `EXPERIMENT_NOT_FOUND` */
export async function getExperiment(
  ports: Ports,
  caller: Caller,
  workspace: string,
  id: string,
): Promise<Experiment> {
  authorize(caller, 'viewer', { workspace });
  return (await findExperiment(ports, workspace, id)).body;
}

/** @throws CairnError `EXPERIMENT_NOT_FOUND` */
export async function getExperimentByName(
  ports: Ports,
  caller: Caller,
  workspace: string,
  name: string,
): Promise<Experiment> {
  authorize(caller, 'viewer', { workspace });
  if (name === DEFAULT_NAME) await ensureDefault(ports, workspace);
  const entry = await ports.table.get(experimentNameKey(workspace, name));
  if (!entry)
    throw new CairnError('EXPERIMENT_NOT_FOUND', `There is no experiment "${name}".`, 'experiment_name');
  return (await findExperiment(ports, workspace, (entry.body as NameEntry).id)).body;
}

/** The record of an experiment, for domain code that has authorised its caller. @throws CairnError `EXPERIMENT_NOT_FOUND` */
export async function findExperiment(ports: Ports, workspace: string, id: string): Promise<Item<Experiment>> {
  if (id === DEFAULT_EXPERIMENT) await ensureDefault(ports, workspace);
  const item = /^\d{1,64}$/.test(id) ? await ports.table.get(experimentKey(workspace, id)) : undefined;
  if (!item) throw new CairnError('EXPERIMENT_NOT_FOUND', `There is no experiment ${id}.`, 'experiment_id');
  return item as Item<Experiment>;
}

/** @throws CairnError `EXPERIMENT_NOT_FOUND`; `INVALID_ARGUMENT` for a deleted one, as MLflow says it */
export async function requireActive(ports: Ports, workspace: string, id: string): Promise<Experiment> {
  const { body } = await findExperiment(ports, workspace, id);
  if (body.lifecycle === 'active') return body;
  throw new CairnError('INVALID_ARGUMENT', `Experiment ${id} is deleted.`, 'experiment_id');
}

/** Every experiment of the workspace, oldest first. */
export async function* experimentsOf(
  ports: Ports,
  caller: Caller,
  workspace: string,
): AsyncGenerator<Experiment> {
  authorize(caller, 'viewer', { workspace });
  await getWorkspace(ports, workspace);
  await ensureDefault(ports, workspace);
  for await (const item of itemsOf(ports.table, experimentsPartition(workspace)))
    yield item.body as Experiment;
}

/** What a person may change of an experiment; a tag set to null goes. */
export interface ExperimentPatch {
  readonly name?: string;
  readonly lifecycle?: Lifecycle;
  readonly tags?: Readonly<Record<string, string | null>>;
}

/** @throws CairnError `EXPERIMENT_NOT_FOUND`, `EXPERIMENT_EXISTS` */
export async function updateExperiment(
  ports: Ports,
  caller: Caller,
  workspace: string,
  id: string,
  patch: ExperimentPatch,
): Promise<Experiment> {
  authorize(caller, 'contributor', { workspace });
  return exclusively(experimentChain(workspace, id), async () => {
    const { body: before, rev } = await findExperiment(ports, workspace, id);
    if (patch.lifecycle === before.lifecycle)
      throw new CairnError('EXPERIMENT_NOT_FOUND', `No experiment ${id} can be changed so.`, 'experiment_id');
    const name = patch.name ?? before.name;
    const now = ports.clock.now();
    const { deletedAt: deletedBefore, ...rest } = before;
    const lifecycle = patch.lifecycle ?? before.lifecycle;
    const deletedAt = lifecycle === 'active' ? undefined : (deletedBefore ?? now);
    const after: Experiment = {
      ...rest,
      name,
      lifecycle,
      ...(deletedAt === undefined ? {} : { deletedAt }),
      ...(patch.lifecycle === undefined ? {} : { turn: turnOf(before) + 1 }),
      tags: merge(before.tags, patch.tags ?? {}),
      updatedAt: now,
    };
    requireTags(after.tags);
    const renamed = name !== before.name;
    if (renamed) {
      requireName(name);
      await requireFree(ports.table, workspace, name);
    }
    const entry: NameEntry = { id };
    await commit(ports, caller, { ...changeOf(after, actionOf(patch)), before, after }, [
      { put: { ...experimentKey(workspace, id), body: after }, if: { rev } },
      ...(renamed
        ? [
            { delete: experimentNameKey(workspace, before.name), if: 'any' as const },
            { put: { ...experimentNameKey(workspace, name), body: entry }, if: 'absent' as const },
          ]
        : []),
      ...(patch.lifecycle === 'active' ? forgetDeleted(workspace, 'experiment', id, deletedBefore) : []),
      // The one that is always there is not purged.
      ...(patch.lifecycle === 'deleted' && id !== DEFAULT_EXPERIMENT
        ? [noteDeleted(workspace, { kind: 'experiment', id, name, experiment: id, deletedAt: now })]
        : []),
    ]);
    return after;
  });
}

function actionOf({ lifecycle, name }: ExperimentPatch): string {
  if (lifecycle === 'deleted') return 'experiment.deleted';
  if (lifecycle === 'active') return 'experiment.restored';
  return name === undefined ? 'experiment.updated' : 'experiment.renamed';
}

export function merge(
  tags: Readonly<Record<string, string>>,
  patch: Readonly<Record<string, string | null>>,
): Record<string, string> {
  const entries = Object.entries({ ...tags, ...patch });
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== null));
}

/** The head of an audit event about an experiment or what is in it. */
export const changeOf = (experiment: Pick<Experiment, 'workspace' | 'id' | 'name'>, action: string) => ({
  chain: experimentChain(experiment.workspace, experiment.id),
  workspace: experiment.workspace,
  action,
  subject: experiment.name,
});

/** The experiment that runs go to when none is named: there from the first time that anybody looks. */
async function ensureDefault(ports: Ports, workspace: string): Promise<void> {
  if (await ports.table.get(experimentKey(workspace, DEFAULT_EXPERIMENT))) return;
  await getWorkspace(ports, workspace);
  const now = ports.clock.now();
  const experiment: Experiment = {
    format: 1,
    id: DEFAULT_EXPERIMENT,
    workspace,
    name: DEFAULT_NAME,
    lifecycle: 'active',
    tags: {},
    createdAt: now,
    updatedAt: now,
  };
  const entry: NameEntry = { id: DEFAULT_EXPERIMENT };
  try {
    await ports.table.transact([
      { put: { ...experimentKey(workspace, DEFAULT_EXPERIMENT), body: experiment }, if: 'absent' },
      { put: { ...experimentNameKey(workspace, DEFAULT_NAME), body: entry }, if: 'absent' },
    ]);
  } catch (error) {
    // Somebody else was quicker.
    if (!(error instanceof ConditionFailed)) throw error;
  }
}

async function requireFree(table: Table, workspace: string, name: string): Promise<void> {
  if (!(await table.get(experimentNameKey(workspace, name)))) return;
  throw new CairnError('EXPERIMENT_EXISTS', `There is an experiment "${name}" already.`, 'name');
}

/** They are part of the record, and twice of the event that tells of a change. */
function requireTags(tags: Experiment['tags']): void {
  if (Buffer.byteLength(JSON.stringify(tags)) <= TAGS_MAX_BYTES) return;
  throw new CairnError(
    'INVALID_ARGUMENT',
    `An experiment's tags have at most ${TAGS_MAX_BYTES} bytes in all.`,
    'tags',
  );
}

function requireName(name: string): void {
  if (name.trim() !== '' && name.length <= NAME_MAX && name.isWellFormed()) return;
  throw new CairnError('INVALID_ARGUMENT', `An experiment's name has 1 to ${NAME_MAX} characters.`, 'name');
}
