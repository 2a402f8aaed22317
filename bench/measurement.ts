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

/** The median of a figure over all rounds. */
export const medianOf = <K extends string>(rounds: readonly Record<K, number>[], figure: K): number =>
  median(rounds.map((round) => round[figure]));

/** The median of two figures' quotient: taken in the same round, what disturbs one has disturbed the other. */
export const ratioOf = <K extends string>(rounds: readonly Record<K, number>[], over: K, under: K): number =>
  median(rounds.map((round) => round[over] / round[under]));

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

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

/** The least of a time's rounds: what a busy machine adds is no part of what is measured. */
export const shortest = (times: readonly number[]): number => Math.min(...times);
