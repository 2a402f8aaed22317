import type { Statistic } from '../ports/alarm-service.ts';
import { LatencyHistogram } from './latency-histogram.ts';

/** What CloudWatch keeps of a metric's samples in a stretch of time, enough for every statistic. Merges without loss. */
export class StatisticSet {
  count = 0;
  sum = 0;
  minimum = Number.POSITIVE_INFINITY;
  maximum = Number.NEGATIVE_INFINITY;
  /** Only once two different values came: most counters see one. */
  #histogram: LatencyHistogram | undefined;

  add(value: number, times = 1): void {
    if (!this.#histogram && this.count > 0 && value !== this.minimum) this.#histogram = this.#distribution();
    this.#histogram?.add(value, times);
    this.count += times;
    this.sum += value * times;
    if (value < this.minimum) this.minimum = value;
    if (value > this.maximum) this.maximum = value;
  }

  merge(other: StatisticSet): void {
    if (other.count === 0) return;
    if (other.#histogram) {
      this.#histogram ??= this.#distribution();
      this.#histogram.merge(other.#histogram);
      this.count += other.count;
      this.sum += other.sum;
      this.minimum = Math.min(this.minimum, other.minimum);
      this.maximum = Math.max(this.maximum, other.maximum);
    } else this.add(other.minimum, other.count);
  }

  /** Undefined without samples, and for a percentile when a sample was negative (as CloudWatch has it). */
  value(statistic: Statistic): number | undefined {
    if (this.count === 0) return undefined;
    switch (statistic) {
      case 'Sum':
        return this.sum;
      case 'Average':
        return this.sum / this.count;
      case 'Minimum':
        return this.minimum;
      case 'Maximum':
        return this.maximum;
      case 'SampleCount':
        return this.count;
      default:
        return this.#percentile(Number(statistic.slice(1)));
    }
  }

  #percentile(percent: number): number | undefined {
    if (this.minimum < 0) return undefined;
    if (!this.#histogram) return this.minimum;
    return Math.min(this.maximum, Math.max(this.minimum, this.#histogram.quantile(percent / 100)));
  }

  #distribution(): LatencyHistogram {
    const histogram = new LatencyHistogram();
    if (this.count > 0) histogram.add(this.minimum, this.count);
    return histogram;
  }
}
