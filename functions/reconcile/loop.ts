import type { Clock } from '../../shared/ports/clock.ts';
import type { EndpointRef } from '../../shared/ports/serving-platform.ts';

export interface ReconcileLoopOptions {
  readonly reconcile: (ref: EndpointRef) => Promise<{ next?: number }>;
  readonly clock: Clock;
  /** Told of a failure; the endpoint is tried again a second later. */
  readonly onError: (error: unknown, ref: EndpointRef) => void;
}

export interface ReconcileLoop {
  /** Something may have changed for the endpoint: reconciles it now, or again if that is under way. */
  wake(ref: EndpointRef): void;
  /** Nothing new begins; resolves when what is under way has ended. */
  stop(): Promise<void>;
}

const RETRY_MS = 1000;
/** The longest delay that a timer takes. */
const MAX_DELAY_MS = 2 ** 31 - 1;

interface Entry {
  running?: Promise<void> | undefined;
  again: boolean;
  timer?: NodeJS.Timeout | undefined;
}

/** Reconciles each endpoint one call at a time: when it is woken and when its last call asked to come again. */
export function startReconcileLoop({ reconcile, clock, onError }: ReconcileLoopOptions): ReconcileLoop {
  const entries = new Map<string, Entry>();
  let stopped = false;

  function wake(ref: EndpointRef): void {
    if (stopped) return;
    const key = `${ref.workspace}/${ref.endpoint}`;
    const entry = entries.get(key) ?? { again: false };
    entries.set(key, entry);
    entry.again = true;
    clearTimeout(entry.timer);
    entry.timer = undefined;
    entry.running ??= run(key, ref, entry);
  }

  async function run(key: string, ref: EndpointRef, entry: Entry): Promise<void> {
    let next: number | undefined;
    while (entry.again && !stopped) {
      entry.again = false;
      try {
        next = (await reconcile(ref)).next;
      } catch (error) {
        onError(error, ref);
        next = clock.now() + RETRY_MS;
      }
    }
    entry.running = undefined;
    if (stopped) return;
    if (next === undefined) {
      entries.delete(key);
      return;
    }
    const delay = Math.min(Math.max(0, next - clock.now()), MAX_DELAY_MS);
    entry.timer = setTimeout(() => wake(ref), delay).unref();
  }

  async function stop(): Promise<void> {
    stopped = true;
    for (const { timer } of entries.values()) clearTimeout(timer);
    await Promise.all([...entries.values()].map(({ running }) => running));
  }

  return { wake, stop };
}
