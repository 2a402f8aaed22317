import pMap from 'p-map';
import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { commit, exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import { itemsOf } from '../ports/items-of.ts';
import type { Ports } from '../ports/ports.ts';
import { ConditionFailed, type Item, type Key, type Op, type Table } from '../ports/table.ts';
import { deletePartition } from '../registry/delete-model.ts';
import { GRACE_MS } from '../storage/garbage.ts';
import { type ArtifactOwner, artifactsPrefix } from './artifact.ts';
import { type Deleted, type DeletedKind, forgetDeleted } from './deleted.ts';
import { changeOf, DEFAULT_EXPERIMENT, type Experiment, findExperiment } from './experiment.ts';
import {
  artifactsPartition,
  experimentChain,
  experimentKey,
  experimentNameKey,
  givenUpPartition,
  loggedModelEntryKey,
  loggedModelKey,
  loggedModelPartition,
  loggedModelsPartition,
  metricsPartition,
  runEntryKey,
  runKey,
  runPartition,
  runsPartition,
  TRACKING_PURGES,
  trackingPurgeKey,
} from './keys.ts';
import { findLoggedModel, type LoggedModel, loggedModelNotFound } from './logged-model.ts';
import { findRun, type Run, runNotFound } from './run.ts';
import { standing } from './standing.ts';

/** What is to be removed for good. */
export interface PurgeTarget {
  readonly workspace: string;
  readonly kind: DeletedKind;
  readonly id: string;
}

/** What went, or would go: the runs and logged models of an experiment, and all their artifacts. */
export interface Removed {
  readonly runs: number;
  readonly loggedModels: number;
  readonly files: number;
  readonly bytes: number;
}

/** Its record is gone, and nobody can restore it; what it had is being removed. */
interface Purge extends Deleted {
  readonly format: 1;
  readonly workspace: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** It is looked at once more, a day later: somebody may have been writing to it. */
  readonly removed: boolean;
}

type Counts = { -readonly [Name in keyof Removed]: Removed[Name] };

const PARALLEL = 16;
const RUNS_AT_ONCE = 100;

/**
 * Removes a deleted run, experiment or logged model for good: record, metrics, artifacts; of an experiment also all its
 * runs and logged models, and its name is free. What versions were made of stays with them. An event of the experiment tells it.
 * @param options.deadline milliseconds since the epoch after which no more is begun: `complete` is false then, and another
 * call, or housekeeping, goes on
 * @throws CairnError `NOT_DELETED` for what is not deleted, or not `before` then, and an experiment with a run that is not; `RUN_NOT_FOUND`, `EXPERIMENT_NOT_FOUND`,
 * `LOGGED_MODEL_NOT_FOUND`
 */
export async function purge(
  ports: Ports,
  caller: Caller,
  target: PurgeTarget,
  options: {
    before?: number | undefined;
    dryRun?: boolean;
    reason?: string | undefined;
    deadline?: number;
  } = {},
): Promise<Removed & { deleted: Deleted; complete: boolean }> {
  const { workspace, kind, id } = target;
  const { dryRun = false, deadline = Number.POSITIVE_INFINITY } = options;
  authorize(caller, 'admin', { workspace });
  const at = trackingPurgeKey(kind, workspace, id);
  const begun = (await ports.table.get(at)) as Item<Purge> | undefined;
  const deleted = begun?.body ?? (await deletedOf(ports, target, options.before)).deleted;
  if (dryRun) {
    if (!begun) await refuseRestoredRuns(ports, target);
    const counts = nothing();
    const complete = await removeContents(ports, target, counts, { deadline, dryRun });
    return { deleted, ...counts, complete };
  }
  if (!begun)
    await exclusively(experimentChain(workspace, deleted.experiment), () =>
      beginPurge(ports, caller, target, options),
    );
  const item = begun ?? ((await ports.table.get(at)) as Item<Purge>);
  return { deleted, ...(await remove(ports, item, deadline)) };
}

/** Its record goes, so that nobody can restore it or write to it any more. */
async function beginPurge(
  ports: Ports,
  caller: Caller,
  target: PurgeTarget,
  { before, reason }: { before?: number | undefined; reason?: string | undefined },
): Promise<void> {
  const { workspace, kind, id } = target;
  const { deleted, ops } = await deletedOf(ports, target, before);
  await refuseRestoredRuns(ports, target);
  const experiment = await experimentOf(ports, workspace, deleted);
  const body: Purge = { format: 1, ...deleted, workspace, at: ports.clock.now(), removed: false };
  const what = { run: 'run', experiment: 'experiment', 'logged-model': 'loggedModel' }[kind];
  await commit(
    ports,
    caller,
    {
      ...changeOf(experiment, `${kind}.purged`),
      subject: kind === 'experiment' ? experiment.name : `${experiment.name}/${deleted.name}`,
      reason,
      before: { [what]: id },
    },
    [...ops, { put: { ...trackingPurgeKey(kind, workspace, id), body }, if: 'absent' }],
  );
}

/**
 * Goes on with what {@link purge} left, and looks once more, a day later, for what was being written meanwhile; the
 * controller's housekeeping.
 * @returns bytes reclaimed
 */
export async function finishPurges(ports: Ports, deadline = Number.POSITIVE_INFINITY): Promise<number> {
  let reclaimed = 0;
  for await (const item of itemsOf(ports.table, TRACKING_PURGES)) {
    const { removed, at } = item.body as Purge;
    if (removed && ports.clock.now() < at + GRACE_MS) continue;
    reclaimed += (await remove(ports, item as Item<Purge>, deadline)).bytes;
    if (ports.clock.now() >= deadline) break;
  }
  return reclaimed;
}

async function remove(
  ports: Ports,
  { pk, sk, body: purge, rev }: Item<Purge>,
  deadline: number,
): Promise<Removed & { complete: boolean }> {
  const counts = nothing();
  const complete = await removeContents(ports, purge, counts, { deadline, dryRun: false });
  if (complete) {
    const isOver = ports.clock.now() >= purge.at + GRACE_MS;
    const after: Purge = { ...purge, removed: true };
    try {
      await ports.table.transact([
        isOver ? { delete: { pk, sk }, if: 'any' } : { put: { pk, sk, body: after }, if: { rev } },
      ]);
    } catch (error) {
      // Somebody else has removed the rest at the same time.
      if (!(error instanceof ConditionFailed)) throw error;
    }
  }
  return { ...counts, complete };
}

interface Pass {
  readonly deadline: number;
  readonly dryRun: boolean;
}

/** @returns whether that was all of it; false when time was up */
async function removeContents(
  ports: Ports,
  { kind, id, workspace }: PurgeTarget,
  counts: Counts,
  pass: Pass,
): Promise<boolean> {
  if (kind !== 'experiment') return removeOwner(ports, { kind, id, workspace }, counts, pass);
  const lists = [
    ['run', runsPartition(workspace, id)],
    ['logged-model', loggedModelsPartition(workspace, id)],
  ] as const;
  for (const [ownerKind, pk] of lists) {
    for await (const { sk } of itemsOf(ports.table, pk)) {
      const owner = { kind: ownerKind, id: idOf(sk), workspace };
      const forget = await forgetOwner(ports.table, owner);
      if (!(await removeOwner(ports, owner, counts, pass))) return false;
      // Its entry goes last, so that what was interrupted is found again.
      if (!pass.dryRun) await ports.table.transact([...forget, { delete: { pk, sk }, if: 'any' }]);
      if (ports.clock.now() >= pass.deadline) return false;
    }
  }
  return true;
}

async function forgetOwner(table: Table, { kind, id, workspace }: ArtifactOwner): Promise<Op[]> {
  const item = await table.get(kind === 'run' ? runKey(id) : loggedModelKey(id));
  return forgetDeleted(workspace, kind, id, (item?.body as Run | LoggedModel | undefined)?.deletedAt);
}

/** Its artifacts first, then what tells where they were. */
async function removeOwner(
  ports: Ports,
  owner: ArtifactOwner,
  counts: Counts,
  { deadline, dryRun }: Pass,
): Promise<boolean> {
  const prefix = artifactsPrefix(owner);
  for (let after: string | undefined; ; ) {
    const page = await ports.blobs.list(prefix, { limit: 1000, after });
    for (const { size } of page.objects) {
      counts.files++;
      counts.bytes += size;
    }
    if (!dryRun) await pMap(page.objects, ({ key }) => ports.blobs.delete(key), { concurrency: PARALLEL });
    after = page.objects.at(-1)?.key;
    if (!page.more) break;
    if (ports.clock.now() >= deadline) return false;
  }
  if (!dryRun) {
    const { id } = owner;
    const own = owner.kind === 'run' ? [metricsPartition(id), runPartition(id)] : [loggedModelPartition(id)];
    for (const pk of [artifactsPartition(id), givenUpPartition(id), ...own])
      if (!(await deletePartition(ports, pk, deadline))) return false;
  }
  counts[owner.kind === 'run' ? 'runs' : 'loggedModels']++;
  return true;
}

const nothing = (): Counts => ({ runs: 0, loggedModels: 0, files: 0, bytes: 0 });

/**
 * What it is that was deleted, and the operations that remove its record and all that it is found by.
 * @throws CairnError `NOT_DELETED` unless it is deleted, and was before that time
 */
async function deletedOf(
  ports: Ports,
  { workspace, kind, id }: PurgeTarget,
  before: number | undefined,
): Promise<{ deleted: Deleted; ops: readonly Op[] }> {
  const { item, entry } = await recordOf(ports, { workspace, kind, id });
  const { name } = item.body;
  const experiment = 'experiment' in item.body ? item.body.experiment : id;
  const above = kind === 'run' ? await ports.table.get(experimentKey(workspace, experiment)) : undefined;
  const { lifecycle, deletedAt = 0 } =
    kind === 'run' ? standing(item.body as Run, above?.body as Experiment | undefined) : item.body;
  if (lifecycle !== 'deleted')
    throw new CairnError('NOT_DELETED', `The ${WORDS[kind]} ${id} is not deleted.`, 'id');
  if (kind === 'experiment' && id === DEFAULT_EXPERIMENT)
    throw new CairnError('INVALID_ARGUMENT', 'The default experiment stays: purge its runs instead.', 'id');
  if (before !== undefined && deletedAt >= before) {
    const time = new Date(deletedAt).toISOString();
    throw new CairnError('NOT_DELETED', `The ${WORDS[kind]} ${id} was deleted at ${time}.`, 'deletedBefore');
  }
  return {
    deleted: { kind, id, name, experiment, deletedAt },
    ops: [
      // Whoever restores the experiment restores its runs.
      ...(above ? [{ check: { pk: above.pk, sk: above.sk }, if: { rev: above.rev } }] : []),
      { delete: { pk: item.pk, sk: item.sk }, if: { rev: item.rev } },
      { delete: entry, if: 'any' },
      ...forgetDeleted(workspace, kind, id, item.body.deletedAt),
    ],
  };
}

/** A run of a deleted experiment can be restored by itself. @throws CairnError `NOT_DELETED` naming the first that was */
async function refuseRestoredRuns(ports: Ports, { kind, workspace, id }: PurgeTarget): Promise<void> {
  if (kind !== 'experiment') return;
  const { table } = ports;
  const { body: experiment } = await findExperiment(ports, workspace, id);
  const pk = runsPartition(workspace, id);
  for (let after = ''; ; ) {
    const page = await table.query({ pk, after, limit: RUNS_AT_ONCE });
    const runs = await table.getMany(page.items.map(({ sk }) => runKey(idOf(sk))));
    const back = runs.find((run) => run && standing(run.body as Run, experiment).lifecycle === 'active');
    if (back) {
      const { id: run } = back.body as Run;
      throw new CairnError('NOT_DELETED', `The run ${run} of the experiment was restored by itself.`, 'id');
    }
    const last = page.items.at(-1);
    if (!page.more || !last) return;
    after = last.sk;
  }
}

const idOf = (entry: string) => entry.slice(entry.indexOf('#') + 1);

const WORDS = { run: 'run', experiment: 'experiment', 'logged-model': 'logged model' } as const;

/** Its record, and the entry that finds it. */
async function recordOf(
  ports: Ports,
  { workspace, kind, id }: PurgeTarget,
): Promise<{ item: Item<Experiment | Run | LoggedModel>; entry: Key }> {
  switch (kind) {
    case 'experiment': {
      const item = await findExperiment(ports, workspace, id);
      return { item, entry: experimentNameKey(workspace, item.body.name) };
    }
    case 'run': {
      const item = await findRun(ports.table, id);
      if (item.body.workspace !== workspace) throw runNotFound(id);
      return { item, entry: runEntryKey(workspace, item.body.experiment, item.body.startTime, id) };
    }
    case 'logged-model': {
      const item = await findLoggedModel(ports.table, id);
      if (item.body.workspace !== workspace) throw loggedModelNotFound(id);
      return { item, entry: loggedModelEntryKey(workspace, item.body.experiment, item.body.createdAt, id) };
    }
  }
}

/** Of an experiment that is gone already, its id stands for its name. */
async function experimentOf(
  ports: Ports,
  workspace: string,
  { experiment: id }: Deleted,
): Promise<Pick<Experiment, 'workspace' | 'id' | 'name'>> {
  const item = await ports.table.get(experimentKey(workspace, id));
  return (item?.body as Experiment | undefined) ?? { workspace, id, name: id };
}
