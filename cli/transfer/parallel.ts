/** Runs `work` on every item, `width` at a time; the first error stops the rest and is thrown once all have stopped. */
export async function inParallel<T>(
  items: Iterable<T>,
  width: number,
  signal: AbortSignal,
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const queue = items[Symbol.iterator]();
  const worker = async () => {
    for (let next = queue.next(); !next.done; next = queue.next()) {
      try {
        either.throwIfAborted();
        await work(next.value, either);
      } catch (error) {
        // What is thrown after the first failure is its echo.
        if (!failed.signal.aborted) failed.abort(error);
        return;
      }
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  signal.throwIfAborted();
  if (failed.signal.aborted) throw failed.signal.reason;
}
