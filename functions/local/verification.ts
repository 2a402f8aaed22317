import type { Logger } from 'pino';
import { uuidv7 } from 'uuidv7';
import { systemCaller } from '../../shared/access/caller.ts';
import type { Ports } from '../../shared/ports/ports.ts';
import { isRefused, verifySent, workLeft } from '../../shared/registry/verify-sent.ts';
import type { VerifyLater, VerifyWork } from '../../shared/registry/verify-work.ts';

const AT_ONCE = 4;
/** Milliseconds after which it is kept how far an object was hashed: what a restart has to do again. */
const STRETCH_MS = 10_000;
/** After a fault of the store or of our own. */
const AGAIN_MS = 5000;

/**
 * Verifies what was sent, after the requests that ordered it: on AWS a function of its own does. What an earlier process
 * left goes on where it was.
 */
export function startVerification(
  ports: Ports,
  logger: Logger,
  { again = AGAIN_MS }: { again?: number } = {},
): { verifyLater: VerifyLater; resume(): Promise<void>; close(): Promise<void> } {
  const waiting: VerifyWork[] = [];
  const running = new Set<Promise<void>>();
  const timers = new Set<NodeJS.Timeout>();
  let closed = false;

  const verify = async (work: VerifyWork): Promise<void> => {
    const caller = systemCaller('verify-upload', uuidv7());
    try {
      while (!closed && !(await verifySent(ports, caller, work, ports.clock.now() + STRETCH_MS)));
    } catch (error) {
      if (isRefused(error)) {
        logger.warn({ ...work, code: error.code, detail: error.detail }, 'what was sent is refused');
        return;
      }
      logger.error({ ...work, err: error }, 'cannot verify an upload yet');
      if (closed) return;
      const timer = setTimeout(() => {
        timers.delete(timer);
        add(work);
      }, again);
      timers.add(timer);
    }
  };
  const add = (work: VerifyWork) => {
    waiting.push(work);
    pump();
  };
  const pump = () => {
    while (!closed && running.size < AT_ONCE) {
      const next = waiting.shift();
      if (!next) return;
      const task: Promise<void> = verify(next).finally(() => {
        running.delete(task);
        pump();
      });
      running.add(task);
    }
  };

  return {
    verifyLater: async (work) => add(work),
    async resume() {
      for await (const work of workLeft(ports)) add(work);
    },
    async close() {
      closed = true;
      for (const timer of timers) clearTimeout(timer);
      await Promise.all(running);
    },
  };
}
