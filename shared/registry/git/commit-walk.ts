import type { CommitInfo } from './commit-info.ts';
import type { ObjectDatabase } from './object-database.ts';
import { turns } from './turns.ts';

/** Commits whose parents are not looked at: where a shallow history ends. */
export type Cut = ReadonlySet<string>;

export const parentsOf = (oid: string, { parents }: CommitInfo, cut: Cut): readonly string[] =>
  cut.has(oid) ? [] : parents;

/** What can be reached from some commits and not from others. */
export interface Range {
  readonly commits: ReadonlyMap<string, CommitInfo>;
  /** Commits outside whose child is inside. */
  readonly edges: ReadonlySet<string>;
}

/**
 * The commits reachable from `from` and not from `without`, walked from the youngest down (Git's limit_list). Where
 * commits claim to be older than their parents it may give a few of `without`'s too, never too few.
 */
export async function commitsBetween(
  database: ObjectDatabase,
  from: Iterable<string>,
  without: Iterable<string>,
  cut: Cut = new Set(),
): Promise<Range> {
  const infos = new Map<string, CommitInfo>();
  const excluded = new Set<string>();
  const queue = new CommitQueue();
  let wanted = 0;
  const push = async (oid: string) => {
    if (infos.has(oid)) return;
    const info = await database.commit(oid);
    if (!info) return;
    infos.set(oid, info);
    queue.push(oid, info.time);
    if (!excluded.has(oid)) wanted++;
  };
  const queued = () => queue.has;
  const exclude = (start: string) => {
    for (const stack = [start]; stack.length > 0; ) {
      const oid = stack.pop() ?? '';
      if (excluded.has(oid)) continue;
      excluded.add(oid);
      if (queued()(oid)) wanted--;
      const info = infos.get(oid);
      // One that was passed already: what it led to is not wanted either.
      if (info && !queued()(oid)) stack.push(...parentsOf(oid, info, cut));
    }
  };
  for (const oid of without) {
    exclude(oid);
    await push(oid);
  }
  for (const oid of from) await push(oid);
  const turn = turns();
  while (wanted > 0) {
    await turn();
    const oid = queue.pop();
    if (oid === undefined) break;
    const info = infos.get(oid);
    if (!info) continue;
    const out = excluded.has(oid);
    if (!out) wanted--;
    for (const parent of parentsOf(oid, info, cut)) {
      if (out) exclude(parent);
      await push(parent);
    }
  }
  const commits = new Map<string, CommitInfo>();
  const edges = new Set<string>();
  for (const [oid, info] of infos) if (!excluded.has(oid)) commits.set(oid, info);
  for (const [oid, info] of commits) {
    for (const parent of parentsOf(oid, info, cut)) if (excluded.has(parent)) edges.add(parent);
  }
  return { commits, edges };
}

/** Whether `ancestor` is `descendant` or reachable from it. */
export async function isAncestor(
  database: ObjectDatabase,
  ancestor: string,
  descendant: string,
): Promise<boolean> {
  if (ancestor === descendant) return true;
  // Whatever the clocks said: reachable from `ancestor` and not from `descendant` is nothing, and `ancestor` is not.
  const floor = (await database.commit(ancestor))?.time ?? 0;
  const seen = new Set([descendant]);
  const late: string[] = [descendant];
  const early: string[] = [];
  const turn = turns();
  for (let oid = late.pop() ?? early.pop(); oid !== undefined; oid = late.pop() ?? early.pop()) {
    await turn();
    for (const parent of (await database.commit(oid))?.parents ?? []) {
      if (parent === ancestor) return true;
      if (seen.has(parent)) continue;
      seen.add(parent);
      const time = (await database.commit(parent))?.time ?? 0;
      // Older ones are looked at last, for clocks that were wrong.
      (time >= floor ? late : early).push(parent);
    }
  }
  return false;
}

/** A heap of commits, the youngest first. */
class CommitQueue {
  readonly #heap: { oid: string; time: number }[] = [];
  readonly #members = new Set<string>();
  readonly has = (oid: string) => this.#members.has(oid);

  push(oid: string, time: number): void {
    const heap = this.#heap;
    this.#members.add(oid);
    let at = heap.length;
    heap.push({ oid, time });
    while (at > 0) {
      const up = (at - 1) >> 1;
      const above = heap[up];
      const here = heap[at];
      if (!above || !here || above.time >= here.time) break;
      heap[up] = here;
      heap[at] = above;
      at = up;
    }
  }

  pop(): string | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (!first || !last) return undefined;
    this.#members.delete(first.oid);
    if (heap.length === 0) return first.oid;
    heap[0] = last;
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      const [l, r] = [heap[left], heap[left + 1]];
      const down = r && l && r.time > l.time ? left + 1 : left;
      const below = heap[down];
      const here = heap[at];
      if (!below || !here || below.time <= here.time) break;
      heap[at] = below;
      heap[down] = here;
      at = down;
    }
    return first.oid;
  }
}
