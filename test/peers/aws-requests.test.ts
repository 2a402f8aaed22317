import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { openIncomingBucket } from '../../functions/aws/incoming-bucket.ts';
import { readSecret } from '../../functions/aws/secret.ts';
import { openWorkQueue } from '../../functions/aws/work-queue.ts';
import { openCloudWatchAlarmService } from '../../shared/adapters/aws/cloudwatch-alarm-service.ts';
import { endpointAlarms } from '../../shared/monitoring/endpoint-alarms.ts';
import { ON_ECS } from '../../shared/serving/platform-offer.ts';
import { judged, requestsFitTheirDescriptions } from './aws-described.ts';
import '../shared/adapters/aws/dynamodb-table.test.ts';
import '../shared/adapters/aws/ecs-platform.test.ts';
import '../shared/adapters/aws/kms-key-service.test.ts';
import '../shared/adapters/aws/s3-blob-store.test.ts';
import '../shared/adapters/aws/sns-event-bus.test.ts';
import { answeringHandler } from '../shared/adapters/aws/answering-handler.ts';
import { documentedEcs, xml } from '../shared/adapters/aws/documented-ecs.ts';
import { orderOf } from './aws-ecs-fixture.ts';

// The tests above are those of `npm test`: what they have the clients send is judged at the end, with what follows here.

test('a request that does not fit is told of: enumerations, bounds, patterns, members', async () => {
  const Message = { $bytes: '' };
  const requests = [
    {
      service: 'ecs',
      operation: 'StopServiceDeployment',
      input: { serviceDeploymentArn: 'a', stopType: 'STOP' },
    },
    { service: 'cloudwatch', operation: 'DeleteAlarms', input: { AlarmNames: ['a'.repeat(256)] } },
    { service: 'sns', operation: 'Publish', input: { TopicArn: 'a' } },
    {
      service: 'kms',
      operation: 'Sign',
      input: { KeyId: 'a', Message, SigningAlgorithm: 'x', Extra: 1 },
    },
    { service: 'logs', operation: 'FilterLogEvents', input: { logGroupName: 'a b' } },
  ];
  const told = await judged(requests.map((one) => JSON.stringify(one)));
  expect(told).toContain('none of ABORT, ROLLBACK');
  expect(told).toContain('256 is more than 255');
  expect(told).toContain('\\"Message\\"');
  expect(told).toContain('\\"Extra\\"');
  expect(told).toContain("'a b' does not match");
});

/** The longest names that an endpoint on ECS has. */
const workspace = 'w'.repeat(Math.min(63, (ON_ECS.namesMax ?? 0) - 63));
const ref = { workspace, endpoint: 'e'.repeat(63) };

describe('names as long as they may be', () => {
  test('of an endpoint on ECS, which is made and removed', async () => {
    const targetGroup =
      '<TargetGroups><member><TargetGroupArn>arn:tg</TargetGroupArn></member></TargetGroups>';
    const rule = '<Rules><member><RuleArn>arn:rule</RuleArn></member></Rules>';
    const account = {
      answers: {
        DescribeTaskDefinition: {
          status: 400,
          body: { __type: 'ClientException', message: 'Unable to describe task definition.' },
        },
        RegisterTaskDefinition: { body: { taskDefinition: { taskDefinitionArn: 'arn:task-definition' } } },
        DescribeTargetGroups: xml('DescribeTargetGroups', '<TargetGroups/>'),
        CreateTargetGroup: xml('CreateTargetGroup', targetGroup),
        ModifyTargetGroupAttributes: xml('ModifyTargetGroupAttributes', ''),
        DescribeRules: xml('DescribeRules', '<Rules/>'),
        CreateRule: xml('CreateRule', rule),
      },
    };
    const { platform, writes } = documentedEcs(account);
    const alarms = { errorRate: TUNING, latencyP99: TUNING };
    const names = [undefined, 999_999_999].flatMap((revision) =>
      endpointAlarms({ ...ref, revision }, alarms).map(({ name }) => name),
    );
    await platform.rollOut(orderOf(999_999_999, { ...ref, alarms: names }));
    await platform.logs(ref, { revision: 999_999_999, limit: 100 });
    await platform.withdraw(ref);
    const made = new URLSearchParams(writes().find(({ name }) => name === 'CreateRule')?.body);
    const pattern = [...made].find(([key]) => key.includes('PathPatternConfig'))?.[1];
    // Elastic Load Balancing says it in words: "The maximum length of each string is 128 characters".
    expect(pattern).toHaveLength(128);
  });

  test('of its alarms and metrics, and of a model’s dashboard', async () => {
    const { handler } = answeringHandler(() => ({}));
    const client = new CloudWatchClient({
      region: 'us-east-1',
      credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
      requestHandler: handler as never,
    });
    const topicArn = 'arn:aws:sns:us-east-1:123456789012:cairn';
    const service = openCloudWatchAlarmService({ client, topicArn });
    const watched = { ...ref, revision: 999_999_999 };
    const alarms = endpointAlarms(watched, { errorRate: TUNING, latencyP99: TUNING });
    for (const alarm of alarms) {
      await service.putAlarm(alarm);
      await service.series({ source: alarm.source, period: 60, from: 0, to: 60_000 });
    }
    const dimensions = { Workspace: ref.workspace, Endpoint: ref.endpoint, Revision: '999999999' };
    await service.publish([
      { metric: 'Latency', dimensions, at: 0, unit: 'Milliseconds', values: [1.5], counts: [1] },
    ]);
    const dashboard = `cairn-${crypto.randomUUID()}`;
    await service.putDashboard(dashboard, { widgets: [] });
    await service.getDashboard(dashboard);
    await service.deleteDashboard(dashboard);
    await service.describeAlarms('cairn/');
    await service.deleteAlarms(alarms.map(({ name }) => name));
  });
});

const TUNING = { enabled: true, period: 60, evaluationPeriods: 5, datapointsToAlarm: 3, threshold: 5 };

describe('functions’ own clients, which nobody answers', () => {
  beforeAll(() => {
    for (const [name, value] of Object.entries({
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'a',
      AWS_SECRET_ACCESS_KEY: 'b',
      AWS_ENDPOINT_URL: 'http://127.0.0.1:1',
      AWS_MAX_ATTEMPTS: '1',
    }))
      vi.stubEnv(name, value);
    return () => vi.unstubAllEnvs();
  });

  test('send work, read the secret, look at what was dropped', async () => {
    const queue = openWorkQueue<object>('http://127.0.0.1:1/123456789012/work');
    const incoming = openIncomingBucket('incoming');
    const object = { key: 'default/digits/model.onnx', etag: '"a"' };
    const calls = [
      queue.send({ endpoint: ref }, 3_600_000),
      readSecret('arn:aws:secretsmanager:us-east-1:123456789012:secret:token'),
      incoming.stat(object.key),
      incoming.list('default/digits/'),
      incoming.remove(object),
      Array.fromAsync(incoming.open(object)),
    ];
    for (const { status } of await Promise.allSettled(calls)) expect(status).toBe('rejected');
  });
});

requestsFitTheirDescriptions([
  'ecs:CreateService',
  'ecs:StopServiceDeployment',
  'elbv2:CreateRule',
  'application-autoscaling:PutScalingPolicy',
  'cloudwatch:PutMetricAlarm',
  'cloudwatch:GetMetricData',
  'sqs:SendMessage',
  'secretsmanager:GetSecretValue',
]);
