/** One line of the result. */
export interface Measurement {
  readonly what: string;
  /** Who asks: wrk, curl or Node. */
  readonly client: string;
  /** The number that the bar is about. */
  readonly value: number;
  /** The number with its unit and what it was held against in the same run. */
  readonly figure: string;
  /** What has to be reached; a line without one is for information. */
  readonly bar?: string;
  readonly reached?: boolean;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/**
 * The best of several rounds: what else the machine does can only make one worse. It is asked of a peer as well, so that
 * their quotient is of two undisturbed rounds.
 */
export const shortest = (times: readonly number[]): number => Math.min(...times);
export const fastest = (rates: readonly number[]): number => Math.max(...rates);

/** Runs `measure` so many times, one after the other. */
export async function repeat<T>(times: number, measure: (round: number) => T | Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let round = 0; round < times; round++) results.push(await measure(round));
  return results;
}

/** Seconds that the work takes. */
export async function seconds(work: () => unknown): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}
