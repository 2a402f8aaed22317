import { Writable } from 'node:stream';
import { type Logger, pino } from 'pino';
import type { Invocation } from '../../../functions/aws/events.ts';
import type { AwsPorts } from '../../../functions/aws/ports.ts';
import { tellingBus } from '../../../functions/aws/telling-bus.ts';
import type { Task, VerifyWork, Wake, WebhookWork } from '../../../functions/aws/work-messages.ts';
import type { FunctionName } from '../../../infra/bundle.ts';
import { type LocalPorts, openLocalPorts } from '../../support/local-ports.ts';
import { tableOfRole } from './table-of-role.ts';

export interface FunctionPorts extends LocalPorts, AwsPorts {
  readonly clock: LocalPorts['clock'];
  /** What was sent to the queues, with its delay. */
  readonly sent: { readonly work: VerifyWork | Wake | Task | WebhookWork; readonly delayMs: number }[];
  readonly lines: Record<string, unknown>[];
  readonly logger: Logger;
}

/** What functions stand on, with this machine's adapters and queues that keep what they are sent. */
export async function openFunctionPorts(): Promise<FunctionPorts> {
  const local = await openLocalPorts();
  const sent: FunctionPorts['sent'] = [];
  const lines: Record<string, unknown>[] = [];
  const queue = {
    send: async (work: VerifyWork | Wake | Task | WebhookWork, delayMs = 0) => {
      sent.push({ work, delayMs });
    },
  };
  const write = new Writable({
    write(chunk, _, done) {
      lines.push(JSON.parse(String(chunk)));
      done();
    },
  });
  const logger = pino({ messageKey: 'message' }, write);
  return {
    ...local,
    bus: tellingBus(local.bus, queue, logger),
    verifyQueue: queue,
    reconcileQueue: queue,
    webhookQueue: queue,
    sent,
    lines,
    logger,
  };
}

/** The same, with what the function's role may do to the table. */
export const asRole = <P extends AwsPorts>(name: FunctionName, ports: P): P => ({
  ...ports,
  table: tableOfRole(name, ports.table),
});

export const invocation = (remaining = 900_000): Invocation => ({
  awsRequestId: '8f6d4309-95f8-4815-804c-15d3dd3674ef',
  getRemainingTimeInMillis: () => remaining,
});

/** An event of Lambda's poller. Source: docs.aws.amazon.com/lambda/latest/dg/with-sqs.html, "Example Amazon SQS message event". */
export const queueEvent = (...bodies: unknown[]) => ({
  Records: bodies.map((body, index) => ({
    messageId: `message-${index + 1}`,
    receiptHandle: 'AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a…',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    attributes: {
      ApproximateReceiveCount: '1',
      SentTimestamp: '1795542892331',
      SenderId: 'AIDAIENQZJOLO23YVJ4VO',
      ApproximateFirstReceiveTimestamp: '1795542892341',
    },
    messageAttributes: {},
    md5OfBody: 'e4e68fb7bd0e697a0ae8f1bb342846b3',
    eventSource: 'aws:sqs',
    eventSourceARN: 'arn:aws:sqs:us-east-1:123456789012:queue',
    awsRegion: 'us-east-1',
  })),
});
