import type { Logger } from 'pino';
import type { InProcessBus } from '../../shared/adapters/local/in-process-bus.ts';
import type { Ports } from '../../shared/ports/ports.ts';
import { consolidate } from '../../shared/registry/consolidate.ts';
import { modelChain } from '../../shared/registry/keys.ts';
import { cleanUp, signCheckpoints } from '../reconcile/housekeeping.ts';

const CHECKPOINT_MS = 5 * 60_000;
const CLEAN_UP_MS = 60 * 60_000;

/** Commits of one model after which its repository is looked at without waiting for the hour. */
const COMMITS = 256;
const MODELS_COUNTED = 10_000;

/**
 * Signs audit checkpoints every five minutes and cleans up every hour; on AWS a schedule does. A repository that grows
 * quickly is consolidated meanwhile.
 */
export function startHousekeeping(
  ports: Ports,
  logger: Logger,
  subscribe: InProcessBus['subscribe'],
): { close(): Promise<void> } {
  let running = Promise.resolve();
  const run = (task: () => Promise<unknown>) => {
    running = running
      .then(task)
      .then(() => undefined)
      .catch((error) => logger.error({ err: error }, 'housekeeping failed'));
  };
  const every = (ms: number, task: () => Promise<void>) => setInterval(() => run(task), ms).unref();
  const commits = new Map<string, number>();
  const unsubscribe = subscribe(({ type, resource, workspace }) => {
    if (type !== 'version.created' && type !== 'refs.pushed') return;
    const count = (commits.get(resource) ?? 0) + 1;
    if (commits.size >= MODELS_COUNTED) commits.clear();
    commits.set(resource, count % COMMITS);
    const id = resource.slice(modelChain('').length);
    if (count === COMMITS) run(() => consolidate(ports, { id, workspace }));
  });
  const timers = [
    every(CHECKPOINT_MS, () => signCheckpoints(ports)),
    every(CLEAN_UP_MS, async () => {
      const { bytes } = await cleanUp(ports);
      logger.info({ bytes }, 'reclaimed bytes that nothing refers to');
    }),
  ];
  return {
    async close() {
      unsubscribe();
      for (const timer of timers) clearInterval(timer);
      await running;
      await signCheckpoints(ports);
    },
  };
}
