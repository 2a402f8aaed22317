import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { metricsReport } from '../../shared/monitoring/report.ts';
import type {
  AlarmDefinition,
  AlarmNotification,
  AlarmService,
  MetricDatum,
} from '../../shared/ports/alarm-service.ts';

/** An alarm service under test. Its time moves by `advance` alone, or really passes when it is a real server. */
export interface AlarmServiceUnderTest {
  readonly service: AlarmService;
  /** Milliseconds since the epoch. */
  now(): number;
  /** Lets the seconds pass, and everything that is due be evaluated and sent. */
  advance(seconds: number): Promise<void>;
  /** What was sent so far, oldest first. */
  notifications(): readonly AlarmNotification[];
  close(): Promise<void>;
}

/** What a stand-in for a real service may not do at all: CloudWatch's emulators. */
export type Lack = 'evaluation' | 'metric math';

/**
 * What every {@link AlarmService} guarantees. `open` gives one without alarms at the start of a minute. The tests that need
 * what the server under test lacks are left out: docs/aws-testing.md names them and what is asserted instead.
 */
export function alarmServiceContract(
  name: string,
  open: () => Promise<AlarmServiceUnderTest>,
  lacks: readonly Lack[] = [],
): void {
  describe(name, () => {
    const withEvaluation = lacks.includes('evaluation') ? undefined : test;
    const withMetricMath = lacks.includes('metric math') ? undefined : test;
    let it: AlarmServiceUnderTest;
    beforeEach(async () => {
      it = await open();
    });
    afterEach(() => it.close());

    const dimensions = { Workspace: 'default', Endpoint: 'digits' };
    const latency = (changes: Partial<AlarmDefinition> = {}): AlarmDefinition => ({
      name: 'cairn/default/digits/latencyP99',
      source: { kind: 'metric', metric: 'Latency', dimensions, statistic: 'Maximum' },
      period: 60,
      evaluationPeriods: 1,
      datapointsToAlarm: 1,
      threshold: 100,
      comparison: 'GreaterThanThreshold',
      treatMissingData: 'missing',
      actionsEnabled: true,
      ...changes,
    });
    const publish = (
      metric: string,
      values: number[],
      unit: MetricDatum['unit'] = 'Milliseconds',
      counts?: number[],
    ) =>
      it.service.publish([{ metric, dimensions, at: it.now(), values, unit, ...(counts ? { counts } : {}) }]);
    const state = async () =>
      (await it.service.describeAlarms('cairn/default/digits/')).map((alarm) => alarm.state);

    test('a new alarm is as it was put, and has insufficient data', async () => {
      await it.service.putAlarm(latency());
      expect(await it.service.describeAlarms('cairn/')).toMatchObject([
        {
          ...latency(),
          state: 'INSUFFICIENT_DATA',
          stateUpdatedAt: expect.any(Number),
          stateReason: expect.any(String),
        },
      ]);
    });

    test('alarms are listed by the beginning of their name, in its order', async () => {
      for (const end of ['b/errorRate', 'a/latencyP99', 'a/errorRate', 'ab/errorRate']) {
        await it.service.putAlarm(latency({ name: `cairn/default/${end}` }));
      }
      const names = async (prefix: string) =>
        (await it.service.describeAlarms(prefix)).map((alarm) => alarm.name);
      expect(await names('cairn/default/a/')).toEqual([
        'cairn/default/a/errorRate',
        'cairn/default/a/latencyP99',
      ]);
      expect(await names('')).toHaveLength(4);
      expect(await names('cairn/other/')).toEqual([]);
    });

    test('a deleted alarm is gone, and deleting it again succeeds', async () => {
      await it.service.putAlarm(latency());
      await it.service.deleteAlarms([latency().name]);
      await it.service.deleteAlarms([latency().name, 'cairn/never/was/there']);
      expect(await it.service.describeAlarms('')).toEqual([]);
    });

    withEvaluation?.(
      'an alarm goes to ALARM when the metric breaches and back to OK when it does not',
      async () => {
        await it.service.putAlarm(latency());
        await publish('Latency', [500]);
        await it.advance(60);
        expect(await state()).toEqual(['ALARM']);
        await publish('Latency', [20]);
        await it.advance(60);
        expect(await state()).toEqual(['OK']);
      },
    );

    withEvaluation?.('it takes M out of N datapoints', async () => {
      await it.service.putAlarm(latency({ evaluationPeriods: 3, datapointsToAlarm: 2 }));
      const states: string[] = [];
      for (const value of [500, 20, 20, 500, 500, 20, 20]) {
        await publish('Latency', [value]);
        await it.advance(60);
        states.push(...(await state()));
      }
      expect(states.slice(2)).toEqual(['OK', 'OK', 'ALARM', 'ALARM', 'OK']);
    });

    withEvaluation?.('replacing an alarm keeps its state until it is evaluated by the new rule', async () => {
      await it.service.putAlarm(latency());
      await publish('Latency', [500]);
      await it.advance(60);
      await it.service.putAlarm(latency({ threshold: 1000 }));
      expect(await it.service.describeAlarms('')).toMatchObject([{ state: 'ALARM', threshold: 1000 }]);
      await publish('Latency', [500]);
      await it.advance(60);
      expect(await state()).toEqual(['OK']);
    });

    withEvaluation?.('a percentage is 100 × the quotient of two metrics’ sums', async () => {
      const source = {
        kind: 'percentage',
        numerator: 'Errors5xx',
        denominator: 'Requests',
        dimensions,
      } as const;
      await it.service.putAlarm(latency({ source, threshold: 5, treatMissingData: 'notBreaching' }));
      await publish('Requests', [1], 'Count', [200]);
      await publish('Errors5xx', [0, 1], 'Count', [190, 10]);
      const start = it.now();
      await it.advance(60);
      expect(await state()).toEqual(['OK']);
      await publish('Requests', [1], 'Count', [200]);
      await publish('Errors5xx', [0, 1], 'Count', [188, 12]);
      await it.advance(60);
      expect(await state()).toEqual(['ALARM']);
      expect(await it.service.series({ source, period: 60, from: start, to: it.now() })).toEqual([
        { at: start, value: 5 },
        { at: start + 60_000, value: 6 },
      ]);
    });

    withMetricMath?.(
      'a period without requests has no error rate, and requests without an error have rate 0',
      async () => {
        const source = {
          kind: 'percentage',
          numerator: 'Errors5xx',
          denominator: 'Requests',
          dimensions,
        } as const;
        const start = it.now();
        await publish('Errors5xx', [1], 'Count');
        await it.advance(60);
        await publish('Requests', [1], 'Count');
        await it.advance(60);
        const values = await it.service.series({ source, period: 60, from: start, to: it.now() });
        expect(values).toEqual([{ at: start + 60_000, value: 0 }]);
      },
    );

    test('p99 is of the samples, where averages would lie', async () => {
      const source = { kind: 'metric', metric: 'Latency', dimensions, statistic: 'p99' } as const;
      const start = it.now();
      for (let publication = 0; publication < 5; publication++) {
        await publish('Latency', [10], 'Milliseconds', [1000]);
        await it.advance(10);
      }
      await publish('Latency', [10, 1000], 'Milliseconds', [850, 150]);
      await it.advance(10);
      const [minute, ...more] = await it.service.series({
        source,
        period: 60,
        from: start,
        to: start + 60_000,
      });
      expect(more).toEqual([]);
      expect(minute?.at).toBe(start);
      expect(Math.abs((minute?.value ?? 0) - 1000)).toBeLessThanOrEqual(10);
      const [median] = await it.service.series({
        source: { ...source, statistic: 'p50' },
        period: 60,
        from: start,
        to: start + 60_000,
      });
      expect(Math.abs((median?.value ?? 0) - 10)).toBeLessThanOrEqual(0.1);
    });

    withEvaluation?.each([
      ['missing', 'INSUFFICIENT_DATA'],
      ['ignore', 'ALARM'],
      ['breaching', 'ALARM'],
      ['notBreaching', 'OK'],
    ] as const)('when data stops, %s takes an alarm from ALARM to %s', async (treatMissingData, expected) => {
      await it.service.putAlarm(latency({ treatMissingData }));
      await publish('Latency', [500]);
      await it.advance(60);
      expect(await state()).toEqual(['ALARM']);
      for (let minute = 0; minute < 10; minute++) await it.advance(60);
      expect(await state()).toEqual([expected]);
    });

    withEvaluation?.('a change of state is sent once, with CloudWatch’s fields', async () => {
      await it.service.putAlarm(latency());
      await publish('Latency', [500]);
      await it.advance(60);
      await publish('Latency', [500]);
      await it.advance(60);
      const [description] = await it.service.describeAlarms('');
      const toAlarm = it.notifications().filter((sent) => sent.NewStateValue === 'ALARM');
      expect(toAlarm).toEqual([
        {
          AlarmName: latency().name,
          OldStateValue: expect.stringMatching(/^(OK|INSUFFICIENT_DATA)$/),
          NewStateValue: 'ALARM',
          NewStateReason: expect.stringMatching(/^Threshold Crossed: .*500\.0/),
          StateChangeTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|\+0000)$/),
        },
      ]);
      expect(Date.parse(toAlarm[0]?.StateChangeTime ?? '')).toBe(description?.stateUpdatedAt);
    });

    withEvaluation?.('an alarm whose actions are not enabled changes state and sends nothing', async () => {
      await it.service.putAlarm(latency({ actionsEnabled: false }));
      await publish('Latency', [500]);
      await it.advance(60);
      expect(await state()).toEqual(['ALARM']);
      expect(it.notifications()).toEqual([]);
    });

    withEvaluation?.('a deleted alarm sends nothing', async () => {
      await it.service.putAlarm(latency());
      await publish('Latency', [500]);
      await it.service.deleteAlarms([latency().name]);
      await it.advance(60);
      expect(it.notifications()).toEqual([]);
    });

    test('a series has one value for each period with data, from the first inclusive to the last exclusive', async () => {
      const start = it.now();
      for (const values of [[1, 2, 3], [], [10], [20]]) {
        if (values.length > 0) await publish('Latency', values);
        await it.advance(60);
      }
      const series = (statistic: 'Sum' | 'Average' | 'Minimum' | 'Maximum' | 'SampleCount', period = 60) =>
        it.service.series({
          source: { kind: 'metric', metric: 'Latency', dimensions, statistic },
          period,
          from: start,
          to: start + 180_000,
        });
      const at = (minute: number, value: number) => ({ at: start + minute * 60_000, value });
      expect(await series('Sum')).toEqual([at(0, 6), at(2, 10)]);
      expect(await series('Average')).toEqual([at(0, 2), at(2, 10)]);
      expect(await series('Minimum')).toEqual([at(0, 1), at(2, 10)]);
      expect(await series('Maximum')).toEqual([at(0, 3), at(2, 10)]);
      expect(await series('SampleCount')).toEqual([at(0, 3), at(2, 1)]);
    });

    test('a metric with other dimensions is another metric', async () => {
      await publish('Latency', [7]);
      const start = it.now();
      await it.advance(60);
      const revision = { ...dimensions, Revision: '1' };
      const source = { kind: 'metric', metric: 'Latency', dimensions: revision, statistic: 'Sum' } as const;
      expect(await it.service.series({ source, period: 60, from: start, to: it.now() })).toEqual([]);
    });

    test('an endpoint’s report has its counts and percentiles', async () => {
      const from = it.now();
      await publish('Requests', [1], 'Count', [3]);
      await publish('Errors4xx', [0, 1], 'Count', [2, 1]);
      await publish('Errors5xx', [0], 'Count', [3]);
      await publish('Latency', [8]);
      await publish('QueueTime', [2]);
      await it.advance(60);
      const endpoint = { workspace: 'default', endpoint: 'digits' };
      const report = await metricsReport(it.service, endpoint, [1], { from, to: it.now(), period: 60 });
      const one = (value: number) => [{ at: from, value }];
      expect(report).toMatchObject({ requests: one(3), errors4xx: one(1), errors5xx: one(0) });
      expect(report.latency.p99[0]?.value).toBeCloseTo(8, 0);
      expect(report.queueTime.p50[0]?.value).toBeCloseTo(2, 0);
      expect(report.modelLatency.p90).toEqual([]);
      expect(report.revisions).toMatchObject([
        { revision: 1, requests: [], latency: { p50: [], p90: [], p99: [] } },
      ]);
    });

    test('a dashboard is kept until it is deleted', async () => {
      const body = {
        widgets: [{ type: 'text', x: 0, y: 0, width: 24, height: 1, properties: { markdown: '# digits' } }],
      };
      await it.service.putDashboard('cairn-digits', body);
      expect(await it.service.getDashboard('cairn-digits')).toEqual(body);
      expect(await it.service.getDashboard('cairn-other')).toBeUndefined();
      await it.service.deleteDashboard('cairn-digits');
      await it.service.deleteDashboard('cairn-digits');
      expect(await it.service.getDashboard('cairn-digits')).toBeUndefined();
    });
  });
}
