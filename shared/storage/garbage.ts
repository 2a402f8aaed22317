import type { BlobStore } from '../ports/blob-store.ts';

/** Bytes younger than this stay, whatever refers to them: a request under way may be about to. */
export const GRACE_MS = 24 * 3600 * 1000;

/** What a collection removed. */
export interface Reclaimed {
  readonly objects: number;
  readonly bytes: number;
}

/**
 * Deletes the objects under `prefix` whose name below it `isLive` does not know and that are older than the grace period. Whoever calls it keeps new references from appearing meanwhile.
 */
export async function collectGarbage(
  blobs: BlobStore,
  prefix: string,
  isLive: (name: string) => boolean,
  before: number,
): Promise<Reclaimed> {
  let objects = 0;
  let bytes = 0;
  for (let after: string | undefined; ; ) {
    const page = await blobs.list(prefix, { limit: 1000, after });
    for (const { key, size, modifiedAt } of page.objects) {
      if (modifiedAt > before || isLive(key.slice(prefix.length))) continue;
      await blobs.delete(key);
      objects++;
      bytes += size;
    }
    after = page.objects.at(-1)?.key;
    if (!page.more) return { objects, bytes };
  }
}
