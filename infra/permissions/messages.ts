import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { allow, type Permission } from './allow.ts';
import { keyThrough } from './key-use.ts';

/** The `EventBus` port. */
export const publishEvents = (topic: ITopic, key: IKey): Permission[] => [
  allow('PublishEvents', ['sns:Publish'], [topic.topicArn]),
  keyThrough('sns', key, ['kms:Decrypt', 'kms:GenerateDataKey']),
];

export const sendTo = (...queues: readonly IQueue[]): Permission =>
  allow(
    'SendWork',
    ['sqs:SendMessage'],
    queues.map((queue) => queue.queueArn),
  );

/** What Lambda's poller does with the function's role. */
export const takeFrom = (queue: IQueue): Permission =>
  allow('TakeWork', ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'], [queue.queueArn]);
