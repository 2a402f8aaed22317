import { lstat, mkdir } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import { FilePath } from '../../shared/registry/file-path.ts';
import type { Artifact } from '../api.ts';
import { CliError } from '../cli-error.ts';

const refused = (path: string, why: string) =>
  new CliError({
    code: 'PATH_REFUSED',
    detail: `The server lists a file "${path}", which ${why}; nothing was written.`,
    fix: 'Do not trust this version: show it to whoever runs the server.',
  });

/**
 * Where a version's file goes below `folder`.
 * @throws CliError `PATH_REFUSED` for a path that would leave it, or a digest that is none and would name a file too
 */
export function targetOf(folder: string, { path, sha256 }: Artifact): string {
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw refused(path, 'has no SHA-256');
  const checked = FilePath.safeParse(path);
  if (!checked.success) throw refused(path, checked.error.issues[0]?.message ?? 'is not a path');
  const root = resolve(folder);
  const target = join(root, ...path.split('/'));
  if (!target.startsWith(root.endsWith(sep) ? root : root + sep))
    throw refused(path, 'leads out of the folder');
  return target;
}

/** Makes the folders above a file, and refuses a link among them: it would lead writes elsewhere. */
export async function makeFolders(folder: string, path: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  let at = folder;
  for (const part of path.split('/').slice(0, -1)) {
    at = join(at, part);
    const info = await lstat(at).catch(() => undefined);
    if (info?.isDirectory()) continue;
    if (info) {
      const what = info.isSymbolicLink() ? 'a link' : 'a file';
      throw new CliError({
        code: 'PATH_REFUSED',
        detail: `${at} is ${what}, where "${path}" needs a folder.`,
        fix: 'Remove it, or pull into another folder.',
      });
    }
    await mkdir(at).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}
