import { parseTag } from './commit-info.ts';
import { type Cut, commitsBetween } from './commit-walk.ts';
import { type ObjectDatabase, peel } from './object-database.ts';
import type { ObjectFilter } from './object-filter.ts';
import { isSubmodule, isTree, treeEntries } from './tree-entries.ts';
import { turns } from './turns.ts';

export interface Selection {
  /** Any objects: commits, tags, and trees or blobs that a partial clone is missing. */
  readonly wants: readonly string[];
  /** Commits or tags that the client has with all they lead to. */
  readonly haves: readonly string[];
  readonly cut?: Cut;
  readonly filter?: ObjectFilter;
  /** Commits that the client has although what is behind them is wanted. */
  readonly edges?: readonly string[];
  /** Annotated tags that go along when what they name does. */
  readonly follow?: readonly { readonly oid: string; readonly peeled?: string }[];
}

/** A pack that has all that its objects lead to: it can be sent as it is. */
export interface WholePack {
  readonly size: number;
  has(oid: string): boolean;
  /** The commits and tags that everything in it can be reached from. */
  readonly tips: readonly string[];
}

export interface Selected {
  /** Ids in the order in which they are sent: tags, commits, then trees and blobs. */
  readonly objects: ReadonlySet<string>;
  /** Objects that the client certainly has: what a thin pack's deltas may be against. */
  readonly known: ReadonlySet<string>;
}

/**
 * The objects that a client lacks, as `git pack-objects --revs` chooses them: those of the commits it lacks, without
 * what the commits next to them have.
 */
export async function selectObjects(database: ObjectDatabase, selection: Selection): Promise<Selected> {
  const { filter = {}, cut = new Set<string>() } = selection;
  const tags: string[] = [];
  const starts: string[] = [];
  const trees: string[] = [];
  const blobs: string[] = [];
  for (const want of selection.wants) {
    const found = await peel(database, want);
    if (!found) continue;
    tags.push(...found.tags);
    (found.type === 'commit' ? starts : found.type === 'tree' ? trees : blobs).push(found.oid);
  }
  const haves: string[] = [];
  const known = new Set<string>();
  for (const have of selection.haves) {
    const found = await peel(database, have);
    if (!found) continue;
    for (const tag of found.tags) known.add(tag);
    if (found.type === 'commit') haves.push(found.oid);
  }
  const range = await commitsBetween(database, starts, haves, cut);
  const edges = new Set([...range.edges, ...(selection.edges ?? [])]);
  if (cut.size > 0) for (const have of haves) edges.add(have);
  // A commit that is asked for although it is had (a promisor's client lacks it) is sent all the same.
  const edgeTrees: string[] = [];
  for (const edge of edges) {
    known.add(edge);
    const info = await database.commit(edge);
    if (info) edgeTrees.push(info.tree);
  }
  // Nothing to compare with while nothing is sent.
  if (range.commits.size > 0 || trees.length > 0) {
    await walkTrees(database, edgeTrees, known, () => true);
  }

  const objects = new Set<string>();
  const send = (oid: string) => {
    if (!known.has(oid)) objects.add(oid);
  };
  for (const tag of tags) objects.add(tag);
  for (const oid of range.commits.keys()) objects.add(oid);
  const deep = filter.treeDepth;
  if (filter.type === undefined || filter.type === 'tree' || filter.type === 'blob') {
    const roots = [...range.commits.values()].map(({ tree }) => tree);
    if (deep === undefined) {
      const seen = new Set(known);
      await walkTrees(
        database,
        roots,
        seen,
        async (oid, kind) => {
          if (kind === 'tree' || (await admits(database, oid, filter))) send(oid);
          return true;
        },
        filter.blobLimit === 0,
      );
    } else if (deep > 0) {
      await walkDepth(database, roots, deep, send, filter);
    }
  }
  for (const tree of trees) {
    objects.add(tree);
    if (deep === undefined) {
      await walkTrees(
        database,
        [tree],
        new Set(known),
        async (oid, kind) => {
          if (kind === 'tree' || (await admits(database, oid, filter))) send(oid);
          return true;
        },
        filter.blobLimit === 0,
      );
    } else if (deep > 0) await walkDepth(database, [tree], deep, send, filter);
  }
  for (const blob of blobs) objects.add(blob);
  if (filter.type !== undefined)
    await keepType(database, objects, filter.type, new Set([...selection.wants, ...trees, ...blobs]));
  for (const { oid, peeled } of selection.follow ?? []) {
    if (peeled !== undefined && objects.has(peeled) && database.has(oid))
      for (const tag of (await peel(database, oid))?.tags ?? []) objects.add(tag);
  }
  return { objects, known };
}

/**
 * What a client without anything lacks besides a whole pack, if it needs all of the pack: the objects that the wanted
 * ones lead to outside of it. Undefined if it does not need all of it.
 */
export async function selectBeside(
  database: ObjectDatabase,
  wants: readonly string[],
  whole: WholePack,
): Promise<Selected | undefined> {
  const objects = new Set<string>();
  const entered = new Set<string>();
  const trees: string[] = [];
  const stack = [...wants];
  for (let oid = stack.pop(); oid !== undefined; oid = stack.pop()) {
    if (whole.has(oid)) {
      entered.add(oid);
      continue;
    }
    if (objects.has(oid)) continue;
    const commit = await database.commit(oid);
    if (commit) {
      objects.add(oid);
      trees.push(commit.tree);
      stack.push(...commit.parents);
      continue;
    }
    const object = await database.read(oid);
    if (object?.type === 'tree') {
      trees.push(oid);
      continue;
    }
    objects.add(oid);
    if (object?.type === 'tag') stack.push(parseTag(object.content).object);
  }
  if (whole.tips.some((tip) => !entered.has(tip))) return undefined;
  await walkTrees(database, trees, objects, () => true, false, whole);
  return { objects, known: new Set() };
}

/** Goes through trees once each, adding all it meets to `seen`. @param treesOnly blobs are not wanted */
export async function walkTrees(
  database: ObjectDatabase,
  roots: readonly string[],
  seen: Set<string>,
  visit: (oid: string, kind: 'tree' | 'blob') => boolean | Promise<boolean>,
  treesOnly = false,
  without?: Pick<WholePack, 'has'>,
): Promise<void> {
  const turn = turns();
  const stack = roots.toReversed();
  for (let oid = stack.pop(); oid !== undefined; oid = stack.pop()) {
    await turn();
    if (seen.has(oid) || without?.has(oid)) continue;
    seen.add(oid);
    const tree = await database.read(oid);
    if (tree?.type !== 'tree') continue;
    await visit(oid, 'tree');
    for (const entry of treeEntries(tree.content)) {
      if (seen.has(entry.oid) || isSubmodule(entry.mode) || without?.has(entry.oid)) continue;
      if (isTree(entry.mode)) stack.push(entry.oid);
      else if (!treesOnly) {
        seen.add(entry.oid);
        const visited = visit(entry.oid, 'blob');
        if (typeof visited !== 'boolean') await visited;
      }
    }
  }
}

/** As `--filter=tree:<depth>`: a tree that stands at several depths counts as what it is at the least. */
async function walkDepth(
  database: ObjectDatabase,
  roots: readonly string[],
  limit: number,
  send: (oid: string) => void,
  filter: ObjectFilter,
): Promise<void> {
  const depths = new Map<string, number>();
  const stack = roots.map((oid) => ({ oid, depth: 0 }));
  for (let top = stack.pop(); top; top = stack.pop()) {
    const { oid, depth } = top;
    if ((depths.get(oid) ?? Number.POSITIVE_INFINITY) <= depth) continue;
    depths.set(oid, depth);
    send(oid);
    if (depth + 1 >= limit) continue;
    const tree = await database.read(oid);
    if (tree?.type !== 'tree') continue;
    for (const entry of treeEntries(tree.content)) {
      if (isTree(entry.mode)) stack.push({ oid: entry.oid, depth: depth + 1 });
      else if (!isSubmodule(entry.mode) && (await admits(database, entry.oid, filter))) send(entry.oid);
    }
  }
}

async function admits(database: ObjectDatabase, blob: string, { blobLimit }: ObjectFilter): Promise<boolean> {
  if (blobLimit === undefined) return true;
  return blobLimit > 0 && (await database.sizeOf(blob)) < blobLimit;
}

async function keepType(
  database: ObjectDatabase,
  objects: Set<string>,
  type: string,
  wanted: ReadonlySet<string>,
): Promise<void> {
  for (const oid of objects) {
    if (!wanted.has(oid) && (await database.typeOf(oid)) !== type) objects.delete(oid);
  }
}
