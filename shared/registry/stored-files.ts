import type { BlobStore } from '../ports/blob-store.ts';
import { blobKey } from '../storage/prefix.ts';
import { readAll } from '../storage/read-all.ts';
import { type BlobFile, GIT_TEXT_MAX, isGitText } from './commit-version.ts';
import { type Inspection, inspect } from './inspect.ts';

/** A file at its content address. */
export interface StoredFile {
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
}

interface Owner {
  readonly workspace: string;
  readonly id: string;
}

/** Text of one version that Git keeps itself, so that memory stays flat: text beyond it becomes LFS pointers. */
const TEXT_BUDGET = 64 * 1024 * 1024;

/** Files at their content addresses, with the text of those that Git keeps itself. */
export async function readTexts(
  blobs: BlobStore,
  model: Owner,
  files: readonly StoredFile[],
): Promise<BlobFile[]> {
  let budget = TEXT_BUDGET;
  const read: BlobFile[] = [];
  for (const { path, size, sha256 } of files) {
    const file = { path, size, sha256 };
    const small = size <= Math.min(GIT_TEXT_MAX, budget);
    const bytes = small ? await readAll(blobs, blobKey(model.workspace, model.id, sha256)) : undefined;
    if (bytes && isGitText(bytes)) {
      budget -= size;
      read.push({ ...file, text: bytes });
    } else {
      read.push(file);
    }
  }
  return read;
}

/** {@link inspect} of files at their content addresses, reading only the ranges it needs. */
export const inspectStored = (
  blobs: BlobStore,
  model: Owner,
  files: readonly StoredFile[],
): Promise<Inspection> =>
  inspectObjects(
    blobs,
    files.map((file) => ({ ...file, key: blobKey(model.workspace, model.id, file.sha256) })),
  );

/** {@link inspect} of files wherever they are stored, reading only the ranges it needs. */
export async function inspectObjects(
  blobs: BlobStore,
  files: readonly { readonly path: string; readonly size: number; readonly key: string }[],
): Promise<Inspection> {
  return inspect(
    files.map(({ path, size, key }) => ({
      path,
      size,
      read: async (start, end) =>
        start < end ? readAll(blobs, key, { start, end: end - 1 }) : new Uint8Array(),
    })),
  );
}
