import { mkdir, rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncDirectory } from './durable-file.ts';

/** Forget what is known beyond this many directories: it costs one fsync to learn it again. */
const REMEMBERED = 20_000;

/** Directories below `root` that appear with their first file and go with their last. */
export function blobDirectories(root: string) {
  const durable = new Map<string, Promise<void>>();

  /** The directory is there, and so it will be after a power cut. */
  const ensure = (directory: string): Promise<void> => {
    const known = durable.get(directory);
    if (known !== undefined) return known;
    if (durable.size >= REMEMBERED) durable.clear();
    const made = make(directory);
    durable.set(directory, made);
    made.catch(() => durable.delete(directory));
    return made;
  };

  const make = async (directory: string): Promise<void> => {
    if (directory === root) return;
    const parent = dirname(directory);
    await ensure(parent);
    try {
      await mkdir(directory);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') durable.delete(parent);
      if (code !== 'EEXIST') throw error;
    }
    await syncDirectory(parent);
  };

  /**
   * Adds an entry by `link`, durably; `synced` says that `link` has synced the directory itself. The directory may be
   * pruned between any two steps: it is made again when the link finds it gone, and made durable again when somebody
   * else did so.
   */
  const add = async <T>(directory: string, link: () => Promise<T>, { synced = false } = {}): Promise<T> => {
    const linked = await linkInto(directory, link);
    if (!synced) await syncDirectory(directory);
    await ensure(directory);
    return linked;
  };

  const linkInto = async <T>(directory: string, link: () => Promise<T>): Promise<T> => {
    for (let attempt = 1; ; attempt++) {
      try {
        await ensure(directory);
        return await link();
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || attempt === 10) throw error;
        durable.delete(directory);
      }
    }
  };

  /** Removes the directory and its parents as far as they are empty. */
  const prune = async (directory: string): Promise<void> => {
    for (let at = directory; at !== root; at = dirname(at)) {
      durable.delete(at);
      try {
        await rmdir(at);
      } catch {
        // Not empty, or somebody else was quicker.
        return;
      }
    }
  };

  return { add, prune };
}
