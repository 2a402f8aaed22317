import { SNSClient } from '@aws-sdk/client-sns';
import { expect, test } from 'vitest';
import { openSnsEventBus } from '../../../../shared/adapters/aws/sns-event-bus.ts';
import type { DomainEvent } from '../../../../shared/ports/event-bus.ts';
import { answeringHandler } from './answering-handler.ts';

const event: DomainEvent = {
  id: '1',
  workspace: 'default',
  type: 'endpoint.rolled-back',
  resource: 'endpoint/default/digits',
  at: 5,
  data: { reason: 'Threshold Crossed' },
};

function busThat(status: number, body: string) {
  const { sent, handler } = answeringHandler(() => ({
    status,
    body,
    headers: { 'content-type': 'text/xml' },
  }));
  const faults: [unknown, DomainEvent][] = [];
  const client = new SNSClient({
    region: 'us-east-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    requestHandler: handler as never,
  });
  const bus = openSnsEventBus({
    client,
    topicArn: 'arn:aws:sns:us-east-1:123456789012:events',
    onFault: (error, failed) => faults.push([error, failed]),
  });
  return { bus, sent, faults, form: () => new URLSearchParams(String(sent[0]?.body)) };
}
const published =
  '<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>';

test('an event is sent whole, with what subscribers filter by', async () => {
  const { bus, form, faults } = busThat(200, published);
  await bus.publish(event);
  expect(JSON.parse(form().get('Message') ?? '')).toEqual(event);
  const attributes = [1, 2, 3].map((n) => [
    form().get(`MessageAttributes.entry.${n}.Name`),
    form().get(`MessageAttributes.entry.${n}.Value.StringValue`),
  ]);
  expect(Object.fromEntries(attributes)).toEqual({
    type: event.type,
    workspace: event.workspace,
    resource: event.resource,
  });
  expect(faults).toEqual([]);
});

test('an event too large for SNS is sent without its data', async () => {
  const { bus, form } = busThat(200, published);
  await bus.publish({ ...event, data: { text: 'é'.repeat(130_000) } });
  expect(JSON.parse(form().get('Message') ?? '')).toEqual({ ...event, data: {}, truncated: true });
});

test('an event that could not be sent is reported and holds up nobody', async () => {
  const refusal =
    '<ErrorResponse><Error><Code>AuthorizationError</Code><Message>no</Message></Error></ErrorResponse>';
  const { bus, faults } = busThat(403, refusal);
  await bus.publish(event);
  expect(faults).toEqual([
    [expect.objectContaining({ name: expect.stringMatching(/^AuthorizationError/) }), event],
  ]);
});
