import pMap from 'p-map';
import { uuidv7 } from 'uuidv7';
import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import type { Ports } from '../ports/ports.ts';
import { blobKey } from '../storage/prefix.ts';
import { digest } from '../storage/verify.ts';
import { addVersion, checkPaths, type VersionDraft } from './create-version.ts';
import { findModel, type ModelRef } from './model.ts';
import { inspectStored, readTexts } from './stored-files.ts';
import { relyingOnBytes } from './sweep.ts';
import { beginUpload } from './upload.ts';
import type { AdoptedFile } from './upload-plan.ts';
import { COPIED_AT_ONCE, HASHED_AT_ONCE, type VerifyLater } from './verify-work.ts';
import { findVersion, type StoredVersion } from './version.ts';

/** A file that the blob store has under another prefix than the model's. */
export interface ForeignFile {
  readonly path: string;
  readonly size: number;
  /** Lower-case hex, where it was hashed on its way in. */
  readonly sha256?: string | undefined;
  readonly key: string;
}

const PARALLEL = 16;

/** Whether a request cannot hash, or have copied, so many bytes. */
function isMuch(files: readonly ForeignFile[]): boolean {
  const sum = (some: readonly ForeignFile[]) => some.reduce((bytes, { size }) => bytes + size, 0);
  return (
    sum(files.filter(({ sha256 }) => sha256 === undefined)) > HASHED_AT_ONCE || sum(files) > COPIED_AT_ONCE
  );
}

/**
 * Makes the next version of files that are elsewhere in the blob store, such as a run's artifacts. No byte is copied by
 * Cairn: a hard link on one disk, a server-side copy on S3. What was not hashed on its way in is hashed first.
 * @param verifyLater with it, and with more to be hashed than a request can, the version is PENDING until that is done
 * @throws CairnError `MODEL_FILE_INVALID`, `INVALID_ARGUMENT` for a path that no version can have; then nothing was made
 */
export async function adoptVersion(
  ports: Ports,
  caller: Caller,
  ref: ModelRef,
  draft: VersionDraft,
  foreign: readonly ForeignFile[],
  verifyLater?: VerifyLater,
): Promise<StoredVersion> {
  authorize(caller, 'contributor', ref);
  checkPaths(foreign.map(({ path }) => path));
  const model = await findModel(ports.table, ref);
  if (verifyLater && isMuch(foreign)) {
    const files = foreign.map(({ key, ...file }): AdoptedFile => ({ ...file, from: key }));
    const upload = await relyingOnBytes(ports, model, (since) =>
      beginUpload(ports, caller, model, draft, { id: uuidv7(), state: 'VERIFYING', files }, since),
    );
    await verifyLater({ workspace: model.workspace, name: model.name, upload: upload.id });
    return findVersion(ports.table, model.id, upload.version);
  }
  const hashed = await pMap(
    foreign,
    async ({ sha256, ...file }) => ({ ...file, sha256: sha256 ?? (await digest(ports.blobs, file.key)) }),
    { concurrency: PARALLEL },
  );
  return relyingOnBytes(ports, model, async (since) => {
    const stored = await pMap(
      hashed,
      async ({ path, size, sha256, key }) => {
        const target = blobKey(model.workspace, model.id, sha256);
        if (!(await ports.blobs.stat(target))) await ports.blobs.copy(key, target);
        return { path, size, sha256 };
      },
      { concurrency: PARALLEL },
    );
    const inspection = await inspectStored(ports.blobs, model, stored);
    const files = await readTexts(ports.blobs, model, stored);
    return addVersion(ports, caller, model, draft, files, inspection, since);
  });
}
