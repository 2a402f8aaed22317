import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LatencyHistogram, RELATIVE_ERROR } from '../../../shared/monitoring/latency-histogram.ts';

const samples = fc.array(fc.oneof(fc.constant(0), fc.double({ min: 1e-3, max: 1e6, noNaN: true })), {
  minLength: 1,
  maxLength: 500,
});
const QUANTILES = [0, 0.01, 0.5, 0.9, 0.99, 0.999, 1];

function histogramOf(values: readonly number[]): LatencyHistogram {
  const histogram = new LatencyHistogram();
  for (const value of values) histogram.add(value);
  return histogram;
}

/** Nearest rank. */
function exact(values: readonly number[], quantile: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(1, Math.ceil(quantile * sorted.length)) - 1] as number;
}

test('every percentile is within the relative error of the exact one', () => {
  fc.assert(
    fc.property(samples, (values) => {
      const histogram = histogramOf(values);
      for (const quantile of QUANTILES) {
        const value = exact(values, quantile);
        expect(Math.abs(histogram.quantile(quantile) - value)).toBeLessThanOrEqual(
          value * RELATIVE_ERROR * 1.000001,
        );
      }
    }),
  );
});

test('merged histograms are the histogram of all samples', () => {
  fc.assert(
    fc.property(samples, samples, (some, others) => {
      const merged = histogramOf(some);
      merged.merge(histogramOf(others));
      const whole = histogramOf([...some, ...others]);
      expect(merged.count).toBe(whole.count);
      for (const quantile of QUANTILES) expect(merged.quantile(quantile)).toBe(whole.quantile(quantile));
    }),
  );
});

test('a value that counts many times is that many samples', () => {
  const histogram = new LatencyHistogram();
  histogram.add(1, 98);
  histogram.add(500, 2);
  expect(histogram.quantile(0.98)).toBeCloseTo(1, 1);
  expect(Math.abs(histogram.quantile(0.99) - 500)).toBeLessThanOrEqual(5);
});

test('without samples there is no percentile', () => {
  expect(new LatencyHistogram().quantile(0.5)).toBeNaN();
});
