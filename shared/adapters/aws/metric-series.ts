import {
  type CloudWatchClient,
  GetMetricDataCommand,
  type MetricDataQuery,
} from '@aws-sdk/client-cloudwatch';
import type { SeriesPoint, SeriesQuery } from '../../ports/alarm-service.ts';
import { metricQueries } from './metric-query.ts';

/** GetMetricData takes 500 queries; a percentage is three of them. */
const MAX_SERIES = 150;

/**
 * Reads series. Those that are asked for at once, in the same window, go in one request: a report of an endpoint asks
 * for dozens, and CloudWatch takes 50 requests a second.
 */
export function seriesReader(client: CloudWatchClient): (query: SeriesQuery) => Promise<SeriesPoint[]> {
  const collecting = new Map<string, { queries: SeriesQuery[]; series: Promise<SeriesPoint[][]> }>();

  const collect = (window: string) => {
    const queries: SeriesQuery[] = [];
    const series = Promise.resolve().then(() => {
      if (collecting.get(window)?.queries === queries) collecting.delete(window);
      return read(client, queries);
    });
    const batch = { queries, series };
    collecting.set(window, batch);
    return batch;
  };

  return async (query) => {
    const window = `${query.from} ${query.to}`;
    const open = collecting.get(window);
    const batch = open === undefined || open.queries.length === MAX_SERIES ? collect(window) : open;
    const index = batch.queries.push(query) - 1;
    return (await batch.series)[index] ?? [];
  };
}

/** The series of queries that have one window. */
async function read(client: CloudWatchClient, queries: readonly SeriesQuery[]): Promise<SeriesPoint[][]> {
  const [first] = queries;
  if (first === undefined || first.from >= first.to) return queries.map(() => []);
  const series = queries.map((): SeriesPoint[] => []);
  const MetricDataQueries: MetricDataQuery[] = queries.flatMap(({ source, period }, index) =>
    metricQueries(source, period, `q${index}`),
  );
  for (let NextToken: string | undefined, more = true; more; more = NextToken !== undefined) {
    const page = await client.send(
      new GetMetricDataCommand({
        MetricDataQueries,
        StartTime: new Date(first.from),
        EndTime: new Date(first.to),
        ScanBy: 'TimestampAscending',
        ...(NextToken === undefined ? {} : { NextToken }),
      }),
    );
    for (const { Id = '', Timestamps = [], Values = [] } of page.MetricDataResults ?? []) {
      const points = series[Number(Id.slice(1))];
      Timestamps.forEach((time, index) => {
        points?.push({ at: time.getTime(), value: Values[index] ?? Number.NaN });
      });
    }
    NextToken = page.NextToken;
  }
  for (const points of series) points.sort((a, b) => a.at - b.at);
  return series;
}
