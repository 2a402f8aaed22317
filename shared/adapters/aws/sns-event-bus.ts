import { PublishCommand, type SNSClient } from '@aws-sdk/client-sns';
import type { DomainEvent, EventBus } from '../../ports/event-bus.ts';

export interface SnsEventBusOptions {
  readonly client: SNSClient;
  readonly topicArn: string;
  /** Told of an event that could not be sent; its change has happened all the same. */
  readonly onFault: (error: unknown, event: DomainEvent) => void;
}

/** SNS takes 256 KiB; what else is in the message needs little. */
const MAX_DATA_BYTES = 240 * 1024;

/**
 * An EventBus that publishes to an SNS topic: the event as JSON, its type, workspace and resource as attributes to filter
 * by. Data that SNS would not take is left out and `truncated` is true: the audit trail has it.
 */
export function openSnsEventBus({ client, topicArn, onFault }: SnsEventBusOptions): EventBus {
  return {
    publish: async (event) => {
      try {
        await client.send(
          new PublishCommand({
            TopicArn: topicArn,
            Message: toMessage(event),
            MessageAttributes: {
              type: { DataType: 'String', StringValue: event.type },
              workspace: { DataType: 'String', StringValue: event.workspace },
              resource: { DataType: 'String', StringValue: event.resource },
            },
          }),
        );
      } catch (error) {
        onFault(error, event);
      }
    },
  };
}

function toMessage(event: DomainEvent): string {
  const whole = JSON.stringify(event);
  return Buffer.byteLength(whole) <= MAX_DATA_BYTES
    ? whole
    : JSON.stringify({ ...event, data: {}, truncated: true });
}
