import fc from 'fast-check';
import { expect, test } from 'vitest';
import { StatisticSet } from '../../../shared/monitoring/statistic-set.ts';

const integers = fc.array(fc.integer({ min: 0, max: 1000 }), { maxLength: 100 });

function setOf(values: readonly number[]): StatisticSet {
  const set = new StatisticSet();
  for (const value of values) set.add(value);
  return set;
}

test('merging sets gives every statistic of all samples', () => {
  fc.assert(
    fc.property(integers, integers, (some, others) => {
      const merged = setOf(some);
      merged.merge(setOf(others));
      const whole = setOf([...some, ...others]);
      for (const statistic of [
        'Sum',
        'Average',
        'Minimum',
        'Maximum',
        'SampleCount',
        'p50',
        'p99',
      ] as const) {
        expect(merged.value(statistic)).toBe(whole.value(statistic));
      }
    }),
  );
});

test('equal samples have exactly their own value as percentile', () => {
  expect(setOf([7, 7, 7]).value('p99')).toBe(7);
});

test('a percentile lies between the smallest and the largest sample', () => {
  expect(setOf([3, 1000]).value('p100')).toBe(1000);
  expect(setOf([3, 1000]).value('p0')).toBe(3);
});

test('no samples, no value; a negative sample, no percentile', () => {
  expect(setOf([]).value('Sum')).toBeUndefined();
  expect(setOf([-1, 5]).value('p50')).toBeUndefined();
  expect(setOf([-1, 5]).value('Minimum')).toBe(-1);
});
