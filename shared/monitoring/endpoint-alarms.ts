import type { AlarmDefinition, MetricSource } from '../ports/alarm-service.ts';
import type { EndpointSpec } from '../serving/endpoint-spec.ts';
import { metricDimensions, type Watched } from './metrics.ts';

/** The default alarms, under the names that an endpoint's spec tunes them by. */
export type AlarmKind = keyof EndpointSpec['alarms'];

const KINDS: readonly AlarmKind[] = ['errorRate', 'latencyP99'];

/** What begins the name of every alarm of the endpoint, its revisions' too. */
export const alarmPrefix = (workspace: string, endpoint: string): string => `cairn/${workspace}/${endpoint}/`;

/** `cairn/<workspace>/<endpoint>/<alarm>`, and for a revision `cairn/<workspace>/<endpoint>/r<revision>/<alarm>`. */
export function alarmName({ workspace, endpoint, revision }: Watched, alarm: AlarmKind): string {
  return `${alarmPrefix(workspace, endpoint)}${revision === undefined ? '' : `r${revision}/`}${alarm}`;
}

/** What an alarm's name says; undefined when Cairn did not give it. */
export function parseAlarmName(name: string): (Watched & { readonly alarm: AlarmKind }) | undefined {
  const match = /^cairn\/([^/]+)\/([^/]+)\/(?:r([1-9]\d*)\/)?([^/]+)$/.exec(name);
  const [, workspace, endpoint, revision, kind] = match ?? [];
  const alarm = KINDS.find((known) => known === kind);
  if (workspace === undefined || endpoint === undefined || alarm === undefined) return undefined;
  return revision === undefined
    ? { workspace, endpoint, alarm }
    : { workspace, endpoint, revision: Number(revision), alarm };
}

/**
 * The alarms that the spec enables, for the endpoint or for one revision of it. A revision has its own because a canary's
 * share is invisible in the endpoint's sum. Silence is not a failure: missing data does not breach.
 */
export function endpointAlarms(watched: Watched, tuning: EndpointSpec['alarms']): AlarmDefinition[] {
  return KINDS.filter((kind) => tuning[kind].enabled).map((kind) => {
    const { period, evaluationPeriods, datapointsToAlarm, threshold } = tuning[kind];
    return {
      name: alarmName(watched, kind),
      description: describe(watched, kind),
      source: source(watched, kind),
      period,
      evaluationPeriods,
      datapointsToAlarm,
      threshold,
      comparison: 'GreaterThanThreshold',
      treatMissingData: 'notBreaching',
      actionsEnabled: true,
    };
  });
}

function source(watched: Watched, kind: AlarmKind): MetricSource {
  const dimensions = metricDimensions(watched);
  return kind === 'errorRate'
    ? { kind: 'percentage', numerator: 'Errors5xx', denominator: 'Requests', dimensions }
    : { kind: 'metric', metric: 'Latency', dimensions, statistic: 'p99' };
}

function describe({ workspace, endpoint, revision }: Watched, kind: AlarmKind): string {
  const what =
    kind === 'errorRate' ? 'Percent of requests answered 5xx' : '99th percentile of latency in milliseconds';
  return `${what}, ${revision === undefined ? 'endpoint' : `revision ${revision} of endpoint`} ${workspace}/${endpoint}`;
}
