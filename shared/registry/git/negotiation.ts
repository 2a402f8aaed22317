import type { ObjectDatabase } from './object-database.ts';
import { peel } from './object-database.ts';
import { turns } from './turns.ts';

/**
 * Whether what is common is enough to make a small pack: every wanted commit leads to a commit that the client has
 * (Git's upload-pack.c, ok_to_give_up).
 */
export async function leadToCommon(
  database: ObjectDatabase,
  wants: readonly string[],
  common: ReadonlySet<string>,
): Promise<boolean> {
  if (common.size === 0) return false;
  let oldest = Number.POSITIVE_INFINITY;
  const had = new Set<string>();
  for (const oid of common) {
    const found = await peel(database, oid);
    if (found?.type !== 'commit') continue;
    had.add(found.oid);
    oldest = Math.min(oldest, (await database.commit(found.oid))?.time ?? 0);
  }
  const turn = turns();
  for (const want of new Set(wants)) {
    const found = await peel(database, want);
    if (found?.type === 'commit' && !(await leads(database, found.oid, had, oldest, turn))) return false;
  }
  return true;
}

async function leads(
  database: ObjectDatabase,
  from: string,
  had: ReadonlySet<string>,
  oldest: number,
  turn: ReturnType<typeof turns>,
): Promise<boolean> {
  const seen = new Set<string>();
  for (const stack = [from]; stack.length > 0; ) {
    await turn();
    const oid = stack.pop() ?? '';
    if (had.has(oid)) return true;
    if (seen.has(oid)) continue;
    seen.add(oid);
    const info = await database.commit(oid);
    if (info && info.time >= oldest) stack.push(...info.parents);
  }
  return false;
}
