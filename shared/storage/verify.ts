import { createHash } from 'node:crypto';
import { CairnError } from '../errors.ts';
import type { BlobStore } from '../ports/blob-store.ts';

/** What a file was announced to be. */
export interface Announced {
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
}

/** @throws CairnError `SIZE_MISMATCH` naming the file */
export function checkSize({ path, size }: Announced, found: number): void {
  if (found !== size)
    throw new CairnError('SIZE_MISMATCH', `"${path}" has ${found} bytes, not ${size}.`, 'files');
}

/** @throws CairnError `DIGEST_MISMATCH` naming the file */
export function checkDigest({ path, sha256 }: Announced, found: string): void {
  if (found === sha256) return;
  throw new CairnError('DIGEST_MISMATCH', `"${path}" has the SHA-256 ${found}, not ${sha256}.`, 'files');
}

/** SHA-256 of an object, lower-case hex, by streaming it. */
export async function digest(blobs: BlobStore, key: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of await blobs.get(key)) hash.update(chunk);
  return hash.digest('hex');
}
