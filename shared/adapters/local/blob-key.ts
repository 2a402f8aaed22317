import { requireKey } from '../blob-key.ts';

/**
 * The file of a key below `directory`.
 * @throws BlobError `INVALID_KEY` for a key that is no plain relative path: nothing outside `directory` can be named
 */
export function blobPath(directory: string, key: string): string {
  requireKey(key);
  return `${directory}/${key}`;
}
