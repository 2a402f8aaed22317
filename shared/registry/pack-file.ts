import { BlobError, type BlobStore } from '../ports/blob-store.ts';
import { readAll } from '../storage/read-all.ts';
import type { Pack, PackedObject } from './git/pack.ts';
import { decodePackIndex, encodePackIndex, type PackIndex } from './git/pack-index.ts';

/** Stores a pack under `blob` and its index beside it. */
export async function storePack(blobs: BlobStore, blob: string, pack: Pack): Promise<void> {
  await blobs.put(blob, pack.bytes);
  await storePackIndex(blobs, blob, pack.objects);
}

export async function storePackIndex(
  blobs: BlobStore,
  blob: string,
  objects: readonly PackedObject[],
): Promise<void> {
  await blobs.put(indexBlobKey(blob), encodePackIndex(objects));
}

/** The index of a stored pack; the first packs had theirs as JSON. */
export async function readPackIndex(blobs: BlobStore, blob: string): Promise<PackIndex> {
  try {
    return decodePackIndex(await readAll(blobs, indexBlobKey(blob)));
  } catch (error) {
    if (!(error instanceof BlobError && error.code === 'NOT_FOUND')) throw error;
    const json = (await readAll(blobs, `${blob}.objects.json`)).toString();
    return decodePackIndex(Buffer.from(encodePackIndex(JSON.parse(json))));
  }
}

/** Where the index of a stored pack is. */
const indexBlobKey = (blob: string) => `${blob}.index`;
