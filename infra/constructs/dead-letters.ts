import type { Queue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import { privateQueue } from './private-queue.ts';

/** Messages that could not be handled, so that someone can look at them and send them again. */
export class DeadLetters extends Construct {
  readonly queue: Queue;

  constructor(scope: Construct, id: string) {
    super(scope, id);
    this.queue = privateQueue(this, 'Queue');
    acknowledge(this.queue, {
      'AwsSolutions-SQS3':
        'It holds dead letters itself; those of topics name it where cdk-nag does not look.',
    });
  }
}
