import { afterEach, beforeEach, expect, test } from 'vitest';
import { alarmHandler } from '../../../functions/aws/on-alarm.ts';
import { reconciler } from '../../../functions/aws/reconcile.ts';
import { getEndpoint, updateEndpoint } from '../../../shared/serving/endpoint.ts';
import { ON_ECS } from '../../../shared/serving/platform-offer.ts';
import { someone } from '../../support/local-ports.ts';
import { asRole, type FunctionPorts, invocation, openFunctionPorts, queueEvent } from './aws-fixture.ts';
import { openRecordedServing, REF } from './served-endpoint.ts';

const ada = someone('ada', 'admin');

let ports: FunctionPorts;
let served: ReturnType<typeof openRecordedServing>;
beforeEach(async () => {
  ports = await openFunctionPorts();
  served = openRecordedServing(ports);
  await served.endpoint();
});
afterEach(() => ports.close());

/** Source: docs.aws.amazon.com/lambda/latest/dg/with-sns.html, and the message of a CloudWatch alarm in it. */
const topicEvent = (message: object) => ({
  Records: [
    {
      EventVersion: '1.0',
      EventSubscriptionArn: 'arn:aws:sns:us-east-1:123456789012:alarms:21be56ed',
      EventSource: 'aws:sns',
      Sns: {
        SignatureVersion: '1',
        Timestamp: '2026-11-24T12:45:07.000Z',
        MessageId: '95df01b4-ee98-5cb9-9903-4c221d41eb5e',
        Subject: 'ALARM',
        Type: 'Notification',
        TopicArn: 'arn:aws:sns:us-east-1:123456789012:alarms',
        Message: JSON.stringify(message),
        MessageAttributes: {},
      },
    },
  ],
});

const alarm = (AlarmName: string) => ({
  AlarmName,
  AlarmDescription: null,
  AWSAccountId: '123456789012',
  AlarmConfigurationUpdatedTimestamp: '2026-11-24T12:00:00.000+0000',
  NewStateValue: 'ALARM',
  NewStateReason: 'Threshold Crossed: 1 datapoint [2500.0] was greater than the threshold (1000.0).',
  StateChangeTime: new Date(ports.clock.now()).toISOString().replace('Z', '+0000'),
  Region: 'US East (N. Virginia)',
  AlarmArn: `arn:aws:cloudwatch:us-east-1:123456789012:alarm:${AlarmName}`,
  OldStateValue: 'OK',
  OKActions: [],
  AlarmActions: ['arn:aws:sns:us-east-1:123456789012:alarms'],
  InsufficientDataActions: [],
  Trigger: { MetricName: 'Latency', Namespace: 'Cairn', ExtendedStatistic: 'p99', Period: 60 },
});

const deliver = (message: object) =>
  alarmHandler({ ...asRole('on-alarm', ports), serving: served.serving })(topicEvent(message), invocation());

async function settle() {
  const go = reconciler({ ...asRole('reconcile', ports), serving: served.serving });
  for (let work: unknown = { endpoint: REF }; work; ) {
    ports.sent.length = 0;
    await go(queueEvent(work), invocation());
    work = ports.sent[0]?.work;
    ports.clock.advance(ports.sent[0]?.delayMs ?? 0);
  }
}

const status = async () => (await getEndpoint(ports, ada, REF)).status;

test('an alarm of what serves takes the endpoint back, with the alarm’s own reason, once', async () => {
  await settle();
  const spec = { model: 'digits', target: { version: 2 } };
  const { alarms, versions } = served.serving;
  await updateEndpoint({ ...ports, alarms, versions, offer: ON_ECS }, ada, REF, spec);
  await settle();
  const { current } = await status();
  expect(current).toMatchObject({ version: 2 });

  ports.clock.advance(60_000);
  const message = alarm(`cairn/default/digits/r${current?.revision}/latencyP99`);
  await deliver(message);
  await settle();
  expect(await status()).toMatchObject({
    current: { version: 1 },
    lastRollback: { by: 'system:on-alarm', reason: message.NewStateReason, alarm: message.AlarmName },
  });
  const rolledBack = () => ports.events.filter(({ type }) => type === 'endpoint.rolled-back').length;
  expect(rolledBack()).toBe(1);
  await deliver(message);
  await settle();
  expect(rolledBack()).toBe(1);
});

test('alarms that are not an endpoint’s are left alone', async () => {
  served.calls.length = 0;
  await deliver(alarm('cairn-operations-errors-api'));
  expect(served.calls).toEqual([]);
  expect(ports.lines).toMatchObject([{ alarm: 'cairn-operations-errors-api', ours: false }]);
});

test('what is no alarm’s message fails, so that it comes to the dead letters', async () => {
  await expect(deliver({ hello: 'world' })).rejects.toThrow();
});
