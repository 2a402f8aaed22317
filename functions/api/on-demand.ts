/**
 * What `open` gives, for all who ask; it is asked itself when the first one does. After a failure the next call opens anew.
 * For modules that few requests need: a function begins without them.
 */
export function onDemand<T>(open: () => Promise<T>): () => Promise<T> {
  let opened: Promise<T> | undefined;
  return () => {
    opened ??= open().catch((error) => {
      opened = undefined;
      throw error;
    });
    return opened;
  };
}
