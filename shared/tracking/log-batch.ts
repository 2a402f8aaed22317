import { uuidv7 } from 'uuidv7';
import type { Caller } from '../access/caller.ts';
import { exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import type { Ports } from '../ports/ports.ts';
import type { Item, Op } from '../ports/table.ts';
import { inTransactions, readAll } from './batches.ts';
import {
  METRIC_PREFIX,
  metricPrefix,
  metricsPartition,
  PARAM_PREFIX,
  runKey,
  runPartition,
  TAG_PREFIX,
} from './keys.ts';
import { authorizeMeasuring, measureModels } from './logged-model.ts';
import { isNewer, type Metric, type Point, pointOf } from './metric.ts';
import { type Named, namedItem, namedKey, RUN_NAME_TAG, type Run, writableRun } from './run.ts';

export interface Batch {
  readonly metrics?: readonly Metric[];
  readonly params?: readonly Named<string>[];
  readonly tags?: readonly Named<string>[];
}

/** Values of one metric in one request, in one item. */
export interface MetricPoints {
  readonly key: string;
  readonly points: readonly Point[];
}

/** Points in one item at most: 45 bytes each. */
const POINTS_AT_ONCE = 4000;

/**
 * Logs to a run. A metric's values go to its history, one item for each metric of a request, and the newest one beside the
 * run. Larger batches are several transactions: after a failure a repeated call completes what is missing.
 * No audit event tells of it (decision 9).
 * @throws CairnError `RUN_NOT_FOUND`; `INVALID_ARGUMENT` for a parameter that has another value already
 */
export async function logBatch(ports: Ports, caller: Caller, id: string, batch: Batch): Promise<void> {
  const { metrics = [], params = [], tags = [] } = batch;
  await authorizeMeasuring(ports.table, caller, metrics);
  await exclusively(runPartition(id), async () => {
    const run = await writableRun(ports.table, caller, id);
    const points = groupPoints(metrics);
    const newParams = distinct(params, true);
    const newTags = distinct(tags, false);
    const keys = [
      ...[...points.keys()].map((key) => namedKey(id, METRIC_PREFIX, key)),
      ...[...newParams.keys()].map((key) => namedKey(id, PARAM_PREFIX, key)),
      ...[...newTags.keys()].map((key) => namedKey(id, TAG_PREFIX, key)),
    ];
    const found = await readAll(ports.table, keys);
    const there = (prefix: string, key: string) => found.get(namedKey(id, prefix, key).sk);
    const groups: Op[][] = [];
    for (const [key, value] of newParams) {
      const before = there(PARAM_PREFIX, key);
      if (!before) groups.push([{ put: namedItem(id, PARAM_PREFIX, key, value), if: 'absent' }]);
      else if ((before.body as Named<string>).value !== value) throw changedParam(key);
    }
    for (const [key, value] of newTags) {
      const before = there(TAG_PREFIX, key);
      groups.push([
        { put: namedItem(id, TAG_PREFIX, key, value), if: before ? { rev: before.rev } : 'absent' },
      ]);
    }
    for (const [key, values] of points) {
      const before = there(METRIC_PREFIX, key);
      groups.push([...historyOps(id, key, values), ...newestOps(id, key, values, before)]);
    }
    groups.push(renameOps(run, newTags.get(RUN_NAME_TAG)));
    await inTransactions(ports.table, groups);
  });
  const measured = metrics.filter(({ model }) => model !== undefined);
  if (measured.length > 0) await measureModels(ports, id, measured);
}

function groupPoints(metrics: readonly Metric[]): Map<string, Point[]> {
  const groups = new Map<string, Point[]>();
  for (const metric of metrics) {
    const group = groups.get(metric.key);
    if (group) group.push(pointOf(metric));
    else groups.set(metric.key, [pointOf(metric)]);
  }
  return groups;
}

/** The last value of each key; of a parameter there may be only one. */
function distinct(entries: readonly Named<string>[], immutable: boolean): Map<string, string> {
  const values = new Map<string, string>();
  for (const { key, value } of entries) {
    if (immutable && values.has(key) && values.get(key) !== value) throw changedParam(key);
    values.set(key, value);
  }
  return values;
}

const changedParam = (key: string) =>
  new CairnError(
    'INVALID_ARGUMENT',
    `The parameter "${key}" was logged with another value: a parameter does not change.`,
    'params',
  );

function historyOps(run: string, key: string, points: readonly Point[]): Op[] {
  const ops: Op[] = [];
  for (let at = 0; at < points.length; at += POINTS_AT_ONCE) {
    const body: MetricPoints = { key, points: points.slice(at, at + POINTS_AT_ONCE) };
    ops.push({
      put: { pk: metricsPartition(run), sk: `${metricPrefix(key)}${uuidv7()}`, body },
      if: 'absent',
    });
  }
  return ops;
}

function newestOps(run: string, key: string, points: readonly Point[], before: Item | undefined): Op[] {
  const known = (before?.body as Named<Point> | undefined)?.value;
  let newest = known;
  for (const point of points) if (newest === undefined || isNewer(point, newest)) newest = point;
  if (newest === undefined || newest === known) return [];
  return [{ put: namedItem(run, METRIC_PREFIX, key, newest), if: before ? { rev: before.rev } : 'absent' }];
}

/** The tag `mlflow.runName` is the run's name. */
function renameOps({ body, rev }: Item<Run>, name: string | undefined): Op[] {
  if (name === undefined || name === body.name) return [];
  const renamed: Run = { ...body, name };
  return [{ put: { ...runKey(body.id), body: renamed }, if: { rev } }];
}

/** Removes a tag of a run. @throws CairnError `TAG_NOT_FOUND` */
export async function deleteRunTag(ports: Ports, caller: Caller, id: string, key: string): Promise<void> {
  await exclusively(runPartition(id), async () => {
    await writableRun(ports.table, caller, id);
    const item = await ports.table.get(namedKey(id, TAG_PREFIX, key));
    if (!item) throw new CairnError('TAG_NOT_FOUND', `The run ${id} has no tag "${key}".`, 'key');
    await ports.table.transact([{ delete: { pk: item.pk, sk: item.sk }, if: { rev: item.rev } }]);
  });
}
