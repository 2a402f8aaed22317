import type { Logger } from 'pino';
import { type Caller, systemCaller } from '../../shared/access/caller.ts';
import { CairnError } from '../../shared/errors.ts';
import type { Ports } from '../../shared/ports/ports.ts';
import { verifyUpload } from '../../shared/registry/complete-upload.ts';
import { verifyLfsObject } from '../../shared/registry/lfs-verification.ts';
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
        const done = await verify(ports, caller, work, deadline);
        if (!done) await verifyQueue.send(work);
        logger.info({ ...told, ...work, ...done }, done ? 'verified' : 'goes on later');
      } catch (error) {
        if (error instanceof CairnError && ENDED.has(error.code)) {
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

/** @returns what came of it, or undefined if it goes on later */
async function verify(
  ports: Ports,
  caller: Caller,
  work: VerifyWork,
  deadline: number,
): Promise<{ version?: number } | undefined> {
  if (work.lfs !== undefined) {
    return (await verifyLfsObject(ports, caller, work, { deadline })) ? {} : undefined;
  }
  const { version } = await verifyUpload(ports, caller, work, { deadline });
  return version && { version: version.number };
}

/** The version is FAILED, the object refused, or there is nothing left to verify: the message has done its work. */
const ENDED = new Set<CairnError['code']>([
  'DIGEST_MISMATCH',
  'SIZE_MISMATCH',
  'MODEL_FILE_INVALID',
  'FILE_NOT_FOUND',
  'UPLOAD_NOT_FOUND',
  'MODEL_NOT_FOUND',
]);
