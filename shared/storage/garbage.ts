import type { BlobEntry, BlobStore } from '../ports/blob-store.ts';

/** Bytes younger than this stay, whatever refers to them: a request under way may be about to. */
export const GRACE_MS = 24 * 3600 * 1000;

/** What a collection removed. */
export interface Reclaimed {
  readonly objects: number;
  readonly bytes: number;
}

/** The objects under `prefix` whose name below it `isLive` does not know and that have not changed since `before`. */
export async function* garbage(
  blobs: Pick<BlobStore, 'list'>,
  prefix: string,
  isLive: (name: string) => boolean,
  before: number,
): AsyncGenerator<BlobEntry> {
  for (let after: string | undefined; ; ) {
    const page = await blobs.list(prefix, { limit: 1000, after });
    for (const entry of page.objects)
      if (entry.modifiedAt <= before && !isLive(entry.key.slice(prefix.length))) yield entry;
    after = page.objects.at(-1)?.key;
    if (!page.more) return;
  }
}

/** Deletes what {@link garbage} finds. Whoever calls it knows that nothing begins to refer to it meanwhile. */
export async function collectGarbage(
  blobs: BlobStore,
  prefix: string,
  isLive: (name: string) => boolean,
  before: number,
): Promise<Reclaimed> {
  let objects = 0;
  let bytes = 0;
  for await (const { key, size } of garbage(blobs, prefix, isLive, before)) {
    await blobs.delete(key);
    objects++;
    bytes += size;
  }
  return { objects, bytes };
}
