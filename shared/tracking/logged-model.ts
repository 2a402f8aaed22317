import { randomBytes } from 'node:crypto';
import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { commit, exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import { itemsOf } from '../ports/items-of.ts';
import type { Ports } from '../ports/ports.ts';
import type { Item, Op, Table } from '../ports/table.ts';
import { inTransactions, nameOf, readAll } from './batches.ts';
import { noteDeleted } from './deleted.ts';
import { changeOf, findExperiment, type Lifecycle, requireActive } from './experiment.ts';
import {
  experimentChain,
  keyPart,
  loggedModelEntryKey,
  loggedModelKey,
  loggedModelPartition,
  METRIC_PREFIX,
  MODEL,
  PARAM_PREFIX,
  TAG_PREFIX,
} from './keys.ts';
import { type Metric, metricOf, type Point, pointOf } from './metric.ts';
import { randomName } from './random-name.ts';
import type { Named } from './run.ts';

/** A model as a run logged it (MLflow 3): an id, its parameters and metrics, and its own artifacts. */
export interface LoggedModel {
  readonly format: 1;
  /** `m-` and 32 hexadecimal digits. */
  readonly id: string;
  readonly workspace: string;
  readonly experiment: string;
  readonly name: string;
  readonly modelType: string;
  readonly sourceRun: string;
  readonly status: LoggedModelStatus;
  readonly lifecycle: Lifecycle;
  readonly deletedAt?: number;
  readonly artifactLocation?: string;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export type LoggedModelStatus = 'PENDING' | 'READY' | 'FAILED';

/** A value that was measured of a logged model, and in which run. */
export type ModelMetric = Metric & { readonly run: string };

export interface LoggedModelDetail {
  readonly model: LoggedModel;
  readonly params: ReadonlyMap<string, string>;
  readonly tags: ReadonlyMap<string, string>;
  readonly metrics: readonly ModelMetric[];
}

interface MeasuredBody {
  readonly key: string;
  readonly value: Point;
  readonly run: string;
  readonly dataset?: { readonly name: string; readonly digest: string };
}

/** @throws CairnError `EXPERIMENT_NOT_FOUND`, `INVALID_ARGUMENT` for a deleted experiment */
export async function createLoggedModel(
  ports: Ports,
  caller: Caller,
  input: {
    workspace: string;
    experiment: string;
    name?: string | undefined;
    modelType: string;
    sourceRun: string;
    params: readonly Named<string>[];
    tags: readonly Named<string>[];
  },
): Promise<LoggedModelDetail> {
  const { workspace, modelType, sourceRun } = input;
  authorize(caller, 'contributor', { workspace });
  const experiment = await requireActive(ports, workspace, input.experiment);
  const now = ports.clock.now();
  const id = `m-${randomBytes(16).toString('hex')}`;
  const model: LoggedModel = {
    format: 1,
    id,
    workspace,
    experiment: experiment.id,
    name: input.name || randomName(),
    modelType,
    sourceRun,
    status: 'PENDING',
    lifecycle: 'active',
    ...(experiment.artifactLocation === undefined
      ? {}
      : { artifactLocation: `${experiment.artifactLocation.replace(/\/$/, '')}/models/${id}/artifacts` }),
    createdAt: now,
    updatedAt: now,
  };
  await ports.table.transact([
    { put: { ...loggedModelKey(id), body: model }, if: 'absent' },
    { put: { ...loggedModelEntryKey(workspace, experiment.id, now, id), body: {} }, if: 'absent' },
  ]);
  await putAll(ports.table, id, PARAM_PREFIX, input.params);
  await putAll(ports.table, id, TAG_PREFIX, input.tags);
  const mapOf = (entries: readonly Named<string>[]) =>
    new Map(entries.map(({ key, value }) => [key, value] as const));
  return { model, params: mapOf(input.params), tags: mapOf(input.tags), metrics: [] };
}

/** @throws CairnError `LOGGED_MODEL_NOT_FOUND`, also for a deleted one unless `deleted` is wanted too */
export async function getLoggedModel(
  ports: Pick<Ports, 'table'>,
  caller: Caller,
  id: string,
  { deleted = false }: { deleted?: boolean } = {},
): Promise<LoggedModelDetail> {
  const detail = await readLoggedModel(ports.table, id);
  if (!detail || (detail.model.lifecycle === 'deleted' && !deleted)) throw loggedModelNotFound(id);
  authorize(caller, 'viewer', { workspace: detail.model.workspace });
  return detail;
}

/** A logged model and all that was logged to it: one query. */
export async function readLoggedModel(table: Table, id: string): Promise<LoggedModelDetail | undefined> {
  if (!isLoggedModelId(id)) return undefined;
  let model: LoggedModel | undefined;
  const params = new Map<string, string>();
  const tags = new Map<string, string>();
  const metrics: ModelMetric[] = [];
  for await (const { sk, body } of itemsOf(table, loggedModelPartition(id))) {
    if (sk === MODEL) model = body as LoggedModel;
    else if (sk.startsWith(METRIC_PREFIX)) metrics.push(measured(id, body as MeasuredBody));
    else {
      const { key, value } = body as Named<string>;
      (sk.startsWith(PARAM_PREFIX) ? params : tags).set(key, value);
    }
  }
  return model && { model, params, tags, metrics };
}

const measured = (model: string, { key, value, run, dataset }: MeasuredBody): ModelMetric => ({
  ...metricOf(key, value),
  model,
  run,
  ...(dataset === undefined ? {} : { dataset }),
});

export const isLoggedModelId = (id: string) => /^m-[\w-]{1,250}$/.test(id);

/** The record, for domain code that authorises by its workspace. @throws CairnError `LOGGED_MODEL_NOT_FOUND` */
export async function findLoggedModel(table: Table, id: string): Promise<Item<LoggedModel>> {
  const item = isLoggedModelId(id) ? await table.get(loggedModelKey(id)) : undefined;
  if (!item) throw loggedModelNotFound(id);
  return item as Item<LoggedModel>;
}

async function writable(table: Table, caller: Caller, id: string): Promise<Item<LoggedModel>> {
  const item = await findLoggedModel(table, id);
  authorize(caller, 'contributor', { workspace: item.body.workspace });
  return item;
}

/** Says whether its artifacts are all there. */
export async function finishLoggedModel(
  ports: Ports,
  caller: Caller,
  id: string,
  status: LoggedModelStatus,
): Promise<LoggedModelDetail> {
  await exclusively(loggedModelPartition(id), async () => {
    const { body, rev } = await writable(ports.table, caller, id);
    const after: LoggedModel = { ...body, status, updatedAt: ports.clock.now() };
    await ports.table.transact([{ put: { ...loggedModelKey(id), body: after }, if: { rev } }]);
  });
  return getLoggedModel(ports, caller, id, { deleted: true });
}

/** Its record, metrics and artifacts stay. An event of its experiment tells it. */
export async function deleteLoggedModel(ports: Ports, caller: Caller, id: string): Promise<void> {
  const { body: found } = await writable(ports.table, caller, id);
  const { body: experiment } = await findExperiment(ports, found.workspace, found.experiment);
  await exclusively(experimentChain(found.workspace, found.experiment), async () => {
    const { body, rev } = await writable(ports.table, caller, id);
    if (body.lifecycle === 'deleted') return;
    const now = ports.clock.now();
    const after: LoggedModel = { ...body, lifecycle: 'deleted', deletedAt: now, updatedAt: now };
    const subject = `${experiment.name}/${body.name}`;
    const change = { ...changeOf(experiment, 'logged-model.deleted'), subject, before: { loggedModel: id } };
    const { name, workspace } = body;
    await commit(ports, caller, change, [
      { put: { ...loggedModelKey(id), body: after }, if: { rev } },
      noteDeleted(workspace, { kind: 'logged-model', id, name, experiment: experiment.id, deletedAt: now }),
    ]);
  });
}

export async function setLoggedModelTags(
  ports: Ports,
  caller: Caller,
  id: string,
  tags: readonly Named<string>[],
): Promise<void> {
  await exclusively(loggedModelPartition(id), async () => {
    await writable(ports.table, caller, id);
    await putAll(ports.table, id, TAG_PREFIX, tags);
  });
}

/** Changes one tag by what it was: nobody who writes it at the same time is overwritten. One that is not there stays so. */
export async function editLoggedModelTag(
  ports: Ports,
  caller: Caller,
  id: string,
  key: string,
  edit: (value: string | undefined) => string,
): Promise<void> {
  // One of another tracking server.
  if (!isLoggedModelId(id) || !(await ports.table.get(loggedModelKey(id)))) return;
  await exclusively(loggedModelPartition(id), async () => {
    await writable(ports.table, caller, id);
    const at = { pk: loggedModelPartition(id), sk: `${TAG_PREFIX}${keyPart(key)}` };
    const found = await ports.table.get(at);
    const value = edit((found?.body as Named<string> | undefined)?.value);
    await ports.table.transact([
      { put: { ...at, body: { key, value } }, if: found ? { rev: found.rev } : 'absent' },
    ]);
  });
}

export async function logLoggedModelParams(
  ports: Ports,
  caller: Caller,
  id: string,
  params: readonly Named<string>[],
): Promise<void> {
  await exclusively(loggedModelPartition(id), async () => {
    await writable(ports.table, caller, id);
    await putAll(ports.table, id, PARAM_PREFIX, params);
  });
}

/** @throws CairnError `TAG_NOT_FOUND` */
export async function deleteLoggedModelTag(
  ports: Ports,
  caller: Caller,
  id: string,
  key: string,
): Promise<void> {
  await exclusively(loggedModelPartition(id), async () => {
    await writable(ports.table, caller, id);
    const item = await ports.table.get({ pk: loggedModelPartition(id), sk: `${TAG_PREFIX}${keyPart(key)}` });
    if (!item) throw new CairnError('TAG_NOT_FOUND', `The logged model has no tag "${key}".`, 'tag_key');
    await ports.table.transact([{ delete: { pk: item.pk, sk: item.sk }, if: { rev: item.rev } }]);
  });
}

/** Sets tags or parameters, whether or not they are there; the last of a key counts. */
async function putAll(
  table: Table,
  id: string,
  prefix: string,
  entries: readonly Named<string>[],
): Promise<void> {
  const pk = loggedModelPartition(id);
  const bodies = new Map(entries.map((entry) => [`${prefix}${keyPart(entry.key)}`, entry] as const));
  const found = await readAll(
    table,
    [...bodies.keys()].map((sk) => ({ pk, sk })),
  );
  await inTransactions(
    table,
    [...bodies].map(([sk, { key, value }]): Op[] => {
      const before = found.get(sk);
      return [{ put: { pk, sk, body: { key, value } }, if: before ? { rev: before.rev } : 'absent' }];
    }),
  );
}

/** @throws CairnError `PERMISSION_DENIED` for a logged model that the caller may not write; one that is not there is none */
export async function authorizeMeasuring(
  table: Table,
  caller: Caller,
  metrics: readonly Metric[],
): Promise<void> {
  for (const id of new Set(metrics.map(({ model }) => model))) {
    const item = id !== undefined && isLoggedModelId(id) && (await table.get(loggedModelKey(id)));
    if (item) authorize(caller, 'contributor', { workspace: (item.body as LoggedModel).workspace });
  }
}

/** Keeps what a run measured of logged models beside them. A model that is not there any more keeps nothing. */
export async function measureModels(ports: Ports, run: string, metrics: readonly Metric[]): Promise<void> {
  for (const [id, ofModel] of Map.groupBy(metrics, ({ model }) => model ?? '')) {
    await exclusively(loggedModelPartition(id), async () => {
      if (!isLoggedModelId(id) || !(await ports.table.get(loggedModelKey(id)))) return;
      const pk = loggedModelPartition(id);
      const bodies = new Map(
        ofModel.map((metric) => {
          const { key, dataset } = metric;
          const value = pointOf(metric);
          const body: MeasuredBody = { key, value, run, ...(dataset === undefined ? {} : { dataset }) };
          return [`${METRIC_PREFIX}${nameOf(key, value, run, dataset)}`, body] as const;
        }),
      );
      const found = await readAll(
        ports.table,
        [...bodies.keys()].map((sk) => ({ pk, sk })),
      );
      await inTransactions(
        ports.table,
        [...bodies]
          .filter(([sk]) => !found.has(sk))
          .map(([sk, body]): Op[] => [{ put: { pk, sk, body }, if: 'absent' }]),
      );
    });
  }
}

export const loggedModelNotFound = (id: string) =>
  new CairnError('LOGGED_MODEL_NOT_FOUND', `There is no logged model with the id ${id}.`, 'model_id');
