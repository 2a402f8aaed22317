import { expect, test, vi } from 'vitest';
import { lazily } from '../../../functions/aws/lazy-port.ts';

interface Port {
  readonly kind: 'rollout';
  double(value: number): Promise<number>;
}

const opened = (): Port => ({ kind: 'rollout', double: async (value) => value * 2 });

test('an adapter is made at the first call, and once', async () => {
  const open = vi.fn(async () => opened());
  const port = lazily<Port>(open, { kind: 'rollout' });
  expect(port.kind).toBe('rollout');
  expect(await Promise.resolve(port)).toBe(port);
  expect(open).not.toHaveBeenCalled();
  expect(await Promise.all([port.double(1), port.double(2)])).toEqual([2, 4]);
  expect(open).toHaveBeenCalledTimes(1);
});

test('an adapter that could not be made is made by the next call', async () => {
  const open = vi.fn(async () => opened()).mockRejectedValueOnce(new Error('no credentials'));
  const port = lazily<Port>(open);
  await expect(port.double(1)).rejects.toThrow('no credentials');
  expect(await port.double(1)).toBe(2);
});
