import type { DataDir } from '../../shared/adapters/local/data-dir.ts';
import { openFilesystemBlobStore } from '../../shared/adapters/local/filesystem-blob-store.ts';
import { storageDoor } from '../../shared/adapters/local/storage-door.ts';
import type { BlobStore } from '../../shared/ports/blob-store.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { RevisionFile } from '../../shared/ports/serving-platform.ts';
import type { BlobLocation } from './blob-location.ts';
import { storedOnDisk } from './bytes-claim.ts';
import type { Doors } from './dispatch.ts';

/** What has the bytes of models, and what differs with it. */
export interface Bytes {
  readonly blobs: BlobStore;
  /** Where signed addresses lead, if they lead to Cairn itself. */
  readonly door?: Doors['storage'];
  /** A large object is verified after the request that brought it: reading it back takes longer than a client waits. */
  readonly isRemote: boolean;
  /** Puts a file's bytes at a path of this machine, read-only. */
  materialise(file: RevisionFile, path: string): Promise<void>;
  /** @throws CairnError `STORAGE_UNAVAILABLE` */
  ready(): Promise<void>;
}

/** @throws Error with a sentence when the bytes cannot be where the settings say */
export async function openBytes(
  dataDir: DataDir,
  location: BlobLocation | undefined,
  local: { baseUrl: () => string; signingKey: Uint8Array; clock: Clock },
): Promise<Bytes> {
  if (location) {
    const { openBucketBytes } = await import('./bucket-bytes.ts');
    return openBucketBytes(dataDir, location);
  }
  await storedOnDisk(dataDir);
  const blobs = await openFilesystemBlobStore({ root: dataDir.blobs, ...local });
  return {
    blobs,
    door: storageDoor(blobs),
    isRemote: false,
    materialise: ({ key }, path) => blobs.linkBlob(key, path),
    ready: async () => undefined,
  };
}
