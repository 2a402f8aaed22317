import { expect, test, vi } from 'vitest';
import { startReconcileLoop } from '../../../functions/reconcile/loop.ts';

const ref = { workspace: 'default', endpoint: 'digits' };
const clock = { now: () => Date.now() };

test('an endpoint is reconciled one call at a time, and once more if it is woken meanwhile', async () => {
  let running = 0;
  let most = 0;
  const gates: (() => void)[] = [];
  const reconcile = vi.fn(async () => {
    most = Math.max(most, ++running);
    await new Promise<void>((resolve) => gates.push(resolve));
    running -= 1;
    return {};
  });
  const loop = startReconcileLoop({ reconcile, clock, onError: () => {} });
  for (let i = 0; i < 5; i++) loop.wake(ref);
  gates.shift()?.();
  await vi.waitFor(() => expect(reconcile).toHaveBeenCalledTimes(2));
  gates.shift()?.();
  await loop.stop();
  expect(reconcile).toHaveBeenCalledTimes(2);
  expect(most).toBe(1);
});

test('comes again when the call asked for it, and after a failure, which it tells of', async () => {
  const onError = vi.fn();
  const reconcile = vi
    .fn<() => Promise<{ next?: number }>>()
    .mockRejectedValueOnce(new Error('the table is away'))
    .mockImplementationOnce(async () => ({ next: clock.now() + 1 }))
    .mockResolvedValue({});
  const loop = startReconcileLoop({ reconcile, clock, onError });
  loop.wake(ref);
  await vi.waitFor(() => expect(reconcile).toHaveBeenCalledTimes(3), { timeout: 30_000 });
  expect(onError).toHaveBeenCalledExactlyOnceWith(
    expect.objectContaining({ message: 'the table is away' }),
    ref,
  );
  await loop.stop();
});

test('starts nothing after it was stopped', async () => {
  const reconcile = vi.fn(async () => ({}));
  const loop = startReconcileLoop({ reconcile, clock, onError: () => {} });
  await loop.stop();
  loop.wake(ref);
  expect(reconcile).not.toHaveBeenCalled();
});
