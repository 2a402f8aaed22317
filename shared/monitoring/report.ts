import type { AlarmService, SeriesPoint, Statistic } from '../ports/alarm-service.ts';
import { type MetricName, metricDimensions, type Watched } from './metrics.ts';

/** Counts and times of an endpoint or a revision; times in milliseconds. A period without requests has no point. */
export interface TrafficReport {
  readonly requests: readonly SeriesPoint[];
  readonly errors4xx: readonly SeriesPoint[];
  readonly errors5xx: readonly SeriesPoint[];
  readonly latency: Percentiles;
  readonly modelLatency: Percentiles;
  readonly queueTime: Percentiles;
}

/** Percentiles of the samples, never of averages. */
export interface Percentiles {
  readonly p50: readonly SeriesPoint[];
  readonly p90: readonly SeriesPoint[];
  readonly p99: readonly SeriesPoint[];
}

export interface MetricsReport extends TrafficReport {
  /** Seconds. */
  readonly period: number;
  /** Milliseconds since the epoch; `from` inclusive, `to` exclusive. */
  readonly from: number;
  readonly to: number;
  readonly revisions: readonly (TrafficReport & { readonly revision: number })[];
}

export interface ReportWindow {
  readonly from: number;
  readonly to: number;
  readonly period: number;
}

/** What happened at the endpoint in the window, and at each of these revisions. */
export async function metricsReport(
  alarms: Pick<AlarmService, 'series'>,
  endpoint: { readonly workspace: string; readonly endpoint: string },
  revisions: readonly number[],
  window: ReportWindow,
): Promise<MetricsReport> {
  const [whole, ...each] = await Promise.all([
    traffic(alarms, endpoint, window),
    ...revisions.map((revision) => traffic(alarms, { ...endpoint, revision }, window)),
  ]);
  const { from, to, period } = window;
  return {
    period,
    from,
    to,
    ...whole,
    revisions: each.flatMap((report, index) => {
      const revision = revisions[index];
      return revision === undefined ? [] : [{ revision, ...report }];
    }),
  };
}

async function traffic(
  alarms: Pick<AlarmService, 'series'>,
  watched: Watched,
  window: ReportWindow,
): Promise<TrafficReport> {
  const dimensions = metricDimensions(watched);
  const series = (metric: MetricName, statistic: Statistic) =>
    alarms.series({ source: { kind: 'metric', metric, dimensions, statistic }, ...window });
  const percentiles = async (metric: MetricName): Promise<Percentiles> => {
    const [p50, p90, p99] = await Promise.all([
      series(metric, 'p50'),
      series(metric, 'p90'),
      series(metric, 'p99'),
    ]);
    return { p50, p90, p99 };
  };
  const [requests, errors4xx, errors5xx, latency, modelLatency, queueTime] = await Promise.all([
    series('Requests', 'Sum'),
    series('Errors4xx', 'Sum'),
    series('Errors5xx', 'Sum'),
    percentiles('Latency'),
    percentiles('ModelLatency'),
    percentiles('QueueTime'),
  ]);
  return { requests, errors4xx, errors5xx, latency, modelLatency, queueTime };
}
