import { expect, test, vi } from 'vitest';
import { onDemand } from '../../../functions/api/on-demand.ts';

test('what is opened on demand is opened at the first call, once for all', async () => {
  const open = vi.fn(async () => ({}));
  const opened = onDemand(open);
  expect(open).not.toHaveBeenCalled();
  const [one, other] = await Promise.all([opened(), opened()]);
  expect(one).toBe(other);
  expect(await opened()).toBe(one);
  expect(open).toHaveBeenCalledTimes(1);
});

test('what could not be opened is opened by the next call', async () => {
  const open = vi.fn(async () => 'opened').mockRejectedValueOnce(new Error('no such file'));
  const opened = onDemand(open);
  await expect(Promise.all([opened(), opened()])).rejects.toThrow('no such file');
  expect(await opened()).toBe('opened');
});
