import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  alarmName,
  alarmPrefix,
  endpointAlarms,
  parseAlarmName,
} from '../../../shared/monitoring/endpoint-alarms.ts';
import { EndpointSpec } from '../../../shared/serving/endpoint-spec.ts';

const tuning = (alarms: unknown = {}) =>
  EndpointSpec.parse({ model: 'digits', target: { version: 1 }, alarms }).alarms;
const endpoint = { workspace: 'default', endpoint: 'digits' };

test('an endpoint is watched for its error rate and its p99 latency unless its spec says otherwise', () => {
  const alarms = endpointAlarms(endpoint, tuning());
  expect(alarms).toMatchObject([
    {
      name: 'cairn/default/digits/errorRate',
      source: {
        kind: 'percentage',
        numerator: 'Errors5xx',
        denominator: 'Requests',
        dimensions: { Workspace: 'default', Endpoint: 'digits' },
      },
      threshold: 5,
      period: 60,
      evaluationPeriods: 2,
      datapointsToAlarm: 2,
      comparison: 'GreaterThanThreshold',
      treatMissingData: 'notBreaching',
      actionsEnabled: true,
    },
    {
      name: 'cairn/default/digits/latencyP99',
      source: { metric: 'Latency', statistic: 'p99' },
      threshold: 1000,
    },
  ]);
});

test('a revision is watched by itself', () => {
  const [errorRate] = endpointAlarms({ ...endpoint, revision: 3 }, tuning());
  expect(errorRate).toMatchObject({
    name: 'cairn/default/digits/r3/errorRate',
    source: { dimensions: { Workspace: 'default', Endpoint: 'digits', Revision: '3' } },
  });
});

test('the spec tunes and turns off each alarm', () => {
  const alarms = endpointAlarms(
    endpoint,
    tuning({
      errorRate: { enabled: false },
      latencyP99: { threshold: 250, period: 10, evaluationPeriods: 3 },
    }),
  );
  expect(alarms).toMatchObject([
    { name: 'cairn/default/digits/latencyP99', threshold: 250, period: 10, evaluationPeriods: 3 },
  ]);
  expect(alarms).toHaveLength(1);
});

test('an alarm’s name tells what it watches', () => {
  const name = fc
    .string({ minLength: 1, unit: 'binary' })
    .filter((text) => !/[/\n\r\u2028\u2029]/.test(text));
  fc.assert(
    fc.property(
      fc.record(
        { workspace: name, endpoint: name, revision: fc.integer({ min: 1 }) },
        { requiredKeys: ['workspace', 'endpoint'] },
      ),
      fc.constantFrom('errorRate' as const, 'latencyP99' as const),
      (watched, alarm) => {
        const full = alarmName(watched, alarm);
        expect(parseAlarmName(full)).toEqual({ ...watched, alarm });
        expect(full.startsWith(alarmPrefix(watched.workspace, watched.endpoint))).toBe(true);
      },
    ),
  );
});

test.each([
  '',
  'cairn/default/digits',
  'cairn/default/digits/cpu',
  'cairn/default/digits/r0/errorRate',
  'cairn/default/digits/r1/r2/errorRate',
  'other/default/digits/errorRate',
])('a name that Cairn does not give means nothing: %j', (name) => {
  expect(parseAlarmName(name)).toBeUndefined();
});
