import type { Logger } from 'pino';
import { systemCaller } from '../../shared/access/caller.ts';
import { isRefused, verifySent } from '../../shared/registry/verify-sent.ts';
import { type BatchResult, failures, type Invocation, QueueEvent } from './events.ts';
import type { AwsPorts } from './ports.ts';
import { VerifyWork } from './work-messages.ts';

type Deps = AwsPorts & { readonly logger: Pick<Logger, 'info' | 'warn' | 'error'> };

/** Milliseconds kept for what comes after the last look at the clock, half of the time at most. */
const RESERVE = 60_000;

/**
 * Verifies what was ordered: uploads, each until its version is READY or FAILED, and objects of Git LFS, each until the
 * model has it or it is refused. What takes longer than a function may run is sent to the queue again with where it
 * stopped on record.
 */
export function verifyUploads({ logger, verifyQueue, ...ports }: Deps) {
  return async (event: unknown, invocation: Invocation): Promise<BatchResult> => {
    const remaining = invocation.getRemainingTimeInMillis();
    const deadline = ports.clock.now() + remaining - Math.min(RESERVE, remaining / 2);
    const failed: string[] = [];
    for (const { messageId, body } of QueueEvent.parse(event).Records) {
      const told = { requestId: invocation.awsRequestId, messageId };
      try {
        const work = VerifyWork.parse(JSON.parse(body));
        const caller = systemCaller('verify-upload', invocation.awsRequestId);
        const done = await verifySent(ports, caller, work, deadline);
        if (!done) await verifyQueue.send(work);
        logger.info({ ...told, ...work, ...done }, done ? 'verified' : 'goes on later');
      } catch (error) {
        if (isRefused(error)) {
          logger.warn({ ...told, code: error.code, detail: error.detail }, 'what was sent is refused');
          continue;
        }
        logger.error({ ...told, err: error }, 'cannot verify an upload yet');
        failed.push(messageId);
      }
    }
    return failures(failed);
  };
}
