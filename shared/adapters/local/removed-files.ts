import { randomBytes } from 'node:crypto';
import { link, mkdir, readdir, rm, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';

/** A file system takes half a second and more to free the blocks of 1 GiB; a smaller file than this is not worth two more calls. */
const SLOW_TO_FREE = 16 * 1024 * 1024;

export interface RemovedFiles {
  /** Takes a file's name away, as `unlink` does; a large file's blocks are freed after it has returned. */
  unlink(path: string): Promise<void>;
}

/** @param directory where large files are until their blocks are free, on the file system of those that are removed */
export async function removedFiles(directory: string): Promise<RemovedFiles> {
  await mkdir(directory, { recursive: true });
  // One after the other: many would keep all of the threads busy that files are read and written by.
  let freed: Promise<void> = Promise.resolve();
  const free = (name: string) => {
    freed = freed.then(() => rm(join(directory, name), { force: true })).catch(() => undefined);
  };
  for (const name of await readdir(directory)) free(name);
  return {
    async unlink(path) {
      const name = randomBytes(16).toString('hex');
      const kept = await keep(path, join(directory, name));
      try {
        await unlink(path);
      } finally {
        if (kept) free(name);
      }
    },
  };
}

/** Gives a large file a second name. Where it cannot have one, removing it takes as long as it takes. */
async function keep(path: string, name: string): Promise<boolean> {
  try {
    if ((await stat(path)).size < SLOW_TO_FREE) return false;
    await link(path, name);
    return true;
  } catch {
    return false;
  }
}
