import { CloudWatchClient, PutMetricAlarmCommand } from '@aws-sdk/client-cloudwatch';
import { CreateTopicCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns';
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCloudWatchAlarmService } from '../../shared/adapters/aws/cloudwatch-alarm-service.ts';
import { openSnsEventBus } from '../../shared/adapters/aws/sns-event-bus.ts';
import { endpointAlarms } from '../../shared/monitoring/endpoint-alarms.ts';
import type { AlarmDefinition, MetricDatum } from '../../shared/ports/alarm-service.ts';
import { alarmServiceContract } from '../contract/alarm-service.ts';
import { requestsFitTheirDescriptions } from './aws-described.ts';
import { type Ministack, startMinistack } from './aws-ministack.ts';

let server: Ministack;
beforeAll(async () => {
  server = await startMinistack();
});
afterAll(() => server.close());

const MINUTE = 60_000;
const dimensions = { Workspace: 'default', Endpoint: 'digits' };

alarmServiceContract('CloudWatch on ministack', async () => {
  const client = new CloudWatchClient(server.account());
  let now = Math.floor(Date.now() / MINUTE) * MINUTE - 60 * MINUTE;
  return {
    service: openCloudWatchAlarmService({ client }),
    now: () => now,
    advance: async (seconds) => {
      now += seconds * 1000;
    },
    notifications: () => [],
    close: async () => client.destroy(),
  };
}, ['evaluation', 'metric math']);

describe('the CloudWatch alarm service', () => {
  const open = () => {
    const client = new CloudWatchClient(server.account());
    return { client, service: openCloudWatchAlarmService({ client }) };
  };
  const latency: AlarmDefinition = {
    name: 'cairn/default/digits/latencyP99',
    source: { kind: 'metric', metric: 'Latency', dimensions, statistic: 'Maximum' },
    period: 60,
    evaluationPeriods: 1,
    datapointsToAlarm: 1,
    threshold: 100,
    comparison: 'GreaterThanThreshold',
    treatMissingData: 'missing',
    actionsEnabled: true,
  };

  test('reads the latency alarms of an endpoint and of a revision back as they were put', async () => {
    const { service } = open();
    const enabled = { enabled: true, period: 10, evaluationPeriods: 3, datapointsToAlarm: 2, threshold: 500 };
    const alarms = [undefined, 7].flatMap((revision) =>
      endpointAlarms(
        { workspace: 'default', endpoint: 'digits', revision },
        { errorRate: { ...enabled, enabled: false }, latencyP99: enabled },
      ),
    );
    for (const alarm of alarms) await service.putAlarm(alarm);
    const found = await service.describeAlarms('cairn/default/digits/');
    expect(found).toMatchObject(alarms);
    expect(found).toHaveLength(2);
  });

  test('lists and deletes more alarms than one request takes', async () => {
    const { service } = open();
    const names = Array.from(
      { length: 230 },
      (_, n) => `cairn/default/e${String(n).padStart(3, '0')}/errorRate`,
    );
    await Promise.all(names.map((name) => service.putAlarm({ ...latency, name })));
    expect((await service.describeAlarms('cairn/')).map(({ name }) => name)).toEqual(names);
    await service.deleteAlarms(names);
    expect(await service.describeAlarms('')).toEqual([]);
  });

  test('does not see the alarms of others in the account', async () => {
    const { client, service } = open();
    await client.send(
      new PutMetricAlarmCommand({
        AlarmName: 'cairn-operations',
        Namespace: 'AWS/Lambda',
        MetricName: 'Errors',
        Statistic: 'Sum',
        Period: 60,
        EvaluationPeriods: 1,
        Threshold: 0,
        ComparisonOperator: 'GreaterThanThreshold',
      }),
    );
    expect(await service.describeAlarms('')).toEqual([]);
  });

  test('publishes more than one request takes', async () => {
    const { service } = open();
    const at = Math.floor(Date.now() / MINUTE) * MINUTE - 10 * MINUTE;
    const values = Array.from({ length: 400 }, (_, n) => n);
    const data = Array.from({ length: 1200 }, (_, n): MetricDatum => {
      const many = n < 50;
      return {
        metric: many ? 'Latency' : 'Requests',
        dimensions,
        at,
        values: many ? values : [1],
        ...(many ? { counts: values.map(() => 2) } : {}),
        unit: many ? 'Milliseconds' : 'Count',
      };
    });
    await service.publish(data);
    const sum = async (metric: string, statistic: 'Sum' | 'SampleCount') => {
      const source = { kind: 'metric', metric, dimensions, statistic } as const;
      return service.series({ source, period: 60, from: at, to: at + MINUTE });
    };
    expect(await sum('Requests', 'Sum')).toEqual([{ at, value: 1150 }]);
    expect(await sum('Latency', 'SampleCount')).toEqual([{ at, value: 50 * 400 * 2 }]);
    expect(await sum('Latency', 'Sum')).toEqual([{ at, value: (50 * 2 * 400 * 399) / 2 }]);
  });

  test('an alarm’s change of state and an event are sent to the topic', async () => {
    const account = server.account();
    const [sns, sqs] = [new SNSClient(account), new SQSClient(account)];
    const { TopicArn: topicArn = '' } = await sns.send(new CreateTopicCommand({ Name: 'cairn' }));
    const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: 'seen' }));
    const { Attributes } = await sqs.send(
      new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }),
    );
    await sns.send(
      new SubscribeCommand({ TopicArn: topicArn, Protocol: 'sqs', Endpoint: Attributes?.QueueArn }),
    );
    const service = openCloudWatchAlarmService({ client: new CloudWatchClient(account), topicArn });
    const bus = openSnsEventBus({
      client: sns,
      topicArn,
      onFault: (error) => {
        throw error;
      },
    });
    const next = async () => {
      const { Messages = [] } = await sqs.send(
        new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 1, WaitTimeSeconds: 10 }),
      );
      return JSON.parse(JSON.parse(Messages[0]?.Body ?? '{}').Message);
    };

    await service.putAlarm(latency);
    await service.publish([
      { metric: 'Latency', dimensions, at: Date.now(), values: [500], unit: 'Milliseconds' },
    ]);
    expect(await next()).toMatchObject({
      AlarmName: latency.name,
      OldStateValue: 'INSUFFICIENT_DATA',
      NewStateValue: 'ALARM',
      NewStateReason: expect.stringMatching(/^Threshold Crossed/),
    });
    expect(await service.describeAlarms('')).toMatchObject([{ state: 'ALARM' }]);

    const event = {
      id: '1',
      workspace: 'default',
      type: 'alias.moved',
      resource: 'model/1',
      at: 5,
      data: { to: 2 },
    };
    await bus.publish(event);
    expect(await next()).toEqual(event);
  });
});

requestsFitTheirDescriptions(['cloudwatch:PutDashboard', 'cloudwatch:PutMetricData']);
