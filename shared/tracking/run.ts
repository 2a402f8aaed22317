import { randomBytes } from 'node:crypto';
import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { commit, exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import { itemsOf } from '../ports/items-of.ts';
import type { Ports } from '../ports/ports.ts';
import type { Item, Op, Table } from '../ports/table.ts';
import { inTransactions } from './batches.ts';
import { forgetDeleted, noteDeleted } from './deleted.ts';
import { changeOf, findExperiment, type Lifecycle, requireActive } from './experiment.ts';
import {
  DATASET_PREFIX,
  experimentChain,
  keyPart,
  METRIC_PREFIX,
  MODEL_INPUT_PREFIX,
  MODEL_OUTPUT_PREFIX,
  PARAM_PREFIX,
  RUN,
  runEntryKey,
  runKey,
  runPartition,
  TAG_PREFIX,
} from './keys.ts';
import { type Metric, metricOf, type Point } from './metric.ts';
import { randomName } from './random-name.ts';
import type { DatasetInput, ModelInput, ModelOutput } from './run-inputs.ts';
import { standing, standingRun, turnOf } from './standing.ts';

/** One execution that logged parameters, metrics and artifacts. */
export interface Run {
  readonly format: 1;
  /** 32 hexadecimal digits. */
  readonly id: string;
  readonly workspace: string;
  readonly experiment: string;
  readonly name: string;
  readonly user: string;
  readonly status: RunStatus;
  readonly startTime: number;
  readonly endTime?: number;
  /** As it was set last; {@link standing} tells whether its experiment was deleted or restored since. */
  readonly lifecycle: Lifecycle;
  readonly deletedAt?: number;
  /** The experiment's turn when it was set. */
  readonly turn?: number;
  /** Where its artifacts are, if that is a place that Cairn does not keep. */
  readonly artifactLocation?: string;
  readonly createdBy: string;
}

export const RUN_STATUSES = ['RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED'] as const;
export type RunStatus = (typeof RUN_STATUSES)[number];

/** A run with what was logged to it. */
export interface RunDetail {
  readonly run: Run;
  readonly params: ReadonlyMap<string, string>;
  readonly tags: ReadonlyMap<string, string>;
  /** The newest value of each. */
  readonly metrics: ReadonlyMap<string, Metric>;
  readonly datasets: readonly DatasetInput[];
  readonly modelInputs: readonly ModelInput[];
  readonly modelOutputs: readonly ModelOutput[];
}

/** A parameter, tag or newest metric value of a run: an item of its own, so that none waits for another. */
export interface Named<Value> {
  readonly key: string;
  readonly value: Value;
}

export const RUN_NAME_TAG = 'mlflow.runName';

/** @throws CairnError `EXPERIMENT_NOT_FOUND`, `INVALID_ARGUMENT` for a deleted experiment */
export async function createRun(
  ports: Ports,
  caller: Caller,
  input: {
    workspace: string;
    experiment: string;
    name?: string | undefined;
    user: string;
    startTime: number;
    tags: Readonly<Record<string, string>>;
  },
): Promise<RunDetail> {
  const { workspace, user, startTime } = input;
  authorize(caller, 'contributor', { workspace });
  const experiment = await requireActive(ports, workspace, input.experiment);
  const tagged = input.tags[RUN_NAME_TAG];
  if (input.name && tagged && input.name !== tagged) {
    throw new CairnError('INVALID_ARGUMENT', `run_name and the tag ${RUN_NAME_TAG} differ.`, 'run_name');
  }
  const id = randomBytes(16).toString('hex');
  const name = input.name || tagged || randomName();
  const run: Run = {
    format: 1,
    id,
    workspace,
    experiment: experiment.id,
    name,
    user,
    status: 'RUNNING',
    startTime,
    lifecycle: 'active',
    turn: turnOf(experiment),
    ...(experiment.artifactLocation === undefined
      ? {}
      : { artifactLocation: `${experiment.artifactLocation.replace(/\/$/, '')}/${id}/artifacts` }),
    createdBy: caller.principal,
  };
  const tags = new Map(Object.entries({ ...input.tags, [RUN_NAME_TAG]: name }));
  await inTransactions(ports.table, [
    [
      { put: { ...runKey(id), body: run }, if: 'absent' },
      { put: { ...runEntryKey(workspace, experiment.id, startTime, id), body: {} }, if: 'absent' },
    ],
    ...[...tags].map(([key, value]): Op[] => [{ put: namedItem(id, TAG_PREFIX, key, value), if: 'absent' }]),
  ]);
  const nothing = { datasets: [], modelInputs: [], modelOutputs: [] };
  return { run, params: new Map(), tags, metrics: new Map(), ...nothing };
}

export const namedItem = <Value>(run: string, prefix: string, key: string, value: Value) => {
  const body: Named<Value> = { key, value };
  return { ...namedKey(run, prefix, key), body };
};

export const namedKey = (run: string, prefix: string, key: string) => ({
  pk: runPartition(run),
  sk: `${prefix}${keyPart(key)}`,
});

/** @throws CairnError `RUN_NOT_FOUND` */
export async function getRun(ports: Pick<Ports, 'table'>, caller: Caller, id: string): Promise<RunDetail> {
  const detail = await readRun(ports.table, id);
  if (!detail) throw runNotFound(id);
  authorize(caller, 'viewer', { workspace: detail.run.workspace });
  return { ...detail, run: await standingRun(ports.table, detail.run) };
}

/** A run and all that was logged to it: one query. */
export async function readRun(table: Table, id: string): Promise<RunDetail | undefined> {
  if (!isRunId(id)) return undefined;
  let run: Run | undefined;
  const params = new Map<string, string>();
  const tags = new Map<string, string>();
  const metrics = new Map<string, Metric>();
  const datasets: DatasetInput[] = [];
  const modelInputs: ModelInput[] = [];
  const modelOutputs: ModelOutput[] = [];
  for await (const { sk, body } of itemsOf(table, runPartition(id))) {
    if (sk === RUN) run = body as Run;
    else if (sk.startsWith(PARAM_PREFIX)) addTo(params, body as Named<string>);
    else if (sk.startsWith(TAG_PREFIX)) addTo(tags, body as Named<string>);
    else if (sk.startsWith(METRIC_PREFIX)) {
      const { key, value } = body as Named<Point>;
      metrics.set(key, metricOf(key, value));
    } else if (sk.startsWith(DATASET_PREFIX)) datasets.push(body as DatasetInput);
    else if (sk.startsWith(MODEL_INPUT_PREFIX)) modelInputs.push(body as ModelInput);
    else if (sk.startsWith(MODEL_OUTPUT_PREFIX)) modelOutputs.push(body as ModelOutput);
  }
  return run && { run, params, tags, metrics, datasets, modelInputs, modelOutputs };
}

const addTo = (map: Map<string, string>, { key, value }: Named<string>) => map.set(key, value);

/** Run ids are part of keys and of storage paths. */
export const isRunId = (id: string) => /^[a-zA-Z0-9][\w-]{0,255}$/.test(id);

/** The run's record, for domain code that authorises by its workspace. @throws CairnError `RUN_NOT_FOUND` */
export async function findRun(table: Table, id: string): Promise<Item<Run>> {
  const item = isRunId(id) ? await table.get(runKey(id)) : undefined;
  if (!item) throw runNotFound(id);
  return item as Item<Run>;
}

/** The run's record, if the caller may log to it. @throws CairnError `RUN_NOT_FOUND`, `INVALID_ARGUMENT` for a deleted one */
export async function writableRun(table: Table, caller: Caller, id: string): Promise<Item<Run>> {
  const item = await findRun(table, id);
  authorize(caller, 'contributor', { workspace: item.body.workspace });
  if ((await standingRun(table, item.body)).lifecycle === 'active') return item;
  throw new CairnError('INVALID_ARGUMENT', `The run ${id} must be in the 'active' state.`, 'run_id');
}

/** Changes a run's status, end or name. @throws CairnError `RUN_NOT_FOUND` */
export async function updateRun(
  ports: Ports,
  caller: Caller,
  id: string,
  patch: { status?: RunStatus | undefined; endTime?: number | undefined; name?: string | undefined },
): Promise<Run> {
  return exclusively(runPartition(id), async () => {
    const { body: before, rev } = await writableRun(ports.table, caller, id);
    const after: Run = {
      ...before,
      status: patch.status ?? before.status,
      name: patch.name || before.name,
      ...(patch.endTime === undefined ? {} : { endTime: patch.endTime }),
    };
    const ops: Op[] = [{ put: { ...runKey(id), body: after }, if: { rev } }];
    if (after.name !== before.name)
      ops.push(await putNamed(ports.table, id, TAG_PREFIX, RUN_NAME_TAG, after.name));
    await ports.table.transact(ops);
    return { ...after, lifecycle: 'active' };
  });
}

/** The operation that gives a parameter, tag or metric its value, whether or not there is one. */
async function putNamed<Value>(
  table: Table,
  run: string,
  prefix: string,
  key: string,
  value: Value,
): Promise<Op> {
  const found = await table.get(namedKey(run, prefix, key));
  return { put: namedItem(run, prefix, key, value), if: found ? { rev: found.rev } : 'absent' };
}

/**
 * Deletes a run or brings it back; its record, metrics and artifacts stay. An event of its experiment tells it. Nothing happens where
 * it is so already.
 */
export async function setRunLifecycle(
  ports: Ports,
  caller: Caller,
  id: string,
  lifecycle: Lifecycle,
): Promise<void> {
  const { body: found } = await findRun(ports.table, id);
  authorize(caller, 'contributor', { workspace: found.workspace });
  await exclusively(experimentChain(found.workspace, found.experiment), async () => {
    const { body: experiment } = await findExperiment(ports, found.workspace, found.experiment);
    const { body: before, rev } = await findRun(ports.table, id);
    if (standing(before, experiment).lifecycle === lifecycle) return;
    const action = lifecycle === 'deleted' ? 'run.deleted' : 'run.restored';
    const subject = `${experiment.name}/${before.name}`;
    const { deletedAt: deletedBefore, ...rest } = before;
    const deletedAt = ports.clock.now();
    const set = { ...rest, lifecycle, turn: turnOf(experiment) };
    const after: Run = lifecycle === 'deleted' ? { ...set, deletedAt } : set;
    const { name, workspace } = before;
    await commit(ports, caller, { ...changeOf(experiment, action), subject, before: { run: id } }, [
      { put: { ...runKey(id), body: after }, if: { rev } },
      // Of one that its experiment brought back it is noted still.
      ...(after.deletedAt === deletedBefore ? [] : forgetDeleted(workspace, 'run', id, deletedBefore)),
      ...(after.deletedAt === undefined || after.deletedAt === deletedBefore
        ? []
        : [noteDeleted(workspace, { kind: 'run', id, name, experiment: experiment.id, deletedAt })]),
    ]);
  });
}

export const runNotFound = (id: string) =>
  new CairnError('RUN_NOT_FOUND', `There is no run with the id ${id}.`, 'run_id');
