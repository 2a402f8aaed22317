import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { keyProblem } from '../blob-key.ts';

/**
 * Keys below `root` that begin with `prefix` and come after `after`, in byte order. Reads only directories that can
 * hold such keys.
 */
export async function* blobKeys(root: string, prefix: string, after: string): AsyncGenerator<string> {
  // Every key with the prefix is in the directory that the prefix names up to its last `/`.
  const directory = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  if (directory !== '' && keyProblem(directory.slice(0, -1)) !== undefined) return;
  yield* below(root, directory, prefix, after);
}

async function* below(
  root: string,
  directory: string,
  prefix: string,
  after: string,
): AsyncGenerator<string> {
  for (const name of await namesIn(`${root}/${directory}`)) {
    const path = directory + name;
    if (path.endsWith('/')) {
      const within = path.startsWith(prefix) || prefix.startsWith(path);
      const notOver = compareBytes(path, after) > 0 || after.startsWith(path);
      if (within && notOver) yield* below(root, path, prefix, after);
    } else if (path.startsWith(prefix) && compareBytes(path, after) > 0) {
      yield path;
    }
  }
}

/** Files by their name and directories with a `/` behind it: so they sort as the keys do. */
async function namesIn(directory: string): Promise<string[]> {
  try {
    const entries: Dirent[] = await readdir(directory, { withFileTypes: true });
    return entries.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name)).sort(compareBytes);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw error;
  }
}

/** The order of UTF-8, which is that of code points; UTF-16's, JavaScript's own, differs beyond the first plane. */
function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
