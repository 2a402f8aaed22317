import type { CommitInfo } from './commit-info.ts';
import { commitsBetween } from './commit-walk.ts';
import { type ObjectDatabase, peel } from './object-database.ts';

/** How deep a history a client asks for. */
export interface Deepen {
  /** That many commits from each wanted one; beyond {@link INFINITE}, all. */
  readonly depth?: number;
  /** `depth` counts from where the client's history ends now. */
  readonly relative?: boolean;
  /** Commits of this second or later. */
  readonly since?: number;
  /** Not what these refs' commits lead to. */
  readonly not?: readonly string[];
}

/** What `--unshallow` sends. */
export const INFINITE = 0x7fffffff;

/** Where the client's history ends from now on, and what follows for what is sent to it. */
export interface ShallowUpdate {
  /** Commits whose parents it will not have, besides those it said. */
  readonly shallow: readonly string[];
  /** Commits whose parents it will have. */
  readonly unshallow: readonly string[];
  /** Commits to walk no further than: its history as it was, and as it becomes. */
  readonly cut: ReadonlySet<string>;
  /** Commits to send besides those it wants: parents of what it has. */
  readonly wants: readonly string[];
}

/** Works out a deepen request. Source: Git's upload-pack.c, `deepen` and `send_unshallow`. */
export async function deepen(
  database: ObjectDatabase,
  wants: readonly string[],
  client: readonly string[],
  request: Deepen,
): Promise<ShallowUpdate> {
  const tips: string[] = [];
  for (const want of wants) {
    const found = await peel(database, want);
    if (found?.type === 'commit') tips.push(found.oid);
  }
  const had = new Set(client.filter((oid) => database.has(oid)));
  const { inside, boundary } = await newHistory(database, tips, had, request);
  const shallow = [...boundary].filter((oid) => !had.has(oid));
  const unshallow = [...had].filter((oid) => inside.has(oid) && !boundary.has(oid));
  const parents: string[] = [];
  for (const oid of unshallow) parents.push(...((await database.commit(oid))?.parents ?? []));
  return { shallow, unshallow, cut: new Set([...had, ...boundary]), wants: parents };
}

async function newHistory(
  database: ObjectDatabase,
  tips: readonly string[],
  had: ReadonlySet<string>,
  request: Deepen,
): Promise<{ inside: Pick<ReadonlySet<string>, 'has'>; boundary: Set<string> }> {
  if (request.since !== undefined || request.not !== undefined) {
    const without: string[] = [];
    for (const oid of request.not ?? []) {
      const found = await peel(database, oid);
      if (found?.type === 'commit') without.push(found.oid);
    }
    const { commits } = await commitsBetween(database, tips, without);
    const since = request.since ?? 0;
    const young = new Map([...commits].filter(([, { time }]) => time >= since));
    const reached = reachableWithin(young, tips);
    const boundary = new Set<string>();
    for (const [oid, { parents }] of young) {
      if (reached.has(oid) && parents.some((parent) => !reached.has(parent))) boundary.add(oid);
    }
    return { inside: reached, boundary };
  }
  const depth = request.depth ?? INFINITE;
  if (depth >= INFINITE) return { inside: { has: () => true }, boundary: new Set() };
  if (!request.relative) return withinDepth(database, tips, depth);
  const ends = had.size === 0 ? tips : await reachableOf(database, tips, had);
  return withinDepth(database, ends, depth + 1);
}

/** Breadth first: every commit at its least depth, 1 for the tips. */
async function withinDepth(database: ObjectDatabase, tips: readonly string[], depth: number) {
  const inside = new Set<string>();
  const boundary = new Set<string>();
  let level = new Set(tips);
  for (let at = 1; level.size > 0; at++) {
    const next = new Set<string>();
    for (const oid of level) inside.add(oid);
    for (const oid of level) {
      const parents = (await database.commit(oid))?.parents ?? [];
      if (at < depth) for (const parent of parents) if (!inside.has(parent)) next.add(parent);
      if (at >= depth && parents.length > 0) boundary.add(oid);
    }
    level = next;
  }
  return { inside, boundary };
}

/** Those of `ends` that the tips lead to. */
async function reachableOf(
  database: ObjectDatabase,
  tips: readonly string[],
  ends: ReadonlySet<string>,
): Promise<string[]> {
  const { commits } = await commitsBetween(database, tips, [], ends);
  return [...ends].filter((oid) => commits.has(oid));
}

function reachableWithin(commits: ReadonlyMap<string, CommitInfo>, tips: readonly string[]): Set<string> {
  const reached = new Set<string>();
  for (const stack = [...tips]; stack.length > 0; ) {
    const oid = stack.pop() ?? '';
    const info = commits.get(oid);
    if (!info || reached.has(oid)) continue;
    reached.add(oid);
    stack.push(...info.parents);
  }
  return reached;
}
