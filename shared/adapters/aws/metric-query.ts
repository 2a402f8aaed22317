import type { Dimension, Metric, MetricDataQuery } from '@aws-sdk/client-cloudwatch';
import { NAMESPACE } from '../../monitoring/metrics.ts';
import type { Dimensions, MetricSource, Statistic } from '../../ports/alarm-service.ts';

/** A source as CloudWatch's queries and alarms take it. The query that answers has the id `id`, its operands begin with it. */
export function metricQueries(source: MetricSource, period: number, id: string): MetricDataQuery[] {
  if (source.kind === 'metric') {
    return [{ Id: id, MetricStat: metricStat(source.metric, source.dimensions, period, source.statistic) }];
  }
  const { numerator, denominator, dimensions } = source;
  // A period without the denominator has no quotient; one without the numerator is 0.
  const expression = `100 * FILL(${id}n, 0) / ${id}d`;
  return [
    { Id: id, Expression: expression, Label: `${numerator} per 100 ${denominator}`, ReturnData: true },
    { Id: `${id}n`, MetricStat: metricStat(numerator, dimensions, period, 'Sum'), ReturnData: false },
    { Id: `${id}d`, MetricStat: metricStat(denominator, dimensions, period, 'Sum'), ReturnData: false },
  ];
}

const metricStat = (metric: string, dimensions: Dimensions, Period: number, Stat: Statistic) => ({
  Metric: { Namespace: NAMESPACE, MetricName: metric, Dimensions: toDimensions(dimensions) } satisfies Metric,
  Period,
  Stat,
});

export const toDimensions = (dimensions: Dimensions): Dimension[] =>
  Object.entries(dimensions).map(([Name, Value]) => ({ Name, Value }));

export const fromDimensions = (dimensions: readonly Dimension[] = []): Dimensions =>
  Object.fromEntries(dimensions.map(({ Name = '', Value = '' }) => [Name, Value]));
