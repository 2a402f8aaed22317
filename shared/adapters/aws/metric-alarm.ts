import type { MetricAlarm, MetricDataQuery, PutMetricAlarmCommandInput } from '@aws-sdk/client-cloudwatch';
import { NAMESPACE } from '../../monitoring/metrics.ts';
import type {
  AlarmDefinition,
  AlarmDescription,
  AlarmState,
  Comparison,
  MetricSource,
  MissingData,
  Statistic,
} from '../../ports/alarm-service.ts';
import { fromDimensions, metricQueries, toDimensions } from './metric-query.ts';

/** The id of the query that a metric-math alarm watches. */
const RATIO = 'ratio';

/** PutMetricAlarm's request: a single metric is watched as such, a percentage as metric math. */
export function toMetricAlarm(
  alarm: AlarmDefinition,
  topicArn: string | undefined,
): PutMetricAlarmCommandInput {
  const actions = topicArn === undefined ? [] : [topicArn];
  return {
    AlarmName: alarm.name,
    ...(alarm.description === undefined ? {} : { AlarmDescription: alarm.description }),
    ActionsEnabled: alarm.actionsEnabled,
    AlarmActions: actions,
    OKActions: actions,
    InsufficientDataActions: actions,
    EvaluationPeriods: alarm.evaluationPeriods,
    DatapointsToAlarm: alarm.datapointsToAlarm,
    Threshold: alarm.threshold,
    ComparisonOperator: alarm.comparison,
    TreatMissingData: alarm.treatMissingData,
    ...watched(alarm),
  };
}

function watched({ source, period }: AlarmDefinition): Partial<PutMetricAlarmCommandInput> {
  if (source.kind === 'percentage') return { Metrics: metricQueries(source, period, RATIO) };
  const { metric, dimensions, statistic } = source;
  return {
    Namespace: NAMESPACE,
    MetricName: metric,
    Dimensions: toDimensions(dimensions),
    Period: period,
    // Percentiles of few samples count too: the endpoint's alarms are for quiet endpoints as well.
    ...(isBasic(statistic)
      ? { Statistic: statistic }
      : { ExtendedStatistic: statistic, EvaluateLowSampleCountPercentile: 'evaluate' }),
  };
}

const BASIC = ['Sum', 'Average', 'Minimum', 'Maximum', 'SampleCount'] as const;
const isBasic = (statistic: Statistic): statistic is (typeof BASIC)[number] =>
  BASIC.some((basic) => basic === statistic);

/** What DescribeAlarms says of an alarm; undefined for one that Cairn's own rules cannot have made. */
export function fromMetricAlarm(alarm: MetricAlarm): AlarmDescription | undefined {
  const watches = alarm.Metrics?.length ? fromMetrics(alarm.Metrics) : fromMetric(alarm);
  if (watches === undefined || alarm.AlarmName === undefined) return undefined;
  const evaluationPeriods = alarm.EvaluationPeriods ?? 1;
  return {
    name: alarm.AlarmName,
    ...(alarm.AlarmDescription ? { description: alarm.AlarmDescription } : {}),
    ...watches,
    evaluationPeriods,
    datapointsToAlarm: alarm.DatapointsToAlarm ?? evaluationPeriods,
    threshold: alarm.Threshold ?? 0,
    comparison: alarm.ComparisonOperator as Comparison,
    treatMissingData: (alarm.TreatMissingData ?? 'missing') as MissingData,
    actionsEnabled: alarm.ActionsEnabled ?? true,
    state: alarm.StateValue as AlarmState,
    stateReason: alarm.StateReason ?? '',
    stateUpdatedAt: alarm.StateUpdatedTimestamp?.getTime() ?? 0,
  };
}

interface Watches {
  readonly source: MetricSource;
  readonly period: number;
}

function fromMetric(alarm: MetricAlarm): Watches | undefined {
  const statistic = (alarm.ExtendedStatistic || alarm.Statistic) as Statistic | undefined;
  if (alarm.Namespace !== NAMESPACE || alarm.MetricName === undefined || !statistic) return undefined;
  const source: MetricSource = {
    kind: 'metric',
    metric: alarm.MetricName,
    dimensions: fromDimensions(alarm.Dimensions),
    statistic,
  };
  return { source, period: alarm.Period ?? 60 };
}

function fromMetrics(queries: readonly MetricDataQuery[]): Watches | undefined {
  const stat = (id: string) => queries.find(({ Id }) => Id === id)?.MetricStat;
  const [numerator, denominator] = [stat(`${RATIO}n`), stat(`${RATIO}d`)];
  if (numerator?.Metric?.Namespace !== NAMESPACE) return undefined;
  const source: MetricSource = {
    kind: 'percentage',
    numerator: numerator.Metric.MetricName ?? '',
    denominator: denominator?.Metric?.MetricName ?? '',
    dimensions: fromDimensions(numerator.Metric.Dimensions),
  };
  return { source, period: numerator.Period ?? 60 };
}
