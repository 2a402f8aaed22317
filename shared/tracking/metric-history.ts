import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { itemsOf } from '../ports/items-of.ts';
import type { Ports } from '../ports/ports.ts';
import { metricPrefix, metricsPartition } from './keys.ts';
import type { MetricPoints } from './log-batch.ts';
import { type Metric, metricOf, type Point } from './metric.ts';
import { findRun } from './run.ts';

/**
 * Every value of a run's metric by time, step and value. What was logged twice is there once.
 * @throws CairnError `RUN_NOT_FOUND`
 */
export async function metricHistory(
  ports: Pick<Ports, 'table'>,
  caller: Caller,
  run: string,
  key: string,
): Promise<Metric[]> {
  const { body } = await findRun(ports.table, run);
  authorize(caller, 'viewer', { workspace: body.workspace });
  const points = new Map<string, Point>();
  for await (const item of itemsOf(ports.table, metricsPartition(run), metricPrefix(key))) {
    for (const point of (item.body as MetricPoints).points) points.set(point.join('/'), point);
  }
  const sorted = [...points.values()].sort(
    (a, b) => a[1] - b[1] || a[2] - b[2] || Number(a[0]) - Number(b[0]),
  );
  return sorted.map((point) => metricOf(key, point));
}
