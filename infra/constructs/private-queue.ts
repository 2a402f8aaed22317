import { Duration } from 'aws-cdk-lib';
import { Queue, QueueEncryption, type QueueProps } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';

/** A queue that takes messages over TLS only and keeps them for 14 days, SQS' greatest. */
export function privateQueue(scope: Construct, id: string, props: QueueProps = {}): Queue {
  const queue = new Queue(scope, id, {
    encryption: QueueEncryption.SQS_MANAGED,
    enforceSSL: true,
    retentionPeriod: Duration.days(14),
    ...props,
  });
  acknowledge(queue, {
    CKV_AWS_27:
      'Encrypted with SQS’ own key: messages hold names and event notices, and S3, SNS and EventBridge can send without a grant on the data key.',
  });
  return queue;
}
