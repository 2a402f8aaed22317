/** Largest relative error of a percentile. */
export const RELATIVE_ERROR = 0.01;

const GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR);
const PER_LOG = 1 / Math.log(GAMMA);
const SMALLEST = 1e-9;
const LARGEST = 1e12;

/** Room on each side when the counts grow. */
const SPARE = 12;
const EMPTY = new Uint32Array(0);

/**
 * Counts of non-negative samples in buckets whose borders grow geometrically, so that every percentile is within
 * {@link RELATIVE_ERROR} of a sample's true value (for samples from 1e-9 to 1e12; smaller ones count as 0, larger ones as 1e12).
 * Merging two histograms gives exactly the histogram of all their samples.
 * Source of the mapping: Masson, Rim, Lee, "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error
 * Guarantees", PVLDB 12(12), 2019. Why not a library: docs/decisions/0003-latency-sketch.md.
 */
export class LatencyHistogram {
  #count = 0;
  #zeros = 0;
  /** Bucket of `#counts[0]`. */
  #first = 0;
  #counts = EMPTY;

  get count(): number {
    return this.#count;
  }

  add(value: number, times = 1): void {
    this.#count += times;
    if (value < SMALLEST) {
      this.#zeros += times;
      return;
    }
    const bucket = Math.ceil(Math.log(Math.min(value, LARGEST)) * PER_LOG);
    if (bucket < this.#first || bucket >= this.#first + this.#counts.length) this.#reach(bucket, bucket);
    const at = bucket - this.#first;
    this.#counts[at] = (this.#counts[at] as number) + times;
  }

  merge(other: LatencyHistogram): void {
    this.#count += other.#count;
    this.#zeros += other.#zeros;
    if (other.#counts.length === 0) return;
    this.#reach(other.#first, other.#first + other.#counts.length - 1);
    const [into, from, shift] = [this.#counts, other.#counts, other.#first - this.#first];
    for (let at = 0; at < from.length; at++) {
      into[at + shift] = (into[at + shift] as number) + (from[at] as number);
    }
  }

  /** The smallest value that at least the share `quantile` (0 to 1) of all samples does not exceed; NaN without samples. */
  quantile(quantile: number): number {
    if (this.#count === 0) return Number.NaN;
    let left = Math.max(1, Math.ceil(quantile * this.#count)) - this.#zeros;
    if (left <= 0) return 0;
    for (let at = 0; at < this.#counts.length; at++) {
      left -= this.#counts[at] as number;
      if (left <= 0) return (2 * GAMMA ** (this.#first + at)) / (GAMMA + 1);
    }
    return LARGEST;
  }

  /** Makes room for the buckets `from` to `to`, with some to spare so that growing is rare. */
  #reach(from: number, to: number): void {
    const last = this.#first + this.#counts.length - 1;
    const empty = this.#counts.length === 0;
    if (!empty && from >= this.#first && to <= last) return;
    const first = empty ? from - SPARE : Math.min(this.#first, from - SPARE);
    const grown = new Uint32Array((empty ? to + SPARE : Math.max(last, to + SPARE)) - first + 1);
    if (!empty) grown.set(this.#counts, this.#first - first);
    this.#first = first;
    this.#counts = grown;
  }
}
