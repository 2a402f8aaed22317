import type { MetricDatum as CloudWatchDatum } from '@aws-sdk/client-cloudwatch';
import type { MetricDatum } from '../../ports/alarm-service.ts';
import { toDimensions } from './metric-query.ts';

/** PutMetricData's bounds: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html */
const MAX_DATA = 1000;
const MAX_VALUES = 150;
/** Of 1 MB, as the longest of the protocols would write it. */
const MAX_BYTES = 900_000;
const BYTES_OF_A_DATUM = 300;
const BYTES_OF_A_DIMENSION = 150;
const BYTES_OF_A_VALUE = 100;

/** The data in as few requests as CloudWatch takes. Its resolution of a second lets alarms have periods of 10 seconds. */
export function metricBatches(data: readonly MetricDatum[]): CloudWatchDatum[][] {
  const batches: CloudWatchDatum[][] = [];
  let size = 0;
  for (const datum of data.flatMap(toCloudWatch)) {
    const bytes =
      BYTES_OF_A_DATUM +
      BYTES_OF_A_DIMENSION * (datum.Dimensions?.length ?? 0) +
      BYTES_OF_A_VALUE * (datum.Values?.length ?? 0);
    const last = batches.at(-1);
    if (last === undefined || last.length === MAX_DATA || size + bytes > MAX_BYTES) {
      batches.push([datum]);
      size = bytes;
    } else {
      last.push(datum);
      size += bytes;
    }
  }
  return batches;
}

function toCloudWatch({ metric, dimensions, at, values, counts, unit }: MetricDatum): CloudWatchDatum[] {
  return Array.from({ length: Math.ceil(values.length / MAX_VALUES) }, (_, index) => {
    const [from, to] = [index * MAX_VALUES, (index + 1) * MAX_VALUES];
    return {
      MetricName: metric,
      Dimensions: toDimensions(dimensions),
      Timestamp: new Date(at),
      Values: values.slice(from, to),
      ...(counts === undefined ? {} : { Counts: counts.slice(from, to) }),
      Unit: unit,
      StorageResolution: 1,
    };
  });
}
