import { uuidv7 } from 'uuidv7';
import type { Ports } from '../ports/ports.ts';
import type { Item, NewItem, Op } from '../ports/table.ts';
import { packBlobKey } from '../storage/prefix.ts';
import { fileListItem, readFileList, type VersionFile } from './file-list.ts';
import { commitObject } from './git/commit-object.ts';
import { lfsAttributes, lfsPointer, ownAttributes } from './git/lfs-pointer.ts';
import { gitObject } from './git/object.ts';
import type { ObjectDatabase } from './git/object-database.ts';
import { type Pack, type PackedObject, writePack } from './git/pack.ts';
import { buildTrees } from './git/tree.ts';
import { treeEntries } from './git/tree-entries.ts';
import { packKey, repositoryKey } from './keys.ts';
import type { StoredModel } from './model.ts';
import { storePack } from './pack-file.ts';
import { lastPack, type MainBranch, type Repository } from './repository.ts';
import { openObjects } from './repository-objects.ts';
import { fileListName } from './version.ts';

/** A file whose bytes are at their content address. */
export interface BlobFile {
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
  /** The bytes of a text file that Git keeps itself (see {@link isGitText}); without them the file is an LFS pointer. */
  readonly text?: Uint8Array;
}

/** Larger files, and those that are not text, are Git LFS pointers. */
export const GIT_TEXT_MAX = 64 * 1024;

/** Whether Git keeps these bytes itself: valid UTF-8 of at most 64 KiB. */
export function isGitText(bytes: Uint8Array): boolean {
  if (bytes.length > GIT_TEXT_MAX) return false;
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** What a commit's pack item holds; a large pack is in the blob store under `blob`, its index beside it. */
export interface PackBody {
  readonly format: 1;
  readonly commit: string;
  readonly objects?: readonly PackedObject[];
  readonly blob?: string;
  /** Commits and tags that all of a stored pack can be reached from, if it leads nowhere else. */
  readonly tips?: readonly string[];
}

const INLINE_PACK_BYTES = 120_000;
const INLINE_PACK_OBJECTS = 1000;

/** What a version's transaction writes of the repository, besides the version's own record. */
export interface VersionCommit {
  readonly commit: string;
  readonly ops: readonly Op[];
}

/**
 * Makes the commit of a version, on top of `main`: its new objects as one pack that travels in the transaction as an
 * item (or, when large, is stored first), its file list, and the root that names it.
 */
export async function commitVersion(
  ports: Pick<Ports, 'table' | 'blobs'>,
  model: StoredModel,
  root: Item<Repository>,
  version: { number: number; author: string; message: string; at: number },
  files: readonly BlobFile[],
): Promise<VersionCommit> {
  const blobs = files.map((file) => ({ file, object: gitObject('blob', file.text ?? lfsPointer(file)) }));
  const list = blobs.map(
    ({ file, object }): VersionFile => ({
      path: file.path,
      size: file.size,
      sha256: file.sha256,
      oid: object.oid,
      mode: '100644',
    }),
  );
  const main = root.body.main;
  const own = main && (await readOwnAttributes(ports, model, root.body, main));
  const pathsOf = (some: readonly BlobFile[]) => some.map(({ path }) => path);
  const attributes = lfsAttributes(
    pathsOf(files.filter((file) => !file.text)),
    own,
    pathsOf(files.filter((file) => file.text)),
  );
  const attributesObject = attributes && gitObject('blob', attributes);
  const objects = [...blobs.map(({ object }) => object), ...(attributesObject ? [attributesObject] : [])];
  const trees = buildTrees(treeFiles(list, attributes));
  const commit = commitObject({
    tree: trees.at(-1)?.oid ?? '',
    parents: main ? [main.commit] : [],
    author: version.author,
    at: version.at,
    message: version.message || `Version ${version.number}`,
  });
  const known = main ? await knownObjects(ports, model, main) : new Set();
  const fresh = new Map([...objects, ...trees, commit].map((object) => [object.oid, object]));
  for (const oid of fresh.keys()) if (known.has(oid)) fresh.delete(oid);
  const body: Repository = {
    ...root.body,
    nextNumber: Math.max(root.body.nextNumber, version.number + 1),
    main: {
      commit: commit.oid,
      version: version.number,
      ...(own && attributesObject && { attributes: attributesObject.oid }),
    },
    packs: lastPack(root.body) + 1,
  };
  return {
    commit: commit.oid,
    ops: [
      { put: { ...repositoryKey(model.id), body }, if: { rev: root.rev } },
      {
        put: await packItem(
          ports,
          model,
          lastPack(root.body) + 1,
          commit.oid,
          writePack([...fresh.values()]),
        ),
        if: 'absent',
      },
      { put: await fileListItem(ports.blobs, model, fileListName(version.number), list), if: 'absent' },
    ],
  };
}

function* treeFiles(files: readonly VersionFile[], attributes: Uint8Array | undefined) {
  yield* files;
  if (attributes)
    yield { path: '.gitattributes', oid: gitObject('blob', attributes).oid, mode: '100644' as const };
}

/** Larger ones are not carried on. */
const OWN_ATTRIBUTES_MAX = 64 * 1024;

/** What somebody has written into the `.gitattributes` at the top of `main`, if anybody has. */
async function readOwnAttributes(
  ports: Pick<Ports, 'table' | 'blobs'>,
  model: StoredModel,
  root: Repository,
  main: MainBranch,
): Promise<Uint8Array | undefined> {
  if (!main.pushed && main.attributes === undefined) return undefined;
  const database = await openObjects(ports, model, root);
  const oid = main.attributes ?? (await pushedAttributes(database, main.commit));
  if (oid === undefined || (await database.sizeOf(oid)) > OWN_ATTRIBUTES_MAX) return undefined;
  const own = ownAttributes((await database.read(oid))?.content ?? new Uint8Array());
  return own.length > 0 ? own : undefined;
}

async function pushedAttributes(database: ObjectDatabase, commit: string): Promise<string | undefined> {
  const info = await database.commit(commit);
  const tree = info && (await database.read(info.tree));
  for (const { name, mode, oid } of treeEntries(tree?.content ?? new Uint8Array()))
    if (name.toString() === '.gitattributes' && /^100(644|755)$/.test(mode)) return oid;
  return undefined;
}

/** The ids of objects of main's version: worked out from its files, without reading the repository. */
async function knownObjects(
  ports: Pick<Ports, 'table' | 'blobs'>,
  model: StoredModel,
  main: MainBranch,
): Promise<Set<string>> {
  const files = (await readFileList(ports, model.id, fileListName(main.version))) ?? [];
  const known = new Set(files.map(({ oid }) => oid));
  if (main.pushed || main.attributes !== undefined) return known;
  const pointers = files.filter((file) => gitObject('blob', lfsPointer(file)).oid === file.oid);
  const attributes = lfsAttributes(pointers.map(({ path }) => path));
  for (const tree of buildTrees(treeFiles(files, attributes))) known.add(tree.oid);
  if (attributes) known.add(gitObject('blob', attributes).oid);
  return known;
}

/** The item of a pack; a large pack is stored first. */
export async function packItem(
  ports: Pick<Ports, 'blobs'>,
  model: { readonly id: string; readonly workspace: string },
  number: number,
  commit: string,
  pack: Pack,
  tips?: readonly string[],
): Promise<NewItem> {
  const key = packKey(model.id, number);
  if (pack.bytes.length <= INLINE_PACK_BYTES && pack.objects.length <= INLINE_PACK_OBJECTS) {
    const body: PackBody = { format: 1, commit, objects: pack.objects };
    return { ...key, body, bytes: pack.bytes };
  }
  // Of its own: one that an interrupted push left may be removed just now.
  const blob = packBlobKey(model.workspace, model.id, uuidv7());
  await storePack(ports.blobs, blob, pack);
  const body: PackBody = { format: 1, commit, blob, ...(tips && { tips }) };
  return { ...key, body };
}
