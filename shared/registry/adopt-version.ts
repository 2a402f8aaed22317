import pMap from 'p-map';
import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import type { Ports } from '../ports/ports.ts';
import { blobKey } from '../storage/prefix.ts';
import { digest } from '../storage/verify.ts';
import { addVersion, checkPaths, type VersionDraft } from './create-version.ts';
import { findModel, type ModelRef } from './model.ts';
import { inspectStored, readTexts } from './stored-files.ts';
import type { StoredVersion } from './version.ts';

/** A file that the blob store has under another prefix than the model's. */
export interface ForeignFile {
  readonly path: string;
  readonly size: number;
  /** Lower-case hex, where it was hashed on its way in. */
  readonly sha256?: string | undefined;
  readonly key: string;
}

const PARALLEL = 16;

/**
 * Makes the next version of files that are elsewhere in the blob store, such as a run's artifacts. No byte is copied by
 * Cairn: a hard link on one disk, a server-side copy on S3. What was not hashed on its way in is hashed first.
 * @throws CairnError `MODEL_FILE_INVALID`, `INVALID_ARGUMENT` for a path that no version can have; then nothing was made
 */
export async function adoptVersion(
  ports: Ports,
  caller: Caller,
  ref: ModelRef,
  draft: VersionDraft,
  foreign: readonly ForeignFile[],
): Promise<StoredVersion> {
  authorize(caller, 'contributor', ref);
  checkPaths(foreign.map(({ path }) => path));
  const model = await findModel(ports.table, ref);
  const stored = await pMap(
    foreign,
    async ({ path, size, sha256: known, key }) => {
      const sha256 = known ?? (await digest(ports.blobs, key));
      const target = blobKey(model.workspace, model.id, sha256);
      if (!(await ports.blobs.stat(target))) await ports.blobs.copy(key, target);
      return { path, size, sha256 };
    },
    { concurrency: PARALLEL },
  );
  const inspection = await inspectStored(ports.blobs, model, stored);
  const files = await readTexts(ports.blobs, model, stored);
  return addVersion(ports, caller, model, draft, files, inspection);
}
