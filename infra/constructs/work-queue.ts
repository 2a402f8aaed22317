import { Duration } from 'aws-cdk-lib';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { DeadLetters } from './dead-letters.ts';
import { privateQueue } from './private-queue.ts';

interface WorkQueueProps {
  /** Longest run of the function that takes the messages. */
  readonly timeout: Duration;
}

/** How often a message is tried before it goes to the dead letters. */
const ATTEMPTS = 10;

/** A queue for one function, and the queue of messages that it could not handle. */
export class WorkQueue extends Construct {
  readonly queue: Queue;
  readonly deadLetters: Queue;

  constructor(scope: Construct, id: string, { timeout }: WorkQueueProps) {
    super(scope, id);
    this.deadLetters = new DeadLetters(this, 'DeadLetters').queue;
    this.queue = privateQueue(this, 'Queue', {
      // No longer than needed: a message whose run failed comes again after this.
      visibilityTimeout: timeout.plus(Duration.seconds(30)),
      deadLetterQueue: { queue: this.deadLetters, maxReceiveCount: ATTEMPTS },
    });
  }
}
