import type { CloudWatchClient, GetMetricDataCommandInput } from '@aws-sdk/client-cloudwatch';
import { describe, expect, it } from 'vitest';
import { metricBatches } from '../../../../shared/adapters/aws/metric-batches.ts';
import { seriesReader } from '../../../../shared/adapters/aws/metric-series.ts';
import { emfLines } from '../../../../shared/monitoring/emf.ts';
import { metricsReport } from '../../../../shared/monitoring/report.ts';
import type { MetricDatum } from '../../../../shared/ports/alarm-service.ts';

const dimensions = { Workspace: 'default', Endpoint: 'digits' };
const datum = (changes: Partial<MetricDatum> = {}): MetricDatum => ({
  metric: 'Latency',
  dimensions,
  at: 1_000,
  values: [5],
  unit: 'Milliseconds',
  ...changes,
});
const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);

describe('PutMetricData', () => {
  it('takes 1000 data of 150 values, and less than 1 MB', () => {
    const data = [...upTo(2300).map(() => datum()), datum({ values: upTo(400), counts: upTo(400) })];
    const batches = metricBatches(data);
    expect(batches.map(({ length }) => length)).toEqual([1000, 1000, 303]);
    const last = batches.flat().slice(-3);
    expect(last.map(({ Values }) => Values?.length)).toEqual([150, 150, 100]);
    expect(last.flatMap(({ Counts = [] }) => Counts)).toEqual(upTo(400));
    for (const batch of metricBatches(upTo(100).map(() => datum({ values: upTo(150) })))) {
      expect(JSON.stringify(batch).length).toBeLessThan(1_000_000);
      expect(batch.length).toBeLessThan(100);
    }
  });

  it('gets one datum as it is', () => {
    expect(metricBatches([datum({ values: [1, 2], counts: [3, 4] })])).toEqual([
      [
        {
          MetricName: 'Latency',
          Dimensions: [
            { Name: 'Workspace', Value: 'default' },
            { Name: 'Endpoint', Value: 'digits' },
          ],
          Timestamp: new Date(1000),
          Values: [1, 2],
          Counts: [3, 4],
          Unit: 'Milliseconds',
          StorageResolution: 1,
        },
      ],
    ]);
    expect(metricBatches([datum({ values: [] })])).toEqual([]);
  });
});

describe('GetMetricData', () => {
  /** Answers each query with its own number, in two pages. */
  const recording = () => {
    const inputs: GetMetricDataCommandInput[] = [];
    const send = async ({ input }: { input: GetMetricDataCommandInput }) => {
      inputs.push(input);
      const minute = input.NextToken === undefined ? 0 : 1;
      const answered = (input.MetricDataQueries ?? []).filter(({ ReturnData = true }) => ReturnData);
      return {
        MetricDataResults: answered.map(({ Id = '' }) => ({
          Id,
          Timestamps: [new Date(minute * 60_000)],
          Values: [Number(Id.slice(1))],
        })),
        ...(minute === 0 ? { NextToken: 'more' } : {}),
      };
    };
    return { inputs, client: { send } as unknown as CloudWatchClient };
  };
  const window = { period: 60, from: 0, to: 120_000 };

  it('is asked once for a whole report, page by page', async () => {
    const { inputs, client } = recording();
    const series = seriesReader(client);
    const report = await metricsReport({ series }, { workspace: 'w', endpoint: 'e' }, [1, 2], window);
    expect(inputs.map(({ NextToken }) => NextToken)).toEqual([undefined, 'more']);
    expect(inputs[0]?.MetricDataQueries).toHaveLength(36);
    const [first] = report.requests;
    expect(report.requests).toEqual([first, { at: 60_000, value: first?.value }]);
    expect(inputs[0]).toMatchObject({ StartTime: new Date(0), EndTime: new Date(120_000) });
  });

  it('is asked for a percentage by its two sums, and answers only the quotient', async () => {
    const { inputs, client } = recording();
    const source = {
      kind: 'percentage',
      numerator: 'Errors5xx',
      denominator: 'Requests',
      dimensions,
    } as const;
    const points = await seriesReader(client)({ source, ...window });
    expect(points).toHaveLength(2);
    expect(inputs[0]?.MetricDataQueries?.map(({ Id, Expression }) => [Id, Expression])).toEqual([
      ['q0', '100 * FILL(q0n, 0) / q0d'],
      ['q0n', undefined],
      ['q0d', undefined],
    ]);
  });

  it('is not asked for more than 500 queries at once, nor for an empty window', async () => {
    const { inputs, client } = recording();
    const read = seriesReader(client);
    const source = { kind: 'percentage', numerator: 'a', denominator: 'b', dimensions } as const;
    await Promise.all(upTo(200).map(() => read({ source, ...window })));
    expect(inputs.every(({ MetricDataQueries = [] }) => MetricDataQueries.length <= 500)).toBe(true);
    const before = inputs.length;
    expect(await read({ source, period: 60, from: 5, to: 5 })).toEqual([]);
    expect(inputs).toHaveLength(before);
  });
});

describe('an EMF line', () => {
  it('is one document for data of one time and the same dimensions', () => {
    const [line, ...more] = emfLines(
      [
        datum({ values: [5, 7] }),
        datum({ metric: 'Requests', values: [1], unit: 'Count' }),
        datum({ metric: 'QueueTime', values: [2, 3], counts: [10, 1] }),
      ],
      { requestId: 'r1', Latency: 'not the metric' },
    );
    expect(more).toEqual([]);
    expect(line).not.toContain('\n');
    expect(JSON.parse(line ?? '')).toEqual({
      requestId: 'r1',
      Workspace: 'default',
      Endpoint: 'digits',
      Latency: [5, 7],
      Requests: 1,
      QueueTime: { Values: [2, 3], Counts: [10, 1], Min: 2, Max: 3, Count: 11, Sum: 23 },
      _aws: {
        Timestamp: 1000,
        CloudWatchMetrics: [
          {
            Namespace: 'Cairn',
            Dimensions: [['Workspace', 'Endpoint']],
            Metrics: [
              { Name: 'Latency', Unit: 'Milliseconds', StorageResolution: 1 },
              { Name: 'Requests', Unit: 'Count', StorageResolution: 1 },
              { Name: 'QueueTime', Unit: 'Milliseconds', StorageResolution: 1 },
            ],
          },
        ],
      },
    });
  });

  it('is another one for another time, other dimensions, or a metric that is there already', () => {
    const revision = { ...dimensions, Revision: '1' };
    const lines = emfLines([
      datum(),
      datum({ at: 2000 }),
      datum({ dimensions: revision }),
      datum({ values: [6] }),
    ]);
    expect(lines.map((line) => JSON.parse(line).Latency)).toEqual([5, 6, 5, 5]);
  });

  it('has at most 100 values of a metric and 100 metrics', () => {
    const lines = emfLines([
      datum({ values: upTo(250) }),
      ...upTo(120).map((n) => datum({ metric: `m${n}`, values: [n] })),
    ]).map((line) => JSON.parse(line));
    expect(lines.flatMap(({ Latency = [] }) => Latency)).toEqual(upTo(250));
    for (const { _aws, Latency = [] } of lines) {
      expect(_aws.CloudWatchMetrics[0].Metrics.length).toBeLessThanOrEqual(100);
      expect(Latency.length).toBeLessThanOrEqual(100);
    }
  });

  it('is none without data', () => {
    expect(emfLines([])).toEqual([]);
    expect(emfLines([datum({ values: [] })])).toEqual([]);
  });
});
