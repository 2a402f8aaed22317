import { StatisticSet } from '../../monitoring/statistic-set.ts';
import type { Dimensions, MetricSource, SeriesPoint, SeriesQuery } from '../../ports/alarm-service.ts';

/** How wide buckets are, in milliseconds, up to which age; older data is dropped. */
const RETENTION = [
  { width: 10_000, until: 3 * 3_600_000 },
  { width: 60_000, until: 36 * 3_600_000 },
  { width: 3_600_000, until: 15 * 86_400_000 },
] as const;

const FINEST = RETENTION[0].width;
const LONGEST = RETENTION[2].until;

interface Bucket {
  /** Milliseconds since the epoch, a multiple of the width. */
  readonly start: number;
  readonly samples: StatisticSet;
}

/**
 * Metrics in memory: 10 s buckets for 3 hours, then 1 min for 36 hours, then 1 h for 15 days, at most 3,400 for each metric.
 * A percentile of any stretch comes from the merged samples of its buckets. Nothing of it is on disk.
 */
export class MetricStore {
  readonly #series = new Map<string, MetricSeries>();

  /** The series of a metric under exactly these dimensions, made when new. It stays valid until {@link compact}. */
  series(metric: string, dimensions: Dimensions): MetricSeries {
    const key = seriesKey(metric, dimensions);
    let series = this.#series.get(key);
    if (!series) {
      series = new MetricSeries();
      this.#series.set(key, series);
    }
    return series;
  }

  /** See {@link AlarmService.series}. */
  values({ source, period, from, to }: SeriesQuery): SeriesPoint[] {
    const points: SeriesPoint[] = [];
    const value = periodValue(source);
    const [first, second] = metricsOf(source).map((metric) =>
      this.#series.get(seriesKey(metric, source.dimensions))?.periods(period * 1000, from, to),
    );
    for (const [at, samples] of first ?? []) {
      const found = value(samples, second?.get(at));
      if (found !== undefined) points.push({ at, value: found });
    }
    return points;
  }

  /** Merges what is old into wider buckets and forgets what is too old, series that are empty then too. */
  compact(now: number): void {
    for (const [key, series] of this.#series) {
      series.compact(now);
      if (series.empty) this.#series.delete(key);
    }
  }
}

/** The samples of one metric, by time. */
export class MetricSeries {
  #buckets: Bucket[] = [];

  get empty(): boolean {
    return this.#buckets.length === 0;
  }

  add(at: number, value: number, times = 1): void {
    const start = at - (at % FINEST);
    const last = this.#buckets.at(-1);
    if (last?.start === start) last.samples.add(value, times);
    else this.#bucket(start).samples.add(value, times);
  }

  /** The samples of each period that has any and begins in [from rounded down, to), oldest first. */
  periods(period: number, from: number, to: number): Map<number, StatisticSet> {
    const periods = new Map<number, StatisticSet>();
    const buckets = this.#buckets;
    for (let index = this.#indexOf(from - (from % period)); index < buckets.length; index++) {
      const bucket = buckets[index] as Bucket;
      if (bucket.start >= to) break;
      const at = bucket.start - (bucket.start % period);
      let samples = periods.get(at);
      if (!samples) {
        samples = new StatisticSet();
        periods.set(at, samples);
      }
      samples.merge(bucket.samples);
    }
    return periods;
  }

  compact(now: number): void {
    const kept: Bucket[] = [];
    for (const { start: was, samples } of this.#buckets) {
      const age = now - was;
      if (age >= LONGEST) continue;
      const width = RETENTION.find((tier) => age < tier.until)?.width ?? FINEST;
      const start = was - (was % width);
      const last = kept.at(-1);
      if (last?.start === start) last.samples.merge(samples);
      else kept.push({ start, samples });
    }
    this.#buckets = kept;
  }

  #bucket(start: number): Bucket {
    const index = this.#indexOf(start);
    const there = this.#buckets[index];
    if (there?.start === start) return there;
    const bucket = { start, samples: new StatisticSet() };
    this.#buckets.splice(index, 0, bucket);
    return bucket;
  }

  /** Index of the first bucket that starts at or after `start`. */
  #indexOf(start: number): number {
    let [low, high] = [0, this.#buckets.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#buckets[middle] as Bucket).start < start) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function seriesKey(metric: string, dimensions: Dimensions): string {
  const names = Object.keys(dimensions).sort();
  return JSON.stringify([metric, ...names.flatMap((name) => [name, dimensions[name]])]);
}

/** The metrics that a source reads; the first one decides which periods have a value. */
const metricsOf = (source: MetricSource): string[] =>
  source.kind === 'metric' ? [source.metric] : [source.denominator, source.numerator];

type PeriodValue = (first: StatisticSet, second: StatisticSet | undefined) => number | undefined;

function periodValue(source: MetricSource): PeriodValue {
  if (source.kind === 'metric') return (samples) => samples.value(source.statistic);
  return (denominator, numerator) =>
    denominator.sum === 0 ? undefined : (100 * (numerator?.sum ?? 0)) / denominator.sum;
}
