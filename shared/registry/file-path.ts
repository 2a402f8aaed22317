import * as z from 'zod';

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what a path must not have
const CONTROL = /[\u0000-\u001f\u007f]/;
/** Zero-width characters that HFS+ ignores when it compares names (Git's utf8.c, next_hfs_char). */
const HFS_IGNORED = /[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g;

/** Names that a checkout would take for Git's own on some file system (Git's fsck: hasDotgit and its NTFS and HFS+ forms). */
function isGitDirectory(part: string): boolean {
  const plain = part.replace(HFS_IGNORED, '').toLowerCase();
  return /^\.git[ .]*(:.*)?$/.test(plain) || /^git~\d+$/.test(plain);
}

/** Files whose content steers Git: Cairn writes `.gitattributes` itself, and there are no submodules. */
const STEERING = /^\.git(attributes|modules)$/i;

/** The path of a file in a version: relative, `/`-separated, UTF-8, at most 1024 bytes, each part at most 255. */
export const FilePath = z
  .string()
  .min(1, 'must not be empty')
  .refine((path) => path.isWellFormed(), 'must be valid Unicode')
  .refine((path) => Buffer.byteLength(path) <= 1024, 'must be at most 1024 bytes of UTF-8')
  .refine((path) => !CONTROL.test(path), 'must not contain control characters')
  .refine((path) => !path.startsWith('/') && !/^[a-zA-Z]:/.test(path), 'must be relative')
  .refine((path) => !path.includes('\\'), 'must separate its parts with "/"')
  .refine(
    (path) => path.split('/').every((part) => part !== '' && part !== '.' && part !== '..'),
    'must not have empty, "." or ".." parts',
  )
  .refine(
    (path) => path.split('/').every((part) => Buffer.byteLength(part) <= 255),
    'must have parts of at most 255 bytes',
  )
  .refine((path) => !path.split('/').some(isGitDirectory), 'must not have a ".git" part')
  .refine(
    (path) => !STEERING.test(path.slice(path.lastIndexOf('/') + 1)),
    'must not be ".gitattributes" or ".gitmodules": Cairn writes what Git needs',
  );

/** The first path that stands twice, or is both a file and a folder; undefined if all can be in one tree. */
export function findClash(paths: readonly string[]): string | undefined {
  const files = new Set<string>();
  for (const path of paths) {
    if (files.has(path)) return path;
    files.add(path);
  }
  for (const path of paths) {
    for (let at = path.indexOf('/'); at > 0; at = path.indexOf('/', at + 1)) {
      if (files.has(path.slice(0, at))) return path.slice(0, at);
    }
  }
  return undefined;
}
