import type { Dimensions, MetricDatum } from '../ports/alarm-service.ts';

/** Where Cairn's metrics are on CloudWatch. */
export const NAMESPACE = 'Cairn';

/**
 * What is measured of an endpoint. `Errors4xx` and `Errors5xx` have one sample, 0 or 1, for each request, so that a period
 * with requests and no error is a zero, not a hole. `Latency` is what the client sees; `ModelLatency` and `QueueTime` are the
 * model server's own times. `Replicas` is how many answer ready.
 */
export const METRIC_UNITS = {
  Requests: 'Count',
  Errors4xx: 'Count',
  Errors5xx: 'Count',
  Latency: 'Milliseconds',
  ModelLatency: 'Milliseconds',
  QueueTime: 'Milliseconds',
  Replicas: 'Count',
} as const satisfies Record<string, MetricDatum['unit']>;

export type MetricName = keyof typeof METRIC_UNITS;

/** An endpoint as a whole, or one of its revisions. */
export interface Watched {
  readonly workspace: string;
  readonly endpoint: string;
  readonly revision?: number | undefined;
}

/** The dimensions under which a metric of it is published. */
export function metricDimensions({ workspace, endpoint, revision }: Watched): Dimensions {
  const whole = { Workspace: workspace, Endpoint: endpoint };
  return revision === undefined ? whole : { ...whole, Revision: String(revision) };
}
