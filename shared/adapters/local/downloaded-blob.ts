import { createHash } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { BlobError, type BlobStore } from '../../ports/blob-store.ts';
import type { RevisionFile } from '../../ports/serving-platform.ts';

/**
 * Puts a blob's bytes at a path as a new read-only file (mode 0444), for stores that are not on this machine.
 * @throws BlobError `NOT_FOUND`, `DIGEST_MISMATCH`; then there is no file
 */
export async function downloadBlob(
  blobs: Pick<BlobStore, 'get'>,
  { key, sha256 }: Pick<RevisionFile, 'key' | 'sha256'>,
  path: string,
): Promise<void> {
  const bytes = await blobs.get(key);
  const file = await open(path, 'wx', 0o444);
  try {
    const hash = createHash('sha256');
    const hashed = async function* () {
      for await (const chunk of bytes) {
        hash.update(chunk);
        yield chunk;
      }
    };
    await file.writeFile(hashed());
    const found = hash.digest('hex');
    if (found !== sha256) throw new BlobError('DIGEST_MISMATCH', key, `expected ${sha256}, found ${found}`);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}
