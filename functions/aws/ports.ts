import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import type { Logger } from 'pino';
import { openDynamoTable } from '../../shared/adapters/aws/dynamodb-table.ts';
import type { Ports } from '../../shared/ports/ports.ts';
import { lazily } from './lazy-port.ts';
import type { Settings } from './settings.ts';
import { tellingBus } from './telling-bus.ts';
import type { Task, VerifyWork, Wake, WebhookWork } from './work-messages.ts';
import type { WorkQueue } from './work-queue.ts';

/** What functions stand on. Clients are loaded and made when they are first used. */
export interface AwsPorts extends Ports {
  readonly verifyQueue: WorkQueue<VerifyWork>;
  readonly reconcileQueue: WorkQueue<Wake | Task>;
  readonly webhookQueue: WorkQueue<WebhookWork>;
}

interface Options {
  readonly logger: Pick<Logger, 'error'>;
  /** Runs before the table is first used. */
  readonly before?: (ports: Ports) => Promise<void>;
}

/** The ports on AWS' services, in the region and with the role of the function. */
export function openPorts(settings: Settings, { logger, before }: Options): AwsPorts {
  const clock = { now: () => Date.now() };
  const blobs = lazily(async () => (await import('./s3.ts')).openBlobs(settings.CAIRN_MODEL_BUCKET));
  const keys = lazily(async () => {
    const { openKeys } = await import('./kms.ts');
    return openKeys({
      signingKeyArn: settings.CAIRN_KMS_SIGNING_KEY,
      dataKeyId: settings.CAIRN_KMS_DATA_KEY,
    });
  });
  const queue = <Work>(url: string) =>
    lazily(async () => (await import('./work-queue.ts')).openWorkQueue<Work>(url));
  const webhookQueue = queue<WebhookWork>(settings.CAIRN_WEBHOOK_QUEUE_URL);
  const topic = lazily(async () => {
    const { openBus } = await import('./sns.ts');
    return openBus({
      topicArn: settings.CAIRN_EVENT_TOPIC,
      onFault: (err, event) => logger.error({ err, event: event.id }, 'cannot publish an event'),
    });
  });
  const bus = tellingBus(topic, webhookQueue, logger);
  const table = lazily(async () => {
    const opened = openDynamoTable({ client: new DynamoDBClient({}), tableName: settings.CAIRN_TABLE });
    await before?.({ table: opened, blobs, clock, keys, bus });
    return opened;
  });
  return {
    table,
    blobs,
    clock,
    keys,
    bus,
    verifyQueue: queue<VerifyWork>(settings.CAIRN_VERIFY_QUEUE_URL),
    reconcileQueue: queue<Wake | Task>(settings.CAIRN_RECONCILE_QUEUE_URL),
    webhookQueue,
  };
}
