import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { LocalFile } from './folder.ts';

const READ_BYTES = 1024 * 1024;

/** Feeds a file to a hash, 1 MiB at a time. */
export async function hashInto(
  hash: Hash,
  file: string,
  options: { signal: AbortSignal; onBytes?: (count: number) => void },
): Promise<void> {
  const stream = createReadStream(file, { highWaterMark: READ_BYTES, signal: options.signal });
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    hash.update(chunk);
    options.onBytes?.(chunk.length);
  }
}

export interface HashedFile extends LocalFile {
  /** Lower-case hex. */
  readonly sha256: string;
}

/** SHA-256 of every file, one after the other: a disk is read best in order. */
export async function hashFiles(
  files: readonly LocalFile[],
  options: { signal: AbortSignal; onBytes: (count: number) => void },
): Promise<HashedFile[]> {
  const hashed: HashedFile[] = [];
  for (const file of files) {
    const hash = createHash('sha256');
    await hashInto(hash, file.file, options);
    hashed.push({ ...file, sha256: hash.digest('hex') });
  }
  return hashed;
}
