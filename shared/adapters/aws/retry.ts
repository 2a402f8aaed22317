import { setTimeout as sleep } from 'node:timers/promises';

const FIRST_MS = 20;
const LONGEST_MS = 2000;
const ATTEMPTS = 12;

/** Waits so many milliseconds; tests pass another. */
export type Pause = (ms: number) => Promise<unknown>;

/**
 * Runs `work` up to 12 times while it fails with what `transient` says will pass. Waits a random time up to a bound that
 * doubles ("full jitter", https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/), so that
 * those that collided do not collide again. The SDK's own retries, of lost connections and throttling, are below this.
 */
export async function retried<T>(
  work: () => Promise<T>,
  transient: (error: unknown) => boolean,
  pause: Pause = sleep,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt >= ATTEMPTS || !transient(error)) throw error;
      await pause(jitter(attempt));
    }
  }
}

function jitter(attempt: number): number {
  return Math.random() * Math.min(LONGEST_MS, FIRST_MS * 2 ** (attempt - 1));
}
