import { Duration } from 'aws-cdk-lib';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';

interface WorkQueueProps {
  /** Longest run of the function that takes the messages. */
  readonly timeout: Duration;
}

/** How often a message is tried before it goes to the dead letters. */
const ATTEMPTS = 5;

/** A queue for one function, and the queue of messages that it could not handle. */
export class WorkQueue extends Construct {
  readonly queue: Queue;
  readonly deadLetters: Queue;

  constructor(scope: Construct, id: string, { timeout }: WorkQueueProps) {
    super(scope, id);
    const common = { encryption: QueueEncryption.SQS_MANAGED, enforceSSL: true, retentionPeriod: Duration.days(14) };
    this.deadLetters = new Queue(this, 'DeadLetters', common);
    this.queue = new Queue(this, 'Queue', {
      ...common,
      // Six times the function's timeout, as Lambda's documentation asks for, within SQS' twelve hours.
      visibilityTimeout: Duration.seconds(Math.min(timeout.toSeconds() * 6, 12 * 3600)),
      deadLetterQueue: { queue: this.deadLetters, maxReceiveCount: ATTEMPTS },
    });
  }
}
