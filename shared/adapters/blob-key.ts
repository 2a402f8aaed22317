import { BlobError } from '../ports/blob-store.ts';

/** S3's bound for a whole key and the file system's for one part of it, in bytes of UTF-8. */
const MAX_KEY_BYTES = 1024;
const MAX_PART_BYTES = 255;

/** @throws BlobError `INVALID_KEY` for a key that not every store can hold */
export function requireKey(key: string): void {
  const problem = keyProblem(key);
  if (problem !== undefined) throw new BlobError('INVALID_KEY', key, problem);
}

/** Why this is no key; undefined if it is one. */
export function keyProblem(key: string): string | undefined {
  if (!key.isWellFormed() || key.includes('\0')) return 'a key is well-formed Unicode without NUL';
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) return `a key has at most ${MAX_KEY_BYTES} bytes`;
  for (const part of key.split('/')) {
    if (part === '' || part === '.' || part === '..') return 'a key has no empty, "." or ".." part';
    if (Buffer.byteLength(part) > MAX_PART_BYTES)
      return `a part of a key has at most ${MAX_PART_BYTES} bytes`;
  }
  return undefined;
}
