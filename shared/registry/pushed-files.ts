import { createHash } from 'node:crypto';
import pMap from 'p-map';
import { CairnError } from '../errors.ts';
import { BlobError } from '../ports/blob-store.ts';
import type { Ports } from '../ports/ports.ts';
import { blobKey } from '../storage/prefix.ts';
import { FILES_MAX } from './create-version.ts';
import type { VersionFile } from './file-list.ts';
import { FilePath } from './file-path.ts';
import { POINTER_MAX, parseLfsPointer } from './git/lfs-pointer.ts';
import type { ObjectDatabase } from './git/object-database.ts';
import { isSubmodule, isTree, treeEntries } from './git/tree-entries.ts';
import { turns } from './git/turns.ts';
import { lfsStates } from './lfs-verification.ts';

/** Reads of the repository and requests to the store under way at once. */
const PARALLEL = 16;

/** Files, folders, and what no version can hold, all together. */
const ENTRIES_MAX = 4 * FILES_MAX;
/** Bytes of a folder's path, far beyond what any file system takes. */
const PREFIX_MAX = 16_384;

interface Owner {
  readonly id: string;
  readonly workspace: string;
}

interface Found {
  readonly path: string;
  readonly oid: string;
  readonly mode: '100644' | '100755';
}

/**
 * The files of a pushed commit as a version's, the bytes of those that Git itself keeps at their content address.
 * @param known files of the version before, whose bytes are there
 * @returns also what the commit has that no version can hold: it stays in Git alone
 * @param wait for LFS objects that are still being verified; without it nobody waits
 * @throws CairnError `FILE_NOT_FOUND` naming the files whose LFS objects are missing, `DIGEST_MISMATCH` those that were
 * refused, `UPLOAD_INCOMPLETE` those that are still being verified; `INVALID_ARGUMENT`
 */
export async function pushedFiles(
  ports: Pick<Ports, 'table' | 'blobs' | 'clock'>,
  model: Owner,
  database: ObjectDatabase,
  tree: string,
  known: readonly VersionFile[],
  wait?: Wait,
): Promise<{ files: VersionFile[]; left: string[] }> {
  const { found, left } = await listTree(database, tree);
  if (found.length === 0)
    throw new CairnError('INVALID_ARGUMENT', 'A version needs at least one file.', 'files');
  const before = new Map(known.map((file) => [file.oid, file]));
  const missing: LfsFile[] = [];
  const has = async ({ sha256, size }: LfsFile) =>
    (await ports.blobs.stat(blobKey(model.workspace, model.id, sha256)))?.size === size;
  const files = await pMap(
    found,
    async ({ path, oid, mode }): Promise<VersionFile> => {
      const same = before.get(oid);
      if (same) return { ...same, path, mode };
      const content =
        (await database.sizeOf(oid)) < POINTER_MAX ? (await database.read(oid))?.content : undefined;
      const pointer = content && parseLfsPointer(content);
      if (pointer) {
        const file = { path, oid, mode, ...pointer };
        if (!(await has(file))) missing.push(file);
        return file;
      }
      const bytes = content ?? (await database.read(oid))?.content ?? new Uint8Array();
      return { path, oid, mode, size: bytes.length, sha256: await putBytes(ports, model, bytes) };
    },
    { concurrency: PARALLEL },
  );
  await requireLfs(ports, model, missing, has, wait);
  return { files, left };
}

type LfsFile = Pick<VersionFile, 'path' | 'sha256' | 'size'>;

/** Is told which files' LFS objects are still being verified, and returns true when they are to be looked at again. */
export type Wait = (paths: readonly string[]) => Promise<boolean>;

async function requireLfs(
  ports: Pick<Ports, 'table' | 'clock'>,
  model: Owner,
  absent: readonly LfsFile[],
  has: (file: LfsFile) => Promise<boolean>,
  wait: Wait | undefined,
): Promise<void> {
  for (let missing = absent; missing.length > 0; ) {
    const { verifying, refused } = await lfsStates(ports, model, missing);
    // One whose verification ended since it was looked for is there.
    const there = await pMap(missing, has, { concurrency: PARALLEL });
    missing = missing.filter((_, index) => !there[index]);
    const paths = missing.map(({ path }) => path);
    const wrong = paths.filter((path) => refused.includes(path));
    if (wrong.length > 0) throw lfsRefused(wrong);
    const lost = paths.filter((path) => !verifying.includes(path));
    if (lost.length > 0) throw lfsMissing(lost);
    if (paths.length > 0 && !(await wait?.(paths))) throw lfsVerifying(paths);
  }
}

async function listTree(database: ObjectDatabase, root: string): Promise<{ found: Found[]; left: string[] }> {
  const found: Found[] = [];
  const left: string[] = [];
  const stack = [{ oid: root, prefix: Buffer.alloc(0) }];
  const turn = turns();
  let entries = 0;
  for (let top = stack.pop(); top; top = stack.pop()) {
    await turn();
    const tree = await database.read(top.oid);
    for (const { mode, name, oid } of treeEntries(tree?.content ?? new Uint8Array())) {
      // A tree may stand in many places: a few small ones unfold to more than anybody can list.
      if (++entries > ENTRIES_MAX)
        throw new CairnError(
          'INVALID_ARGUMENT',
          `A version's commit has at most ${ENTRIES_MAX} entries.`,
          'files',
        );
      if (top.prefix.length > PREFIX_MAX)
        throw new CairnError('INVALID_ARGUMENT', `Its folders are deeper than ${PREFIX_MAX} bytes.`, 'files');
      const bytes = Buffer.concat([top.prefix, name]);
      if (isTree(mode)) {
        stack.push({ oid, prefix: Buffer.concat([bytes, Buffer.from('/')]) });
        continue;
      }
      const path = bytes.toString();
      const reason = whyNoFile(mode, name, bytes, path);
      if (reason === undefined) found.push({ path, oid, mode: mode === '100755' ? mode : '100644' });
      else if (reason !== '') left.push(`${JSON.stringify(path)} (${reason})`);
      if (found.length > FILES_MAX)
        throw new CairnError('INVALID_ARGUMENT', `A version has at most ${FILES_MAX} files.`, 'files');
    }
  }
  found.sort((a, b) => (a.path < b.path ? -1 : 1));
  return { found, left };
}

/** Why an entry is no file of a version; empty for what Git alone is concerned with. */
function whyNoFile(mode: string, name: Buffer, bytes: Buffer, path: string): string | undefined {
  if (isSubmodule(mode)) return 'a submodule';
  if (mode === '120000') return 'a symbolic link';
  if (/^\.git(attributes|modules)$/i.test(name.toString())) return '';
  if (!Buffer.from(path).equals(bytes)) return 'its name is not UTF-8';
  const parsed = FilePath.safeParse(path);
  return parsed.success ? undefined : `its path ${parsed.error.issues[0]?.message ?? 'is invalid'}`;
}

/** @returns the SHA-256 */
async function putBytes(ports: Pick<Ports, 'blobs'>, model: Owner, bytes: Uint8Array): Promise<string> {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const key = blobKey(model.workspace, model.id, sha256);
  if (await ports.blobs.stat(key)) return sha256;
  try {
    await ports.blobs.put(key, bytes, { sha256, size: bytes.length, ifAbsent: true });
  } catch (error) {
    if (!(error instanceof BlobError && error.code === 'EXISTS')) throw error;
  }
  return sha256;
}

const lfsMissing = (paths: readonly string[]) =>
  new CairnError('FILE_NOT_FOUND', `the LFS objects of ${listed(paths)} are missing`, 'files');

const lfsRefused = (paths: readonly string[]) =>
  new CairnError(
    'DIGEST_MISMATCH',
    `the bytes that were sent for ${listed(paths)} are not those that the LFS pointer names, and were removed`,
    'files',
  );

const lfsVerifying = (paths: readonly string[]) =>
  new CairnError(
    'UPLOAD_INCOMPLETE',
    `the bytes of ${listed(paths)} are still being verified: push again in a minute`,
    'files',
  );

/** Some of them by name. */
export function listed(paths: readonly string[]): string {
  const more = paths.length > 20 ? ` and ${paths.length - 20} more` : '';
  return `${paths.toSorted().slice(0, 20).join(', ')}${more}`;
}
