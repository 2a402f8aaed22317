import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Makes an entry that was added to or removed from a directory survive a power cut. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Creates or replaces a small file, readable by its owner only: after a power cut it has the old or the new text. */
export async function writeFileDurably(path: string, text: string): Promise<void> {
  const unfinished = `${path}.${process.pid}.unfinished`;
  try {
    const file = await open(unfinished, 'w', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(unfinished, path);
  } finally {
    await rm(unfinished, { force: true });
  }
  await syncDirectory(dirname(path));
}

/** What a small file of Cairn's says. @throws Error naming the file when it is damaged */
export function parseFile(path: string, text: string): { format: number } {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw damaged(path, error);
  }
  if (Number.isInteger((content as { format?: unknown } | null)?.format))
    return content as { format: number };
  throw damaged(path);
}

const damaged = (path: string, cause?: unknown) =>
  new Error(`${path} is damaged: put it back from a backup.`, { cause });
