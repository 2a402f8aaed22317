import type { MetricDatum } from '../ports/alarm-service.ts';
import { NAMESPACE } from './metrics.ts';

/** One line's bounds: values of a metric, and metrics. */
const MAX_VALUES = 100;
const MAX_METRICS = 100;

/**
 * Log lines in CloudWatch's Embedded Metric Format, from which CloudWatch Logs makes metrics: what functions and containers
 * write instead of calling PutMetricData. Data of one time with the same dimensions share a line. `properties` are searchable
 * in the log and no dimensions.
 * Format: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html;
 * samples that count more than once are written as OpenTelemetry's `awsemfexporter` writes histograms, which it leaves open.
 */
export function emfLines(
  data: readonly MetricDatum[],
  properties: Readonly<Record<string, unknown>> = {},
): string[] {
  const together = Map.groupBy(data, ({ at, dimensions }) =>
    JSON.stringify([at, Object.entries(dimensions).sort()]),
  );
  return [...together.values()].flatMap((group) =>
    documents(group).map((document) => line(document, properties)),
  );
}

/** A document names a metric once: what is left over goes into the next one. */
function documents(group: readonly MetricDatum[]): MetricDatum[][] {
  const made: { readonly names: Set<string>; readonly data: MetricDatum[] }[] = [];
  for (const datum of group.flatMap(pieces)) {
    let room = made.find(({ names }) => names.size < MAX_METRICS && !names.has(datum.metric));
    if (room === undefined) {
      room = { names: new Set(), data: [] };
      made.push(room);
    }
    room.names.add(datum.metric);
    room.data.push(datum);
  }
  return made.map(({ data }) => data);
}

function pieces(datum: MetricDatum): MetricDatum[] {
  const { values, counts, ...rest } = datum;
  return Array.from({ length: Math.ceil(values.length / MAX_VALUES) }, (_, index) => {
    const [from, to] = [index * MAX_VALUES, (index + 1) * MAX_VALUES];
    return { ...rest, values: values.slice(from, to), ...(counts ? { counts: counts.slice(from, to) } : {}) };
  });
}

function line(data: readonly MetricDatum[], properties: Readonly<Record<string, unknown>>): string {
  const { at = 0, dimensions = {} } = data[0] ?? {};
  return JSON.stringify({
    ...properties,
    _aws: {
      Timestamp: at,
      CloudWatchMetrics: [
        {
          Namespace: NAMESPACE,
          Dimensions: [Object.keys(dimensions)],
          Metrics: data.map(({ metric, unit }) => ({ Name: metric, Unit: unit, StorageResolution: 1 })),
        },
      ],
    },
    ...dimensions,
    ...Object.fromEntries(data.map((datum) => [datum.metric, sampled(datum)])),
  });
}

function sampled({ values, counts }: MetricDatum) {
  if (counts === undefined || counts.every((count) => count === 1)) {
    return values.length === 1 ? values[0] : values;
  }
  return {
    Values: values,
    Counts: counts,
    Min: Math.min(...values),
    Max: Math.max(...values),
    Count: counts.reduce((sum, count) => sum + count, 0),
    Sum: values.reduce((sum, value, index) => sum + value * (counts[index] ?? 1), 0),
  };
}
