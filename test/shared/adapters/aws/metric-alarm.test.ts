import type { PutMetricAlarmCommandInput } from '@aws-sdk/client-cloudwatch';
import { describe, expect, it } from 'vitest';
import { fromMetricAlarm, toMetricAlarm } from '../../../../shared/adapters/aws/metric-alarm.ts';
import { endpointAlarms } from '../../../../shared/monitoring/endpoint-alarms.ts';
import type { AlarmDefinition, MissingData } from '../../../../shared/ports/alarm-service.ts';

const TOPIC = 'arn:aws:sns:eu-central-1:123456789012:cairn';
const tuning = { enabled: true, period: 60, evaluationPeriods: 5, datapointsToAlarm: 3, threshold: 5 };
const [errorRate, latency] = endpointAlarms(
  { workspace: 'default', endpoint: 'digits', revision: 7 },
  { errorRate: tuning, latencyP99: { ...tuning, period: 10, threshold: 500 } },
) as [AlarmDefinition, AlarmDefinition];
const Dimensions = [
  { Name: 'Workspace', Value: 'default' },
  { Name: 'Endpoint', Value: 'digits' },
  { Name: 'Revision', Value: '7' },
];

// What no emulator evaluates is asserted as the exact request, in the SDK's own types.
describe('a PutMetricAlarm request', () => {
  it('of an error rate is metric math over both metrics’ sums', () => {
    expect(toMetricAlarm(errorRate, TOPIC)).toEqual({
      AlarmName: 'cairn/default/digits/r7/errorRate',
      AlarmDescription: 'Percent of requests answered 5xx, revision 7 of endpoint default/digits',
      ActionsEnabled: true,
      AlarmActions: [TOPIC],
      OKActions: [TOPIC],
      InsufficientDataActions: [TOPIC],
      EvaluationPeriods: 5,
      DatapointsToAlarm: 3,
      Threshold: 5,
      ComparisonOperator: 'GreaterThanThreshold',
      TreatMissingData: 'notBreaching',
      Metrics: [
        {
          Id: 'ratio',
          Expression: '100 * FILL(ration, 0) / ratiod',
          Label: 'Errors5xx per 100 Requests',
          ReturnData: true,
        },
        {
          Id: 'ration',
          MetricStat: {
            Metric: { Namespace: 'Cairn', MetricName: 'Errors5xx', Dimensions },
            Period: 60,
            Stat: 'Sum',
          },
          ReturnData: false,
        },
        {
          Id: 'ratiod',
          MetricStat: {
            Metric: { Namespace: 'Cairn', MetricName: 'Requests', Dimensions },
            Period: 60,
            Stat: 'Sum',
          },
          ReturnData: false,
        },
      ],
    } satisfies PutMetricAlarmCommandInput);
  });

  it('of a percentile has an extended statistic, and counts few samples too', () => {
    expect(toMetricAlarm(latency, TOPIC)).toEqual({
      AlarmName: 'cairn/default/digits/r7/latencyP99',
      AlarmDescription: '99th percentile of latency in milliseconds, revision 7 of endpoint default/digits',
      ActionsEnabled: true,
      AlarmActions: [TOPIC],
      OKActions: [TOPIC],
      InsufficientDataActions: [TOPIC],
      EvaluationPeriods: 5,
      DatapointsToAlarm: 3,
      Threshold: 500,
      ComparisonOperator: 'GreaterThanThreshold',
      TreatMissingData: 'notBreaching',
      Namespace: 'Cairn',
      MetricName: 'Latency',
      Dimensions,
      Period: 10,
      ExtendedStatistic: 'p99',
      EvaluateLowSampleCountPercentile: 'evaluate',
    } satisfies PutMetricAlarmCommandInput);
  });

  it.each(['breaching', 'notBreaching', 'ignore', 'missing'] satisfies MissingData[])(
    'has CloudWatch’s own word for missing data: %s',
    (treatMissingData) => {
      expect(toMetricAlarm({ ...latency, treatMissingData }, TOPIC).TreatMissingData).toBe(treatMissingData);
    },
  );

  it('without a topic has no actions', () => {
    expect(toMetricAlarm({ ...latency, actionsEnabled: false }, undefined)).toMatchObject({
      ActionsEnabled: false,
      AlarmActions: [],
      OKActions: [],
    });
  });
});

describe('an alarm that CloudWatch describes', () => {
  const state = {
    StateValue: 'ALARM',
    StateReason: 'Threshold Crossed',
    StateUpdatedTimestamp: new Date(5),
  } as const;

  it.each([errorRate, latency])('is the one that was put: $name', (alarm) => {
    expect(fromMetricAlarm({ ...toMetricAlarm(alarm, TOPIC), ...state })).toEqual({
      ...alarm,
      state: 'ALARM',
      stateReason: 'Threshold Crossed',
      stateUpdatedAt: 5,
    });
  });

  it('and that Cairn did not put is none of its own', () => {
    const other = { ...toMetricAlarm(latency, TOPIC), ...state, Namespace: 'AWS/Lambda' };
    expect(fromMetricAlarm(other)).toBeUndefined();
    const math = { AlarmName: 'a', ...state, Metrics: [{ Id: 'm1', Expression: 'SUM(METRICS())' }] };
    expect(fromMetricAlarm(math)).toBeUndefined();
  });
});
