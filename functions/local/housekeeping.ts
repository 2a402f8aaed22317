import type { Logger } from 'pino';
import type { InProcessBus } from '../../shared/adapters/local/in-process-bus.ts';
import type { Ports } from '../../shared/ports/ports.ts';
import { consolidate, PACKS_MIN, whileGrowing } from '../../shared/registry/consolidate.ts';
import { modelChain } from '../../shared/registry/keys.ts';
import type { VerifyLater } from '../../shared/registry/verify-work.ts';
import { type CleanUpPart, cleanUp, signCheckpoints } from '../reconcile/housekeeping.ts';

const CHECKPOINT_MS = 5 * 60_000;
const CLEAN_UP_MS = 60 * 60_000;

/** Commits of one model after which its repository is looked at without waiting for the hour, … */
const COMMITS = 256;
/** … and milliseconds without another one. */
const QUIET_MS = 10_000;
const MODELS_COUNTED = 10_000;

/** A model's commits since its repository was consolidated. */
interface Growth {
  commits: number;
  quiet?: NodeJS.Timeout;
}

/** What the last rounds could not do. */
export interface HousekeepingFailures {
  /** Models, and other parts, that could not be cleaned up. */
  readonly cleanUp: number;
  /** Workspaces whose audit checkpoint could not be signed. */
  readonly checkpoints: number;
}

export interface Housekeeping {
  failures(): HousekeepingFailures;
  close(): Promise<void>;
}

/**
 * Signs audit checkpoints every five minutes and cleans up every hour; on AWS a schedule does. A repository that has grown is
 * consolidated meanwhile, and when nothing comes any more.
 */
export function startHousekeeping(
  ports: Ports,
  logger: Logger,
  subscribe: InProcessBus['subscribe'],
  verifyLater?: VerifyLater,
): Housekeeping {
  let failures: HousekeepingFailures = { cleanUp: 0, checkpoints: 0 };
  let running = Promise.resolve();
  const run = (task: () => Promise<unknown>) => {
    running = running
      .then(task)
      .then(() => undefined)
      .catch((error) => logger.error({ err: error }, 'housekeeping failed'));
  };
  const every = (ms: number, task: () => Promise<void>) => setInterval(() => run(task), ms).unref();
  const growing = new Map<string, Growth>();
  const forget = () => {
    for (const { quiet } of growing.values()) clearTimeout(quiet);
    growing.clear();
  };
  const unsubscribe = subscribe(({ type, resource, workspace }) => {
    if (type !== 'version.created' && type !== 'refs.pushed') return;
    if (growing.size >= MODELS_COUNTED && !growing.has(resource)) forget();
    const growth = growing.get(resource) ?? { commits: 0 };
    growing.set(resource, growth);
    const id = resource.slice(modelChain('').length);
    const look = (min?: (taken: number) => number) =>
      run(async () => {
        if (await consolidate(ports, { id, workspace }, min)) growth.commits = 0;
      });
    growth.commits++;
    if (growth.commits % COMMITS === 0) look(whileGrowing);
    if (growth.commits < PACKS_MIN) return;
    growth.quiet = growth.quiet?.refresh() ?? setTimeout(() => look(), QUIET_MS).unref();
  });
  const sign = async () => {
    const checkpoints = await signCheckpoints(ports, (err, workspace) =>
      logger.error({ err, workspace }, 'no audit checkpoint could be signed: tried again in five minutes'),
    );
    failures = { ...failures, checkpoints };
  };
  const timers = [
    every(CHECKPOINT_MS, sign),
    every(CLEAN_UP_MS, async () => {
      const onError = (err: unknown, part: CleanUpPart) =>
        logger.error({ err, ...part }, 'could not be cleaned up: tried again in an hour');
      const { bytes, failed } = await cleanUp(ports, { onError, ...(verifyLater ? { verifyLater } : {}) });
      failures = { ...failures, cleanUp: failed };
      logger.info({ bytes, failed }, 'reclaimed bytes that nothing refers to');
    }),
  ];
  return {
    failures: () => failures,
    async close() {
      unsubscribe();
      forget();
      for (const timer of timers) clearInterval(timer);
      await running;
      await sign();
    },
  };
}
