import type { Dirent, Stats } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, join, relative, sep } from 'node:path';
import { FilePath } from '../../shared/registry/file-path.ts';
import { CliError, EXIT, usageError } from '../cli-error.ts';

/** A file on this disk, and the path it has in a version. */
export interface LocalFile {
  readonly path: string;
  readonly file: string;
  readonly size: number;
  /** Milliseconds since the epoch; a file that has another one later has changed. */
  readonly modifiedAt: number;
}

export interface Folder {
  readonly files: readonly LocalFile[];
  /** What was left out, by path. */
  readonly skipped: readonly string[];
}

/** Git's own, which Cairn writes itself, and what Finder leaves. */
const SKIPPED = /^(\.git|\.gitattributes|\.gitmodules|\.DS_Store)$/i;

/**
 * The files below a folder, or the one file, by path. A link is read as the file it leads to, if that is inside.
 * @throws CliError for links that lead out, to a folder or nowhere, and for paths that a version cannot have
 */
export async function readFolder(root: string): Promise<Folder> {
  const info = await statOf(root);
  if (info.isFile()) return { files: [localFile(basename(root), root, info)], skipped: [] };
  if (!info.isDirectory()) throw usageError(`"${root}" is neither a file nor a folder.`);
  const files: LocalFile[] = [];
  const skipped: string[] = [];
  const inside = await realpath(root);
  const walk = async (folder: string): Promise<void> => {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const file = join(folder, entry.name);
      const path = relative(root, file).split(sep).join('/');
      if (SKIPPED.test(entry.name)) skipped.push(path);
      else if (entry.isDirectory()) await walk(file);
      else if (entry.isFile()) files.push(localFile(path, file, await statOf(file)));
      else if (entry.isSymbolicLink()) files.push(await followLink(entry, path, file, inside));
      else skipped.push(path);
    }
  };
  await walk(root);
  if (files.length === 0) throw usageError(`"${root}" holds no files.`);
  return { files: files.sort((a, b) => (a.path < b.path ? -1 : 1)), skipped };
}

async function followLink(entry: Dirent, path: string, file: string, root: string): Promise<LocalFile> {
  const fix = 'Copy the folder with `cp -rL`, which puts the files in place of links, and push the copy.';
  let target: string;
  try {
    target = await realpath(file);
  } catch {
    throw new CliError({
      code: 'LINK_REFUSED',
      detail: `"${path}" is a link that leads nowhere.`,
      fix: 'Remove it.',
    });
  }
  if (!target.startsWith(root + sep)) {
    throw new CliError({
      code: 'LINK_REFUSED',
      detail: `"${path}" is a link to ${target}, outside the folder.`,
      fix,
    });
  }
  const info = await statOf(target);
  if (info.isFile()) return localFile(path, file, info);
  throw new CliError({
    code: 'LINK_REFUSED',
    detail: `"${path}" is a link to a folder (${entry.name}).`,
    fix,
  });
}

function localFile(path: string, file: string, { size, mtimeMs }: Stats): LocalFile {
  if (path.includes('\ufffd'))
    throw usageError(`The name of "${path}" is not valid UTF-8.`, 'Rename the file.');
  const checked = FilePath.safeParse(path);
  if (!checked.success)
    throw usageError(`"${path}" ${checked.error.issues[0]?.message}.`, 'Rename the file.');
  return { path, file, size, modifiedAt: mtimeMs };
}

async function statOf(file: string): Promise<Stats> {
  try {
    return await stat(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new CliError({ code: 'FILE_NOT_FOUND', detail: `There is no "${file}".` }, EXIT.notFound);
  }
}

/** @throws CliError `FILE_CHANGED` if the file is not as it was when it was hashed */
export async function refuseChanged({ path, file, size, modifiedAt }: LocalFile): Promise<void> {
  const now = await statOf(file);
  if (now.size === size && now.mtimeMs === modifiedAt) return;
  throw new CliError({
    code: 'FILE_CHANGED',
    detail: `"${path}" changed while it was being sent; no version was made.`,
    fix: 'Wait until whatever writes it is done, then push again.',
  });
}
