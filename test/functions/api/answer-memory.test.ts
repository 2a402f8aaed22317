import { expect, test } from 'vitest';
import { answerMemory } from '../../../functions/api/mlflow/answer-memory.ts';

function remembering() {
  const state = { revision: 1, now: 0 };
  return { state, memory: answerMemory({ now: () => state.now }, () => state.revision) };
}

test('an answer is given again until something is written, and for a second at most', () => {
  const { state, memory } = remembering();
  expect(memory.find('a')).toBeUndefined();
  memory.begin('a')('first');
  expect(memory.find('a')).toBe('first');
  state.now = 1000;
  expect(memory.find('a')).toBeUndefined();
  memory.begin('a')('second');
  state.revision++;
  expect(memory.find('a')).toBeUndefined();
});

test('an answer that was read while something was written is not kept', () => {
  const { state, memory } = remembering();
  memory.find('a');
  const keep = memory.begin('a');
  state.revision++;
  keep('stale');
  expect(memory.find('a')).toBeUndefined();
});

test('what is kept stays within its bounds', () => {
  const { memory } = remembering();
  memory.find('a');
  memory.begin('a')('x'.repeat(10_000_000));
  memory.begin('b')('y'.repeat(10_000_000));
  expect(memory.find('a')).toBeUndefined();
  expect(memory.find('b')).toHaveLength(10_000_000);
  memory.begin('c')('z'.repeat(17_000_000));
  expect(memory.find('c')).toBeUndefined();
});
