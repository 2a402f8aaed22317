import type { Logger } from 'pino';
import { systemCaller } from '../../shared/access/caller.ts';
import { CairnError } from '../../shared/errors.ts';
import { verifyUpload } from '../../shared/registry/complete-upload.ts';
import { type BatchResult, failures, type Invocation, QueueEvent } from './events.ts';
import type { AwsPorts } from './ports.ts';
import { VerifyWork } from './work-messages.ts';

type Deps = AwsPorts & { readonly logger: Pick<Logger, 'info' | 'warn' | 'error'> };

/** Milliseconds kept for what comes after the last look at the clock, half of the time at most. */
const RESERVE = 60_000;

/**
 * Verifies uploads whose completion was requested, each until its version is READY or FAILED. What takes longer than a
 * function may run is sent to the queue again with where it stopped on record.
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
        const { version } = await verifyUpload(ports, caller, work, { deadline });
        if (!version) await verifyQueue.send(work);
        logger.info({ ...told, ...work, version: version?.number }, version ? 'verified' : 'goes on later');
      } catch (error) {
        if (error instanceof CairnError && ENDED.has(error.code)) {
          logger.warn({ ...told, code: error.code, detail: error.detail }, 'an upload became no version');
          continue;
        }
        logger.error({ ...told, err: error }, 'cannot verify an upload yet');
        failed.push(messageId);
      }
    }
    return failures(failed);
  };
}

/** The version is FAILED, or there is nothing left to verify: the message has done its work. */
const ENDED = new Set<CairnError['code']>([
  'DIGEST_MISMATCH',
  'SIZE_MISMATCH',
  'MODEL_FILE_INVALID',
  'UPLOAD_NOT_FOUND',
  'MODEL_NOT_FOUND',
]);
