import { createHash } from 'node:crypto';
import { CairnError } from '../errors.ts';
import type { BlobStat, BlobStore } from '../ports/blob-store.ts';

/** What a file was announced to be. */
export interface Announced {
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
}

/**
 * Moves a staged object to its content address once its bytes are what was announced; the address never holds others.
 * @throws CairnError `SIZE_MISMATCH` or `DIGEST_MISMATCH` naming the file; then the content address is untouched
 */
export async function admit(
  blobs: BlobStore,
  staged: { key: string; stat: BlobStat },
  announced: Announced,
  contentKey: string,
): Promise<void> {
  if (staged.stat.size !== announced.size) {
    throw new CairnError(
      'SIZE_MISMATCH',
      `"${announced.path}" has ${staged.stat.size} bytes, not ${announced.size}.`,
      'files',
    );
  }
  const sha256 = staged.stat.sha256 ?? (await digest(blobs, staged.key));
  if (sha256 !== announced.sha256) {
    throw new CairnError(
      'DIGEST_MISMATCH',
      `"${announced.path}" has the SHA-256 ${sha256}, not ${announced.sha256}.`,
      'files',
    );
  }
  await blobs.copy(staged.key, contentKey);
}

/** SHA-256 of an object, lower-case hex, by streaming it. */
export async function digest(blobs: BlobStore, key: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of await blobs.get(key)) hash.update(chunk);
  return hash.digest('hex');
}
