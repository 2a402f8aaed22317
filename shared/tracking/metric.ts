/** One value of a metric. Values may be NaN and infinite, which JSON cannot hold: records keep those as text. */
export interface Metric {
  readonly key: string;
  readonly value: number;
  /** Milliseconds since the epoch. */
  readonly timestamp: number;
  readonly step: number;
  /** The logged model that was measured, and on which dataset. */
  readonly model?: string;
  readonly dataset?: { readonly name: string; readonly digest: string };
}

/** A value as records keep it. */
export type Point = readonly [value: number | string, timestamp: number, step: number];

export const pointOf = ({ value, timestamp, step }: Metric): Point => [
  Number.isFinite(value) ? value : String(value),
  timestamp,
  step,
];

export const metricOf = (key: string, [value, timestamp, step]: Point): Metric => ({
  key,
  value: Number(value),
  timestamp,
  step,
});

/** Whether `a` counts as newer than `b`: by step, then time, then value (MLflow's _compare_metrics). */
export function isNewer(a: Point, b: Point): boolean {
  if (a[2] !== b[2]) return a[2] > b[2];
  if (a[1] !== b[1]) return a[1] > b[1];
  return Number(a[0]) > Number(b[0]);
}
