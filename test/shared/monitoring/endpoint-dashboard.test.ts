import { expect, test } from 'vitest';
import { dashboardName, modelDashboard } from '../../../shared/monitoring/endpoint-dashboard.ts';

const endpoints = [
  {
    workspace: 'default',
    endpoint: 'digits',
    revisions: [1, 2],
    alarms: ['cairn/default/digits/errorRate', 'cairn/default/digits/r2/errorRate'],
  },
  { workspace: 'default', endpoint: 'digits-eu', revisions: [1], alarms: [] },
];

interface Widget {
  type: string;
  x: number;
  y: number;
  width: number;
  height: number;
  properties: { title?: string; region?: string; metrics?: unknown[][]; alarms?: string[] };
}

function widgetsOf(
  ...place: Parameters<typeof modelDashboard> extends [unknown, unknown, ...infer P] ? P : never
) {
  const model = { workspace: 'default', model: 'digits' };
  return modelDashboard(model, endpoints, ...place).widgets as unknown as Widget[];
}

test('a model’s dashboard shows requests, error rate, latency, replicas and alarms of each endpoint', () => {
  expect(widgetsOf().map((widget) => widget.properties.title)).toEqual([
    undefined,
    'default/digits: alarms',
    'default/digits: requests',
    'default/digits: error rate',
    'default/digits: latency p50 and p99',
    'default/digits: replicas',
    'default/digits-eu: alarms',
    'default/digits-eu: requests',
    'default/digits-eu: error rate',
    'default/digits-eu: latency p50 and p99',
    'default/digits-eu: replicas',
  ]);
});

test('each revision has its own line beside the endpoint’s', () => {
  const requests = widgetsOf().find((widget) => widget.properties.title === 'default/digits: requests');
  const dimensions = ['Workspace', 'default', 'Endpoint', 'digits'];
  expect(requests?.properties.metrics).toEqual([
    ['Cairn', 'Requests', ...dimensions, { stat: 'Sum', label: 'endpoint' }],
    ['Cairn', 'Requests', ...dimensions, 'Revision', '1', { stat: 'Sum', label: 'revision 1' }],
    ['Cairn', 'Requests', ...dimensions, 'Revision', '2', { stat: 'Sum', label: 'revision 2' }],
  ]);
});

test('widgets do not overlap and stay within CloudWatch’s 24 columns', () => {
  const cells = new Set<string>();
  for (const { x, y, width, height } of widgetsOf()) {
    expect(x + width).toBeLessThanOrEqual(24);
    for (let column = x; column < x + width; column++) {
      for (let row = y; row < y + height; row++) {
        expect(cells).not.toContain(`${column},${row}`);
        cells.add(`${column},${row}`);
      }
    }
  }
});

test('ids of a widget’s metrics are unique, as metric math needs them', () => {
  for (const { properties } of widgetsOf()) {
    const ids = (properties.metrics ?? []).flatMap((metric) => (metric.at(-1) as { id?: string }).id ?? []);
    expect(new Set(ids).size).toBe(ids.length);
  }
});

test('region and account of the place are in charts and alarm ARNs', () => {
  const widgets = widgetsOf({ region: 'eu-central-1', account: '123456789012' });
  expect(widgets[1]?.properties.alarms?.[0]).toBe(
    'arn:aws:cloudwatch:eu-central-1:123456789012:alarm:cairn/default/digits/errorRate',
  );
  expect(widgets[2]?.properties.region).toBe('eu-central-1');
});

test('the name is one that PutDashboard takes', () => {
  expect(dashboardName('0198c0de-0000-7000-8000-000000000000')).toMatch(/^[A-Za-z0-9_-]{1,255}$/);
});
