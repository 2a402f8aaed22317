import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';

/** Sends work to a queue that one of the functions takes from. */
export interface WorkQueue<Work> {
  /** @param delayMs how long it is to wait there; SQS keeps at most 15 minutes, and whole seconds */
  send(work: Work, delayMs?: number): Promise<void>;
}

const LONGEST_SECONDS = 900;

export function openWorkQueue<Work>(QueueUrl: string): WorkQueue<Work> {
  const client = new SQSClient({});
  return {
    async send(work, delayMs = 0) {
      const DelaySeconds = Math.min(LONGEST_SECONDS, Math.max(0, Math.ceil(delayMs / 1000)));
      await client.send(
        new SendMessageCommand({ QueueUrl, MessageBody: JSON.stringify(work), DelaySeconds }),
      );
    },
  };
}
