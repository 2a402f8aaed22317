import type { Duration } from 'aws-cdk-lib';
import type { ITable } from 'aws-cdk-lib/aws-dynamodb';
import type { Code, IFunction } from 'aws-cdk-lib/aws-lambda';
import { SqsDestination } from 'aws-cdk-lib/aws-lambda-destinations';
import { LambdaSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { writeIssuerSettings } from '../../shared/access/issuer-settings.ts';
import type { FunctionName } from '../bundle.ts';
import type { Config } from '../config.ts';
import type { DataStack } from '../data-stack.ts';
import { allow, type Permission } from '../permissions/allow.ts';
import { signReads, takeIncoming, writeBlobs } from '../permissions/blob-access.ts';
import { keyThrough, openDataKeys, signRevisions, useKeys, verifyRevisions } from '../permissions/key-use.ts';
import { publishEvents, sendTo, takeFrom } from '../permissions/messages.ts';
import { readContainerLogs, runRevisions } from '../permissions/serving.ts';
import { useTable } from '../permissions/table-access.ts';
import { readAlarms, writeAlarms } from '../permissions/watching.ts';
import { CairnFunction } from './cairn-function.ts';
import type { NotificationTopic } from './notification-topic.ts';
import type { ServingPlatform } from './serving-platform.ts';
import { TIMEOUTS } from './timeouts.ts';
import type { WorkQueue } from './work-queue.ts';

export interface FunctionsProps {
  readonly config: Config;
  readonly code: (name: FunctionName) => Code;
  readonly data: DataStack;
  readonly table: ITable;
  readonly alarms: NotificationTopic;
  readonly events: NotificationTopic;
  readonly verify: WorkQueue;
  readonly reconcile: WorkQueue;
  readonly webhooks: WorkQueue;
  readonly alarmDeadLetters: IQueue;
  readonly url: string;
  readonly platform?: ServingPlatform | undefined;
}

/** What not every function has. */
interface Own {
  readonly reservedConcurrency?: number | undefined;
  readonly issuer?: Readonly<Record<string, string>> | undefined;
}

/** Messages that a function takes at once; those that fail come again alone (partial batch responses). */
const BATCH = 10;

/** The Lambda functions, each with the permissions of the ports that it uses and with what calls it. */
export class Functions extends Construct {
  readonly api: IFunction;
  /** Checks tokens before the load balancer; there when something is served. */
  readonly authorizer: IFunction | undefined;
  /** Tells tasks what to fetch; there when something is served. */
  readonly revisionFiles: IFunction | undefined;
  readonly all: Readonly<Record<string, IFunction>>;

  constructor(scope: Construct, id: string, props: FunctionsProps) {
    super(scope, id);
    const { config, data, table, platform, verify, reconcile, webhooks, alarms, events } = props;
    const { keys, adminToken } = data;
    const models = data.models.bucket;
    const incoming = data.incoming;
    const environment: Record<string, string> = {
      CAIRN_TABLE: table.tableName,
      CAIRN_MODEL_BUCKET: models.bucketName,
      CAIRN_INCOMING_BUCKET: incoming.bucket.bucketName,
      CAIRN_KMS_SIGNING_KEY: keys.signing.keyArn,
      CAIRN_KMS_DATA_KEY: keys.data.keyArn,
      CAIRN_ALARM_TOPIC: alarms.topic.topicArn,
      CAIRN_EVENT_TOPIC: events.topic.topicArn,
      CAIRN_VERIFY_QUEUE_URL: verify.queue.queueUrl,
      CAIRN_RECONCILE_QUEUE_URL: reconcile.queue.queueUrl,
      CAIRN_WEBHOOK_QUEUE_URL: webhooks.queue.queueUrl,
      CAIRN_PUBLIC_URL: props.url,
      CAIRN_ADMIN_TOKEN_SECRET: adminToken.secret.secretArn,
      ...platform?.environment,
    };
    /** Only the functions that authenticate know it. */
    const issuer = config.oidc && writeIssuerSettings(config.oidc);
    const make = (
      name: FunctionName,
      description: string,
      memoryMiB: number,
      timeout: Duration,
      permissions: readonly Permission[],
      { reservedConcurrency, issuer = {} }: Own = {},
    ): IFunction =>
      new CairnFunction(this, pascal(name), {
        config,
        key: keys.data,
        code: props.code(name),
        description,
        memoryMiB,
        timeout,
        environment: { ...environment, ...issuer },
        permissions: [...useTable(name, table, keys.data), ...permissions],
        reservedConcurrency,
      }).function;

    const changes = [...writeBlobs(models, keys.data), ...publishEvents(events.topic, keys.data)];
    const rollouts = platform ? [...writeAlarms(platform), ...runRevisions(platform)] : [];

    this.api = make(
      'api',
      'native API and the protocols of clients',
      1024,
      TIMEOUTS.api,
      [
        ...changes,
        ...useKeys(keys),
        allow('AdminToken', ['secretsmanager:GetSecretValue'], [adminToken.secret.secretArn]),
        keyThrough('secretsmanager', keys.data, ['kms:Decrypt']),
        sendTo(verify.queue, reconcile.queue, webhooks.queue),
        ...(platform ? [...readAlarms(), readContainerLogs(platform)] : []),
      ],
      { reservedConcurrency: config.reservedConcurrency, issuer },
    );
    const registerUpload = make(
      'register-upload',
      'a file dropped in the incoming bucket becomes a version',
      1769,
      TIMEOUTS.registerUpload,
      [
        ...changes,
        ...takeIncoming(incoming.bucket),
        takeFrom(incoming.arrivals.queue),
        sendTo(webhooks.queue),
      ],
    );
    const verifyUpload = make(
      'verify-upload',
      'SHA-256 of uploaded files, from checkpoint to checkpoint',
      1769,
      TIMEOUTS.verifyUpload,
      [...changes, takeFrom(verify.queue), sendTo(verify.queue, webhooks.queue)],
    );
    const reconciler = make(
      'reconcile',
      'rollouts advance, checkpoints are signed, garbage goes',
      512,
      TIMEOUTS.reconcile,
      [
        ...changes,
        ...useKeys(keys),
        ...rollouts,
        takeFrom(reconcile.queue),
        sendTo(reconcile.queue, verify.queue, webhooks.queue),
      ],
    );
    const deliverWebhook = make(
      'deliver-webhook',
      'what happened is told to the webhooks',
      256,
      TIMEOUTS.deliverWebhook,
      [openDataKeys(keys.data), takeFrom(webhooks.queue), sendTo(webhooks.queue)],
    );
    for (const [handler, { queue }] of [
      [deliverWebhook, webhooks],
      [registerUpload, incoming.arrivals],
      [verifyUpload, verify],
      [reconciler, reconcile],
    ] as const) {
      handler.addEventSourceMapping('Messages', {
        eventSourceArn: queue.queueArn,
        batchSize: handler === verifyUpload ? 1 : BATCH,
        reportBatchItemFailures: true,
      });
    }
    this.all = { api: this.api, registerUpload, verifyUpload, reconcile: reconciler, deliverWebhook };
    if (!platform) return;

    const onAlarm = make('on-alarm', 'an alarm rolls an endpoint back', 512, TIMEOUTS.onAlarm, [
      ...changes,
      ...rollouts,
      signRevisions(keys.signing),
      sendTo(reconcile.queue, webhooks.queue, props.alarmDeadLetters),
    ]);
    onAlarm.configureAsyncInvoke({ onFailure: new SqsDestination(props.alarmDeadLetters), retryAttempts: 2 });
    alarms.topic.addSubscription(
      new LambdaSubscription(onAlarm, { deadLetterQueue: props.alarmDeadLetters }),
    );
    this.authorizer = make('authorizer', 'who may call an endpoint', 512, TIMEOUTS.authorizer, [], {
      issuer,
    });
    this.revisionFiles = make(
      'revision-files',
      'a task asks where the files of its revision are',
      512,
      TIMEOUTS.revisionFiles,
      [...signReads(models, keys.data), verifyRevisions(keys.signing)],
    );
    this.all = {
      ...this.all,
      onAlarm,
      authorizer: this.authorizer,
      revisionFiles: this.revisionFiles,
    };
  }
}

const pascal = (folder: string) =>
  folder.replace(/(^|-)(.)/g, (_, __, letter: string) => letter.toUpperCase());
