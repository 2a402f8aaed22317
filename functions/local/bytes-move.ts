import { createHash } from 'node:crypto';
import pMap from 'p-map';
import { type BlobEntry, BlobError, type BlobStore } from '../../shared/ports/blob-store.ts';

/** A place that has bytes, or is to have them. */
export interface Place {
  /** For people. */
  readonly name: string;
  readonly blobs: BlobStore;
  readonly isBucket: boolean;
}

export interface Amount {
  readonly objects: number;
  readonly bytes: number;
}

const PARALLEL = 16;
/** All that Cairn keeps; a bucket's prefix may have other Cairns below it. */
const EVERYTHING = 'workspaces/';

export const isEmpty = async (blobs: BlobStore): Promise<boolean> =>
  (await blobs.list(EVERYTHING, { limit: 1 })).objects.length === 0;

/**
 * Makes `to` have what `from` has, byte for byte by SHA-256, and nothing else. What is there already is not sent again, so it
 * may be called again after an interruption.
 * @param onProgress is told what was looked at so far, and of how much
 * @throws Error that names the objects whose bytes are not what their names say; all others are copied then
 */
export async function copyBytes(
  from: BlobStore,
  to: BlobStore,
  onProgress: (done: Amount, all: Amount) => void,
): Promise<{ copied: Amount; there: number }> {
  const wasBegun = !(await isEmpty(to));
  const all = { objects: 0, bytes: 0 };
  for await (const { size } of everyObject(from)) add(all, size);
  const [done, copied] = [
    { objects: 0, bytes: 0 },
    { objects: 0, bytes: 0 },
  ];
  const damaged: string[] = [];
  await pMap(
    everyObject(from),
    async ({ key, size }) => {
      try {
        if (await copyObject(from, to, key, size)) add(copied, size);
      } catch (error) {
        if (!(error instanceof BlobError && error.code === 'DIGEST_MISMATCH')) throw error;
        damaged.push(key);
      }
      add(done, size);
      onProgress(done, all);
    },
    { concurrency: PARALLEL },
  );
  if (damaged.length > 0) throw new Error(damagedText(damaged));
  if (wasBegun) await removeOthers(from, to);
  return { copied, there: done.objects - copied.objects };
}

/** @returns false if it is there already */
async function copyObject(from: BlobStore, to: BlobStore, key: string, size: number): Promise<boolean> {
  const named = /\/([0-9a-f]{64})$/.exec(key)?.[1];
  const there = await to.stat(key);
  const isThere = there?.size === size;
  // What has the name of its digest was held against it before it got it.
  if (isThere && named !== undefined) return false;
  const sha256 = named ?? (await digestOf(from, key));
  if (isThere && (await digestOf(to, key)) === sha256) return false;
  await to.put(key, await from.get(key), { size, sha256 });
  return true;
}

/** An earlier beginning may have copied what has been deleted since. */
async function removeOthers(from: BlobStore, to: BlobStore): Promise<void> {
  await pMap(
    everyObject(to),
    async ({ key }) => {
      if (!(await from.stat(key))) await to.delete(key);
    },
    { concurrency: PARALLEL },
  );
}

async function digestOf(blobs: BlobStore, key: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of await blobs.get(key)) hash.update(chunk);
  return hash.digest('hex');
}

async function* everyObject(store: BlobStore): AsyncGenerator<BlobEntry> {
  for (let after: string | undefined; ; ) {
    const page = await store.list(EVERYTHING, after === undefined ? {} : { after });
    yield* page.objects;
    after = page.objects.at(-1)?.key;
    if (!page.more) return;
  }
}

function add(amount: { objects: number; bytes: number }, size: number): void {
  amount.objects++;
  amount.bytes += size;
}

const damagedText = (keys: readonly string[]) =>
  `The bytes of ${keys.length === 1 ? 'this object are' : `these ${keys.length} objects are`} not what its name says: ${keys.slice(0, 10).join(', ')}${keys.length > 10 ? ' …' : ''}. All others were copied. Put them back from a backup.`;
