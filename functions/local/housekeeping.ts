import type { Logger } from 'pino';
import type { Ports } from '../../shared/ports/ports.ts';
import { cleanUp, signCheckpoints } from '../reconcile/housekeeping.ts';

const CHECKPOINT_MS = 5 * 60_000;
const CLEAN_UP_MS = 60 * 60_000;

/** Signs audit checkpoints every five minutes and cleans up every hour; on AWS a schedule does. */
export function startHousekeeping(ports: Ports, logger: Logger): { close(): Promise<void> } {
  let running = Promise.resolve();
  const every = (ms: number, task: () => Promise<void>) =>
    setInterval(() => {
      running = running.then(task).catch((error) => logger.error({ err: error }, 'housekeeping failed'));
    }, ms).unref();
  const timers = [
    every(CHECKPOINT_MS, () => signCheckpoints(ports)),
    every(CLEAN_UP_MS, async () => {
      const { bytes } = await cleanUp(ports);
      logger.info({ bytes }, 'reclaimed bytes that nothing refers to');
    }),
  ];
  return {
    async close() {
      for (const timer of timers) clearInterval(timer);
      await running;
      await signCheckpoints(ports);
    },
  };
}
