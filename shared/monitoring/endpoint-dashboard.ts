import type { Dashboard } from '../ports/alarm-service.ts';
import { type MetricName, metricDimensions, NAMESPACE, type Watched } from './metrics.ts';

/** What a model's dashboard shows of one endpoint. */
export interface DashboardEndpoint {
  readonly workspace: string;
  readonly endpoint: string;
  readonly revisions: readonly number[];
  /** Names of the endpoint's alarms and of its revisions'. */
  readonly alarms: readonly string[];
}

/** Where the dashboard will be: CloudWatch's widgets name region and alarms by ARN. */
export interface DashboardPlace {
  readonly region: string;
  readonly account: string;
  readonly partition?: string;
}

/** What one machine stands for in a dashboard's body. */
export const LOCAL_PLACE: DashboardPlace = { region: 'local', account: '000000000000' };

/** CloudWatch takes 255 characters of `A-Za-z0-9_-` (PutDashboard); a model's id has no others. */
export const dashboardName = (modelId: string): string => `cairn-${modelId}`;

/**
 * The dashboard of a model: for each endpoint that serves it a row of alarms, then requests, error rate, latency and
 * replicas, the endpoint as a whole beside each revision. The body is CloudWatch's ("Dashboard body structure and syntax").
 */
export function modelDashboard(
  model: { readonly workspace: string; readonly model: string },
  endpoints: readonly DashboardEndpoint[],
  place: DashboardPlace = LOCAL_PLACE,
): Dashboard {
  const title = {
    type: 'text',
    ...box(0, 0, 24, 1),
    properties: { markdown: `# ${model.workspace}/${model.model}` },
  };
  return {
    widgets: [
      title,
      ...endpoints.flatMap((endpoint, row) => endpointRow(endpoint, 1 + row * ROW_HEIGHT, place)),
    ],
  };
}

const ROW_HEIGHT = 14;

function endpointRow(
  endpoint: DashboardEndpoint,
  y: number,
  place: DashboardPlace,
): Record<string, unknown>[] {
  const name = `${endpoint.workspace}/${endpoint.endpoint}`;
  const watched: Watched[] = [endpoint, ...endpoint.revisions.map((revision) => ({ ...endpoint, revision }))];
  const chart = (at: { x: number; y: number }, title: string, unit: string, metrics: unknown[][]) => ({
    type: 'metric',
    ...box(at.x, y + at.y, 12, 6),
    properties: {
      title: `${name}: ${title}`,
      view: 'timeSeries',
      region: place.region,
      period: 60,
      yAxis: { left: { min: 0, label: unit, showUnits: false } },
      metrics,
    },
  });
  const partition = place.partition ?? 'aws';
  const arn = (alarm: string) =>
    `arn:${partition}:cloudwatch:${place.region}:${place.account}:alarm:${alarm}`;
  return [
    {
      type: 'alarm',
      ...box(0, y, 24, 2),
      properties: { title: `${name}: alarms`, alarms: endpoint.alarms.map(arn) },
    },
    chart(
      { x: 0, y: 2 },
      'requests',
      'Count',
      watched.map((w) => line('Requests', w, 'Sum')),
    ),
    chart({ x: 12, y: 2 }, 'error rate', 'Percent', watched.flatMap(errorRateLines)),
    chart(
      { x: 0, y: 8 },
      'latency p50 and p99',
      'Milliseconds',
      watched.flatMap((w) => [line('Latency', w, 'p50'), line('Latency', w, 'p99')]),
    ),
    chart(
      { x: 12, y: 8 },
      'replicas',
      'Count',
      watched.map((w) => line('Replicas', w, 'Average')),
    ),
  ];
}

const label = ({ revision }: Watched) => (revision === undefined ? 'endpoint' : `revision ${revision}`);

/** One entry of a widget's `metrics`: namespace, metric, dimension names and values, rendering. */
function line(
  metric: MetricName,
  watched: Watched,
  stat: string,
  rendering?: Record<string, unknown>,
): unknown[] {
  const dimensions = Object.entries(metricDimensions(watched)).flat();
  const shown = stat.startsWith('p') ? `${label(watched)} ${stat}` : label(watched);
  return [NAMESPACE, metric, ...dimensions, { stat, label: shown, ...rendering }];
}

function errorRateLines(watched: Watched, index: number): unknown[][] {
  const [errors, requests] = [`e${index}`, `r${index}`];
  return [
    [{ expression: `100 * FILL(${errors}, 0) / ${requests}`, label: label(watched), id: `p${index}` }],
    line('Errors5xx', watched, 'Sum', { id: errors, visible: false }),
    line('Requests', watched, 'Sum', { id: requests, visible: false }),
  ];
}

const box = (x: number, y: number, width: number, height: number) => ({ x, y, width, height });
